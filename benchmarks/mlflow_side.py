"""The same questions put to MLflow: a page of runs, all runs in one frame, metric histories."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.measuring import Times, timed, times
from benchmarks.searching import PAGE_ROWS, Found, Query
from benchmarks.stores import uri


def pages(path: Path, asked: Sequence[Query]) -> Found:
    """Find pages with `MlflowClient.search_runs`."""
    from mlflow import MlflowClient

    client = MlflowClient(uri(path))
    experiments = [one.experiment_id for one in client.search_experiments()]
    found: list[tuple[str, ...]] = []

    def page(query: Query) -> None:
        answer = client.search_runs(
            experiments, query.filter, max_results=PAGE_ROWS, order_by=[query.order_by]
        )
        found.append(tuple(run.info.run_id for run in answer))

    first, _ = timed(lambda: client.search_runs(experiments, max_results=1))
    seconds = times([lambda query=query: page(query) for query in asked])
    return Found(first, seconds, tuple(found))


def everything(path: Path, runs: int, repetitions: int) -> Times:
    """Read all runs into one pandas frame with `mlflow.search_runs`."""
    import mlflow

    mlflow.set_tracking_uri(uri(path))

    def read() -> None:
        frame = mlflow.search_runs(max_results=runs, search_all_experiments=True)
        if len(frame) != runs:
            raise RuntimeError(f"MLflow gave {len(frame)} of {runs} runs.")

    return times([read] * repetitions)


def histories(path: Path, run_ids: Sequence[str], key: str, repetitions: int) -> tuple[Times, int]:
    """Read histories with `MlflowClient.get_metric_history`, one run a call; return times and points."""
    from mlflow import MlflowClient

    client = MlflowClient(uri(path))
    points = 0

    def read() -> None:
        nonlocal points
        points = sum(len(client.get_metric_history(run_id, key)) for run_id in run_ids)

    return times([read] * repetitions), points


def children(path: Path, parents: Sequence[str]) -> tuple[Times, tuple[dict[str, float], ...]]:
    """Read the child runs of each parent into a pandas frame; return times, and each run's test_smape."""
    import mlflow

    mlflow.set_tracking_uri(uri(path))
    found: list[dict[str, float]] = []

    def read(parent: str) -> None:
        wanted = f"tags.`mlflow.parentRunId` = '{parent}'"
        frame = mlflow.search_runs(filter_string=wanted, search_all_experiments=True)
        found.append(dict(zip(frame["run_id"], frame["metrics.test_smape"], strict=True)))

    return times([partial(read, parent) for parent in parents]), tuple(found)

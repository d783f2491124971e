"""Trains planned runs and writes them to MLflow through its client; no global state of MLflow is set."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from mlflow import MlflowClient
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

from core.demo.artifacts import log_artifacts, log_model
from core.demo.data import Data, DataVersion, Part, data_hash, load
from core.demo.plan import ExperimentPlan, ParamValue, RunPlan
from core.demo.train import Epoch, Trained, TrainingDivergedError, TrainingStoppedError, train
from core.errors import GreenroomError

RUN_TAG: Final = "greenroom.demo_run"
"""Marks the runs that the demo logged, the only ones that it ever deletes, with one of two words."""

KEPT: Final = "true"
ABANDONED: Final = "abandoned"

BATCH: Final = 1000
"""Most metrics that MLflow takes in one call."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where runs are written and in whose name."""

    client: MlflowClient
    experiment: ExperimentPlan
    experiment_id: str
    author: str
    parent_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run in MLflow with the last value of each metric."""

    run_id: str
    metrics: Mapping[str, float]


def record_run(desk: Desk, plan: RunPlan) -> Recorded:
    """Train a planned run and log it: FINISHED, FAILED if the training diverged, KILLED if it was stopped."""
    data = load(plan.data)
    params = {str(key): str(value) for key, value in plan.params.items()} | {
        "seed": str(plan.seed),
        "n_features": str(data.train.x.shape[1]),
        "dataset_hash": data.full_hash[:16],
    }
    run_id, start_time = open_run(desk, plan.name, str(plan.model), data, plan.note)
    log_params(desk.client, run_id, params)
    desk.client.log_inputs(run_id, list(dataset_inputs(plan.data)))
    epochs: list[Epoch] = []
    try:
        trained = train(plan, data, epochs.append)
    except TrainingDivergedError as error:
        desk.client.log_text(run_id, "".join(traceback.format_exception(error)), "traceback.txt")
        return _close_early(desk.client, run_id, start_time, epochs, "FAILED", "failure_reason", error)
    except TrainingStoppedError as error:
        return _close_early(desk.client, run_id, start_time, epochs, "KILLED", "stop_reason", error)
    log_artifacts(desk.client, run_id, plan, data, trained, epochs)
    model_id = (
        log_model(desk.client, desk.experiment_id, run_id, params, trained, data)
        if plan.keeps_model
        else None
    )
    log_metrics(desk.client, run_id, _history(epochs, start_time) + _finals(trained, epochs, model_id))
    desk.client.set_terminated(run_id, "FINISHED")
    return Recorded(run_id, {**(epochs[-1].metrics if epochs else {}), **trained.metrics})


def open_run(
    desk: Desk,
    name: str,
    model_type: str,
    data: Data,
    note: str | None,
    tags: Mapping[str, str] | None = None,
) -> tuple[str, int]:
    """Create a run with its tags.

    Returns
    -------
    run_id : str
    start_time : int
        Milliseconds since 1970.
    """
    start_time = time.time_ns() // 1_000_000
    all_tags = {
        RUN_TAG: KEPT,
        "mlflow.user": desk.author,
        "mlflow.source.name": "greenroom demo",
        "mlflow.source.type": "LOCAL",
        "team": desk.experiment.team,
        "model_type": model_type,
        "dataset_version": data.version.partition("@")[2],
        "dataset_hash_full": data.full_hash,
        **(tags or {}),
    }
    if note:
        all_tags["mlflow.note.content"] = note
    if desk.parent_run_id:
        all_tags["mlflow.parentRunId"] = desk.parent_run_id
    run = desk.client.create_run(desk.experiment_id, start_time=start_time, tags=all_tags, run_name=name)
    return run.info.run_id, start_time


def log_params(client: MlflowClient, run_id: str, params: Mapping[str, ParamValue]) -> None:
    """Log params in one call."""
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()])


def log_metrics(client: MlflowClient, run_id: str, metrics: Sequence[Metric]) -> None:
    """Log any number of metrics, as many in one call as MLflow allows."""
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + BATCH])


@cache
def dataset_inputs(version: DataVersion) -> tuple[DatasetInput, ...]:
    """Describe the training, validation and test rows as MLflow datasets."""
    data = load(version)
    parts = (("training", data.train), ("validation", data.valid), ("eval", data.test))
    return tuple(_dataset_input(data, context, part) for context, part in parts)


def _dataset_input(data: Data, context: str, part: Part) -> DatasetInput:
    described = from_pandas(
        part.x.assign(**{data.target: part.y.astype("float64")}),
        source=CodeDatasetSource({"mlflow.source.name": f"sklearn.datasets.{data.loader}"}),
        name=data.version.partition("@")[0],
        targets=data.target,
        # MLflow's own digest makes pandas 3 warn.
        digest=data_hash(part.x, part.y)[:16],
    )
    return DatasetInput(Dataset(**described.to_dict()), [InputTag("mlflow.data.context", context)])


def _close_early(
    client: MlflowClient,
    run_id: str,
    start_time: int,
    epochs: Sequence[Epoch],
    status: str,
    reason_tag: str,
    error: GreenroomError,
) -> Recorded:
    log_metrics(client, run_id, _history(epochs, start_time))
    client.set_tag(run_id, reason_tag, str(error))
    client.set_terminated(run_id, status)
    return Recorded(run_id, dict(epochs[-1].metrics) if epochs else {})


def _history(epochs: Iterable[Epoch], start_time: int) -> list[Metric]:
    return [
        Metric(key, value, start_time + round(epoch.seconds * 1000), epoch.step)
        for epoch in epochs
        for key, value in epoch.metrics.items()
    ]


def _finals(trained: Trained, epochs: Sequence[Epoch], model_id: str | None) -> list[Metric]:
    now = time.time_ns() // 1_000_000
    step = epochs[-1].step if epochs else 0
    # The last epoch has said what its metrics came to; saying it again would double the point.
    in_history = epochs[-1].metrics if epochs else {}
    return [
        Metric(key, value, now, step, model_id=model_id)
        for key, value in trained.metrics.items()
        if key not in in_history
    ]

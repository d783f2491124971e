"""Runs and folders as plain values, from MLflow and from Greenroom, so that both compare with ==."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun
from mlflow.entities import ViewType

from core.runs.index.snapshot import Snapshot
from core.runs.sources.base import RunBatch

Plain = dict[str, Any]
CONTEXT_TAG = "mlflow.data.context"
NAME_TAG = "mlflow.runName"


def number(value: float) -> str:
    """Write a number so that NaN equals NaN and nothing is rounded."""
    return repr(float(value))


def mlflow_runs(client: MlflowClient, view: int = ViewType.ALL) -> list[MlflowRun]:
    """Return all runs of a store in MLflow's order, whatever the pages."""
    ids = [one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)]
    found: list[MlflowRun] = []
    token = None
    while True:
        page = client.search_runs(ids, run_view_type=view, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def of_mlflow(runs: Iterable[MlflowRun]) -> dict[str, Plain]:
    """Return what MLflow says of runs, by id."""
    return {
        run.info.run_id: {
            "experiment_id": run.info.experiment_id,
            "name": run.info.run_name or "",
            "status": run.info.status,
            "start_time": run.info.start_time,
            "end_time": run.info.end_time,
            "user": run.info.user_id or "",
            "lifecycle_stage": run.info.lifecycle_stage,
            "artifact_uri": run.info.artifact_uri,
            "params": dict(run.data.params),
            "metrics": {key: number(value) for key, value in run.data.metrics.items()},
            "tags": dict(run.data.tags),
            "datasets": sorted(
                (
                    used.dataset.name,
                    used.dataset.digest,
                    next((tag.value for tag in used.tags if tag.key == CONTEXT_TAG), ""),
                )
                for used in (run.inputs.dataset_inputs if run.inputs else ())
            ),
        }
        for run in runs
    }


def of_batch(batch: RunBatch) -> dict[str, Plain]:
    """Return what a source read, by id."""
    ids = batch.runs["run_id"].to_list()
    found: dict[str, Plain] = {}
    for row in batch.runs.iter_rows(named=True):
        own = {key: value for key, value in row.items() if key != "run_id"}
        own["user"] = own["user"] or ""
        found[row["run_id"]] = own | {"params": {}, "metrics": {}, "tags": {}, "datasets": []}
    for run, key, value, _, _ in batch.metrics.iter_rows():
        found[ids[run]]["metrics"][key] = number(value)
    for table in ("params", "tags"):
        for run, key, value in getattr(batch, table).iter_rows():
            found[ids[run]][table][key] = value
    for row in batch.datasets.iter_rows(named=True):
        found[ids[row["run"]]]["datasets"].append((row["name"], row["digest"], row["context"] or ""))
    for one in found.values():
        one["name"] = one["name"] or one["tags"].get(NAME_TAG, "")
        one["datasets"].sort()
    return found


def of_snapshot(snapshot: Snapshot) -> dict[str, Plain]:
    """Return what the index holds, by id."""
    return {
        run.run_id: {
            "experiment_id": run.experiment_id,
            "name": run.name,
            "status": run.status,
            "start_time": _milliseconds(run.start_time),
            "end_time": _milliseconds(run.end_time),
            "user": run.user,
            "lifecycle_stage": run.lifecycle_stage,
            "artifact_uri": run.artifact_uri,
            "params": dict(run.params),
            "metrics": {key: number(value) for key, value in run.metrics.items()},
            "tags": dict(run.tags),
            "datasets": sorted((one.name, one.digest, one.context or "") for one in run.datasets),
        }
        for run in snapshot.runs(range(len(snapshot)))
    }


def _milliseconds(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)


def hashes(*places: Path) -> Mapping[str, str]:
    """Return the SHA-256 of every file at or below these places; folders are named too."""
    found = {}
    for place in places:
        for path in (place, *(sorted(place.rglob("*")) if place.is_dir() else ())):
            content = b"folder" if path.is_dir() else path.read_bytes()
            found[str(path)] = hashlib.sha256(content).hexdigest()
    return found

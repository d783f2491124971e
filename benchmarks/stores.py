"""Tracking stores of any size: rows inserted in bulk into the tables that MLflow itself created.

Logging 100,000 runs through MLflow would take hours, inserting them a minute. The content depends on the
shape alone: the same numbers, ids and times wherever NumPy's generator is the same.
"""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EXPERIMENT = "benchmark"
# Part of the file name: raise it with any change of the content, so that a kept store is made anew.
_CONTENT = 1
_LATEST_START = 1_780_000_000_000
_MINUTE = 60_000
_TRACED_METRICS = 4
_OTHER_POINTS = 10
_ALGORITHMS = ("ppo", "a2c", "sac")
_ROWS_A_BATCH = 400_000
_INSERTS = {
    "runs": (
        "insert into runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, "
        "start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id) "
        "values (?, ?, 'LOCAL', 'train.py', '', ?, ?, ?, ?, '', 'active', ?, ?)"
    ),
    "params": "insert into params (run_uuid, key, value) values (?, ?, ?)",
    "tags": "insert into tags (run_uuid, key, value) values (?, ?, ?)",
    "metrics": (
        "insert into metrics (run_uuid, key, value, timestamp, step, is_nan) values (?, ?, ?, ?, ?, 0)"
    ),
    "latest_metrics": (
        "insert into latest_metrics (run_uuid, key, value, timestamp, step, is_nan) values (?, ?, ?, ?, ?, 0)"
    ),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a store holds: every run has this many params and metrics, and seven tags.

    The first `traced_runs` runs have a history of `points` steps in each of their first four metrics and ten
    in the others; every other metric has one point.
    """

    runs: int
    metrics: int = 25
    params: int = 15
    traced_runs: int = 50
    points: int = 2_000

    @property
    def file_name(self) -> str:
        """Name of the file that holds such a store."""
        return f"{self.runs}x{self.metrics}-{_CONTENT}.db"


SMALL = Shape(runs=10_000)
LARGE = Shape(runs=100_000)
WIDE = Shape(runs=1_500, metrics=1_500)


def uri(path: Path) -> str:
    """Return the tracking URI of a store."""
    return f"sqlite:///{path}"


def make(path: Path, shape: Shape) -> None:
    """Make a store; what stands at `path` is replaced once the new one is complete."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    experiment = _empty(draft)
    random = np.random.default_rng(shape.runs * 10_007 + shape.metrics)
    connection = sqlite3.connect(draft)
    for setting in ("journal_mode = off", "synchronous = off", "cache_size = -1000000"):
        connection.execute(f"pragma {setting}")
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _INSERTS}
    for number in range(shape.runs):
        _add_run(rows, number, shape, experiment, random)
        if len(rows["metrics"]) > _ROWS_A_BATCH:
            _insert(connection, rows)
    _insert(connection, rows)
    connection.close()
    draft.replace(path)


def copy(path: Path, folder: Path) -> Path:
    """Copy a store, for whoever writes to it (MLflow may do so by opening it)."""
    target = folder / f"copy-{uuid.uuid4().hex[:8]}.db"
    shutil.copyfile(path, target)
    return target


def add_run(path: Path, number: int) -> str:
    """Log one more run with plain MLflow and return its id."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient(uri(path))
    experiment = client.search_experiments(max_results=1)[0].experiment_id
    run_id: str = client.create_run(experiment, run_name=f"new_{number}").info.run_id
    metrics = [Metric(f"metric_{at:02d}", number + at / 100, _LATEST_START, 0) for at in range(25)]
    client.log_batch(run_id, metrics, [Param(f"param_{at:02d}", "new") for at in range(15)])
    client.set_terminated(run_id)
    return run_id


def _empty(path: Path) -> int:
    """Let MLflow create the tables and one experiment; return the experiment's id."""
    from mlflow import MlflowClient

    client = MlflowClient(uri(path))
    return int(client.create_experiment(EXPERIMENT, artifact_location=(path.parent / "artifacts").as_uri()))


def _add_run(
    rows: dict[str, list[tuple[Any, ...]]],
    number: int,
    shape: Shape,
    experiment: int,
    random: np.random.Generator,
) -> None:
    run_id = uuid.UUID(bytes=random.bytes(16), version=4).hex
    name, user = f"run_{number:06d}", f"user{number % 7}"
    start = _LATEST_START - (shape.runs - number) * _MINUTE
    end = start + 50_000
    status = "FINISHED" if number % 50 else "FAILED"
    rows["runs"].append((run_id, name, user, status, start, end, f"artifacts/{run_id}", experiment))
    for at, share in enumerate(random.random(shape.params).tolist()):
        value = _ALGORITHMS[int(share * 3)] if at % 3 == 0 else f"{share:.4f}"
        rows["params"].append((run_id, f"param_{at:02d}", value))
    rows["tags"].extend((run_id, key, value) for key, value in _tags(number, name, user))
    for at, last in enumerate(random.normal(size=shape.metrics).tolist()):
        key = f"metric_{at:02d}"
        points = 0
        if number < shape.traced_runs:
            points = shape.points if at < _TRACED_METRICS else _OTHER_POINTS
            history = enumerate(random.normal(size=points).tolist())
            rows["metrics"].extend((run_id, key, value, start + step * 10, step) for step, value in history)
        latest = (run_id, key, last, start + 40_000, points)
        rows["metrics"].append(latest)
        rows["latest_metrics"].append(latest)


def _tags(number: int, name: str, user: str) -> Iterator[tuple[str, str]]:
    yield "mlflow.runName", name
    yield "mlflow.user", user
    yield "mlflow.source.name", "train.py"
    yield "mlflow.source.type", "LOCAL"
    yield "mlflow.source.git.commit", "a" * 40
    yield "model_type", _ALGORITHMS[number % 2]
    yield "dataset_version", f"v1.{number % 5}"


def _insert(connection: sqlite3.Connection, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    for table, statement in _INSERTS.items():
        connection.executemany(statement, rows[table])
        rows[table].clear()
    connection.commit()

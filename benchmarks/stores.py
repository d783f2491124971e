"""Tracking stores of any size: rows inserted in bulk into the tables that MLflow itself created.

Logging 100,000 runs through MLflow would take hours, inserting them a minute. The content depends on the
shape alone: the same numbers, ids and times wherever NumPy's generator is the same.
"""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EXPERIMENT = "benchmark"
# Part of the file name: raise it with any change of the content, so that a kept store is made anew.
_CONTENT = 1
LATEST_START = 1_780_000_000_000
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


@dataclass(frozen=True, slots=True)
class BulkRun:
    """A run as it is inserted; times in milliseconds, `artifact_uri` relative to the store's folder."""

    run_id: str
    name: str
    user: str
    status: str
    start: int
    end: int
    artifact_uri: str


class Rows:
    """Collects rows and inserts them in large batches."""

    def __init__(self, connection: sqlite3.Connection, experiment: int) -> None:
        self._connection = connection
        self._experiment = experiment
        self._waiting: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _INSERTS}

    def add_run(
        self, run: BulkRun, params: Iterable[tuple[str, str]], tags: Iterable[tuple[str, str]]
    ) -> None:
        """Add a run without metrics."""
        if len(self._waiting["metrics"]) > _ROWS_A_BATCH:
            self.insert()
        head = (run.run_id, run.name, run.user, run.status, run.start, run.end, run.artifact_uri)
        self._waiting["runs"].append((*head, self._experiment))
        self._waiting["params"].extend((run.run_id, key, value) for key, value in params)
        self._waiting["tags"].extend((run.run_id, key, value) for key, value in tags)

    def add_metric(
        self,
        run: BulkRun,
        key: str,
        last: tuple[float, int, int],
        earlier: Iterable[tuple[float, int, int]] = (),
    ) -> None:
        """Add a metric; its points are value, time and step."""
        latest = (run.run_id, key, *last)
        self._waiting["metrics"].extend((run.run_id, key, *point) for point in earlier)
        self._waiting["metrics"].append(latest)
        self._waiting["latest_metrics"].append(latest)

    def insert(self) -> None:
        """Insert what was added."""
        for table, statement in _INSERTS.items():
            self._connection.executemany(statement, self._waiting[table])
            self._waiting[table].clear()
        self._connection.commit()


@contextmanager
def new_store(path: Path) -> Iterator[Rows]:
    """Yield what takes the rows of a store; what stands at `path` is replaced once they are all in it."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    experiment = _empty(draft)
    connection = sqlite3.connect(draft)
    try:
        for setting in ("journal_mode = off", "synchronous = off", "cache_size = -1000000"):
            connection.execute(f"pragma {setting}")
        rows = Rows(connection, experiment)
        yield rows
        rows.insert()
    finally:
        connection.close()
    draft.replace(path)


def new_id(random: np.random.Generator) -> str:
    """Draw the id of a run."""
    return uuid.UUID(bytes=random.bytes(16), version=4).hex


def make(path: Path, shape: Shape) -> None:
    """Make a store; what stands at `path` is replaced once the new one is complete."""
    random = np.random.default_rng(shape.runs * 10_007 + shape.metrics)
    with new_store(path) as rows:
        for number in range(shape.runs):
            _add_run(rows, number, shape, random)


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
    metrics = [Metric(f"metric_{at:02d}", number + at / 100, LATEST_START, 0) for at in range(25)]
    client.log_batch(run_id, metrics, [Param(f"param_{at:02d}", "new") for at in range(15)])
    client.set_terminated(run_id)
    return run_id


def _empty(path: Path) -> int:
    """Let MLflow create the tables and one experiment; return the experiment's id."""
    from mlflow import MlflowClient

    client = MlflowClient(uri(path))
    return int(client.create_experiment(EXPERIMENT, artifact_location=(path.parent / "artifacts").as_uri()))


def _add_run(rows: Rows, number: int, shape: Shape, random: np.random.Generator) -> None:
    run_id = new_id(random)
    name, user = f"run_{number:06d}", f"user{number % 7}"
    start = LATEST_START - (shape.runs - number) * _MINUTE
    status = "FINISHED" if number % 50 else "FAILED"
    run = BulkRun(run_id, name, user, status, start, start + 50_000, f"artifacts/{run_id}")
    params = []
    for at, share in enumerate(random.random(shape.params).tolist()):
        value = _ALGORITHMS[int(share * 3)] if at % 3 == 0 else f"{share:.4f}"
        params.append((f"param_{at:02d}", value))
    rows.add_run(run, params, _tags(number, name, user))
    for at, last in enumerate(random.normal(size=shape.metrics).tolist()):
        points = 0
        if number < shape.traced_runs:
            points = shape.points if at < _TRACED_METRICS else _OTHER_POINTS
        history = enumerate(random.normal(size=points).tolist())
        earlier = ((value, start + step * 10, step) for step, value in history)
        rows.add_metric(run, f"metric_{at:02d}", (last, start + 40_000, points), earlier)


def _tags(number: int, name: str, user: str) -> Iterator[tuple[str, str]]:
    yield "mlflow.runName", name
    yield "mlflow.user", user
    yield "mlflow.source.name", "train.py"
    yield "mlflow.source.type", "LOCAL"
    yield "mlflow.source.git.commit", "a" * 40
    yield "model_type", _ALGORITHMS[number % 2]
    yield "dataset_version", f"v1.{number % 5}"

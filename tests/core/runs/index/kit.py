"""A store, its index and a clock, for the tests of the index."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.errors import GreenroomError
from core.runs.index.index import RunIndex
from core.runs.index.snapshot import Snapshot
from core.runs.sources.base import RunSource
from core.runs.sources.choose import open_source
from core.runs.sources.uris import parse
from core.runs.types import SyncReport
from tests import plain

TABLES = ("metrics", "latest_metrics", "params", "tags", "inputs", "input_tags", "datasets", "runs")


@dataclass
class Bench:
    """A SQLite store and an index of it in a folder."""

    uri: str
    folder: Path
    client: MlflowClient
    source: RunSource
    index: RunIndex = field(init=False)

    def __post_init__(self) -> None:
        self.reopen()

    @staticmethod
    def on(uri: str, folder: Path) -> Bench:
        return Bench(uri, folder, MlflowClient(uri), open_source(parse(uri), None, folder / "view"))

    @property
    def database(self) -> Path:
        path = parse(self.uri).path
        assert path is not None
        return path

    def reopen(self) -> RunIndex:
        """Open the index as a new process would."""
        self.index = RunIndex(self.folder, parse(self.uri).key)
        return self.index

    def sync(self, **how: object) -> SyncReport:
        report = self.index.sync(self.source, **how)  # type: ignore[arg-type]
        assert report is not None
        return report

    def snapshot(self) -> Snapshot:
        found = self.index.snapshot()
        assert found is not None
        return found

    @property
    def held(self) -> dict[str, plain.Plain]:
        """What the index holds."""
        return plain.of_snapshot(self.snapshot())

    @property
    def truth(self) -> dict[str, plain.Plain]:
        """What the store holds, read anew."""
        return plain.of_batch(self.source.read_all().batch)

    def execute(self, *statements: str) -> None:
        """Change the database behind MLflow's back, in one transaction."""
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def erase(self, run_id: str) -> None:
        """Remove a run for good, as `mlflow gc` does."""
        named = f"'{run_id}'"
        self.execute(
            *(
                f"delete from {table} where run_uuid = {named}"
                for table in ("metrics", "latest_metrics", "params", "tags")
            ),
            f"delete from inputs where destination_id = {named}",
            f"delete from runs where run_uuid = {named}",
        )


class Clock:
    """Stands in for the module `time`: it goes only when told."""

    perf_counter = staticmethod(time.perf_counter)
    sleep = staticmethod(time.sleep)

    def __init__(self) -> None:
        self.now = time.time()

    def time(self) -> float:
        return self.now


def no_store_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the index treat a store of a few runs as it treats one of a hundred thousand."""
    monkeypatch.setattr("core.runs.index.index._SMALL_STORE_ENTRIES", -1)


class Broken:
    """A source that fails at one question, as a store does that goes away."""

    def __init__(self, source: RunSource, question: str, error: Exception | None = None) -> None:
        self._source, self._question = source, question
        self._error = error or GreenroomError("the store went away")

    def __getattr__(self, name: str) -> object:
        if name != self._question:
            return getattr(self._source, name)

        def fail(*arguments: object, **named: object) -> object:
            raise self._error

        return fail


def bulk_runs(uri: str, count: int, first: int = 0, keys: int = 8) -> None:
    """Insert finished runs straight into a SQLite store, with `keys` metrics, params and tags each."""
    path = parse(uri).path
    assert path is not None
    runs = [(f"{number:032x}", first + number) for number in range(first, first + count)]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "insert into runs (run_uuid, name, user_id, status, start_time, end_time, lifecycle_stage, "
            "artifact_uri, experiment_id) values (?, ?, 'ana', 'FINISHED', ?, ?, 'active', '', 0)",
            [(run_id, f"run {at}", 1_700_000_000_000 + at, 1_700_000_000_500 + at) for run_id, at in runs],
        )
        for table, row in (
            (
                "latest_metrics",
                "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) values (?, ?, 0, 0, 0, ?)",
            ),
            ("params", "insert into params (key, value, run_uuid) values (?, ?, ?)"),
            ("tags", "insert into tags (key, value, run_uuid) values (?, ?, ?)"),
        ):
            connection.executemany(
                row, [(f"{table}_{key}", str(at * key), run_id) for run_id, at in runs for key in range(keys)]
            )

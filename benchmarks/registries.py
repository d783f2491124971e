"""A tracking store with many registered models: rows inserted in bulk beside runs of the usual shape.

Each model's latest version is in None, the one before in Staging, the one before that in Production, the first five in
None as well, and all others are archived.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stores

# Part of the file name: raise it with any change of the content, so that a kept store is made anew.
_CONTENT = 1
_HOUR, _NEVER_MOVED = 3_600_000, 5
_INSERTS = {
    "registered_models": "(name, creation_time, last_updated_time, description) values (?, ?, ?, ?)",
    "model_versions": (
        "(name, version, creation_time, last_updated_time, description, user_id, current_stage, source, run_id, "
        "status, storage_location) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 'READY', ?)"
    ),
    "model_version_tags": "(name, version, key, value) values (?, ?, ?, ?)",
    "registered_model_aliases": "(name, alias, version) values (?, ?, ?)",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How many registered models with so many versions each, made from so many runs."""

    models: int = 200
    versions: int = 25
    runs: int = 1_000

    @property
    def total(self) -> int:
        """Versions of all models."""
        return self.models * self.versions

    @property
    def production(self) -> int:
        """The version in Production, of every model."""
        return self.versions - 2

    @property
    def staging(self) -> int:
        """The version in Staging, of every model."""
        return self.versions - 1

    @property
    def file_name(self) -> str:
        """Name of the file that holds such a store."""
        return f"{self.models}x{self.versions}-versions-{_CONTENT}.db"

    def stage(self, version: int) -> str:
        """Return the stage of a version."""
        stages = {self.production: "Production", self.staging: "Staging", self.versions: "None"}
        return stages.get(version, "None" if version <= _NEVER_MOVED else "Archived")


USUAL = Shape()


def model_name(number: int) -> str:
    """Return the name of a model by its number, from 0."""
    return f"model_{number:03d}"


def make(path: Path, shape: Shape) -> None:
    """Make a store; what stands at `path` is replaced once the new one is complete."""
    draft = path.with_suffix(".runs")
    stores.make(draft, stores.Shape(runs=shape.runs, traced_runs=0))
    connection = sqlite3.connect(draft)
    run_ids = [run_id for (run_id,) in connection.execute("select run_uuid from runs order by start_time")]
    with connection:
        for number in range(shape.models):
            for table, row in _rows(shape, number, run_ids):
                connection.execute(f"insert into {table} {_INSERTS[table]}", row)
    connection.close()
    draft.replace(path)


def _rows(shape: Shape, number: int, run_ids: list[str]) -> Iterator[tuple[str, tuple[object, ...]]]:
    name = model_name(number)
    began = stores.LATEST_START - (shape.versions + 1) * 24 * _HOUR + number * _HOUR // 60
    yield "registered_models", (name, began, stores.LATEST_START, f"What {name} is for.")
    for version in range(1, shape.versions + 1):
        made = began + version * 24 * _HOUR
        run_id = run_ids[(number * shape.versions + version) % len(run_ids)]
        source = f"artifacts/{run_id}/artifacts/model"
        about = (f"Version {version}", f"user{version % 7}", shape.stage(version), source, run_id, source)
        yield "model_versions", (name, version, made, made + 6 * _HOUR, *about)
        yield "model_version_tags", (name, version, "team", f"team{number % 9}")
        yield "model_version_tags", (name, version, "validated", "yes" if version % 3 else "no")
    yield "registered_model_aliases", (name, "production", shape.production)
    yield "registered_model_aliases", (name, "staging", shape.staging)

"""The protocol of a run source, and the tables in which runs travel from a source to the index.

A `RunBatch` holds runs in long form. `runs` has one row a run; the other frames name a run by its row
number in `runs` (column `run`), so that a 32-character id is stored once and not once a metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from core.runs.types import (
    Experiment,
    LoggedModel,
    MetricHistory,
    SourceInfo,
    SyncProgress,
)

RUNS_SCHEMA: dict[str, Any] = {
    "run_id": pl.String,
    "experiment_id": pl.String,
    "name": pl.String,
    "user": pl.String,
    "status": pl.String,
    "start_time": pl.Int64,  # milliseconds since 1970, as MLflow stores it
    "end_time": pl.Int64,
    "lifecycle_stage": pl.String,
    "artifact_uri": pl.String,
}
METRICS_SCHEMA: dict[str, Any] = {
    "run": pl.UInt32,
    "key": pl.String,
    "value": pl.Float64,
    "step": pl.Int64,
    "time": pl.Int64,
}
TEXT_SCHEMA: dict[str, Any] = {"run": pl.UInt32, "key": pl.String, "value": pl.String}
DATASETS_SCHEMA: dict[str, Any] = {
    "run": pl.UInt32,
    "name": pl.String,
    "digest": pl.String,
    "source_type": pl.String,
    "source": pl.String,
    "context": pl.String,
}
HEADS_COLUMNS = ("run_id", "experiment_id", "name", "status", "end_time", "lifecycle_stage")

OnProgress = Callable[[SyncProgress], None]


@dataclass(frozen=True, slots=True, eq=False)
class RunBatch:
    """Runs with everything logged for them; columns as in the schemas of this module."""

    runs: pl.DataFrame
    metrics: pl.DataFrame
    params: pl.DataFrame
    tags: pl.DataFrame
    datasets: pl.DataFrame

    def __len__(self) -> int:
        return self.runs.height

    def long_tables(self) -> dict[str, pl.DataFrame]:
        """Return the four long tables by name."""
        return {
            "metrics": self.metrics,
            "params": self.params,
            "tags": self.tags,
            "datasets": self.datasets,
        }


SCHEMAS: dict[str, dict[str, Any]] = {
    "runs": RUNS_SCHEMA,
    "metrics": METRICS_SCHEMA,
    "params": TEXT_SCHEMA,
    "tags": TEXT_SCHEMA,
    "datasets": DATASETS_SCHEMA,
}


def empty_batch() -> RunBatch:
    """Return a batch of no runs."""
    return RunBatch(**{name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()})


def concat(batches: Sequence[RunBatch]) -> RunBatch:
    """Join batches of disjoint runs into one, renumbering their runs."""
    if not batches:
        return empty_batch()
    if len(batches) == 1:
        return batches[0]
    tables: dict[str, list[pl.DataFrame]] = {name: [] for name in SCHEMAS}
    offset = 0
    for batch in batches:
        tables["runs"].append(batch.runs)
        for name, table in batch.long_tables().items():
            tables[name].append(table.with_columns((pl.col("run") + offset).cast(pl.UInt32)))
        offset += len(batch)
    return RunBatch(**{name: pl.concat(parts) for name, parts in tables.items()})


def select(batch: RunBatch, keep: pl.Series) -> RunBatch:
    """Return only the runs where the boolean `keep` (shape (runs,)) is true, renumbered."""
    if keep.all():
        return batch
    numbers = pl.DataFrame(
        {
            "run": pl.Series(range(len(batch)), dtype=pl.UInt32),
            "new": keep.cast(pl.UInt32).cum_sum() - 1,
            "keep": keep,
        }
    ).filter("keep")
    tables = {
        name: table.join(numbers.select("run", "new"), on="run", how="inner", maintain_order="left")
        .with_columns(pl.col("new").cast(pl.UInt32).alias("run"))
        .drop("new")
        for name, table in batch.long_tables().items()
    }
    return RunBatch(runs=batch.runs.filter(keep), **tables)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the index already holds, for a source to find what differs.

    Attributes
    ----------
    heads : DataFrame
        Columns `HEADS_COLUMNS`, one row a run.
    marks : mapping
        What the source itself noted at the last look (row numbers, times, fingerprints).
    """

    heads: pl.DataFrame
    marks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """Runs that may differ from the index (to be read again) and runs that are no longer there."""

    candidates: tuple[str, ...]
    gone: tuple[str, ...]
    marks: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class FullRead:
    """Every run of a store, the marks taken before reading began, and what could not be read."""

    batch: RunBatch
    marks: Mapping[str, Any]
    problems: tuple[str, ...] = ()


class RunSource(Protocol):
    """A tracking store that can be read. Implementations never write to it.

    Every method raises `SourceError` with a sentence when the store cannot be reached or read. A source is
    used by one thread at a time.
    """

    @property
    def info(self) -> SourceInfo:
        """How this source reads, for people."""
        ...

    def fingerprint(self) -> str | None:
        """Return a cheap value that differs whenever anything in the store does; None if there is none."""
        ...

    def experiments(self) -> tuple[Experiment, ...]:
        """Return all experiments, deleted ones included, ordered by id."""
        ...

    def experiment_tags(self) -> Mapping[str, Mapping[str, str]]:
        """Return the tags of every experiment that has any, by experiment id."""
        ...

    def read_all(self, on_progress: OnProgress | None = None) -> FullRead:
        """Read every run, deleted ones included."""
        ...

    def changes(self, known: Known) -> Changes:
        """Find runs that are new, finished, deleted, restored, running or otherwise likely to differ."""
        ...

    def read_runs(self, run_ids: Sequence[str]) -> RunBatch:
        """Read these runs; ids that do not exist are absent from the answer."""
        ...

    def histories(self, run_ids: Sequence[str], key: str) -> tuple[MetricHistory, ...]:
        """Return the full history of one metric for each run that has it, in the order of `run_ids`."""
        ...

    def extremes(self, key: str, run_ids: Sequence[str] | None) -> pl.DataFrame:
        """Return columns run_id, min, max of a metric over its history, NaN left out; None means all runs."""
        ...

    def logged_models(self, run_id: str) -> tuple[LoggedModel, ...]:
        """Return the models of MLflow 3 that this run logged."""
        ...

    def rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        """Return each value's place in the store's own text order, or None where that is byte order."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...

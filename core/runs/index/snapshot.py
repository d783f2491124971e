"""A snapshot: the index at one moment, read by column. It never changes; a newer state is a new snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import NotFoundError
from core.runs.index.manifest import Manifest
from core.runs.index.segments import KEYED_TABLES, Segment
from core.runs.sources.base import RUNS_SCHEMA
from core.runs.types import DatasetInput, Dialect, Experiment, Run

PARENT_TAG = "mlflow.parentRunId"
NAME_TAG = "mlflow.runName"
_COLUMNS_KEPT = 256


class Snapshot:
    """All runs of one generation of the index.

    Rows are in MLflow's natural order (latest start first, then id), so that a row number is also a run's
    place in that order. `frame` has the columns of `RUNS_SCHEMA` and `digest`. Safe for many threads.
    """

    def __init__(self, manifest: Manifest, segments: Sequence[Segment]) -> None:
        self.manifest = manifest
        self._segments = tuple(segments)
        self._lock = Lock()
        self._cache: dict[tuple[str, str], pl.Series] = {}
        self.frame, self._places = _overlay(self._segments, manifest.gone, manifest.dialect)

    @staticmethod
    def open(folder: Path, manifest: Manifest) -> Snapshot:
        """Map the segments that a manifest names."""
        return Snapshot(manifest, [Segment.open(folder, meta) for meta in manifest.segments])

    @property
    def generation(self) -> int:
        """The manifest's generation."""
        return self.manifest.generation

    @property
    def dialect(self) -> Dialect:
        """Whose comparison rules the store follows."""
        return self.manifest.dialect

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The base and, if there is one, the delta."""
        return self._segments

    def __len__(self) -> int:
        return self.frame.height

    @cached_property
    def experiments(self) -> tuple[Experiment, ...]:
        """All experiments with the number of their active runs."""
        active = self.frame.filter(pl.col("lifecycle_stage") == "active")
        counts = dict(active.group_by("experiment_id").len().iter_rows())
        return tuple(
            Experiment(
                one.experiment_id,
                one.name,
                one.lifecycle_stage,
                one.artifact_location,
                one.created,
                counts.get(one.experiment_id, 0),
            )
            for one in self.manifest.experiments
        )

    def keys(self, table: str) -> tuple[str, ...]:
        """Return all keys of `metrics`, `params` or `tags`, sorted."""
        found: set[str] = set()
        for segment in self._segments:
            found |= segment.keys(table).keys()
        return tuple(sorted(found))

    def keys_in(self, table: str, experiment_ids: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """Return the keys that living runs of these experiments have, with their number, most frequent first."""
        chosen = [at for at, one in enumerate(self._experiment_numbers[0]) if one in set(experiment_ids)]
        counts = ((key, int(per[chosen].sum())) for key, per in self._coverage[table].items())
        return tuple(sorted(((key, n) for key, n in counts if n), key=lambda pair: (-pair[1], pair[0])))

    @cached_property
    def _experiment_numbers(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        ids = self.frame["experiment_id"].unique().sort()
        numbers = self.frame["experiment_id"].cast(pl.Enum(ids)).to_physical().cast(pl.Int64)
        return ids.to_list(), numbers.to_numpy()

    @cached_property
    def _coverage(self) -> dict[str, dict[str, npt.NDArray[np.int64]]]:
        """How many runs of each experiment have each key."""
        ids, numbers = self._experiment_numbers
        found: dict[str, dict[str, npt.NDArray[np.int64]]] = {}
        for table in KEYED_TABLES:
            found[table] = {}
            for key in self.keys(table):
                total = np.zeros(len(ids), dtype=np.int64)
                for place, live, _ in self._parts(table, key):
                    total += np.bincount(numbers[place[live]], minlength=len(ids))
                found[table][key] = total
        return found

    def column(self, table: str, key: str) -> pl.Series:
        """Return one metric, param or tag of all runs: shape (runs,), null where a run has it not.

        A metric logged as NaN is NaN, not null.
        """
        with self._lock:
            cached = self._cache.get((table, key))
        if cached is not None:
            return cached
        built = self._metric_column(key) if table == "metrics" else self._text_column(table, key)
        with self._lock:
            if len(self._cache) >= _COLUMNS_KEPT:
                self._cache.pop(next(iter(self._cache)))
            self._cache[table, key] = built
        return built

    def _parts(
        self, table: str, key: str
    ) -> Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], Any]]:
        for segment, places in zip(self._segments, self._places, strict=True):
            found = segment.rows_of(table, key)
            if found is not None:
                place = places[found[0]]
                yield place, place >= 0, found[1]

    def _metric_column(self, key: str) -> pl.Series:
        values = np.zeros(len(self), dtype=np.float64)
        present = np.zeros(len(self), dtype=bool)
        for place, live, rows in self._parts("metrics", key):
            values[place[live]] = rows.column("value").to_numpy()[live]
            present[place[live]] = True
        series = pl.Series(key, values)
        return series if present.all() else series.set(pl.Series(~present), None)

    def _text_column(self, table: str, key: str) -> pl.Series:
        taken = np.full(len(self), -1, dtype=np.int64)
        parts, offset = [], 0
        for place, live, rows in self._parts(table, key):
            taken[place[live]] = np.flatnonzero(live) + offset
            parts.append(pl.Series(rows.column("value")))
            offset += len(rows)
        if not parts:
            return pl.Series(key, [None] * len(self), dtype=pl.String)
        source = pl.concat(parts) if len(parts) > 1 else parts[0]
        index = pl.Series(taken)
        return source.gather(index.set(index < 0, None)).alias(key)

    @cached_property
    def datasets(self) -> pl.DataFrame:
        """Dataset inputs of all live runs: `place` (row of `frame`), name, digest, source, context."""
        parts = []
        for segment, places in zip(self._segments, self._places, strict=True):
            rows = segment.datasets
            place = pl.Series("place", places[rows["run"].to_numpy()], dtype=pl.Int64)
            parts.append(rows.with_columns(place).filter(pl.col("place") >= 0).drop("run"))
        return pl.concat(parts).sort("place", maintain_order=True)

    @cached_property
    def names(self) -> pl.Series:
        """Display name of each run as MLflow gives it: its name, else the tag `mlflow.runName`."""
        own = self.frame["name"]
        if own.is_null().any() or (own == "").any():
            tag = self.column("tags", NAME_TAG)
            return (
                pl.DataFrame({"own": own, "tag": tag})
                .select(
                    pl.when(pl.col("own").is_null() | (pl.col("own") == ""))
                    .then(pl.coalesce(pl.col("tag"), pl.col("own")))
                    .otherwise(pl.col("own"))
                    .alias("name")
                )
                .to_series()
            )
        return own

    def place(self, run_id: str) -> int:
        """Return the row of a run.

        Raises
        ------
        NotFoundError
            If the index knows no such run.
        """
        row = self.frame["run_id"].index_of(run_id)
        if row is None:
            raise NotFoundError(
                f"There is no run {run_id}. Check the id, or refresh if the run is only seconds old."
            )
        return row

    def find(self, text: str) -> int:
        """Return the row of the one run whose id is or starts with `text`.

        Raises
        ------
        NotFoundError
            If there is none, or more than one.
        """
        if len(text) < 32:
            hits = self.frame["run_id"].str.starts_with(text).arg_true()
            if len(hits) == 1:
                return int(hits[0])
            if len(hits) > 1:
                raise NotFoundError(f"{len(hits)} runs have an id that starts with {text}. Give more of it.")
        return self.place(text)

    def runs(self, places: Sequence[int]) -> tuple[Run, ...]:
        """Return whole runs (all params, metrics, tags, datasets) at these rows, in this order."""
        wanted = np.asarray(places, dtype=np.int64)
        data = {table: self._entries(table, wanted) for table in KEYED_TABLES}
        head = self.frame[wanted.tolist()]
        names = self.names.gather(wanted.tolist())
        datasets: dict[int, list[DatasetInput]] = {}
        inputs = self.datasets.filter(pl.col("place").is_in(wanted.tolist()))
        for row in inputs.select("place", "name", "digest", "source_type", "source", "context").iter_rows():
            datasets.setdefault(row[0], []).append(DatasetInput(*row[1:]))
        return tuple(
            Run(
                run_id=row["run_id"],
                experiment_id=row["experiment_id"],
                name=name or "",
                status=row["status"],
                start_time=to_time(row["start_time"]),
                end_time=to_time(row["end_time"]),
                user=row["user"] or "",
                lifecycle_stage=row["lifecycle_stage"],
                artifact_uri=row["artifact_uri"],
                parent_run_id=data["tags"][place].get(PARENT_TAG),
                params=data["params"][place],
                metrics=data["metrics"][place],
                tags=data["tags"][place],
                datasets=tuple(datasets.get(place, ())),
            )
            for place, row, name in zip(wanted.tolist(), head.iter_rows(named=True), names, strict=True)
        )

    def run(self, run_id: str) -> Run:
        """Return one run; `NotFoundError` if there is none."""
        return self.runs([self.place(run_id)])[0]

    def _entries(self, table: str, wanted: npt.NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        """Return all entries of a keyed table for some rows: {row: {key: value}}."""
        found: dict[int, dict[str, Any]] = {place: {} for place in wanted.tolist()}
        for segment, places in zip(self._segments, self._places, strict=True):
            # Where in this segment are the wanted rows?
            numbers = np.flatnonzero(np.isin(places, wanted))
            if not len(numbers):
                continue
            for key in segment.keys(table):
                rows = segment.rows_of(table, key)
                if rows is None:
                    continue
                runs, part = rows
                at = np.searchsorted(runs, numbers)
                at[at == len(runs)] = 0
                hit = runs[at] == numbers
                if hit.any():
                    values = part.column("value").take(at[hit]).to_pylist()
                    for number, value in zip(numbers[hit], values, strict=True):
                        found[int(places[number])][key] = value
        return found


def to_time(milliseconds: int | None) -> datetime | None:
    """Convert MLflow's milliseconds to an aware UTC time."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _overlay(
    segments: Sequence[Segment], gone: Sequence[str], dialect: Dialect
) -> tuple[pl.DataFrame, list[npt.NDArray[np.int64]]]:
    """Lay the delta over the base and put the living runs in natural order.

    Returns the frame of living runs, and for each segment the row in it of each of the segment's runs, -1
    for a run that was replaced or removed.
    """
    if not segments:
        return pl.DataFrame(schema=RUNS_SCHEMA | {"digest": pl.UInt64}), []
    parts, lives = [], []
    for number, segment in enumerate(segments):
        live = np.ones(segment.runs.height, dtype=bool)
        if number == 0:
            hidden = [newer.runs["run_id"] for newer in segments[1:]]
            if gone:
                hidden.append(pl.Series("run_id", list(gone), dtype=pl.String))
            if hidden:
                live = ~segment.runs["run_id"].is_in(pl.concat(hidden).implode()).to_numpy()
        parts.append(segment.runs.filter(pl.Series(live)) if not live.all() else segment.runs)
        lives.append(live)
    frame = pl.concat(parts)
    # PostgreSQL sorts NULL before all else when descending, SQLite after.
    order = frame.select(
        pl.arg_sort_by(
            "start_time", "run_id", descending=[True, False], nulls_last=dialect is not Dialect.POSTGRESQL
        )
    ).to_series()
    rank = np.empty(frame.height, dtype=np.int64)
    rank[order.to_numpy()] = np.arange(frame.height)
    places, offset = [], 0
    for live in lives:
        count = int(live.sum())
        place = np.full(len(live), -1, dtype=np.int64)
        place[live] = rank[offset : offset + count]
        places.append(place)
        offset += count
    return frame[order], places

"""Runs with child runs, as tables: a row a child with its metrics, params and tags; which runs have such children."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import polars as pl

from core.runs.explorer import Matches, RunExplorer, RunsRequest
from core.runs.filters import equals, quote_key
from core.runs.index.snapshot import PARENT_TAG, Snapshot
from core.runs.types import Run


class NestedRuns:
    """What a feature whose results are child runs asks of the index; bounded by the children of one run."""

    def __init__(self, explorer: RunExplorer) -> None:
        self._explorer = explorer
        self._lock = Lock()
        self._parents: dict[str, tuple[int, tuple[str, ...]]] = {}

    def run(self, run_id: str) -> Run:
        """Return a run by its id or the beginning of it; `NotFoundError` if there is none."""
        return self._explorer.run(run_id)

    def runs(self, run_ids: Sequence[str]) -> tuple[Run, ...]:
        """Return those of these runs that the index knows and that are not deleted, in this order."""
        snapshot = self._explorer.snapshot()
        stages = snapshot.frame["lifecycle_stage"]
        return snapshot.runs([place for place in _places(snapshot, run_ids) if stages[place] == "active"])

    def metric_keys(self) -> tuple[str, ...]:
        """Return the names of all metrics in the store."""
        return self._explorer.snapshot().keys("metrics")

    def children(self, run_id: str, columns: Sequence[str]) -> pl.DataFrame:
        """Return the active children of a run, latest first.

        Parameters
        ----------
        columns : sequence of str
            ``metrics.NAME``, ``params.NAME`` or ``tags.NAME``.

        Returns
        -------
        DataFrame
            The columns of `RunExplorer.table`, then the chosen ones.
        """
        return self._explorer.table(self._explorer.children(run_id), columns)

    def table(self, run_ids: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
        """Return runs by their ids, in this order; those that the index does not know are left out."""
        snapshot = self._explorer.snapshot()
        known = np.array(_places(snapshot, run_ids), dtype=np.int64)
        return self._explorer.table(Matches(snapshot, known), columns)

    def with_param(self, key: str, value: str, columns: Sequence[str], most: int) -> pl.DataFrame:
        """Return the latest active runs that have a param with this value; columns as in `children`."""
        clause = equals(f"params.{quote_key(key)}", value)
        if clause is None:
            return pl.DataFrame()
        found = self._explorer.find(RunsRequest(filter=clause))
        return self._explorer.table(found, columns, found.places[:most].tolist())

    def parents_of(self, param: str) -> tuple[str, ...]:
        """Return the active runs with at least one active child that has this param, latest first."""
        snapshot = self._explorer.snapshot()
        with self._lock:
            kept = self._parents.get(param)
        if kept is not None and kept[0] == snapshot.generation:
            return kept[1]
        active = snapshot.frame["lifecycle_stage"] == "active"
        of_children = snapshot.column("tags", PARENT_TAG).filter(
            active & snapshot.column("params", param).is_not_null()
        )
        wanted = of_children.drop_nulls().unique()
        found = tuple(
            snapshot.frame["run_id"].filter(active & snapshot.frame["run_id"].is_in(wanted.implode()))
        )
        with self._lock:
            self._parents[param] = (snapshot.generation, found)
        return found

    def with_tables_named(self, patterns: Sequence[str], most: int) -> tuple[str, ...]:
        """Return the latest active runs without a parent whose logged tables have a name like one of these.

        Parameters
        ----------
        patterns : sequence of str
            In SQL's LIKE.
        """
        snapshot = self._explorer.snapshot()
        found: set[str] = set()
        for pattern in patterns:
            clause = f"tags.`mlflow.loggedArtifacts` LIKE '{pattern}' AND tags.`{PARENT_TAG}` IS NULL"
            found.update(self._explorer.find(RunsRequest(filter=clause)).run_ids)
        return tuple(snapshot.frame["run_id"].filter(snapshot.frame["run_id"].is_in(list(found))).head(most))

    def with_metrics(self, keys: Sequence[str], most: int) -> tuple[str, ...]:
        """Return the latest active runs without a parent that have one of these metrics."""
        snapshot = self._explorer.snapshot()
        top = (snapshot.frame["lifecycle_stage"] == "active") & snapshot.column("tags", PARENT_TAG).is_null()
        has = pl.repeat(False, len(snapshot), dtype=pl.Boolean, eager=True)
        for key in keys:
            has = has | snapshot.column("metrics", key).is_not_null()
        return tuple(snapshot.frame["run_id"].filter(top & has).head(most))


def _places(snapshot: Snapshot, run_ids: Sequence[str]) -> list[int]:
    """Return the rows of those of these runs that are there."""
    places = (snapshot.frame["run_id"].index_of(run_id) for run_id in run_ids)
    return [place for place in places if place is not None]

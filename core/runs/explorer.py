"""The use cases of the runs feature: search, tables, comparison, histories, artifacts of one tracking store."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError, NotFoundError, SourceError
from core.runs import filters, search
from core.runs.artifacts.access import RunArtifacts, open_run_artifacts
from core.runs.artifacts.locations import StorePlace
from core.runs.comparison.compare import Comparison, compare
from core.runs.comparison.metric_direction import DIRECTIONS_TAG, known_direction, parse_directions
from core.runs.importance import Importance, param_importance
from core.runs.index.index import RunIndex
from core.runs.index.snapshot import PARENT_TAG, Snapshot
from core.runs.sources.base import OnProgress, RunSource
from core.runs.types import (
    Experiment,
    LoggedModel,
    MetricHistory,
    MetricView,
    Run,
    RunView,
    SyncReport,
)

_QUERIES_KEPT = 64


@dataclass(frozen=True, slots=True)
class RunsRequest:
    """What the Runs page and `greenroom runs` ask for.

    Attributes
    ----------
    experiments : tuple of str, or None
        Names or ids; None means all experiments that are not deleted.
    filter : str
        In MLflow's grammar.
    order_by : tuple of str
        In MLflow's grammar.
    metric_view : MetricView
        Which point of its history a metric shows and is ordered by. Filters compare the last one.
    """

    experiments: tuple[str, ...] | None = None
    filter: str = ""
    order_by: tuple[str, ...] = ()
    view: RunView = RunView.ACTIVE
    metric_view: MetricView = MetricView.LAST


def check_columns(columns: Sequence[str]) -> None:
    """Raise `BadInputError` for a column that no table of runs can have."""
    for column in columns:
        table, _, key = column.partition(".")
        if table not in ("metrics", "params", "tags") or not key:
            raise BadInputError(
                f"The column '{column}' is not of the form metrics.NAME, params.NAME, tags.NAME."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """The runs that answer a request: rows of `snapshot`, in order."""

    snapshot: Snapshot
    places: search.Places

    def __len__(self) -> int:
        return len(self.places)

    @property
    def run_ids(self) -> list[str]:
        """Ids in order."""
        return self.snapshot.frame["run_id"].gather(self.places.tolist()).to_list()


class RunExplorer:
    """Everything the pages and commands ask about runs. Safe for many threads.

    Parameters
    ----------
    open_source : callable
        Opens a source; each thread's work is done under a lock, for a source serves one at a time.
    place : StorePlace
        Where the store is, for finding artifacts beside it.
    """

    def __init__(
        self,
        index: RunIndex,
        open_source: Callable[[], RunSource],
        place: StorePlace,
        artifact_roots: Mapping[str, str],
        artifact_tracking_uri: str | None,
    ) -> None:
        self.index = index
        self._open_source = open_source
        self._source: RunSource | None = None
        self._source_lock = Lock()
        self._cache_lock = Lock()
        self._found: dict[tuple[int, RunsRequest], Matches] = {}
        self._extremes: dict[tuple[int, str], pl.DataFrame] = {}
        self._place = place
        self._artifact_roots = artifact_roots
        self._artifact_tracking_uri = artifact_tracking_uri

    # The index

    def snapshot(self) -> Snapshot:
        """Return the newest state of the index.

        Raises
        ------
        SourceError
            If there is none yet; with the reason if the store cannot be read.
        """
        snapshot = self.index.snapshot()
        if snapshot is None:
            error = self.index.state().error
            raise SourceError(error or "The runs have not been read yet. Run `greenroom sync`.")
        return snapshot

    def sync(
        self,
        *,
        thorough: bool = False,
        rebuild: bool = False,
        on_progress: OnProgress | None = None,
        wait_seconds: float = 300.0,
    ) -> SyncReport | None:
        """Bring the index up to date; None where another process is at it for longer than the wait."""
        with self._source_lock:
            return self.index.sync(
                self._opened(),
                thorough=thorough,
                rebuild=rebuild,
                on_progress=on_progress,
                wait_seconds=wait_seconds,
            )

    def refresh_run(self, run_id: str) -> None:
        """Read one run again at once, from the store."""
        with self._source_lock:
            self.index.refresh_runs(self._opened(), (run_id,))

    def source(self) -> RunSource:
        """Return the source, for reports about it."""
        with self._source_lock:
            return self._opened()

    def _opened(self) -> RunSource:
        if self._source is None:
            try:
                self._source = self._open_source()
            except SourceError as error:
                self.index.note_failure(error)
                raise
        return self._source

    def close(self) -> None:
        """Give back the source's connections; the next question opens them again."""
        with self._source_lock:
            if self._source is not None:
                self._source.close()
                self._source = None

    # Finding

    def experiments(self) -> tuple[Experiment, ...]:
        """Return all experiments, deleted ones included."""
        return self.snapshot().experiments

    def experiment_ids(self, named: Sequence[str] | None) -> tuple[str, ...]:
        """Turn names or ids into ids; None gives all experiments that are not deleted.

        Raises
        ------
        NotFoundError
            For a name or id that does not exist, with those that come close.
        """
        known = self.experiments()
        if named is None:
            return tuple(one.experiment_id for one in known if one.lifecycle_stage == "active")
        by_name = {one.name: one.experiment_id for one in known}
        ids = {one.experiment_id for one in known}
        found = []
        for text in named:
            if text in by_name:
                found.append(by_name[text])
            elif text in ids:
                found.append(text)
            else:
                close = difflib.get_close_matches(text, list(by_name), n=3)
                hint = f" Close to it: {', '.join(close)}." if close else ""
                raise NotFoundError(
                    f"There is no experiment '{text}'.{hint} `greenroom experiments` lists them all."
                )
        return tuple(dict.fromkeys(found))

    def find(self, request: RunsRequest) -> Matches:
        """Return the matching runs in order.

        Raises
        ------
        FilterSyntaxError, NotFoundError, SourceError
        """
        snapshot = self.snapshot()
        key = (snapshot.generation, request)
        with self._cache_lock:
            cached = self._found.get(key)
        if cached is not None and cached.snapshot is snapshot:
            return cached
        query = search.SearchQuery(
            experiment_ids=self.experiment_ids(request.experiments),
            clauses=filters.parse_filter(request.filter),
            order_by=filters.parse_order_by(request.order_by),
            view=request.view,
        )
        column = None
        if request.metric_view is not MetricView.LAST:
            column = lambda metric: self._extreme_column(snapshot, metric, request.metric_view)  # noqa: E731
        places = search.search(snapshot, query, self._rank_strings, column)
        matches = Matches(snapshot, places)
        with self._cache_lock:
            while len(self._found) >= _QUERIES_KEPT:
                self._found.pop(next(iter(self._found)))
            self._found[key] = matches
        return matches

    def run(self, run_id: str) -> Run:
        """Return one run by its id or the beginning of it."""
        snapshot = self.snapshot()
        return snapshot.runs([snapshot.find(run_id)])[0]

    def runs(self, run_ids: Sequence[str]) -> tuple[Run, ...]:
        """Return runs by their ids or the beginnings of them, in this order."""
        snapshot = self.snapshot()
        return snapshot.runs([snapshot.find(run_id) for run_id in run_ids])

    def names(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Return the display names of those of these runs that the index knows, in this order."""
        snapshot = self.snapshot()
        rows = snapshot.frame["run_id"].is_in(list(run_ids)).arg_true()
        known = dict(zip(snapshot.frame["run_id"].gather(rows), snapshot.names.gather(rows), strict=True))
        return {run_id: known[run_id] or "" for run_id in run_ids if run_id in known}

    def children(self, run_id: str) -> Matches:
        """Return the active children of a run, latest first."""
        text = f"tags.`{PARENT_TAG}` = '{run_id}'"
        return self.find(RunsRequest(filter=text))

    def _rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        with self._source_lock:
            try:
                return self._opened().rank_strings(values)
            except SourceError:
                # The store is down: browsing goes on, in byte order.
                return None

    # Tables

    def table(
        self,
        matches: Matches,
        columns: Sequence[str] = (),
        places: Sequence[int] | None = None,
        metric_view: MetricView = MetricView.LAST,
    ) -> pl.DataFrame:
        """Return runs as a table.

        Parameters
        ----------
        columns : sequence of str
            `metrics.NAME`, `params.NAME` or `tags.NAME`.
        places : sequence of int, optional
            Rows of the snapshot; all matches when not given.

        Returns
        -------
        DataFrame
            Columns run_id, name, experiment, status, start_time, end_time (UTC), duration (seconds), user,
            lifecycle_stage, parent_run_id, then the chosen ones.
        """
        snapshot = matches.snapshot
        rows = matches.places.tolist() if places is None else list(places)
        names = {one.experiment_id: one.name for one in snapshot.experiments}
        head = snapshot.frame[rows]
        moment = pl.Datetime("ms", "UTC")
        frame = head.select(
            "run_id",
            snapshot.names.gather(rows).alias("name"),
            pl.col("experiment_id")
            .replace_strict(names, default=pl.col("experiment_id"))
            .alias("experiment"),
            "status",
            pl.col("start_time").cast(moment),
            pl.col("end_time").cast(moment),
            ((pl.col("end_time") - pl.col("start_time")) / 1000).alias("duration"),
            "user",
            "lifecycle_stage",
            snapshot.column("tags", PARENT_TAG).gather(rows).alias("parent_run_id"),
        )
        chosen = [self._table_column(snapshot, column, rows, metric_view) for column in columns]
        return frame.with_columns(chosen) if chosen else frame

    def _table_column(self, snapshot: Snapshot, column: str, rows: list[int], view: MetricView) -> pl.Series:
        check_columns((column,))
        table, _, key = column.partition(".")
        if table == "metrics" and view is not MetricView.LAST:
            ids = snapshot.frame["run_id"].gather(rows)
            return self._extremes_of(snapshot, key, ids)[view.value].alias(column)
        return snapshot.column(table, key).gather(rows).alias(column)

    def _extremes_of(self, snapshot: Snapshot, key: str, ids: pl.Series) -> pl.DataFrame:
        wanted = pl.DataFrame({"run_id": ids})
        with self._source_lock:
            source = self._opened()
            if source.info.kind == "client" and (snapshot.generation, key) not in self._extremes:
                found = source.extremes(key, ids.to_list())
                return wanted.join(found, on="run_id", how="left", maintain_order="left")
        return wanted.join(self._all_extremes(snapshot, key), on="run_id", how="left", maintain_order="left")

    def _extreme_column(self, snapshot: Snapshot, key: str, view: MetricView) -> pl.Series:
        ids = snapshot.frame.select("run_id")
        found = self._all_extremes(snapshot, key)
        return ids.join(found, on="run_id", how="left", maintain_order="left")[view.value]

    def _all_extremes(self, snapshot: Snapshot, key: str) -> pl.DataFrame:
        cached = self._extremes.get((snapshot.generation, key))
        if cached is None:
            with self._source_lock:
                cached = self._opened().extremes(key, None)
            with self._cache_lock:
                while len(self._extremes) >= _QUERIES_KEPT:
                    self._extremes.pop(next(iter(self._extremes)))
                self._extremes[snapshot.generation, key] = cached
        return cached

    def export(self, matches: Matches) -> pl.DataFrame:
        """Return all matches with every param, metric and tag that any of them has."""
        snapshot = matches.snapshot
        frame = self.table(matches)
        rows = matches.places.tolist()
        columns = []
        for table in ("params", "metrics", "tags"):
            for key in snapshot.keys(table):
                column = snapshot.column(table, key).gather(rows)
                if column.null_count() < len(column):
                    columns.append(column.alias(f"{table}.{key}"))
        return frame.with_columns(columns)

    def keys(self, table: str, experiments: Sequence[str] | None = None) -> tuple[tuple[str, int], ...]:
        """Return the keys of `metrics`, `params` or `tags` that runs of these experiments have.

        With each comes how many runs have it; most frequent first.
        """
        return self.snapshot().keys_in(table, self.experiment_ids(experiments))

    def tree(self, matches: Matches, expanded: frozenset[str]) -> search.Tree:
        """Fold matches into a tree; see `core.runs.search.tree`."""
        return search.tree(matches.snapshot, matches.places, expanded)

    def facet(self, matches: Matches, kind: str, key: str, limit: int = 20) -> search.Facet:
        """Count values over all matches."""
        return search.facet(matches.snapshot, matches.places, kind, key, limit)

    # Comparing

    def directions(self, experiment_ids: Sequence[str] = ()) -> dict[str, bool]:
        """Return which metrics are better when higher, as the experiments' tag says."""
        tags = self.snapshot().manifest.experiment_tags
        merged: dict[str, bool] = {}
        for experiment_id in experiment_ids or list(tags):
            text = tags.get(experiment_id, {}).get(DIRECTIONS_TAG)
            if text:
                merged |= parse_directions(text)
        return merged

    def compare(self, run_ids: Sequence[str], baseline: str | None = None) -> Comparison:
        """Lay runs side by side; see `core.runs.comparison.compare`."""
        runs = self.runs(run_ids)
        base = self.run(baseline).run_id if baseline else None
        directions = self.directions([run.experiment_id for run in runs])
        return compare(runs, base, directions)

    def best(self, metric: str, mode: str | None = None, experiments: Sequence[str] | None = None) -> Run:
        """Return the run with the best last value of a metric, whatever its status.

        Parameters
        ----------
        mode : {"max", "min"}, optional
            By default what the experiment's tag or the metric's name says.

        Raises
        ------
        BadInputError
            If the direction is not known, or no run has the metric.
        """
        if mode is None:
            higher = self.directions(self.experiment_ids(experiments)).get(metric, known_direction(metric))
            if higher is None:
                raise BadInputError(
                    f"It is not known whether a higher {metric} is better. Say --mode max or --mode min."
                )
            mode = "max" if higher else "min"
        term = f"metrics.{filters.quote_key(metric)} {'DESC' if mode == 'max' else 'ASC'}"
        names = tuple(experiments) if experiments is not None else None
        matches = self.find(RunsRequest(names, order_by=(term,)))
        column = matches.snapshot.column("metrics", metric).gather(matches.places.tolist())
        if not len(column) or column.head(1).is_null().any() or column.head(1).is_nan().any():
            raise NotFoundError(
                f"No run has a value of the metric '{metric}'. `greenroom runs` shows what they have."
            )
        return matches.snapshot.runs([int(matches.places[0])])[0]

    def values_of_others(
        self, run_id: str, keys: Sequence[str]
    ) -> tuple[int, dict[str, npt.NDArray[np.float64]]]:
        """Return how many other active runs the experiment of a run has, and their last values of metrics.

        Only metrics that any of them has are given; a run without one has NaN.
        """
        run = self.run(run_id)
        matches = self.find(RunsRequest((run.experiment_id,)))
        own = matches.snapshot.place(run.run_id)
        rows = matches.places[matches.places != own].tolist()
        known = set(matches.snapshot.keys("metrics"))
        columns = {key: matches.snapshot.column("metrics", key).gather(rows) for key in keys if key in known}
        found = {
            key: column.cast(pl.Float64).fill_null(np.nan).to_numpy()
            for key, column in columns.items()
            if column.null_count() < len(column)
        }
        return len(rows), found

    def importance(self, matches: Matches, metric: str) -> Importance:
        """Estimate which params move a metric, over all matches."""
        rows = matches.places.tolist()
        snapshot = matches.snapshot
        params = {}
        for key in snapshot.keys("params"):
            column = snapshot.column("params", key).gather(rows)
            if column.null_count() < len(column):
                params[key] = column.to_list()
        return param_importance(params, snapshot.column("metrics", metric).gather(rows).to_list())

    def histories(self, run_ids: Sequence[str], key: str) -> tuple[MetricHistory, ...]:
        """Return full histories of one metric, from the store."""
        with self._source_lock:
            return self._opened().histories(run_ids, key)

    def logged_models(self, run_id: str) -> tuple[LoggedModel, ...]:
        """Return the models of MLflow 3 that a run logged, newest first, from the store."""
        with self._source_lock:
            return self._opened().logged_models(run_id)

    # Artifacts

    def artifacts(self, run: Run) -> RunArtifacts:
        """Open the artifacts of a run.

        A store that is down still shows the artifacts it does not serve itself, without logged models.
        """
        with self._source_lock:
            try:
                models = self._opened().logged_models(run.run_id)
            except SourceError:
                models = ()
        return open_run_artifacts(
            run,
            self._place,
            self._artifact_roots,
            tracking_uri=self._artifact_tracking_uri,
            models=models,
        )

"""The use cases of forecasts: which pipelines there are, how good each store is, what changes between two pipelines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

import polars as pl

from core.errors import ArtifactError, GreenroomError, NotFoundError
from core.forecasts import pipelines
from core.forecasts.bands import Threshold
from core.forecasts.changes import ChangeSummary, StoreMeasure, store_changes, summarise
from core.forecasts.diebold_mariano import Loss, by_store
from core.forecasts.logged.reading import ForecastReading, read_forecast
from core.forecasts.measures import measures_by_store
from core.forecasts.pipelines import (
    Headline,
    headline,
    measures_of_runs,
    metric_columns,
    stores_of_measures,
    stores_of_runs,
)
from core.tables.discovery import Artifacts, TableFile
from core.tables.names import plain, spellings
from core.tables.opening import TableOpener

STORES_TABLE: Final = "forecast/stores.parquet"
IMPORTANCE_TABLES: Final = ("feature_importance.csv", "feature_importance.json", "feature_importance.parquet")
_INDEX: Final = ("", "index", "unnamed0")
_MOST_PIPELINES: Final = 200
_MOST_HISTORY: Final = 200
# Metrics by which a run without child runs is known to be a forecast.
_FORECAST_METRICS: Final = frozenset(spellings("smape wape wmape mase avgsmape totalstoresattempted"))
_TABLES: Final = ("%forecast%",)


class LoggedRun(Protocol):
    """What a run of the index tells; see `core.runs.types.Run`."""

    @property
    def run_id(self) -> str: ...
    @property
    def experiment_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def start_time(self) -> datetime | None: ...
    @property
    def params(self) -> Mapping[str, str]: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


class StoreRuns(Protocol):
    """Runs and their children; see `core.runs.nested.NestedRuns`."""

    def run(self, run_id: str) -> LoggedRun: ...
    def runs(self, run_ids: Sequence[str]) -> Sequence[LoggedRun]: ...
    def metric_keys(self) -> tuple[str, ...]: ...
    def children(self, run_id: str, columns: Sequence[str]) -> pl.DataFrame: ...
    def table(self, run_ids: Sequence[str], columns: Sequence[str]) -> pl.DataFrame: ...
    def with_param(self, key: str, value: str, columns: Sequence[str], most: int) -> pl.DataFrame: ...
    def parents_of(self, param: str) -> tuple[str, ...]: ...
    def with_tables_named(self, patterns: Sequence[str], most: int) -> tuple[str, ...]: ...
    def with_metrics(self, keys: Sequence[str], most: int) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """A pipeline and its stores.

    Attributes
    ----------
    run : LoggedRun
    stores : DataFrame
        With the columns of `STORES` and `status`, by store.
    headline : Headline
    from_table : bool
        Whether the stores are those of a forecast table of the run itself: it has no child runs.
    notes, problems : tuple of str
    """

    run: LoggedRun
    stores: pl.DataFrame
    headline: Headline
    from_table: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def told(self, key: str) -> str | None:
        """Return what the run says of how it was made; see `told`."""
        return told(self.run, key)

    @property
    def generated(self) -> str | None:
        """What the run says of data that were generated, if they were."""
        return self.run.tags.get("generated_data")


@dataclass(frozen=True, slots=True, eq=False)
class PipelineChanges:
    """What changes between two pipelines.

    Attributes
    ----------
    changes : DataFrame
        See `core.forecasts.changes.store_changes`.
    summary : ChangeSummary
    notes : tuple of str
        What makes the two hard to compare.
    """

    old: LoggedRun
    new: LoggedRun
    changes: pl.DataFrame
    summary: ChangeSummary
    notes: tuple[str, ...] = ()


class ForecastDesk:
    """Reads the forecasts of one tracking store. Safe for many threads.

    Parameters
    ----------
    runs : StoreRuns
    open_artifacts : callable
        From a run id to the run's artifacts.
    thresholds : sequence of Threshold
        Of the quality bands.
    max_table_bytes : int
        Larger tables are not read.
    """

    def __init__(
        self,
        runs: StoreRuns,
        open_artifacts: Callable[[str], Artifacts],
        thresholds: Sequence[Threshold],
        max_table_bytes: int,
    ) -> None:
        self._runs = runs
        self._open_artifacts = open_artifacts
        self.thresholds = tuple(thresholds)
        self._max_table_bytes = max_table_bytes

    def candidates(self) -> tuple[str, ...]:
        """Return the ids of runs that are pipelines: first those with a child run a store, then those with tables."""
        found = dict.fromkeys(self._runs.parents_of(pipelines.STORE_PARAM)[:_MOST_PIPELINES])
        keys = [key for key in self._runs.metric_keys() if plain(key) in _FORECAST_METRICS]
        found |= dict.fromkeys(self._runs.with_tables_named(_TABLES, _MOST_PIPELINES))
        found |= dict.fromkeys(self._runs.with_metrics(keys, _MOST_PIPELINES))
        return tuple(found)[:_MOST_PIPELINES]

    def candidate_table(self) -> pl.DataFrame:
        """Return the candidates as a table: run_id, name, status, start_time, experiment, model."""
        found = self._runs.table(self.candidates(), ("params.model",))
        return found.select(
            "run_id", "name", "status", "start_time", "experiment", pl.col("params.model").alias("model")
        )

    def pipeline(self, run_id: str) -> Pipeline:
        """Return a pipeline with a row a store.

        A run with child runs is read from the index alone; one without is read from its forecast table.

        Raises
        ------
        NotFoundError
            If there is no such run.
        """
        run = self._runs.run(run_id)
        metrics = metric_columns(self._runs.metric_keys())
        children = self._runs.children(run.run_id, _columns(metrics))
        if not children.height:
            return self._of_table(run)
        stores, notes = stores_of_runs(children, metrics, self.thresholds, _stated_scale(run))
        problems = []
        measured = pl.any_horizontal(pl.col("smape", "r2", "mae", "rmse", "wape").is_not_null())
        if not stores.select(measured.any()).item():
            problems.append(
                "None of the child runs has a measure of its forecast. A store's run logs test_mae, test_rmse, "
                "test_r2 and test_smape, and the param store_code."
            )
        return Pipeline(run, stores, headline(stores), notes=notes, problems=tuple(problems))

    def _of_table(self, run: LoggedRun) -> Pipeline:
        reading = self.forecast_of_run(run.run_id)
        measured = measures_by_store(reading.rows)
        stores = stores_of_measures(measured, run.run_id, self.thresholds)
        problems = reading.problems
        if not stores.height and "total_stores_attempted" in run.metrics:
            problems = (
                f"{run.name or run.run_id} is a pipeline without child runs: none of its stores was logged, "
                "or they were deleted.",
            )
        elif not stores.height and reading.rows.height:
            problems = (
                *problems,
                f"All rows of {reading.table} are of the training period: there is no forecast to measure.",
            )
        return Pipeline(run, stores, headline(stores), True, reading.notes, problems)

    def forecast_of_run(self, run_id: str, table: str | None = None) -> ForecastReading:
        """Read the forecast that a run itself has logged.

        Raises
        ------
        NotFoundError
            If there is no such run or table.
        """
        run = self._runs.run(run_id)
        store = run.params.get(pipelines.STORE_PARAM) or run.name or run.run_id[:8]
        try:
            return read_forecast(
                self._open_artifacts(run.run_id),
                run.tags.get("mlflow.loggedArtifacts"),
                store=store,
                table=table,
                max_bytes=self._max_table_bytes,
            )
        except ArtifactError as error:
            return ForecastReading(problems=(f"No forecast can be read. {error}",))

    def forecast(self, pipeline: Pipeline, store: str) -> ForecastReading:
        """Read the forecast of a store: from its own run, else from the pipeline's table.

        Raises
        ------
        NotFoundError
            If the pipeline has no such store.
        """
        row = pipeline.stores.filter(pl.col("store") == store)
        if not row.height:
            raise NotFoundError(
                f"The pipeline {pipeline.run.name or pipeline.run.run_id} has no store '{store}'."
            )
        if pipeline.from_table:
            reading = self.forecast_of_run(pipeline.run.run_id)
        else:
            reading = self.forecast_of_run(row["run_id"][0])
            if reading.table is None:
                whole = self.forecast_of_run(pipeline.run.run_id)
                reading = whole if store in set(whole.rows["store"]) else reading
        return _only(reading, store)

    def all_forecasts(self, pipeline: Pipeline) -> pl.DataFrame:
        """Return the test rows of all stores from the pipeline's own table; empty where it has none."""
        rows = self.forecast_of_run(pipeline.run.run_id).rows
        return rows.filter(pl.col("split") == "test")

    def importance(self, run_id: str) -> tuple[tuple[str, float], ...]:
        """Return the logged feature importance of a run, largest first; empty where it has none."""
        artifacts = self._open_artifacts(run_id)
        opener = TableOpener(artifacts, self._max_table_bytes)
        for path in IMPORTANCE_TABLES:
            try:
                frame = opener.frame(TableFile(path), ())
            except GreenroomError:
                continue
            columns = [name for name in frame.columns if plain(name) not in _INDEX]
            if len(columns) >= 2 and frame[columns[1]].dtype.is_numeric():
                pairs = frame.select(
                    pl.col(columns[0]).cast(pl.String), pl.col(columns[1]).cast(pl.Float64).fill_nan(None)
                ).drop_nulls()
                return tuple(sorted(pairs.iter_rows(), key=lambda pair: -pair[1]))
        return ()

    def sparks(self, pipeline: Pipeline) -> dict[str, list[float]]:
        """Return a short line of sales for each store, from the pipeline's own table; empty where it has none."""
        if pipeline.from_table:
            rows = self.forecast_of_run(pipeline.run.run_id).rows
            return {
                store: part["actual"].drop_nulls().tail(32).to_list()
                for (store,), part in rows.group_by("store", maintain_order=True)
            }
        if STORES_TABLE not in pipeline.run.tags.get("mlflow.loggedArtifacts", ""):
            return {}
        opener = TableOpener(self._open_artifacts(pipeline.run.run_id), self._max_table_bytes)
        try:
            frame = opener.frame(TableFile(STORES_TABLE), ())
        except GreenroomError:
            return {}
        if not {"store", "sales"} <= set(frame.columns) or frame["sales"].dtype != pl.List(pl.Float64):
            return {}
        return {store: line or [] for store, line in frame.select("store", "sales").iter_rows()}

    def history(self, pipeline: Pipeline, store: str) -> pl.DataFrame:
        """Return what a store was measured by in this pipeline and in others of the same experiment and data.

        Data are the same where the param `data` is; a pipeline that does not name its data is taken in.

        Returns
        -------
        DataFrame
            time (UTC), pipeline (id of the parent run), name (of the pipeline), run_id, r2, smape, wape, mae, rmse;
            earliest first.
        """
        metrics = metric_columns(self._runs.metric_keys())
        found = self._runs.with_param(pipelines.STORE_PARAM, store, _columns(metrics), _MOST_HISTORY)
        measures = ("r2", "smape", "wape", "mae", "rmse")
        schema: dict[str, pl.DataType] = {
            "time": pl.Datetime("ms", "UTC"),
            **dict.fromkeys(("pipeline", "name", "run_id"), pl.String()),
            **dict.fromkeys(measures, pl.Float64()),
        }
        nested = found.filter(pl.col("parent_run_id").is_not_null()) if found.height else found
        parents = self._runs.runs(nested["parent_run_id"].unique().to_list()) if nested.height else ()
        same = {run.run_id: run for run in parents if _same_data(run, pipeline.run)}
        own = nested.filter(pl.col("parent_run_id").is_in(list(same))) if same else nested.clear()
        if not own.height:
            return pl.DataFrame(schema=schema)
        # Of a store that a pipeline ran twice the later run counts; latest come first.
        own = own.unique("parent_run_id", keep="first", maintain_order=True)
        scales = {run_id: _stated_scale(run) for run_id, run in same.items()}
        measured = measures_of_runs(own, metrics, own["parent_run_id"].replace_strict(scales, default=None))
        told = {
            run_id: self.pipeline(run_id).stores.filter(pl.col("store") == store)["smape"].first()
            for run_id, scaled in zip(own["parent_run_id"], measured["scaled"], strict=True)
            # A scale that is not stated is told from all stores of the pipeline.
            if not scaled
        }
        names = {run_id: run.name or run_id[:8] for run_id, run in same.items()}
        pipeline_id = pl.col("parent_run_id")
        smape = pl.when(measured["scaled"]).then(measured["smape"])
        return pl.DataFrame(
            own.select(
                pl.col("start_time").alias("time"),
                pipeline_id.alias("pipeline"),
                pipeline_id.replace_strict(names, default=None).alias("name"),
                "run_id",
                measured["r2"],
                smape.otherwise(
                    pipeline_id.replace_strict(told, default=None, return_dtype=pl.Float64)
                ).alias("smape"),
                *(measured[name] for name in ("wape", "mae", "rmse")),
            ),
            schema=schema,
        ).sort("time", nulls_last=True)

    def compare(
        self,
        old: Pipeline,
        new: Pipeline,
        measure: StoreMeasure = StoreMeasure.WAPE,
        tolerance: float = 0.0,
        forecasts: tuple[pl.DataFrame, pl.DataFrame] | None = None,
    ) -> PipelineChanges:
        """Lay two pipelines side by side, store by store.

        Parameters
        ----------
        tolerance : float
            Relative change that still counts as the same: 0.05 is 5 %.
        forecasts : pair of DataFrame, optional
            Rows of both pipelines' forecasts, for the test of Diebold and Mariano.
        """
        tested = None
        notes = [f"The old pipeline: {problem}" for problem in old.problems]
        notes += _hard_to_compare(old.run, new.run)
        if forecasts is not None and all(part.height for part in forecasts):
            loss = Loss.SQUARED if measure in (StoreMeasure.RMSE, StoreMeasure.R2) else Loss.ABSOLUTE
            before, after = (_one_a_period(part) for part in forecasts)
            tested = by_store(before, after, loss)
            disagreeing = int(tested["disagreeing"].sum() or 0)
            if disagreeing:
                notes.append(
                    f"{disagreeing:,} periods have other actual sales in one pipeline than in the other; the test "
                    "leaves them out."
                )
        changes = store_changes(old.stores, new.stores, measure, tolerance, tested)
        return PipelineChanges(old.run, new.run, changes, summarise(changes), tuple(notes))


def _columns(metrics: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return (
        *(f"params.{name}" for name in pipelines.PARAMS),
        *(f"tags.{name}" for name in pipelines.TAGS),
        *dict.fromkeys(f"metrics.{key}" for keys in metrics.values() for key in keys),
    )


def _stated_scale(run: LoggedRun) -> str | None:
    return told(run, pipelines.SCALE_TAG)


def told(run: LoggedRun, key: str) -> str | None:
    """Return what a run says of how it was made: its tag, else its param; None where it says nothing.

    `mlflow run` logs what was asked for as params, which are written once: 0 for a horizon, a text of two quotes for
    a column that is to be recognised. What that came to is a tag of the same name.
    """
    found = run.tags.get(key) or run.params.get(key)
    return None if found in (None, "", "''") else found


def _same_data(one: LoggedRun, other: LoggedRun) -> bool:
    data = told(one, "data"), told(other, "data")
    return one.experiment_id == other.experiment_id and (None in data or data[0] == data[1])


def _only(reading: ForecastReading, store: str) -> ForecastReading:
    stores = reading.rows["store"].unique()
    if len(stores) <= 1:
        # The table of a store's own run need not spell its code as the run does.
        return replace(reading, rows=reading.rows.with_columns(pl.lit(store).alias("store")))
    return replace(reading, rows=reading.rows.filter(pl.col("store") == store))


def _one_a_period(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("split") == "test").unique(["store", "time"], keep="last", maintain_order=True)


def _hard_to_compare(old: LoggedRun, new: LoggedRun) -> list[str]:
    """Say what differs between two pipelines that a comparison takes for the same."""
    notes = []
    for key, what in (
        ("dataset_hash", "other data"),
        ("cutoff", "another test period"),
        ("horizon", "another horizon"),
        ("frequency", "another frequency"),
    ):
        before, after = told(old, key), told(new, key)
        if before is not None and after is not None and before != after:
            notes.append(f"{what[0].upper()}{what[1:]}: {key} was {before}, now {after}.")
    return notes

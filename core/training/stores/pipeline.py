"""A pipeline: read sales, fit every store, log each as it is done, and sum up; goes on where it was when killed."""

from __future__ import annotations

import getpass
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from filelock import FileLock, Timeout

from core.errors import BadInputError, GreenroomError
from core.forecasts.bands import DEFAULT_THRESHOLDS, Band, Threshold, band_of
from core.forecasts.measures import SMAPE_SCALE
from core.training.stores import store_runs, tables
from core.training.stores.columns import GivenColumns
from core.training.stores.engines import Engine, fit_stores, processors
from core.training.stores.features import Design, build_design
from core.training.stores.fitting import Recipe, StoreResult, StoreTask
from core.training.stores.model_files import model_folder
from core.training.stores.models import ModelKind
from core.training.stores.one_model import OneModel
from core.training.stores.sales import Sales, read_sales
from core.training.stores.store_runs import PipelineRun, StoreRecord, mlflow_answers
from core.training.stores.summary import pipeline_metrics, store_table

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_EXPERIMENT: Final = "store-forecasts"
_PROGRESS_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """What a person can choose.

    Attributes
    ----------
    data : Path
        CSV, Parquet or JSON of sales.
    horizon : int or None
        Periods of the test period; None is 42 days or 13 weeks.
    most : int or None
        Only the first stores.
    min_samples : int
        Training rows that a store needs.
    interval : float
        Share of actuals that intervals are to hold.
    jobs : int or None
        Processes at once on this machine; None is one a processor.
    run_id : str or None
        Go on with this pipeline.
    tags, run_tags : mapping of str to str
        More tags of all runs, and of the pipeline's run alone.
    """

    data: Path
    kind: ModelKind = ModelKind.GRADIENT_BOOSTING
    columns: GivenColumns = field(default_factory=GivenColumns)
    horizon: int | None = None
    most: int | None = None
    min_samples: int = 30
    interval: float = 0.8
    seed: int = 1
    engine: Engine = Engine.LOCAL
    jobs: int | None = None
    ray_address: str | None = None
    encoding: str = "utf-8"
    drop_negative: bool = False
    experiment: str = DEFAULT_EXPERIMENT
    run_name: str | None = None
    run_id: str | None = None
    thresholds: tuple[Threshold, ...] = DEFAULT_THRESHOLDS
    tags: Mapping[str, str] = field(default_factory=dict)
    run_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PipelineReport:
    """What a pipeline came to.

    Attributes
    ----------
    stores, failed, resumed : int
        Stores attempted, those without a model, and those that an earlier attempt had done.
    metrics : mapping of str to float
        Those of the pipeline's run.
    notes : tuple of str
        What was left out of the data or assumed.
    seconds, logging_seconds : float
        Elapsed time, and that of it in which stores were logged (others are fitted meanwhile).
    fitting_work, logging_work : float
        Processor time of both, in seconds, added up over processes: how the work is split.
    """

    run_id: str
    experiment_id: str
    stores: int
    failed: int
    resumed: int
    metrics: Mapping[str, float]
    notes: tuple[str, ...]
    seconds: float
    logging_seconds: float
    fitting_work: float
    logging_work: float


Progress = Callable[[str, int, int], None]
"""Told what was done last, how many stores are done, and how many there are."""


def run_pipeline(
    options: PipelineOptions,
    client: MlflowClient,
    artifact_location: str | None = None,
    on_progress: Progress = lambda what, done, total: None,
) -> PipelineReport:
    """Train a pipeline and log it.

    Parameters
    ----------
    client : MlflowClient
    artifact_location : str, optional
        Where a new experiment keeps its artifacts; the store decides by default.

    Raises
    ------
    BadInputError
        If the data or an option cannot be used.
    SourceError
        If the tracking store does not take what is logged.
    GreenroomError
        If another process works on the same run, or no store could be trained.
    """
    began = time.perf_counter()
    run, fresh = _open_run(options, client, artifact_location)
    with _alone(run.run_id):
        try:
            sales = read_sales(
                options.data,
                options.columns,
                encoding=options.encoding,
                drop_negative=options.drop_negative,
                most=options.most,
            )
            design = build_design(sales, options.horizon or sales.frequency.horizon)
            pipeline = _Pipeline(options, run, sales, design, on_progress)
            return pipeline.finished(began)
        except BadInputError as error:
            # A run that a mistake ended says why; one that only was to be gone on with stays as it is.
            if fresh:
                run.fail(str(error))
            raise


def _open_run(
    options: PipelineOptions, client: MlflowClient, artifact_location: str | None
) -> tuple[PipelineRun, bool]:
    """Return the run, and whether it was made for this attempt."""
    tags = {
        "mlflow.user": _user(),
        "mlflow.source.name": "greenroom stores",
        "mlflow.source.type": "PROJECT",
        **options.tags,
    }
    with mlflow_answers("The pipeline could not be started", "the same command"):
        if options.run_id is not None:
            found = store_runs.find_pipeline(client, options.run_id)
            fresh = store_runs.just_made(found)
            return PipelineRun(client, found.info.run_id, found.info.experiment_id, tags), fresh
        experiment = client.get_experiment_by_name(options.experiment)
        experiment_id = (
            experiment.experiment_id
            if experiment is not None
            else client.create_experiment(options.experiment, artifact_location=artifact_location)
        )
        name = options.run_name or f"Training_Pipeline_{datetime.now():%Y%m%d_%H%M%S}"
        created = client.create_run(experiment_id, run_name=name, tags={**tags, **options.run_tags})
        return PipelineRun(client, created.info.run_id, experiment_id, tags), True


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@contextmanager
def _alone(run_id: str) -> Iterator[None]:
    """Keep a second process of this machine from working on the same run."""
    lock = FileLock(Path(tempfile.gettempdir()) / f"greenroom-stores-{run_id}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise GreenroomError(
            f"Another process is working on the pipeline {run_id}. Wait until it is done, or stop it first."
        ) from error
    try:
        yield
    finally:
        lock.release()


class _Pipeline:
    """One attempt at a pipeline."""

    def __init__(
        self,
        options: PipelineOptions,
        run: PipelineRun,
        sales: Sales,
        design: Design,
        on_progress: Progress,
    ) -> None:
        self.options = options
        self.run = run
        self.sales = sales
        self.design = design
        self.recipe = _recipe(options, sales, design)
        self.on_progress = on_progress
        self.logging_seconds = self.logging_work = self.fitting_work = 0.0
        self.files: dict[str, bytes] = {}
        self._told = 0.0

    def finished(self, began: float) -> PipelineReport:
        """Do what is left, and sum up."""
        self._log_beginning()
        records = self.run.done()
        records = {store: record for store, record in records.items() if store in set(self.sales.stores)}
        resumed = len(records)
        forecasts: dict[str, pl.DataFrame] = {}
        self._tell("stores", resumed)
        for result in self._results(set(records)):
            self.fitting_work += result.seconds
            with self._logging():
                if result.failure is None:
                    forecasts[result.store] = tables.forecast_table(result)
                record = self._record(result, forecasts.get(result.store))
                self.run.log_store(record)
            records[result.store] = record
            self._tell(f"store {result.store}", len(records))
        with self._logging():
            report = self._sum_up(records, forecasts)
        failed = sum(record.failure is not None for record in records.values())
        if failed == len(records):
            reasons = next(iter(records.values())).failure
            raise GreenroomError(
                f"None of the {len(records):,} stores could be trained, the first because: {reasons}. "
                f"Each store's run under {self.run.run_id} says why."
            )
        return PipelineReport(
            self.run.run_id,
            self.run.experiment_id,
            len(records),
            failed,
            resumed,
            report,
            self.sales.notes,
            time.perf_counter() - began,
            self.logging_seconds,
            self.fitting_work,
            self.logging_work,
        )

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Count the time within as logging."""
        started, worked = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            self.logging_seconds += time.perf_counter() - started
            self.logging_work += time.thread_time() - worked

    def _log_beginning(self) -> None:
        from core.tracking.reproducibility import gather

        evidence = gather(self.options.data)
        params = {**_params(self.options, self.sales, self.design), **evidence.params}
        tags = {**evidence.tags, "engine": self.options.engine, "smape_scale": SMAPE_SCALE}
        if self.sales.notes:
            tags["data_notes"] = " ".join(self.sales.notes)[:4000]
        files = {"environment.json": evidence.environment.encode()}
        self.run.begin(params, tags, files, _asked(self.options))

    def _results(self, done: set[str]) -> Iterator[StoreResult]:
        """Fit what is not done yet."""
        waiting = [store for store in self.sales.stores if store not in done]
        if not waiting:
            return
        jobs = self.options.jobs or processors()
        if self.options.kind is ModelKind.GLOBAL:
            # The one model is of all stores, done or not: only then it is the same one.
            every = OneModel(list(self._tasks(self.sales.stores)), self.recipe, jobs)
            yield from (result for result in every.results() if result.store not in done)
            if every.files:
                folder = model_folder(every.files, ModelKind.GLOBAL, self.design.features)
                self.files = {f"model/{name}": content for name, content in folder.items()}
                self.files[store_runs.IMPORTANCE] = tables.importance_csv(every.importance)
            return
        yield from fit_stores(
            self._tasks(waiting), self.recipe, self.options.engine, jobs, self.options.ray_address
        )

    def _tasks(self, stores: tuple[str, ...] | list[str]) -> Iterator[StoreTask]:
        frame, names = self.design.frame, list(self.design.features)
        runs = frame["store"].rle()
        ends = runs.struct.field("len").cum_sum()
        bounds = {
            store: (end - length, length)
            for store, length, end in zip(
                runs.struct.field("value"), runs.struct.field("len"), ends, strict=True
            )
        }
        for store in stores:
            part = frame.slice(*bounds[store])
            yield StoreTask(
                store,
                part["date"].to_numpy().astype("datetime64[D]"),
                part["sales"].to_numpy().astype(np.float64),
                np.ascontiguousarray(part.select(names).fill_null(np.nan).to_numpy(), dtype=np.float32),
            )

    def _record(self, result: StoreResult, forecast: pl.DataFrame | None) -> StoreRecord:
        partner = self.sales.partners.get(result.store)
        params = {
            store_runs.STORE: result.store,
            "model": self.options.kind,
            "horizon": str(self.recipe.horizon),
            **({store_runs.PARTNER: partner} if partner else {}),
        }
        if forecast is None or result.train is None or result.test is None:
            return StoreRecord(result.store, partner, Band.FAILED, {}, params, result.failure)
        files = {store_runs.TABLE: tables.as_parquet(forecast)}
        if result.importance:
            files[store_runs.IMPORTANCE] = tables.importance_csv(result.importance)
        if result.files:
            folder = model_folder(result.files, self.options.kind, self.design.features)
            files |= {f"model/{name}": content for name, content in folder.items()}
        return StoreRecord(
            result.store,
            partner,
            band_of(result.test.r2, result.test.smape, self.options.thresholds),
            result.train.named("train") | result.test.named("test"),
            params | {"n_features": str(result.n_features)},
            None,
            files,
        )

    def _sum_up(
        self, records: Mapping[str, StoreRecord], forecasts: dict[str, pl.DataFrame]
    ) -> dict[str, float]:
        ordered = [records[store] for store in self.sales.stores]
        whole = [record.store for record in ordered if record.failure is None]
        for store in whole:
            if store not in forecasts:
                forecasts[store] = self.run.forecast_of(store)
        sparks = {store: tables.spark(forecasts[store]) for store in whole}
        files = dict(self.files)
        tested = None
        if whole:
            tested = pl.concat([tables.tested_rows(store, forecasts[store]) for store in whole])
            files[store_runs.TABLE] = tables.as_parquet(tested)
            listed = [
                {"path": store_runs.TABLE, "type": "table"},
                {"path": store_runs.STORES, "type": "table"},
            ]
            tags = {"mlflow.loggedArtifacts": json.dumps(listed)}
        else:
            tags = {store_runs.FAILURE: "No store could be trained; each store's run says why."}
        metrics = pipeline_metrics(ordered, tested)
        ids = {record.store: self.run.run_id_of(record.store) for record in ordered}
        files[store_runs.STORES] = tables.as_parquet(store_table(ordered, ids, sparks))
        self.run.progress(len(ordered))
        self.run.finish(metrics, tags, files, "FINISHED" if whole else "FAILED")
        return metrics

    def _tell(self, what: str, done: int) -> None:
        total = len(self.sales.stores)
        if time.monotonic() - self._told > _PROGRESS_SECONDS or done == total:
            self._told = time.monotonic()
            self.on_progress(what, done, total)


def _recipe(options: PipelineOptions, sales: Sales, design: Design) -> Recipe:
    return Recipe(
        kind=options.kind,
        features=design.features,
        period=np.timedelta64(sales.frequency.days, "D"),
        season=sales.frequency.season_length,
        cutoff=np.datetime64(design.cutoff, "D"),
        horizon=design.horizon,
        min_samples=options.min_samples,
        interval=options.interval,
        seed=options.seed,
    )


def _params(options: PipelineOptions, sales: Sales, design: Design) -> dict[str, str]:
    columns = sales.columns
    return {
        "data": options.data.name,
        "model": options.kind,
        "frequency": sales.frequency.name,
        "horizon": str(design.horizon),
        "cutoff": str(design.cutoff),
        "stores": str(len(sales.stores)),
        "max_stores": str(options.most or 0),
        "min_samples": str(options.min_samples),
        "interval": f"{options.interval:g}",
        "seed": str(options.seed),
        "store_column": columns.store,
        "date_column": columns.date,
        "sales_column": columns.sales,
        "partner_column": columns.partner or "",
        "known_columns": ", ".join(columns.known)[:5000],
        "n_features": str(len(design.features)),
        "quality_thresholds": json.dumps(
            {one.band: {"r2": one.r2, "smape": one.smape} for one in options.thresholds}
        ),
    }


def _asked(options: PipelineOptions) -> dict[str, str]:
    """What the project `core/training/project` is called with, where params say what that came to."""
    columns = options.columns
    return {
        "data": options.data.name,
        "horizon": str(options.horizon or 0),
        "store_column": columns.store or "",
        "date_column": columns.date or "",
        "sales_column": columns.sales or "",
        "partner_column": columns.partner or "",
        "min_samples": str(options.min_samples),
        "interval": str(options.interval),
        "seed": str(options.seed),
    }

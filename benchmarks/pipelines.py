"""A tracking store of pipelines with a run a store, inserted in bulk, with what the store trainer logs.

Every pipeline forecasts the same days of the same stores, with errors of its own. The latest two pipelines have their
tables as artifacts; of the latest one each store's run has a table, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.drawn_forecasts import Forecast, draw_forecast, draw_sales, result_of, sparks, tested_rows
from benchmarks.stores import LATEST_START, BulkRun, Rows, new_id, new_store
from core.forecasts.bands import band_of
from core.forecasts.measures import SMAPE_SCALE
from core.training.stores import store_runs, tables
from core.training.stores.fitting import StoreResult
from core.training.stores.models import ModelKind
from core.training.stores.store_runs import StoreRecord
from core.training.stores.summary import pipeline_metrics, store_table

_PARAMS, _METRICS = 15, 25
# Part of the file name: raise it with any change of the content, so that a kept store is made anew.
_CONTENT = 1
_WEEK, _A_STORE = 7 * 24 * 3_600_000, 200
_LISTED = [{"path": path, "type": "table"} for path in (store_runs.TABLE, store_runs.STORES)]
_SOURCE = "greenroom stores"


@dataclass(frozen=True, slots=True)
class Shape:
    """How many pipelines of how many stores; `days` of sales, of which the last `horizon` are the test period.

    Every store's run has 15 params, 25 metrics and 7 tags.
    """

    pipelines: int = 50
    stores: int = 1_115
    days: int = 757
    horizon: int = 42

    @property
    def runs(self) -> int:
        """Of pipelines and of their stores."""
        return self.pipelines * (1 + self.stores)

    @property
    def file_name(self) -> str:
        """Name of the file that holds such a store; its artifacts lie beside it."""
        return f"{self.pipelines}x{self.stores}-pipelines-{_CONTENT}.db"


USUAL = Shape()


@dataclass(frozen=True, slots=True, eq=False)
class _Pipeline:
    """A pipeline before it is added; `artifacts` is the folder of all runs, relative to the store's."""

    run: BulkRun
    model: str
    forecast: Forecast
    artifacts: Path
    with_tables: bool
    with_own_tables: bool


def make(path: Path, shape: Shape) -> None:
    """Make a store; what stands at `path` is replaced once the new one is complete."""
    random = np.random.default_rng(shape.runs)
    sales = draw_sales(shape.stores, shape.days, shape.horizon, random)
    artifacts = Path(f"{path.stem}-artifacts")
    with new_store(path) as rows:
        for number in range(shape.pipelines):
            from_end = shape.pipelines - number
            name, start = f"Training_Pipeline_{number:03d}", LATEST_START - from_end * _WEEK
            pipeline = _Pipeline(
                _run(new_id(random), name, start, shape.stores, artifacts),
                tuple(ModelKind)[number % len(ModelKind)],
                draw_forecast(sales, random),
                artifacts,
                with_tables=from_end <= 2,
                with_own_tables=from_end == 1,
            )
            _add(rows, pipeline, path.parent, random)


def _run(run_id: str, name: str, start: int, stores: int, artifacts: Path) -> BulkRun:
    place = (artifacts / run_id / "artifacts").as_posix()
    return BulkRun(run_id, name, "trainer", "FINISHED", start, start + stores * _A_STORE, place)


def _add(rows: Rows, pipeline: _Pipeline, folder: Path, random: np.random.Generator) -> None:
    """Add a pipeline's run and those of its stores; write the artifacts of those that have some."""
    run, sales = pipeline.run, pipeline.forecast.sales
    records, run_ids = [], {}
    for at, store in enumerate(sales.codes):
        result = result_of(pipeline.forecast, at)
        record = _record(result, sales.partner(at), pipeline.model)
        name, start = f"Store {record.partner}_{store}", run.start + at * _A_STORE
        child = _run(new_id(random), name, start, 1, pipeline.artifacts)
        rows.add_run(child, record.params.items(), _tags_of_store(record, child, pipeline))
        _add_metrics(rows, child, record.metrics)
        if pipeline.with_own_tables:
            _write(folder / child.artifact_uri, _files_of_store(result))
        records.append(record)
        run_ids[store] = child.run_id
    tested = tested_rows(pipeline.forecast)
    rows.add_run(run, _params(pipeline).items(), _tags(pipeline))
    _add_metrics(rows, run, {**pipeline_metrics(records, tested), "stores_done": float(len(records))})
    if pipeline.with_tables:
        table = store_table(records, run_ids, sparks(sales))
        files = {store_runs.TABLE: tables.as_parquet(tested), store_runs.STORES: tables.as_parquet(table)}
        _write(folder / run.artifact_uri, files)


def _record(result: StoreResult, partner: str, model: str) -> StoreRecord:
    if result.train is None or result.test is None:
        raise RuntimeError(f"The forecast of {result.store} was not measured.")
    params = {
        store_runs.STORE: result.store,
        store_runs.PARTNER: partner,
        "n_features": str(result.n_features),
        "model": model,
        "horizon": str(result.test.samples),
    }
    metrics = result.train.named("train") | result.test.named("test")
    more = {f"metric_{at:02d}": float(at) for at in range(_METRICS - len(metrics))}
    band = band_of(result.test.r2, result.test.smape)
    return StoreRecord(result.store, partner, band, metrics | more, params | _more_params(len(params)))


def _more_params(there: int) -> dict[str, str]:
    return {f"param_{at:02d}": f"value {at}" for at in range(_PARAMS - there)}


def _params(pipeline: _Pipeline) -> dict[str, str]:
    sales = pipeline.forecast.sales
    params = {
        "data": "sales.parquet",
        "model": pipeline.model,
        "frequency": "daily",
        "horizon": str(int(sales.is_test.sum())),
        "cutoff": str(sales.cutoff),
        "stores": str(len(sales.codes)),
        "sales_column": "sales",
    }
    return params | _more_params(len(params))


def _tags_of_store(record: StoreRecord, run: BulkRun, pipeline: _Pipeline) -> Iterator[tuple[str, str]]:
    yield "mlflow.runName", run.name
    yield "mlflow.user", run.user
    yield "mlflow.source.name", _SOURCE
    yield "mlflow.parentRunId", pipeline.run.run_id
    yield store_runs.STORE, record.store
    yield store_runs.QUALITY, record.quality
    if pipeline.with_own_tables:
        yield "mlflow.loggedArtifacts", json.dumps(_LISTED[:1])
    else:
        yield "mlflow.source.type", "PROJECT"


def _tags(pipeline: _Pipeline) -> Iterator[tuple[str, str]]:
    yield "mlflow.runName", pipeline.run.name
    yield "mlflow.user", pipeline.run.user
    yield "mlflow.source.name", _SOURCE
    yield "mlflow.source.type", "PROJECT"
    yield "engine", "local"
    yield "smape_scale", SMAPE_SCALE
    if pipeline.with_tables:
        yield "mlflow.loggedArtifacts", json.dumps(_LISTED)


def _add_metrics(rows: Rows, run: BulkRun, metrics: Mapping[str, float]) -> None:
    for key, value in metrics.items():
        rows.add_metric(run, key, (value, run.start, 0))


def _files_of_store(result: StoreResult) -> dict[str, bytes]:
    return {
        store_runs.TABLE: tables.as_parquet(tables.forecast_table(result)),
        store_runs.IMPORTANCE: tables.importance_csv(result.importance),
    }


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, content in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

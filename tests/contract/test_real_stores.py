"""Real stores, of MLflow 1.26 to 2.21: `greenroom` answers what MLflow itself answers on a copy.

The forecasts of one of them are measured again: what its authors logged follows from the tables they logged.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from core.cli import cli
from core.forecasts.desk import ForecastDesk
from core.forecasts.measures import measures_by_store
from core.runs.filters import equals, quote_key
from core.workspace import open_workspace
from tests import plain, stores

PLACES = (
    "zoomcamp_mlflow126/mlflow.db",
    "zoomcamp_mlflow126/homework.db",
    "forexrisk/mlruns.db",
    "forexrisk/mlruns",
    "vivix_registry_filestore",
    "rl_trading_sb3_filestore",
    "coffee_forecast_filestore",
)
WITH_DELETED_RUNS = {
    "zoomcamp_mlflow126/mlflow.db",
    "zoomcamp_mlflow126/homework.db",
    "vivix_registry_filestore",
}


@dataclass(frozen=True)
class RealStore:
    """The original, read by Greenroom, and a copy, read by MLflow, which may change it."""

    original: str
    client: MlflowClient
    home: Path
    common: dict[str, tuple[str, Any]]

    def greenroom(self, *arguments: str) -> Any:
        result = CliRunner(env={"GREENROOM_HOME": str(self.home)}).invoke(
            cli, [*arguments, "--tracking-uri", self.original, "--json"], catch_exceptions=False
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def mlflow(self, text: str = "", order: str | None = None, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
        ids = [one.experiment_id for one in self.client.search_experiments()]
        return list(
            self.client.search_runs(
                ids, text, run_view_type=view, order_by=[order] if order else None, max_results=10_000
            )
        )


def most_common(runs: list[Run]) -> dict[str, tuple[str, Any]]:
    """Choose what to filter by: the metric, param and tag that most runs have, with a telling value."""
    found: dict[str, tuple[str, Any]] = {}
    for table in ("metrics", "params", "tags"):
        counts = Counter(key for run in runs for key in getattr(run.data, table))
        if table == "tags":
            counts = Counter({key: n for key, n in counts.items() if not key.startswith("mlflow.")}) or counts
        key = min(counts, key=lambda one: (-counts[one], one))
        values = [getattr(run.data, table)[key] for run in runs if key in getattr(run.data, table)]
        found[table] = (key, median(values) if table == "metrics" else Counter(values).most_common(1)[0][0])
    return found


@pytest.fixture(scope="module", params=PLACES)
def real(
    request: pytest.FixtureRequest, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealStore]:
    original = shared_data / "mlflow" / request.param
    folder = tmp_path_factory.mktemp("real")
    copy = stores.writable_copy(original, folder / "copy" / original.name)
    scheme = "sqlite:///{}" if original.is_file() else "file://{}"
    client = MlflowClient(scheme.format(copy))
    before, beside = plain.hashes(original), sorted(original.parent.iterdir())
    common = most_common(plain.mlflow_runs(client, ViewType.ACTIVE_ONLY))
    yield RealStore(scheme.format(original), client, folder / "greenroom", common)
    assert plain.hashes(original) == before
    assert sorted(original.parent.iterdir()) == beside


def as_json(run: Run) -> dict[str, Any]:
    """Return a run of MLflow as the JSON contract has it."""
    info, data = run.info, run.data
    return {
        "run_id": info.run_id,
        "experiment_id": info.experiment_id,
        "run_name": info.run_name or "",
        "status": info.status,
        "lifecycle_stage": info.lifecycle_stage,
        "start_time": _iso(info.start_time),
        "end_time": _iso(info.end_time),
        "user": info.user_id or "",
        "parent_run_id": data.tags.get("mlflow.parentRunId"),
        "params": data.params,
        "metrics": {key: value if math.isfinite(value) else None for key, value in data.metrics.items()},
        "tags": data.tags,
        "datasets": [
            {
                "name": one.dataset.name,
                "digest": one.dataset.digest,
                "context": next((tag.value for tag in one.tags if tag.key == plain.CONTEXT_TAG), None),
            }
            for one in run.inputs.dataset_inputs
        ],
    }


def _iso(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def same(ours: Any, theirs: list[Run]) -> None:
    assert [one["run_id"] for one in ours["runs"]] == [run.info.run_id for run in theirs]
    assert ours["total"] == len(theirs)
    assert ours["runs"] == [as_json(run) for run in theirs]


def test_experiments(real: RealStore) -> None:
    runs = Counter(run.info.experiment_id for run in real.mlflow())
    theirs = [
        {
            "experiment_id": one.experiment_id,
            "name": one.name,
            "lifecycle_stage": one.lifecycle_stage,
            "runs": runs[one.experiment_id],
        }
        for one in sorted(real.client.search_experiments(), key=lambda one: int(one.experiment_id))
    ]
    assert real.greenroom("experiments") == theirs


def test_all_runs(real: RealStore) -> None:
    theirs = real.mlflow()
    assert theirs
    same(real.greenroom("runs", "--limit", "0"), theirs)


def test_deleted_runs(real: RealStore, request: pytest.FixtureRequest) -> None:
    theirs = real.mlflow(view=ViewType.DELETED_ONLY)
    assert bool(theirs) == (request.node.callspec.params["real"] in WITH_DELETED_RUNS)
    same(real.greenroom("runs", "--limit", "0", "--view", "deleted"), theirs)
    every = real.mlflow(view=ViewType.ALL)
    same(real.greenroom("runs", "--limit", "0", "--view", "all"), every)


def filters_on(real: RealStore) -> list[str]:
    metric, middle = real.common["metrics"]
    param, value = real.common["params"]
    tag, text = real.common["tags"]
    metric, param, tag = quote_key(metric), quote_key(param), quote_key(tag)
    return [
        f"metrics.{metric} > {middle}",
        f"metrics.{metric} <= {middle}",
        str(equals(f"params.{param}", value)),
        f"params.{param} != 'no such value'",
        str(equals(f"tags.{tag}", text)),
        f"tags.{tag} ILIKE '%{text[:1]}%' AND metrics.{metric} >= {middle}",
        f"params.{param} IS NULL",
        "attributes.status = 'FAILED'",
    ]


def test_filters(real: RealStore) -> None:
    sizes = []
    for text in filters_on(real):
        theirs = real.mlflow(text)
        same(real.greenroom("runs", "--limit", "0", "--filter", text), theirs)
        sizes.append(len(theirs))
    assert max(sizes) > 0, "the filters matched nothing: they compare nothing"


def test_orders(real: RealStore) -> None:
    orders = []
    for table in ("metrics", "params", "tags"):
        key = quote_key(real.common[table][0])
        orders += [f"{table}.{key} ASC", f"{table}.{key} DESC"]
    for order in (*orders, "attributes.start_time ASC", "attributes.end_time DESC"):
        same(real.greenroom("runs", "--limit", "0", "--order-by", order), real.mlflow(order=order))


def test_a_page_out_of_the_middle(real: RealStore) -> None:
    theirs = real.mlflow()
    found = real.greenroom("runs", "--limit", "3", "--offset", "2")
    assert found["total"] == len(theirs)
    assert [one["run_id"] for one in found["runs"]] == [run.info.run_id for run in theirs[2:5]]


# Forecasts

COFFEE = "coffee_forecast_filestore"
PRODUCTS = [
    *("Americano", "Americano with Milk", "Cappuccino", "Cocoa"),
    *("Cortado", "Espresso", "Hot Chocolate", "Latte"),
]
LOGGED = {"mae": "MAE", "rmse": "RMSE", "smape": "sMAPE", "coverage": "COV_p10_p90_pct"}
SIX_DECIMALS = 5e-7


@dataclass(frozen=True)
class Coffee:
    """Forecasts of coffee: the desk over the original, and MLflow's runs of a copy, with a table and without."""

    desk: ForecastDesk
    forecast: list[Run]
    without: list[Run]


@pytest.fixture(scope="module")
def coffee(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coffee]:
    original = shared_data / "mlflow" / COFFEE
    if not original.is_dir():
        pytest.skip(f"the store {COFFEE} is not among the real data sets")
    folder = tmp_path_factory.mktemp("coffee")
    copy = stores.writable_copy(original, folder / "copy" / COFFEE)
    runs = plain.mlflow_runs(MlflowClient(f"file://{copy}"), ViewType.ACTIVE_ONLY)
    has_table = {path.parts[-3] for path in original.rglob("artifacts/sarimax_forecasts.csv")}
    before, beside = plain.hashes(original), sorted(original.parent.iterdir())
    workspace = open_workspace(tracking_uri=f"file://{original}", home=folder / "greenroom")
    workspace.runs.sync()
    yield Coffee(
        workspace.forecasts,
        [run for run in runs if run.info.run_id in has_table],
        [run for run in runs if run.info.run_id not in has_table],
    )
    workspace.close()
    assert plain.hashes(original) == before
    assert sorted(original.parent.iterdir()) == beside


def test_every_run_with_a_forecast_is_a_pipeline(coffee: Coffee) -> None:
    assert (len(coffee.forecast), len(coffee.without)) == (14, 1)
    everything = {run.info.run_id for run in (*coffee.forecast, *coffee.without)}
    assert set(coffee.desk.candidates()) == everything


def test_products_are_the_stores_of_a_forecast(coffee: Coffee) -> None:
    for run in coffee.forecast:
        found = coffee.desk.pipeline(run.info.run_id)
        assert found.from_table
        assert found.stores["store"].to_list() == PRODUCTS
        assert (found.notes, found.problems) == ((), ())
        assert found.headline.attempted == found.headline.successful == 8
        assert found.stores["test_samples"].sum() == 224
        assert (
            found.stores.select("r2", "smape", "mae", "rmse", "wape").null_count().sum_horizontal().item()
            == 0
        )


def test_the_logged_measures_follow_from_the_logged_tables(coffee: Coffee) -> None:
    different = set()
    for run in coffee.forecast:
        reading = coffee.desk.forecast_of_run(run.info.run_id)
        assert reading.table == "sarimax_forecasts.csv"
        whole = measures_by_store(reading.rows.with_columns(store=pl.lit("all products")))["all products"]
        found = {key: getattr(whole, name) for name, key in LOGGED.items()}
        expected = {key: run.data.metrics[key] for key in LOGGED.values()}
        assert found == pytest.approx(expected, rel=0, abs=SIX_DECIMALS)
        different.add(tuple(expected.values()))
    assert len(different) > 1, "all runs are the same: one would do"


def test_the_headline_of_a_table_is_that_of_all_its_periods(coffee: Coffee) -> None:
    for run in coffee.forecast:
        head = coffee.desk.pipeline(run.info.run_id).headline
        assert head.mae == pytest.approx(run.data.metrics["MAE"], rel=0, abs=SIX_DECIMALS)
        assert head.rmse == pytest.approx(run.data.metrics["RMSE"], rel=0, abs=SIX_DECIMALS)


def test_a_run_whose_table_is_missing_says_so(coffee: Coffee) -> None:
    (run,) = coffee.without
    found = coffee.desk.pipeline(run.info.run_id)
    assert found.stores.height == 0
    (said,) = found.problems
    assert "logged no table of predictions" in said


def test_two_real_forecasts_are_compared_product_by_product(coffee: Coffee) -> None:
    new, old = (coffee.desk.pipeline(run.info.run_id) for run in coffee.forecast[:2])
    forecasts = (coffee.desk.all_forecasts(old), coffee.desk.all_forecasts(new))
    found = coffee.desk.compare(old, new, forecasts=forecasts)
    assert sorted(found.changes["store"]) == PRODUCTS
    assert found.summary.compared == 8
    assert found.summary.change == pytest.approx((new.headline.wape or 0) - (old.headline.wape or 0))
    assert found.changes["p_value"].null_count() == 0

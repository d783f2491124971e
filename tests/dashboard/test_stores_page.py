"""The Stores page on trained pipelines, on those of other teams, and on what is missing or broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from streamlit.testing.v1 import AppTest

from core.training.stores.models import ModelKind
from tests import pipelines, stores
from tests.dashboard.conftest import OpenApp, texts


@dataclass(frozen=True)
class Store:
    """Two trained pipelines over the same stores, and the client of their store."""

    uri: str
    client: MlflowClient
    naive: str
    ridge: str


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("stores")
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    naive = pipelines.train(client, folder, ModelKind.SEASONAL_NAIVE, "last week again")
    ridge = pipelines.train(client, folder, ModelKind.RIDGE, "ridge")
    yield Store(uri, client, naive, ridge)


def table(at: AppTest) -> pd.DataFrame:
    """Return the table of stores."""
    found: pd.DataFrame = next(one.value for one in at.dataframe if "Quality" in one.value.columns)
    return found


def metric(at: AppTest, label: str) -> str:
    return str(next(one.value for one in at.metric if one.label == label))


def test_the_latest_pipeline_opens_by_itself_and_says_that_its_sales_are_generated(
    open_app: OpenApp, store: Store
) -> None:
    at = open_app(store.uri, "stores")
    assert not at.exception
    assert "generated" in at.info[0].value
    head = store.client.get_run(store.ridge).data.metrics
    assert metric(at, "Stores") == f"{head['successful_models']:.0f} of {head['total_stores_attempted']:.0f}"
    assert metric(at, "WAPE") == f"{head['test_wape']:.2f}%"
    assert metric(at, "Median sMAPE") == f"{head['median_smape']:.2f}%"
    assert len(at.get("vega_lite_chart")) == 1
    assert len(at.get("plotly_chart")) == 1


def test_the_table_shows_what_mlflow_says_of_every_store(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge, store_order="Store")
    shown = table(at).set_index("Store")
    assert len(shown) == pipelines.STORES
    for code, run_id in pipelines.children(store.client, store.ridge).items():
        run = store.client.get_run(run_id)
        row = shown.loc[code]
        assert run_id in row["Run"]
        assert str(row["Quality"]).lower().endswith(run.data.tags["quality"])
        for column, name in (("sMAPE %", "test_smape"), ("R²", "test_r2"), ("Bias %", "test_bias")):
            logged = run.data.metrics.get(name)
            assert pd.isna(row[column]) if logged is None else row[column] == logged
        if run.info.status == "FAILED":
            assert row["Reason"] == run.data.tags["failure"]


def test_stores_are_searched_filtered_and_ordered(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge)
    whole = table(at)
    smape = whole["sMAPE %"].dropna().tolist()
    assert smape == sorted(smape, reverse=True)
    at.text_input(key="store_q").set_value("s00").run()
    assert set(table(at)["Store"]) == {f"S00{n}" for n in range(1, 10)}
    at.text_input(key="store_q").set_value("").run()
    at.multiselect(key="bands_shown").set_value(["failed"]).run()
    assert table(at)["Quality"].tolist() == ["✕ Failed"] * len(table(at))
    at.multiselect(key="bands_shown").set_value([]).run()
    partner = whole["Partner"].iloc[0]
    at.multiselect(key="partners").set_value([partner]).run()
    assert set(table(at)["Partner"]) == {partner}
    at.text_input(key="store_q").set_value("no such store").run()
    assert "No store passes these filters" in texts(at)
    assert not at.exception


def test_sparklines_are_the_logged_sales(open_app: OpenApp, store: Store, tmp_path: Path) -> None:
    at = open_app(store.uri, "stores", run=store.ridge)
    shown = table(at).set_index("Store")
    children = pipelines.children(store.client, store.ridge)
    rows = pipelines.predictions(store.client, children["S001"], tmp_path)
    last = rows["date"].max()
    year = rows.filter(pl.col("date") > pl.lit(last) - pl.duration(days=364))["actual"]
    line = shown.loc["S001", "Sales"]
    assert 2 <= len(line) <= 32
    assert min(year) <= min(line) <= max(line) <= max(year)
    # The parts differ in size by one day at most.
    assert sum(line) / len(line) == pytest.approx(year.mean(), rel=0.02)


def test_one_store_in_detail(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge, show="One store", store="S002")
    assert not at.exception
    run = store.client.get_run(pipelines.children(store.client, store.ridge)["S002"])
    assert metric(at, "sMAPE") == f"{run.data.metrics['test_smape']:.2f}%"
    assert "✓ The logged measures follow from forecast/predictions.parquet." in texts(at)
    assert len(at.get("plotly_chart")) == 3  # forecast, residuals, history
    assert len(at.get("vega_lite_chart")) == 1  # importance
    before = at.get("plotly_chart")[0].proto.spec
    at.toggle(key="train").set_value(True).run()
    assert len(at.get("plotly_chart")[0].proto.spec) > len(before)
    at.selectbox(key="history_measure").set_value("R²").run()
    assert not at.exception


def test_a_store_that_failed_says_why(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge, show="One store", store="S019")
    run = store.client.get_run(pipelines.children(store.client, store.ridge)["S019"])
    assert run.data.tags["failure"] in texts(at)
    assert "The other stores are not affected" in texts(at)
    assert not at.get("plotly_chart")


def test_a_store_that_is_not_there_is_said_and_the_first_shown(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge, show="One store", store="S999")
    assert "no store S999" in texts(at)
    assert at.selectbox(key="one_store:S001").value == "S001"


def test_two_pipelines_side_by_side(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge, against=store.naive, show="Changes")
    assert not at.exception
    changes = next(one.value for one in at.dataframe if "Verdict" in one.value.columns)
    old, new = (
        {
            code: store.client.get_run(run_id).data.metrics.get("test_wape")
            for code, run_id in pipelines.children(store.client, pipeline).items()
        }
        for pipeline in (store.naive, store.ridge)
    )
    both = [code for code in old if old[code] is not None and new[code] is not None]
    better = sum(new[code] < old[code] for code in both)
    worse = sum(new[code] > old[code] for code in both)
    assert metric(at, "Better") == str(better)
    assert metric(at, "Worse") == str(worse)
    assert metric(at, "Stores regressed") == f"{worse / len(both):.1%}"
    for _, row in changes[changes["Store"].isin(both)].iterrows():
        assert row["Change"] == pytest.approx(new[row["Store"]] - old[row["Store"]])
    assert changes["p adjusted"].notna().any()
    at.selectbox(key="change_stores").set_value("Worse or lost").run()
    shown = next((one.value for one in at.dataframe if "Verdict" in one.value.columns), None)
    assert (0 if shown is None else len(shown)) == worse
    at.number_input(key="tolerance").set_value(100.0).run()
    assert metric(at, "Better") == "0"
    at.selectbox(key="change_measure").set_value("R²").run()
    assert not at.exception


def test_partners(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "stores", run=store.ridge, show="Partners")
    shown = next(one.value for one in at.dataframe if "Good or better %" in one.value.columns)
    assert shown["Stores"].sum() == pipelines.STORES
    assert shown["Sales %"].sum() == pytest.approx(100)
    name = shown["Partner"].iloc[0]
    at.selectbox(key="partner_open").set_value(name).run()
    at.button(key="partner_show").click().run()
    assert set(table(at)["Partner"]) == {name}


# Stores of other teams, and what is missing


@pytest.fixture
def other(tmp_path: Path) -> tuple[str, MlflowClient, str]:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment("others", artifact_location=str(tmp_path / "artifacts"))
    return uri, client, experiment


def _child(client: MlflowClient, experiment: str, parent: str, code: str, **metrics: float) -> str:
    run = client.create_run(experiment, tags={"mlflow.parentRunId": parent}, run_name=f"Store {code}")
    values = [Metric(key, value, run.info.start_time, 0) for key, value in metrics.items()]
    client.log_batch(run.info.run_id, values, [Param("store_code", code)])
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def test_a_pipeline_as_seed_four_logs_it_has_bands_but_no_sales(
    open_app: OpenApp, other: tuple[str, MlflowClient, str]
) -> None:
    uri, client, experiment = other
    parent = client.create_run(experiment, run_name="Training_Pipeline_20240906_143022").info.run_id
    _child(client, experiment, parent, "10922920", test_mae=3.0, test_rmse=4.0, test_r2=0.9, test_smape=8.0)
    _child(client, experiment, parent, "11426079", test_mae=5.0, test_rmse=9.0, test_r2=0.1, test_smape=60.0)
    at = open_app(uri, "stores")
    assert not at.exception
    shown = table(at).set_index("Store")
    assert shown["Quality"].to_dict() == {"10922920": "● Excellent", "11426079": "✚ Poor"}
    assert "Volume" not in shown.columns
    assert "Sales" not in shown.columns
    assert "does not state the scale of its sMAPE" in texts(at)
    at.radio(key="show").set_value("One store").run()
    assert "No forecast can be read" in texts(at)
    assert not at.exception


def test_children_without_measures_and_a_pipeline_without_children(
    open_app: OpenApp, other: tuple[str, MlflowClient, str]
) -> None:
    uri, client, experiment = other
    bare = client.create_run(experiment, run_name="bare").info.run_id
    _child(client, experiment, bare, "1")
    childless = client.create_run(experiment, run_name="childless").info.run_id
    client.log_metric(childless, "total_stores_attempted", 45)
    at = open_app(uri, "stores", run=bare)
    assert "None of the child runs has a measure" in texts(at)
    assert not at.exception
    at = open_app(uri, "stores", run=childless)
    assert "a pipeline without child runs" in texts(at)
    assert not at.exception


def test_predictions_without_actuals_are_drawn_and_not_measured(
    open_app: OpenApp, other: tuple[str, MlflowClient, str]
) -> None:
    uri, client, experiment = other
    parent = client.create_run(experiment, run_name="next week").info.run_id
    child = _child(client, experiment, parent, "7", test_smape=5.0, test_r2=0.5)
    days = pd.date_range("2025-01-01", periods=7).strftime("%Y-%m-%d").astype(object)
    client.log_table(child, pd.DataFrame({"ds": days, "yhat": 1.5}), "forecast/predictions.json")
    at = open_app(uri, "stores", run=parent, show="One store")
    assert not at.exception
    assert "predictions without actuals" in texts(at)
    assert len(at.get("plotly_chart")) >= 1


def test_a_table_of_many_products_is_read_as_stores(
    open_app: OpenApp, other: tuple[str, MlflowClient, str]
) -> None:
    uri, client, experiment = other
    run = client.create_run(experiment, run_name="sarimax").info.run_id
    rows = [
        f"2025-01-0{day},{product},{actual},{actual + off}"
        for product, off in (("tea", 1.0), ("coffee", 2.0))
        for day, actual in enumerate((5.0, 7.0, 6.0), start=1)
    ]
    client.log_text(run, "date,product,y,yhat\n" + "\n".join(rows), "sarimax_forecasts.csv")
    client.log_metric(run, "MAE", 1.5)
    client.log_metric(run, "sMAPE", 22.0)
    at = open_app(uri, "stores")
    assert not at.exception
    assert set(table(at)["Store"]) == {"tea", "coffee"}
    at.radio(key="show").set_value("One store").run()
    compared = next(one.value for one in at.dataframe if "Recomputed" in one.value.columns)
    assert compared.set_index("Measure").loc["MAE"].tolist() == [1.5, 1.5]
    assert not at.exception


def test_nothing_to_show_says_what_to_do(open_app: OpenApp, other: tuple[str, MlflowClient, str]) -> None:
    uri, client, experiment = other
    client.create_run(experiment)
    at = open_app(uri, "stores")
    assert "There is no forecast here yet" in texts(at)
    assert "core.training.stores" in texts(at)
    at = open_app(uri, "stores", run="ffffffff")
    assert "There is no run ffffffff" in texts(at)
    assert not at.exception


def test_bands_follow_greenroom_toml_where_none_was_logged(
    open_app: OpenApp,
    other: tuple[str, MlflowClient, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, client, experiment = other
    parent = client.create_run(experiment).info.run_id
    _child(client, experiment, parent, "1", test_r2=0.9, test_smape=8.0)
    (tmp_path / "greenroom.toml").write_text("[quality]\nexcellent = { r2 = 0.95, smape = 5 }\n")
    monkeypatch.setenv("GREENROOM_CONFIG", str(tmp_path / "greenroom.toml"))
    at = open_app(uri, "stores")
    assert table(at)["Quality"].tolist() == ["■ Good"]
    assert "Excellent: R² ≥ 0.95 and sMAPE ≤ 5%" in texts(at)


def test_a_damaged_table_is_a_sentence_and_the_rest_stays(
    open_app: OpenApp, other: tuple[str, MlflowClient, str]
) -> None:
    uri, client, experiment = other
    parent = client.create_run(experiment).info.run_id
    child = _child(client, experiment, parent, "1", test_smape=5.0, test_r2=0.5)
    client.log_text(child, "PAR1 and then nothing", "forecast/predictions.parquet")
    at = open_app(uri, "stores", run=parent, show="One store")
    assert "no readable Parquet file" in texts(at)
    assert metric(at, "sMAPE") == "5.00%"
    assert not at.exception

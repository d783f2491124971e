"""A whole pipeline on a store of MLflow: what it logs is the contract, what it says can be recomputed, it goes on."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mlflow import MlflowClient

from core.errors import BadInputError, GreenroomError, NotFoundError
from core.training.stores import pipeline as module
from core.training.stores.columns import GivenColumns
from core.training.stores.models import ModelKind
from core.training.stores.pipeline import PipelineReport
from tests import stores
from tests.core.training.stores import kit, oracles

HORIZON = 14
MEASURES = ("mae", "rmse", "r2", "smape", "wape", "bias", "mase", "rmspe", "volume", "samples")


def sales() -> pl.DataFrame:
    """Seven stores: one without a partner, one constant, one that has just opened, one that often sells nothing."""
    frame = kit.usual(5, 200).with_columns(
        sales=pl.when((pl.col("store") == "S005") & (pl.int_range(pl.len()) % 3 == 0))
        .then(0.0)
        .otherwise("sales")
    )
    alone = frame.with_columns(partner=pl.when(pl.col("store") == "S002").then(None).otherwise("partner"))
    stuck = alone.filter(store="S001").with_columns(store=pl.lit("S006"), sales=pl.lit(99.5))
    last = frame["date"].max()
    young = alone.filter(store="S001").filter(pl.col("date") > pl.lit(last) - timedelta(20))
    return pl.concat([alone, stuck, young.with_columns(store=pl.lit("S007"))])


class Pipeline:
    """A pipeline that was trained once for all tests of this file; look, do not touch."""

    def __init__(self, folder: Path, kind: ModelKind, frame: pl.DataFrame, horizon: int) -> None:
        self.kind = kind
        self.data = kit.csv(folder / "sales.csv", frame)
        self.client = MlflowClient(stores.new_sqlite(folder / "store"))
        self.report: PipelineReport = kit.train(
            self.client, self.data, kind=kind, horizon=horizon, min_samples=20
        )
        self.parent, self.stores = kit.pipeline_of(self.client, self.report.run_id)
        self.runs = {
            run.data.tags["store_code"]: run
            for run in kit.children(self.client, self.client.get_run(self.report.run_id))
        }
        self.tables = {
            code: kit.table_of(self.client, self.runs[code].info.run_id)
            for code, one in self.stores.items()
            if kit.TABLE in one.files
        }
        self.step, self.season = (1, 7) if "date" in frame.columns else (7, 52)


@pytest.fixture(scope="module", params=kit.KINDS)
def daily(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp(request.param), request.param, sales(), HORIZON)


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    frame = kit.weekly(3, 150).sample(fraction=0.9, seed=1)
    return Pipeline(tmp_path_factory.mktemp("weekly"), ModelKind.RIDGE, frame, 13)


@pytest.fixture(scope="module")
def boosting(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline(tmp_path_factory.mktemp("boosting"), ModelKind.GRADIENT_BOOSTING, sales(), HORIZON)


def model_files(kind: ModelKind) -> set[str]:
    values = "model.lgb" if "boosting" in kind else "model.json"
    names = ["MLmodel", "code/greenroom_store_model.py", "requirements.txt", "scaler.json", values]
    if kind is ModelKind.SEASONAL_NAIVE:
        names.append("input_example.json")
    return {f"model/{name}" for name in names}


def test_a_pipeline_logs_what_the_contract_says_and_nothing_else(daily: Pipeline) -> None:
    parent = daily.parent
    assert parent.status == "FINISHED"
    assert re.fullmatch(r"Training_Pipeline_\d{8}_\d{6}", parent.name)
    digest = hashlib.sha256(daily.data.read_bytes()).hexdigest()
    expected = {
        "data": "sales.csv",
        "model": daily.kind.value,
        "frequency": "daily",
        "horizon": "14",
        "cutoff": "2025-09-14",
        "stores": "7",
        "max_stores": "0",
        "min_samples": "20",
        "interval": "0.8",
        "seed": "1",
        "store_column": "store",
        "date_column": "date",
        "sales_column": "sales",
        "partner_column": "partner",
        "known_columns": "promo, holiday, price_index",
        "n_features": "19",
        "dataset_hash": digest[:16],
    }
    bands = {"excellent": (0.8, 10.0), "good": (0.6, 20.0), "fair": (0.3, 35.0)}
    params = dict(parent.params)
    assert json.loads(params.pop("quality_thresholds")) == {
        band: {"r2": r2, "smape": smape} for band, (r2, smape) in bands.items()
    }
    assert params == expected
    tags = dict(parent.tags)
    tags.pop("dvc_version", None)
    assert "reproducibility_verified" in daily.client.get_run(daily.report.run_id).data.tags
    assert set(tags) == {
        *("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.loggedArtifacts"),
        *("engine", "smape_scale", "data_notes", "dataset_hash_full"),
    }
    assert (tags["engine"], tags["smape_scale"], tags["dataset_hash_full"]) == ("local", "0..200", digest)
    assert "Not known in advance, so not used: visitors." in tags["data_notes"]
    files = {"environment.json", kit.TABLE, "forecast/stores.parquet"}
    if daily.kind is ModelKind.GLOBAL:
        files |= {"feature_importance.csv", *model_files(daily.kind)}
    assert set(parent.files) == files
    assert {one["path"] for one in json.loads(tags["mlflow.loggedArtifacts"])} <= files


def test_every_store_logs_what_the_contract_says_and_nothing_else(daily: Pipeline) -> None:
    assert sorted(daily.stores) == [f"S00{number}" for number in range(1, 8)]
    partners = dict(sales().select("store", "partner").unique().iter_rows())
    for code, one in daily.stores.items():
        partner = partners[code]
        assert one.name == (f"Store {partner}_{code}" if partner else f"Store {code}")
        shared = {"store_code": code, **({"partner_code": partner} if partner else {})}
        failed = code in ("S006", "S007")
        assert one.status == ("FAILED" if failed else "FINISHED")
        params = {**shared, "model": daily.kind.value, "horizon": "14"}
        measured = {f"{split}_{name}" for split in ("train", "test") for name in MEASURES}
        if not failed:
            n_features = "1" if daily.kind is ModelKind.SEASONAL_NAIVE else daily.parent.params["n_features"]
            params["n_features"] = n_features
        assert one.params == params
        assert set(one.metrics) == (set() if failed else measured | {"test_coverage"})
        tags = dict(one.tags)
        usual = {"mlflow.user", "mlflow.source.name", "mlflow.source.type", *shared, "quality"}
        assert set(tags) == usual | ({"failure"} if failed else {"mlflow.loggedArtifacts"})
        assert {key: tags[key] for key in shared} == shared
        of_its_own = {"feature_importance.csv", *model_files(daily.kind)}
        whole = {kit.TABLE} if daily.kind is ModelKind.GLOBAL else {kit.TABLE, *of_its_own}
        assert set(one.files) == (set() if failed else whole)


def test_tables_have_the_columns_of_the_contract(daily: Pipeline) -> None:
    for code, table in daily.tables.items():
        assert table.schema == {
            "date": pl.Date(),
            "split": pl.String(),
            **dict.fromkeys(("actual", "predicted", "lower", "upper"), pl.Float64()),
        }
        given = sales().filter(store=code)
        assert table["date"].to_list() == given["date"].to_list()
        assert table["actual"].to_list() == given["sales"].to_list()
        after = table["date"] > pl.Series([table["date"].max()]).dt.offset_by(f"-{HORIZON}d").item()
        assert (table["split"] == "test").to_list() == after.to_list()
        assert table.filter(split="test")["predicted"].null_count() == 0
        assert (table["lower"] <= table["upper"]).all()
    pooled = kit.table_of(daily.client, daily.report.run_id)
    tested = [
        table.filter(split="test").drop("split").with_columns(store=pl.lit(code)).select(pooled.columns)
        for code, table in sorted(daily.tables.items())
    ]
    assert pooled.equals(pl.concat(tested)) and pooled.columns[0] == "store"


def assert_stores_can_be_recomputed(pipeline: Pipeline) -> None:
    assert len(pipeline.tables) >= 3
    for code, table in pipeline.tables.items():
        expected = oracles.measures_of(table, pipeline.step, pipeline.season)
        found = pipeline.stores[code].metrics
        assert set(found) == set(expected), code
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (code, name)
        assert pipeline.stores[code].tags["quality"] == oracles.band_of(found)
    gaps = pl.concat(pipeline.tables.values())["date"].diff().dt.total_days()
    assert (gaps > pipeline.step).any(), "MASE must meet gaps"


def assert_pipeline_can_be_recomputed(pipeline: Pipeline) -> None:
    of_stores = {code: (one.metrics, one.tags["quality"]) for code, one in pipeline.stores.items()}
    expected = oracles.pipeline_of(of_stores, pipeline.tables)
    found = pipeline.parent.metrics
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-9), name
    reported = dict(pipeline.report.metrics)
    assert reported == {name: value for name, value in found.items() if name != "stores_done"}


def test_every_metric_of_every_store_is_that_of_another_implementation(daily: Pipeline) -> None:
    assert_stores_can_be_recomputed(daily)


def test_every_metric_of_the_pipeline_is_that_of_its_stores(daily: Pipeline) -> None:
    assert_pipeline_can_be_recomputed(daily)


def test_metrics_of_weekly_sales_can_be_recomputed_too(weekly: Pipeline) -> None:
    assert weekly.parent.params["frequency"] == "weekly"
    assert_stores_can_be_recomputed(weekly)
    assert_pipeline_can_be_recomputed(weekly)


def test_a_store_that_sells_nothing_on_some_days_is_measured_too(boosting: Pipeline) -> None:
    tested = boosting.tables["S005"].filter(split="test")
    assert 2 < (tested["actual"] == 0).sum() < 10
    metrics = boosting.stores["S005"].metrics
    assert 0 < metrics["test_smape"] <= 200 and metrics["test_rmspe"] > 0


def test_the_table_of_stores_says_what_their_runs_say(daily: Pipeline) -> None:
    table = kit.table_of(daily.client, daily.report.run_id, "forecast/stores.parquet")
    assert table["store"].to_list() == sorted(daily.stores)
    for row in table.iter_rows(named=True):
        one = daily.stores[row["store"]]
        assert row["run_id"] == daily.runs[row["store"]].info.run_id
        assert (row["quality"], row["failure"]) == (one.tags["quality"], one.tags.get("failure"))
        assert row["partner"] == one.tags.get("partner_code")
        for name in (*MEASURES, "coverage"):
            assert row[name] == one.metrics.get(f"test_{name}"), name
        assert len(row["sales"]) == (0 if row["failure"] else 32)


def test_a_failing_store_is_recorded_counts_and_stops_nothing(daily: Pipeline) -> None:
    assert daily.stores["S006"].tags["failure"].startswith("constant: all ")
    assert daily.stores["S007"].tags["failure"].startswith("too few rows: ")
    for code in ("S006", "S007"):
        assert daily.stores[code].tags["quality"] == "failed"
    metrics = daily.parent.metrics
    assert metrics["total_stores_attempted"] == 7 and metrics["successful_models"] == 5
    assert metrics["success_rate"] == pytest.approx(100 * 5 / 7)
    assert metrics["quality_failed_count"] == 2
    assert (daily.report.stores, daily.report.failed, daily.report.resumed) == (7, 2, 0)


def test_importance_is_a_table_of_shares(boosting: Pipeline) -> None:
    run_id = boosting.runs["S001"].info.run_id
    path = boosting.client.download_artifacts(run_id, "feature_importance.csv")
    rows = list(csv.DictReader(io.StringIO(Path(path).read_text())))
    assert {row["feature"] for row in rows} >= {"level", "promo", "weekday"}
    shares = [float(row["importance"]) for row in rows]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1)


def test_the_environment_is_kept(boosting: Pipeline) -> None:
    path = boosting.client.download_artifacts(boosting.report.run_id, "environment.json")
    said = json.loads(Path(path).read_text())
    assert said["packages"]["mlflow"] and said["python"].startswith("3.")


def test_children_are_found_as_children_by_mlflow(boosting: Pipeline) -> None:
    for run in boosting.runs.values():
        assert run.data.tags["mlflow.parentRunId"] == boosting.report.run_id
        history = boosting.client.get_metric_history(run.info.run_id, "test_mae")
        assert len(history) == (0 if "failure" in run.data.tags else 1)


def test_without_a_single_model_the_pipeline_fails_and_keeps_the_reasons(
    tmp_path: Path, client: MlflowClient
) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(2, 120))
    with pytest.raises(GreenroomError) as caught:
        kit.train(client, data, kind=ModelKind.RIDGE, min_samples=1000, experiment="none")
    assert not isinstance(caught.value, BadInputError)
    assert "None of the 2 stores could be trained, the first because: too few rows" in str(caught.value)
    (run,) = client.search_runs([client.get_experiment_by_name("none").experiment_id], "params.stores = '2'")
    parent, found = kit.pipeline_of(client, run.info.run_id)
    assert parent.status == "FAILED" and run.info.run_id in str(caught.value)
    assert parent.tags["failure"] == "No store could be trained; each store's run says why."
    assert parent.metrics["success_rate"] == 0 and parent.metrics["quality_failed_count"] == 2
    assert "test_mae" not in parent.metrics and "avg_r2" not in parent.metrics
    for one in found.values():
        assert "1000 are needed" in one.tags["failure"] and one.status == "FAILED"


def test_only_the_first_stores_are_trained_on_demand(tmp_path: Path, client: MlflowClient) -> None:
    data = kit.csv(
        tmp_path / "s.csv", kit.usual(12, 150).with_columns(store=pl.col("store").str.slice(1).cast(int))
    )
    report = kit.train(client, data, kind=ModelKind.RIDGE, horizon=14, most=3)
    parent, found = kit.pipeline_of(client, report.run_id)
    assert sorted(found) == ["1", "2", "3"]
    assert (parent.params["max_stores"], parent.params["stores"]) == ("3", "3")
    assert "Only the first 3 stores are used." in report.notes


def test_stores_with_fewer_rows_than_asked_for_fail(tmp_path: Path, client: MlflowClient) -> None:
    frame = kit.usual(2, 150)
    last = frame["date"].max()
    frame = frame.filter((pl.col("store") == "S001") | (pl.col("date") > pl.lit(last) - timedelta(90)))
    data = kit.csv(tmp_path / "s.csv", frame)
    found = {}
    for least in (40, 80):
        report = kit.train(client, data, kind=ModelKind.RIDGE, horizon=14, min_samples=least)
        found[least] = {code: one.status for code, one in kit.pipeline_of(client, report.run_id)[1].items()}
    assert found == {40: {"S001": "FINISHED", "S002": "FINISHED"}, 80: {"S001": "FINISHED", "S002": "FAILED"}}


@pytest.mark.parametrize("kind", [ModelKind.RIDGE, ModelKind.GLOBAL])
def test_the_same_run_again_does_nothing_twice(tmp_path: Path, client: MlflowClient, kind: ModelKind) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(3, 120))
    first = kit.train(client, data, kind=kind, horizon=14)
    before = kit.pipeline_of(client, first.run_id)
    times = [run.info.end_time for run in kit.children(client, client.get_run(first.run_id))]
    again = kit.train(client, data, kind=kind, horizon=14, run_id=first.run_id)
    assert (again.run_id, again.resumed, again.stores) == (first.run_id, 3, 3)
    assert kit.pipeline_of(client, first.run_id) == before
    assert again.metrics == first.metrics
    assert [run.info.end_time for run in kit.children(client, client.get_run(first.run_id))] == times
    for name in ("avg_r2", "test_mae"):
        assert len(client.get_metric_history(first.run_id, name)) == 1


def test_a_pipeline_goes_on_with_what_is_missing(
    tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(5, 150))
    whole = kit.train(client, data, kind=ModelKind.RIDGE, horizon=14)
    run = client.create_run(whole.experiment_id)
    log_store = module.PipelineRun.log_store
    seen: list[str] = []

    def breaking(self: object, record: object) -> None:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(record.store)  # type: ignore[attr-defined]
        log_store(self, record)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(module.PipelineRun, "log_store", breaking)
        with pytest.raises(KeyboardInterrupt):
            kit.train(client, data, kind=ModelKind.RIDGE, horizon=14, run_id=run.info.run_id)
    assert sorted(kit.pipeline_of(client, run.info.run_id)[1]) == sorted(seen)
    fitted: list[str] = []
    fit_stores = module.fit_stores

    def watched(tasks: object, *more: object) -> object:
        for result in fit_stores(tasks, *more):  # type: ignore[arg-type]
            fitted.append(result.store)
            yield result

    monkeypatch.setattr(module, "fit_stores", watched)
    report = kit.train(client, data, kind=ModelKind.RIDGE, horizon=14, run_id=run.info.run_id)
    assert report.resumed == 2 and sorted(fitted + seen) == ["S001", "S002", "S003", "S004", "S005"]
    parent, found = kit.pipeline_of(client, run.info.run_id)
    expected_parent, expected = kit.pipeline_of(client, whole.run_id)
    assert found == expected
    assert (parent.params, parent.metrics, parent.tables) == (
        expected_parent.params,
        expected_parent.metrics,
        expected_parent.tables,
    )


def test_a_run_that_a_lost_reply_made_twice_counts_once(tmp_path: Path, client: MlflowClient) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(2, 120))
    report = kit.train(client, data, kind=ModelKind.RIDGE, horizon=14)
    expected = kit.pipeline_of(client, report.run_id)[1]
    tags = {"mlflow.parentRunId": report.run_id, "store_code": "S001"}
    twin = client.create_run(report.experiment_id, tags=tags)
    kit.train(client, data, kind=ModelKind.RIDGE, horizon=14, run_id=report.run_id)
    assert client.get_run(twin.info.run_id).info.lifecycle_stage == "deleted"
    assert kit.pipeline_of(client, report.run_id)[1] == expected


OPTIONS: dict[str, Any] = {"kind": ModelKind.RIDGE, "horizon": 14}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> tuple[MlflowClient, Path, str]:
    """A pipeline of two stores that was trained once."""
    folder = tmp_path_factory.mktemp("started")
    client = MlflowClient(stores.new_sqlite(folder / "store"))
    data = kit.csv(folder / "s.csv", kit.usual(2, 120))
    return client, data, kit.train(client, data, **OPTIONS).run_id


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"horizon": 15}, "horizon = 14, not 15"),
        ({"kind": ModelKind.SEASONAL_NAIVE}, "model = ridge, not seasonal_naive"),
        ({"seed": 2}, "seed = 1, not 2"),
        ({"columns": GivenColumns(known=())}, "known_columns = promo, holiday, price_index, not "),
        ({"most": 1}, "stores = 2, not 1"),
        ({"data": "other data"}, "dataset_hash = "),
        ({"data": "other name"}, "data = s.csv, not t.csv"),
    ],
)
def test_a_run_goes_on_only_with_what_it_was_started_with(
    tmp_path: Path, started: tuple[MlflowClient, Path, str], changes: dict[str, Any], name: str
) -> None:
    client, data, run_id = started
    before = kit.pipeline_of(client, run_id)
    if changes.get("data") == "other data":
        changes = {"data": kit.csv(tmp_path / "s.csv", kit.usual(2, 120).with_columns(pl.col("sales") + 1))}
    elif changes.get("data") == "other name":
        changes = {"data": kit.csv(tmp_path / "t.csv", kit.usual(2, 120))}
    with pytest.raises(BadInputError) as caught:
        kit.train(client, **({"data": data, "run_id": run_id} | OPTIONS | changes))
    assert f"The run {run_id} was started with {name}" in str(caught.value)
    assert "leave --run-id out for a new run" in str(caught.value)
    assert kit.pipeline_of(client, run_id) == before


def test_a_commit_made_since_does_not_keep_a_pipeline_from_going_on(
    tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(1, 120))
    run_ids = []
    for sha in ("a" * 40, "b" * 40):
        monkeypatch.setattr("core.tracking.reproducibility.git_commit", lambda *_, sha=sha: (sha, False))
        run_ids.append(kit.train(client, data, run_id=run_ids[0] if run_ids else None, **OPTIONS).run_id)
    assert run_ids[0] == run_ids[1]
    found = client.get_run(run_ids[0]).data
    assert found.params["git_commit_sha"] == "a" * 12
    assert found.tags["git_commit_sha"] == "b" * 40


@pytest.mark.parametrize("run_id", ["f" * 32, "no such run!"])
def test_a_run_that_is_not_there_is_told(tmp_path: Path, client: MlflowClient, run_id: str) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(1, 120))
    with pytest.raises(
        NotFoundError, match=f"There is no run {run_id} in the tracking store. Correct --run-id"
    ):
        kit.train(client, data, run_id=run_id)


def test_runs_that_are_no_pipelines_are_left_alone(tmp_path: Path, client: MlflowClient) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(1, 120))
    options = {"kind": ModelKind.RIDGE, "horizon": 14}
    report = kit.train(client, data, **options)
    (child,) = kit.children(client, client.get_run(report.run_id))
    with pytest.raises(
        BadInputError, match=f"is that of the store S001. Go on with its pipeline: --run-id {report.run_id}"
    ):
        kit.train(client, data, run_id=child.info.run_id, **options)
    client.delete_run(report.run_id)
    with pytest.raises(BadInputError, match=r"was deleted. Restore it with `mlflow runs restore"):
        kit.train(client, data, run_id=report.run_id, **options)


def test_a_mistake_in_the_data_ends_a_fresh_run_with_its_reason_and_leaves_an_old_one(
    tmp_path: Path, client: MlflowClient
) -> None:
    data = tmp_path / "s.csv"
    data.write_text("store,date,sales\n1,2024-01-01,5\n1,2024-01-01,6\n")
    with pytest.raises(BadInputError, match="more than once"):
        kit.train(client, data)
    (run,) = client.search_runs([client.get_experiment_by_name("store-forecasts").experiment_id])
    assert run.info.status == "FAILED" and run.info.end_time is not None
    assert "store 1, 2024-01-01: rows 1, 2" in run.data.tags["failure"]
    # Once it is corrected the same run goes on, and no longer says that it failed.
    kit.csv(data, kit.usual(1, 120))
    kit.train(client, data, run_id=run.info.run_id, **OPTIONS)
    found = client.get_run(run.info.run_id)
    assert found.info.status == "FINISHED" and "failure" not in found.data.tags
    data.write_text("store,date,sales\n1,2024-01-01,5\n1,2024-01-01,6\n")
    kept = client.create_run(run.info.experiment_id)
    with pytest.raises(BadInputError, match="more than once"):
        kit.train(client, data, run_id=kept.info.run_id)
    assert client.get_run(kept.info.run_id).info.status == "RUNNING"
    assert "failure" not in client.get_run(kept.info.run_id).data.tags


def test_tags_and_names_are_taken_over(tmp_path: Path, client: MlflowClient) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(1, 120))
    report = kit.train(
        client,
        data,
        kind=ModelKind.SEASONAL_NAIVE,
        horizon=14,
        run_name="monday",
        experiment="naive",
        tags={"team": "ops"},
        run_tags={"note": "x"},
    )
    parent, found = kit.pipeline_of(client, report.run_id)
    assert (parent.name, parent.tags["team"], parent.tags["note"]) == ("monday", "ops", "x")
    assert found["S001"].tags["team"] == "ops" and "note" not in found["S001"].tags
    assert client.get_experiment(report.experiment_id).name == "naive"

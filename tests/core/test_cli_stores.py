"""`greenroom stores`: the JSON contract, the tables for people, the export, and how it refuses."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from core.cli import cli
from core.forecasts.bands import BANDS
from core.forecasts.changes import CHANGES, ChangeSummary
from core.forecasts.types import STORES
from tests import stores

BEGAN = 1_725_630_000_000
OLD = {
    "1": {"test_r2": 0.9, "test_smape": 8.0, "test_wape": 10.0, "test_mae": 5.0, "test_rmse": 6.0},
    "2": {"test_r2": 0.7, "test_smape": 15.0, "test_wape": 20.0, "test_mae": 10.0, "test_rmse": 12.0},
    "10": {"test_r2": 0.2, "test_smape": 60.0, "test_wape": 40.0, "test_mae": 2.0, "test_rmse": 3.0},
}
NEW = {
    "1": {**OLD["1"], "test_wape": 15.0, "test_mae": 7.5},
    "2": {**OLD["2"], "test_wape": 16.0, "test_mae": 8.0},
    "10": {},
    "11": {**OLD["1"], "test_r2": float("nan")},
}
SAMPLES = {"test_samples": 20.0, "train_samples": 300.0}
VOLUMES = {"1": 1000.0, "2": 1000.0, "10": 100.0, "11": 1000.0}
Greenroom = Callable[..., Result]


class Pipelines:
    """A store with pipelines, as plain MLflow writes them."""

    def __init__(self, folder: Path) -> None:
        self.uri = stores.new_sqlite(folder)
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment("stores", artifact_location=str(folder / "artifacts"))
        self.ids: dict[str, str] = {}

    def log(
        self,
        name: str,
        metrics: dict[str, float],
        params: dict[str, str],
        tags: dict[str, str],
        *,
        status: str = "FINISHED",
    ) -> str:
        started = BEGAN + 1000 * len(self.ids)
        run_id: str = self.client.create_run(self.experiment, started, run_name=name).info.run_id
        self.client.log_batch(
            run_id,
            [Metric(key, value, started, 0) for key, value in metrics.items()],
            [Param(key, value) for key, value in params.items()],
            [RunTag(key, value) for key, value in tags.items()],
        )
        self.client.set_terminated(run_id, status, started + 500)
        self.ids[name] = run_id
        return run_id

    def pipeline(self, name: str, found: dict[str, dict[str, float]], **params: str) -> None:
        parent = self.log(
            name,
            {"total_stores_attempted": len(found), "test_wape": 12.5, "avg_smape": 20.0},
            params,
            {"smape_scale": "0..200"},
        )
        for store, metrics in found.items():
            failed = not metrics
            self.log(
                f"{name} {store}",
                {} if failed else {**metrics, **SAMPLES, "test_volume": VOLUMES[store]},
                {
                    "store_code": store,
                    "partner_code": "ADICO" if store != "2" else "NORTE",
                    "n_features": "31",
                },
                {"mlflow.parentRunId": parent, **({"failure": "too few rows"} if failed else {})},
                status="FAILED" if failed else "FINISHED",
            )

    def forecasts(self, name: str, offset: float) -> None:
        """Log a forecast of stores 1 and 2 that misses by about so much."""
        days = [date(2024, 8, 1) + timedelta(days=day) for day in range(20)]
        rows = [
            {"date": str(day), "store": store, "actual": 50.0, "predicted": 50.0 + offset * (1 + day.day % 3)}
            for store in ("1", "2")
            for day in days
        ]
        # As objects: MLflow 3.17 makes pandas 3 warn about its own texts.
        table = pd.DataFrame(rows).astype({"date": object, "store": object})
        self.client.log_table(self.ids[name], table, "forecast/predictions.json")


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Pipelines:
    one = Pipelines(tmp_path_factory.mktemp("cli-stores"))
    one.pipeline("old", OLD, model="seasonal_naive", cutoff="2024-07-31")
    one.forecasts("old", 2.0)
    one.pipeline("new", NEW, model="ridge", cutoff="2024-08-31")
    one.forecasts("new", 9.0)
    one.log("tuning", {"loss": 1.0}, {}, {})
    one.log("emptied", {"total_stores_attempted": 3.0}, {}, {})
    wide = one.log("[wide]", {}, {"model": "m"}, {"smape_scale": "0..200"})
    for code in range(1, 46):
        tags = {"mlflow.parentRunId": wide, "store_code": str(code)}
        run = one.client.create_run(one.experiment, BEGAN, tags)
        one.client.log_metric(run.info.run_id, "test_smape", code / 10, BEGAN)
        one.client.log_metric(run.info.run_id, "test_volume", 12_345.0, BEGAN)
        if code == 1:  # by which the pipeline is known
            one.client.log_param(run.info.run_id, "store_code", "1")
    return one


@pytest.fixture
def greenroom(logged: Pipelines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Greenroom:
    """Runs `greenroom stores` with names in place of run ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENROOM_HOME", str(tmp_path / "home"))

    def run(*words: str) -> Result:
        known = [logged.ids.get(word, word) for word in words]
        return CliRunner().invoke(cli, ["stores", *known, "--tracking-uri", logged.uri])

    return run


def parsed(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


# Which pipelines there are


def test_without_a_run_the_pipelines_are_listed(greenroom: Greenroom, logged: Pipelines) -> None:
    found = parsed(greenroom("--json"))
    assert [one["name"] for one in found] == ["[wide]", "new", "old", "emptied"]
    assert found[1] == {
        "run_id": logged.ids["new"],
        "name": "new",
        "status": "FINISHED",
        "start_time": "2024-09-06T13:40:04.000Z",
        "model": "ridge",
        "stores": 4.0,
        "wape": 12.5,
        "smape": 20.0,
    }
    assert (found[3]["model"], found[3]["wape"], found[3]["smape"]) == (None, None, None)


def test_people_read_the_pipelines_in_a_table(greenroom: Greenroom, logged: Pipelines) -> None:
    lines = greenroom().stdout.splitlines()
    assert lines[0].split() == ["run", "name", "status", "model", "stores", "WAPE", "%", "sMAPE", "%"]
    (line,) = (line for line in lines if logged.ids["new"][:8] in line)
    assert line.split() == [logged.ids["new"][:8], "new", "FINISHED", "ridge", "4", "12.5", "20"]
    assert any("[wide]" in line for line in lines), "brackets are no markup"
    assert next(line for line in lines if "emptied" in line).split()[-3:] == ["3", "–", "–"]


def test_a_store_without_a_pipeline_says_how_to_train_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENROOM_HOME", str(tmp_path / "home"))
    arguments = ["stores", "--tracking-uri", stores.new_sqlite(tmp_path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0
    assert "There is no pipeline yet." in result.stdout
    assert "python -m core.training.stores --data" in result.stdout
    assert parsed(CliRunner().invoke(cli, [*arguments, "--json"])) == []


# One pipeline


def test_json_has_the_keys_of_the_contract(greenroom: Greenroom, logged: Pipelines) -> None:
    found = parsed(greenroom("new", "--json"))
    assert set(found) == {"pipeline", "stores", "changes"}
    assert found["changes"] == []
    head = found["pipeline"]
    assert head == {
        "run_id": logged.ids["new"],
        "name": "new",
        "status": "FINISHED",
        "start_time": "2024-09-06T13:40:04.000Z",
        "model": "ridge",
        "stores_attempted": 4,
        "stores_successful": 3,
        "success_rate": 75.0,
        "wape": pytest.approx(100 * (7.5 + 8 + 5) * 20 / 3000),
        "bias": None,
        "weighted_smape": pytest.approx((8 + 15 + 8) / 3),
        "median_smape": 8.0,
        "mean_r2": pytest.approx(0.8),
        "rmse": pytest.approx(((36 + 144 + 36) / 3) ** 0.5),
        "mae": pytest.approx((7.5 + 8 + 5) / 3),
        "volume": 3000.0,
        "bands": {**dict.fromkeys(BANDS, 0), "excellent": 1, "good": 1, "unknown": 1, "failed": 1},
        "notes": [],
    }
    assert [one["store"] for one in found["stores"]] == ["1", "2", "10", "11"]
    assert all(set(one) == {*STORES, "status"} for one in found["stores"])


def test_a_store_in_json_with_missing_numbers_as_null(greenroom: Greenroom, logged: Pipelines) -> None:
    first, _, failed, unknown = parsed(greenroom("new", "--json"))["stores"]
    assert first == {
        "store": "1",
        "partner": "ADICO",
        "run_id": logged.ids["new 1"],
        "quality": "excellent",
        "r2": 0.9,
        "smape": 8.0,
        "wape": 15.0,
        "mae": 7.5,
        "rmse": 6.0,
        "mase": None,
        "bias": None,
        "volume": 1000.0,
        "test_samples": 20.0,
        "train_samples": 300.0,
        "n_features": 31.0,
        "failure": None,
        "status": "FINISHED",
    }
    assert (failed["quality"], failed["failure"], failed["status"]) == ("failed", "too few rows", "FAILED")
    assert [failed[name] for name in ("r2", "smape", "wape", "mae", "rmse", "volume")] == [None] * 6
    assert (unknown["r2"], unknown["quality"]) == (None, "unknown")


def test_a_run_is_named_by_the_beginning_of_its_id(greenroom: Greenroom, logged: Pipelines) -> None:
    assert parsed(greenroom(logged.ids["new"][:12], "--json")) == parsed(greenroom("new", "--json"))


def test_people_read_the_headline_and_the_worst_stores_first(greenroom: Greenroom, logged: Pipelines) -> None:
    lines = greenroom("new").stdout.splitlines()
    assert lines[0] == f"new ({logged.ids['new'][:8]})  3 of 4 stores"
    assert lines[1] == ("WAPE 13.67 %  weighted sMAPE 10.33 %  median sMAPE 8 %  mean R2 0.8  RMSE 8.485")
    assert lines[2] == "excellent 1  good 1  unknown 1  failed 1"
    assert lines[3].split() == [
        "store",
        "partner",
        "quality",
        "R2",
        "sMAPE",
        "%",
        "WAPE",
        "%",
        "RMSE",
        "volume",
    ]
    assert [line.split()[0] for line in lines[4:]] == ["10", "2", "1", "11"]
    assert lines[4].split()[2:5] == ["too", "few", "rows"]
    assert lines[5].split() == ["2", "NORTE", "good", "0.7", "15", "16", "12", "1,000"]
    assert lines[7].split()[:4] == ["11", "ADICO", "unknown", "–"]


def test_of_many_stores_the_40_worst_are_shown_and_where_the_rest_is(greenroom: Greenroom) -> None:
    lines = greenroom("[wide]").stdout.splitlines()
    assert lines[0].startswith("[wide] (")
    assert lines[-1] == "The 40 worst of 45 stores; --csv FILE or --json gives all."
    assert [line.split()[0] for line in lines[4:-1]] == [str(code) for code in range(45, 5, -1)]
    assert all(line.endswith("12,345") for line in lines[4:-1])


# The export


def test_all_stores_are_written_to_csv(greenroom: Greenroom, tmp_path: Path) -> None:
    result = greenroom("new", "--csv", "stores.csv")
    assert result.exit_code == 0
    assert result.stdout == "4 stores written to stores.csv\n"
    with (tmp_path / "stores.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = parsed(greenroom("new", "--json"))["stores"]
    assert [{key: value or None for key, value in row.items()} for row in rows] == [
        {key: None if value is None else str(value) for key, value in one.items()} for one in found
    ]


def test_a_place_that_cannot_be_written_to_is_refused(greenroom: Greenroom) -> None:
    refused = greenroom("new", "--csv", "no/such/folder/stores.csv")
    assert refused.exit_code == 2
    assert "no/such/folder/stores.csv cannot be written" in refused.stderr


# Against another pipeline


def test_changes_in_json(greenroom: Greenroom, logged: Pipelines) -> None:
    found = parsed(greenroom("new", "--against", "old", "--json"))
    assert set(found) == {"pipeline", "stores", "changes", "against"}
    assert all(set(one) == set(CHANGES) for one in found["changes"])
    by_store = {one["store"]: one for one in found["changes"]}
    assert {store: one["verdict"] for store, one in by_store.items()} == {
        "1": "worse",
        "2": "improved",
        "10": "lost",
        "11": "gained",
    }
    first = found["changes"][0]
    assert (first["store"], first["old"], first["new"], first["change"]) == ("1", 10, 15, 5)
    assert (first["run_id_old"], first["run_id_new"]) == (logged.ids["old 1"], logged.ids["new 1"])
    assert (first["weight"], first["harm"]) == (0.5, 2.5)
    assert first["p_adjusted"] < 0.05
    assert first["significant"] is True
    assert by_store["11"]["p_value"] is None
    against = found["against"]
    assert set(against) == {"run_id", "name", "notes", *(field.name for field in fields(ChangeSummary))}
    assert (against["run_id"], against["name"]) == (logged.ids["old"], "old")
    assert (against["improved"], against["worse"], against["lost"], against["gained"]) == (1, 1, 1, 1)
    assert against["share_regressed"] == pytest.approx(2 / 3)
    assert against["significantly_worse"] == 1
    assert against["notes"] == ["Another test period: cutoff was 2024-07-31, now 2024-08-31."]


def test_the_measure_and_the_tolerance_decide(greenroom: Greenroom) -> None:
    def verdicts(*words: str) -> dict[str, str]:
        changes = parsed(greenroom("new", "--against", "old", *words, "--json"))["changes"]
        return {one["store"]: one["verdict"] for one in changes if one["store"] in "12"}

    assert verdicts() == {"1": "worse", "2": "improved"}
    assert verdicts("--tolerance", "0.3") == {"1": "worse", "2": "same"}
    assert verdicts("--tolerance", "0.5") == {"1": "same", "2": "same"}
    assert verdicts("--measure", "rmse") == {"1": "same", "2": "same"}
    assert verdicts("--measure", "mae") == {"1": "worse", "2": "improved"}


def test_people_read_what_changes(greenroom: Greenroom, logged: Pipelines) -> None:
    lines = greenroom("new", "--against", "old").stdout.splitlines()
    assert lines[0].startswith("new (")
    assert lines[3] == (
        f"Against old ({logged.ids['old'][:8]}): 1 better, 1 worse, 0 the same, 1 lost, 1 new"
    )
    assert lines[4] == "Regressed: 66.7% of stores, 52.4% of sales"
    assert lines[5] == ("Beyond chance (Diebold-Mariano, 5 % after Benjamini-Hochberg): 1 worse, 0 better")
    assert lines[6].split() == ["store", "partner", "verdict", "old", "new", "change", "p", "adjusted"]
    assert lines[7].split()[:6] == ["1", "ADICO", "worse", "10", "15", "5"]
    assert lines[9].split() == ["10", "ADICO", "lost", "40", "–", "–", "–"]
    assert lines[-1] == "· Another test period: cutoff was 2024-07-31, now 2024-08-31."


def test_an_old_pipeline_without_stores_is_said(greenroom: Greenroom) -> None:
    result = greenroom("new", "--against", "emptied")
    assert result.exit_code == 0
    assert "0 better, 0 worse, 0 the same, 0 lost, 3 new" in result.stdout
    assert "· The old pipeline: emptied is a pipeline without child runs" in result.stdout


# What is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("0" * 32,), "There is no run " + "0" * 32),
        (("no-such-run",), "There is no run no-such-run"),
        (("new", "--against", "f" * 32), "There is no run " + "f" * 32),
        (("tuning",), "logged no table of predictions"),
        (("tuning", "--json"), "logged no table of predictions"),
        (("emptied",), "is a pipeline without child runs: none of its stores was logged"),
        (("new 1",), "logged no table of predictions"),
        (("new", "--measure", "mape"), "'mape' is not one of"),
        (("new", "--tolerance", "-0.1"), "-0.1"),
        (("new", "--tolerance", "much"), "much"),
    ],
)
def test_bad_input_is_refused_in_words(greenroom: Greenroom, words: tuple[str, ...], said: str) -> None:
    refused = greenroom(*words)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr


def test_help_has_an_example(greenroom: Greenroom) -> None:
    shown = greenroom("--help").stdout
    assert "greenroom stores 3f2a91c0 --against 77b01d2e" in shown

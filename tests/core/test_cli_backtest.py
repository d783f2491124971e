"""`greenroom backtest`: the JSON contract, the table for people, and how it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from core.backtests.measures import Measures
from core.cli import cli
from tests import stores

DAYS = pd.bdate_range("2019-01-01", periods=500)
VALUES = 1000 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0005, 0.01, 500)))
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("cli-backtest")
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    experiment = client.create_experiment("rules", artifact_location=str(folder / "artifacts"))
    ids = {name: client.create_run(experiment, run_name=name).info.run_id for name in ("good", "none", "two")}
    # As objects: MLflow 3.17 makes pandas 3 warn about its own texts.
    times = DAYS.strftime("%Y-%m-%d").astype(object)
    client.log_table(
        ids["good"], pd.DataFrame({"time": times, "value": VALUES}), "backtest/portfolio_values.json"
    )
    client.log_table(
        ids["two"], pd.DataFrame({"time": times, "equity": VALUES, "balance": VALUES * 2 + 1}), "equity.json"
    )
    return uri, ids


@pytest.fixture
def greenroom(store: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENROOM_HOME", str(tmp_path / "home"))
    uri, ids = store

    def run(name: str, *words: str) -> Result:
        return CliRunner().invoke(cli, ["backtest", ids.get(name, name), "--tracking-uri", uri, *words])

    return run


def test_json_has_the_keys_of_the_contract(greenroom: Run, store: tuple[str, dict[str, str]]) -> None:
    found = json.loads(greenroom("good", "--json").stdout)
    assert found["run_id"] == store[1]["good"]
    assert (found["start"], found["end"]) == (
        "2019-01-01T00:00:00.000Z",
        f"{DAYS[-1]:%Y-%m-%d}T00:00:00.000Z",
    )
    assert (found["periods"], found["periods_per_year"]) == (499, 252)
    assert set(found["measures"]) == {field.name for field in fields(Measures)}
    assert found["measures"]["total_return"] == pytest.approx(VALUES[-1] / VALUES[0] - 1)
    assert found["measures"]["trades"] is None
    assert found["measures"]["max_drawdown_start"].endswith("Z")
    assert found["drawdowns"][0]["depth"] == found["measures"]["max_drawdown"]


def test_people_read_a_table(greenroom: Run) -> None:
    printed = greenroom("good").stdout
    assert "252 a year (business days)" in printed
    assert f"{VALUES[-1] / VALUES[0] - 1:.2%}" in printed


def test_a_last_day_belongs_to_the_period_whole(greenroom: Run) -> None:
    found = json.loads(greenroom("good", "--from", "2019-02-01", "--to", "2019-02-28", "--json").stdout)
    assert (found["start"][:10], found["end"][:10]) == ("2019-02-01", "2019-02-28")
    inside = VALUES[(DAYS >= "2019-02-01") & (DAYS <= "2019-02-28")]
    assert found["measures"]["total_return"] == pytest.approx(inside[-1] / inside[0] - 1)


@pytest.mark.parametrize(
    ("name", "words", "said"),
    [
        ("none", (), "log_backtest_results"),
        ("two", (), "balance"),
        ("0" * 32, (), "0" * 32),
        ("good", ("--table", "nothing.json"), "nothing.json"),
        ("good", ("--from", "2031-01-01"), "2019-01-01"),
        ("good", ("--from", "yesterday"), "yesterday"),
        ("good", ("--risk-free", "-2"), "-2"),
        ("good", ("--periods-per-year", "0"), "0"),
    ],
)
def test_bad_input_is_refused_in_words(greenroom: Run, name: str, words: tuple[str, ...], said: str) -> None:
    refused = greenroom(name, *words)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr

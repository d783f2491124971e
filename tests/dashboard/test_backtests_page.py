"""The Backtests page on logged tables, good ones and bad ones."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from streamlit.testing.v1 import AppTest

from dashboard.formats import percent
from tests import stores
from tests.dashboard.conftest import OpenApp, texts

SECTIONS = ("Measures", "Returns", "Rolling", "Drawdowns", "Trades", "Significance")
OVERLAID = ("Measures", "Years", "Rolling", "Significance")
DAYS = pd.bdate_range("2015-01-05", periods=600)


def values(seed: int, days: int = 600) -> np.ndarray:
    moves = np.random.default_rng(seed).normal(0.0005, 0.01, days - 1)
    return 100_000 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))


def portfolio(seed: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            # As objects: MLflow 3.17 makes pandas 3 warn about its own texts.
            "time": DAYS.strftime("%Y-%m-%d").astype(object),
            "value": values(seed),
            "benchmark": values(99),
            "position": 1.0,
        }
    )


def trades(frame: pd.DataFrame, lost: float = 0.0) -> pd.DataFrame:
    entries = [0, 200, 400]
    exits = [200, 400, 599]
    value = frame["value"].to_numpy()
    return pd.DataFrame(
        {
            "entry_time": frame["time"].iloc[entries].reset_index(drop=True),
            "exit_time": frame["time"].iloc[exits].reset_index(drop=True),
            "side": pd.Series(["long"] * 3, dtype=object),
            "quantity": 1.0,
            "entry_price": value[entries],
            "exit_price": value[exits],
            "pnl": value[exits] - value[entries] - lost,
        }
    )


@dataclass(frozen=True)
class Store:
    """A store with one run for each kind of table."""

    uri: str
    ids: dict[str, str]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment("rules", artifact_location=str(tmp_path / "artifacts"))
    ids: dict[str, str] = {}

    def run(name: str, log: Callable[[str], Any], params: dict[str, str] | None = None) -> None:
        ids[name] = client.create_run(experiment, run_name=name).info.run_id
        for key, value in (params or {}).items():
            client.log_param(ids[name], key, value)
        log(ids[name])
        client.set_terminated(ids[name])

    def table(frame: pd.DataFrame, path: str = "backtest/portfolio_values.json") -> Callable[[str], None]:
        return lambda run_id: client.log_table(run_id, frame, path)

    def good(seed: int, lost: float = 0.0) -> Callable[[str], None]:
        def log(run_id: str) -> None:
            client.log_table(run_id, portfolio(seed), "backtest/portfolio_values.json")
            client.log_table(run_id, trades(portfolio(seed), lost), "backtest/trades.json")
            client.log_metric(run_id, "sharpe_ratio", 0.5 + 0.1 * seed)

        return log

    def text(content: str, path: str = "equity.csv") -> Callable[[str], None]:
        return lambda run_id: client.log_text(run_id, content, path)

    for seed in (1, 2, 3):
        run(f"good {seed}", good(seed), {"rule": "ma", "seed": str(seed)})

    def twice(run_id: str) -> None:
        client.log_table(run_id, portfolio(11), "backtest/portfolio_values.json")
        client.log_table(run_id, portfolio(12), "validation/portfolio_values.json")

    run("two tables", twice)
    run("off by 5000", good(4, lost=5_000 / 3))
    two = portfolio(5).rename(columns={"value": "equity"}).assign(balance=values(6))
    run("two values", table(two.drop(columns=["benchmark", "position"]), "equity.json"))
    worth = pd.DataFrame({"date": DAYS, "total_value": values(7), "cash": 10.0, "positions": "{'SPY': 3}"})
    run("positions as text", text(worth.to_csv(index=False)))
    returns = pd.Series(values(8)).pct_change().to_numpy()
    run("returns only", text(pd.DataFrame({"returns": returns}, index=DAYS).to_csv(), "returns.csv"))
    unnamed = io.StringIO()
    pd.DataFrame({"equity": values(9)}, index=DAYS).to_csv(unnamed)
    run("unnamed index", text(unnamed.getvalue()))
    whole = portfolio(10).to_json(orient="split", index=False)
    run("cut off", text(whole[: len(whole) // 2], "backtest/portfolio_values.json"))
    run("no table", lambda run_id: client.log_metric(run_id, "loss", 1.0))
    return Store(uri, ids)


def page(open_app: OpenApp, store: Store, *names: str, **query: str) -> AppTest:
    at = open_app(store.uri, "backtests", runs=",".join(store.ids[name] for name in names), **query)
    assert not at.exception, at.exception[0].value
    return at


def charts(at: AppTest) -> int:
    return len(at.get("plotly_chart"))


def test_without_a_run_the_page_says_how_to_log_one(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "backtests")
    assert not at.exception
    assert "log_backtest_results" in texts(at)
    offered = [one.split(" · ")[0] for one in at.multiselect(key="backtests").options]
    # Those that logged a backtest, then those with another table, then the rest: CSV files carry no tag.
    assert set(offered[:5]) == {"good 1", "good 2", "good 3", "off by 5000", "two tables"}
    assert offered[5] == "two values"
    assert len(offered) == len(store.ids)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_of_one_backtest_draws(open_app: OpenApp, store: Store, section: str) -> None:
    at = page(open_app, store, "good 1", section=section)
    assert not at.error
    assert charts(at) >= 2


@pytest.mark.parametrize("section", OVERLAID)
def test_every_section_of_several_backtests_draws(open_app: OpenApp, store: Store, section: str) -> None:
    at = page(open_app, store, "good 1", "good 2", "good 3", "returns only", section=section)
    assert not at.error
    assert charts(at) >= 2


def test_headline_figures_are_those_of_the_core(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "good 1")
    curve = values(1)
    shown = {one.label: one.value for one in at.metric}
    assert shown["Total return"] == percent(curve[-1] / curve[0] - 1)
    returns = curve[1:] / curve[:-1] - 1
    sharpe = returns.mean() / returns.std(ddof=1) * np.sqrt(252)
    assert float(shown["Sharpe ratio"]) == pytest.approx(sharpe, rel=1e-3)
    assert "252 a year (business days)" in texts(at)


def test_a_period_from_the_address_narrows_everything(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "good 1", **{"from": "2016-01-01", "to": "2016-06-30"})
    inside = (DAYS >= "2016-01-01") & (DAYS <= "2016-06-30")
    curve = values(1)[inside]
    shown = {one.label: one.value for one in at.metric}
    assert shown["Total return"] == percent(curve[-1] / curve[0] - 1)
    at.button(key="whole_period").click().run()
    assert "from" not in at.query_params
    whole = values(1)
    assert {one.label: one.value for one in at.metric}["Total return"] == percent(whole[-1] / whole[0] - 1)


@pytest.mark.parametrize("wrong", [{"from": "yesterday"}, {"from": "2031-01-01"}])
def test_a_period_that_cannot_be_is_refused_in_words(
    open_app: OpenApp, store: Store, wrong: dict[str, str]
) -> None:
    at = page(open_app, store, "good 1", **wrong)
    assert len(at.error) == 1
    assert "2031" in at.error[0].value or "yesterday" in at.error[0].value


def test_the_risk_free_rate_lowers_the_sharpe_ratio(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "good 1")
    before = float({one.label: one.value for one in at.metric}["Sharpe ratio"])
    at.number_input(key="rf").set_value(5.0).run()
    assert float({one.label: one.value for one in at.metric}["Sharpe ratio"]) < before


@pytest.mark.parametrize("name", ["positions as text", "returns only", "unnamed index"])
def test_usual_tables_open_without_a_setting(open_app: OpenApp, store: Store, name: str) -> None:
    at = page(open_app, store, name)
    assert not at.error
    assert charts(at) == 2
    seed = {"positions as text": 7, "returns only": 8, "unnamed index": 9}[name]
    curve = values(seed)
    shown = {one.label: one.value for one in at.metric}
    assert shown["Total return"] == percent(curve[-1] / curve[0] - 1)


def test_two_candidates_are_asked_about_once_and_the_answer_is_remembered(
    open_app: OpenApp, store: Store
) -> None:
    at = page(open_app, store, "two values")
    assert charts(at) == 0
    assert "balance" in at.selectbox(key="column_values").options
    at.selectbox(key="column_values").set_value("balance")
    next(button for button in at.button if button.label == "Use and remember").click().run()
    assert not at.exception
    assert charts(at) == 2
    curve = values(6)
    expected = percent(curve[-1] / curve[0] - 1)
    assert {one.label: one.value for one in at.metric}["Total return"] == expected
    # A new session, a new process: the answer is in the database.
    again = page(open_app, store, "two values")
    assert {one.label: one.value for one in again.metric}["Total return"] == expected


def test_another_table_of_the_run_can_be_chosen(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "two tables")
    first, second = values(11), values(12)
    assert {one.label: one.value for one in at.metric}["Total return"] == percent(first[-1] / first[0] - 1)
    box = next(one for one in at.selectbox if one.label == "Table")
    assert box.options == ["backtest/portfolio_values.json", "validation/portfolio_values.json"]
    box.set_value("validation/portfolio_values.json").run()
    assert not at.exception
    assert {one.label: one.value for one in at.metric}["Total return"] == percent(second[-1] / second[0] - 1)


def test_json_that_was_cut_off_says_so_and_the_other_runs_are_drawn(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "cut off")
    assert "cut off" in texts(at)
    assert charts(at) == 0
    both = page(open_app, store, "cut off", "good 1")
    assert "cut off" in texts(both)
    assert charts(both) == 2


def test_trades_that_do_not_match_say_by_how_much(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "off by 5000")
    assert "5,000" in texts(at)
    assert charts(at) == 2


def test_a_run_without_a_table_says_so_and_links_to_what_it_has(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "no table")
    assert charts(at) == 0
    assert "log_backtest_results" in texts(at)
    assert len(at.get("page_link")) == 1


def test_another_run_can_be_the_benchmark(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "returns only", benchmark=store.ids["good 1"])
    assert not at.error
    assert "Alpha" in {one.label for one in at.metric}


def test_seeds_become_a_band(open_app: OpenApp, store: Store) -> None:
    at = page(open_app, store, "good 1", "good 2", "good 3")
    at.toggle(key="band").set_value(True).run()
    assert not at.exception
    assert charts(at) == 2


def test_more_than_twenty_runs_are_cut_to_twenty(open_app: OpenApp, store: Store) -> None:
    client = MlflowClient(store.uri)
    experiment = client.get_experiment_by_name("rules")
    assert experiment is not None
    more = [client.create_run(experiment.experiment_id).info.run_id for _ in range(21)]
    at = open_app(store.uri, "backtests", runs=",".join([store.ids["good 1"], *more]))
    assert not at.exception
    assert "first 20" in texts(at)


def test_runs_and_compare_lead_to_the_page(open_app: OpenApp, store: Store) -> None:
    at = open_app(store.uri, "runs", sel=store.ids["good 1"])
    at.multiselect(key="picked").set_value([store.ids["good 1"], store.ids["good 2"]]).run()
    at.button(key="backtest").click().run()
    assert store.ids["good 2"] in str(at.query_params["runs"])
    assert charts(at) == 2


def test_trading_runs_that_logged_no_curve_say_so_and_show_what_they_have(
    open_app: OpenApp, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = shared_data / "mlflow" / "rl_trading_sb3_filestore"
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    at = open_app(store.as_uri(), "backtests", runs="9825f88e")
    assert not at.exception
    assert not at.error
    assert "No equity curve" in texts(at)
    assert "val_sharpe_ppo" in {one.label.replace("\\", "") for one in at.metric}
    assert "total" in texts(at)
    assert len(at.get("page_link")) == 1


EDGES = {
    "one point": [100.0],
    "two points": [100.0, 90.0],
    "flat": [100.0] * 30,
    "ruined": [100.0, 50.0, 0.0, 0.0],
}


@pytest.mark.parametrize("section", SECTIONS)
def test_curves_at_the_edge_draw_in_every_section(open_app: OpenApp, tmp_path: Path, section: str) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment("edges", artifact_location=str(tmp_path / "artifacts"))
    ids = []
    for name, curve in EDGES.items():
        ids.append(client.create_run(experiment, run_name=name).info.run_id)
        days = pd.bdate_range("2020-01-01", periods=len(curve)).strftime("%Y-%m-%d")
        table = pd.DataFrame({"date": days, "value": curve, "benchmark": curve[::-1]})
        client.log_text(ids[-1], table.to_csv(index=False), "backtest/portfolio_values.csv")
    at = open_app(uri, "backtests", runs=ids[0], section=section)
    for run_id in ids:
        at.query_params["runs"] = run_id
        at.run()
        assert not at.exception, at.exception[0].value
        assert not at.error, at.error[0].value
        assert charts(at) >= 2
    at.query_params["runs"] = ",".join(ids)
    at.run()
    assert not at.exception, at.exception[0].value

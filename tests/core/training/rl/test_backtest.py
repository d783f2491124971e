"""Backtests and their figures: equal to those of Greenroom's own backtests, and trades that add up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtests.annualisation import annualise
from core.backtests.consistency import check_trades
from core.backtests.measures import measure
from core.backtests.types import EquityCurve, Trades
from core.training.rl import backtest
from core.training.rl.market import Costs
from core.training.rl.measures import figures, returns_per_year
from tests.core.training.rl import kit

DAY = np.timedelta64(1, "D")


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=60), st.sampled_from([12.0, 252.0, 20_000.0]))
def test_figures_are_those_of_the_tear_sheet(moves: list[float], per_year: float) -> None:
    values = 10_000 * np.cumprod([1.0, *(1 + np.array(moves))])
    times = kit.days(len(values))
    expected = measure(EquityCurve(times, values), None, annualise(times, per_year))
    found = figures(values, per_year)
    assert found.total_return == pytest.approx(expected.total_return, rel=1e-9, abs=1e-12)
    assert found.max_drawdown == pytest.approx(expected.max_drawdown, abs=1e-12)
    assert found.sharpe == (
        None if expected.sharpe is None else pytest.approx(expected.sharpe, rel=1e-9, abs=1e-9)
    )


@pytest.mark.parametrize(
    "times",
    [
        kit.days(300),
        kit.minutes(3000),
        np.datetime64("2024-01-01", "us") + np.arange(400) * DAY,
        np.datetime64("2020-01-01", "us") + np.arange(100) * 7 * DAY,
        np.arange("2015-01", "2022-01", dtype="datetime64[M]").astype("datetime64[us]"),
        np.datetime64("2020-01-01", "us") + np.arange(100) * 13 * DAY,
    ],
    ids=["business days", "five minutes", "every day", "weeks", "months", "irregular"],
)
def test_a_year_has_as_many_returns_as_the_tear_sheet_counts(times: np.ndarray) -> None:
    assert returns_per_year(times) == pytest.approx(annualise(times).periods_per_year)


def test_an_account_that_never_trades_has_no_sharpe_ratio() -> None:
    done = backtest.run(kit.market(), backtest.flat)
    found = figures(done.values, 252)
    assert found.metrics("flat_") == {"flat_total_return": 0.0, "flat_max_drawdown": 0.0}


def test_buy_and_hold_is_the_price_less_one_purchase() -> None:
    market = kit.market(costs=Costs(0.001, 0.0005))
    done = backtest.run(market, backtest.buy_and_hold)
    assert done.values == pytest.approx(
        np.where(np.arange(len(market)) == 0, 1, 0.9985) * 10_000 * market.close / market.close[0]
    )


def strategy(seed: int) -> backtest.Strategy:
    draws = np.random.default_rng(seed)
    positions = draws.choice([-1.0, -0.5, 0.0, 0.0, 0.5, 1.0], 1000).repeat(4)
    places = iter(positions)
    return lambda seen: float(next(places))


def taken(found: dict) -> Trades:
    def times(texts: list) -> np.ndarray:
        return np.array(
            [np.datetime64(one[:-1]) if one else np.datetime64("NaT") for one in texts], "datetime64[us]"
        )

    return Trades(
        times(found["entry_time"]),
        times(found["exit_time"]),
        np.array([1 if side == "long" else -1 for side in found["side"]]),
        np.array(found["quantity"]),
        np.array(found["entry_price"]),
        np.array([np.nan if one is None else one for one in found["exit_price"]]),
        np.array(found["pnl"]),
        np.array(found["fees"]),
    )


@pytest.mark.parametrize("seed", range(6))
def test_trades_tell_the_same_story_as_the_curve(seed: int) -> None:
    done = backtest.run(kit.market(seed=seed), strategy(seed))
    found = backtest.trades(done)
    assert len(found["pnl"]) > 10
    assert sum(found["pnl"]) == pytest.approx(done.values[-1] - done.values[0])
    assert sum(found["fees"]) == pytest.approx(done.fees.sum())
    assert check_trades(EquityCurve(done.times, done.values), taken(found)) == ()


def test_a_trade_that_is_open_at_the_end_has_no_exit() -> None:
    found = backtest.trades(backtest.run(kit.market(), backtest.buy_and_hold))
    assert found["side"] == ["long"] and found["exit_time"] == [None] and found["exit_price"] == [None]


def test_who_never_trades_has_no_trades() -> None:
    found = backtest.trades(backtest.run(kit.market(), backtest.flat))
    assert all(column == [] for column in found.values())


def test_an_account_that_lost_everything_stays_at_that() -> None:
    from core.training.rl.market import Market

    market = Market(
        kit.days(4), np.array([1.0, 2.5, 2.5, 1.0]), np.zeros((4, 13), dtype=np.float32), Costs(), 0.01
    )
    done = backtest.run(market, lambda seen: -1.0)
    assert done.values.tolist() == pytest.approx([10_000, 0.01, 0.01, 0.01])

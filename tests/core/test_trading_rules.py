"""The demo's simulation, against one that walks day by day, and its rules against their words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.demo.trading_rules import (
    STARTING_CAPITAL,
    Floats,
    momentum_signal,
    moving_average_signal,
    simulate,
    with_noise,
)


def prices(seed: int, days: int = 400) -> pd.Series:
    moves = np.random.default_rng(seed).normal(0.0003, 0.02, days)
    return pd.Series(100 * np.exp(np.cumsum(moves)), index=pd.bdate_range("2015-01-05", periods=days))


def walked(closes: Floats, signal: Floats, costs_bps: float) -> Floats:
    """The account, day by day, as a person would keep it by hand."""
    cash, units, rate, values = STARTING_CAPITAL, 0.0, costs_bps / 1e4, []
    for day, close in enumerate(closes):
        wanted = signal[day] if day < len(closes) - 1 else 0.0
        if np.sign(units) != wanted:
            cash += units * close - rate * abs(units) * close
            units = 0.0
            if wanted:
                units = wanted * cash / (close * (1 + rate))
                cash -= units * close + rate * abs(units) * close
        values.append(cash + units * close)
    return np.array(values)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("costs_bps", [0.0, 5.0, 50.0])
def test_the_account_is_what_a_walk_day_by_day_gives(seed: int, costs_bps: float) -> None:
    series = prices(seed)
    signal = with_noise(momentum_signal(series.to_numpy(), 20, short=True), 0.1, seed)
    done = simulate(series, signal, costs_bps)
    np.testing.assert_allclose(
        done.portfolio["value"], walked(series.to_numpy(), signal, costs_bps), rtol=1e-12
    )
    gained = done.portfolio["value"].iloc[-1] - STARTING_CAPITAL
    assert done.trades["pnl"].sum() == pytest.approx(gained, abs=1e-6)
    worth = done.portfolio["position"] * series.to_numpy() + done.portfolio["cash"]
    np.testing.assert_allclose(worth, done.portfolio["value"], rtol=1e-12)


def test_costs_cost() -> None:
    series = prices(1)
    signal = moving_average_signal(series.to_numpy(), 5, 20)
    free, dear = (simulate(series, signal, costs).portfolio["value"].iloc[-1] for costs in (0.0, 20.0))
    assert dear < free
    assert simulate(series, signal, 20.0).trades["fees"].min() > 0


def test_no_signal_no_trade() -> None:
    done = simulate(prices(2), np.zeros(400), 5.0)
    assert len(done.trades) == 0
    assert (done.portfolio["value"] == STARTING_CAPITAL).all()


def test_a_signal_knows_no_later_price() -> None:
    closes = prices(3).to_numpy()
    changed = closes.copy()
    changed[300:] *= np.linspace(1, 3, 100)
    for rule in (lambda c: moving_average_signal(c, 10, 50), lambda c: momentum_signal(c, 60, short=True)):
        np.testing.assert_array_equal(rule(closes)[:300], rule(changed)[:300])


def test_moving_averages_cross_where_pandas_says() -> None:
    series = prices(4)
    expected = (series.rolling(10).mean() > series.rolling(50).mean()).astype(float)
    np.testing.assert_array_equal(moving_average_signal(series.to_numpy(), 10, 50), expected)


def test_noise_only_takes_signals_away_and_follows_its_seed() -> None:
    signal = np.ones(2_000)
    first = with_noise(signal, 0.1, 1)
    assert set(first) == {0.0, 1.0}
    assert 0.05 < 1 - first.mean() < 0.15
    np.testing.assert_array_equal(first, with_noise(signal, 0.1, 1))
    assert (first != with_noise(signal, 0.1, 2)).any()

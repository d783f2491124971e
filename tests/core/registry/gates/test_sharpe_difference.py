"""The interval around a difference of Sharpe ratios: against arch over the same pairs, and how often it is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.measures import measure
from core.backtests.types import Annualisation
from core.registry.gates.sharpe_difference import sharpe_difference
from tests.core.registry.gates.kit import a_curve


def pairs(seed: int, n: int = 500, correlation: float = 0.8, edge: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = rng.standard_t(5, (n, 2)) * 0.01
    own = math.sqrt(1 - correlation**2)
    return np.column_stack([correlation * drawn[:, 1] + own * drawn[:, 0] + edge, drawn[:, 1]]) + 0.0003


def plain_sharpe(returns: np.ndarray, a_year: float, risk_free: float = 0.0) -> float:
    rate = (1 + risk_free) ** (1 / a_year) - 1
    mean = sum(value - rate for value in returns) / len(returns)
    variance = sum((value - rate - mean) ** 2 for value in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(a_year)


@pytest.mark.parametrize("risk_free", [0.0, 0.03])
def test_ratios_are_those_of_the_tear_sheet(risk_free: float) -> None:
    returns = pairs(1)
    found = sharpe_difference(returns, 252, resamples=100, risk_free=risk_free)
    sheets = [
        measure(a_curve(column), None, Annualisation(252, "", 252), risk_free=risk_free).sharpe
        for column in returns.T
    ]
    assert [found.new, found.old] == pytest.approx(sheets)
    assert [found.new, found.old] == pytest.approx([plain_sharpe(one, 252, risk_free) for one in returns.T])
    assert found.difference == found.new - found.old


@pytest.mark.parametrize("block", [1, 7])
def test_the_interval_is_that_of_arch_over_pairs(block: int) -> None:
    returns = pairs(2, n=120)
    found = sharpe_difference(returns, 52, confidence=0.9, resamples=200, seed=9, block_length=block)

    def difference(sample: np.ndarray) -> np.ndarray:
        return np.array([plain_sharpe(sample[:, 0], 52) - plain_sharpe(sample[:, 1], 52)])

    arch = StationaryBootstrap(block, returns, seed=9)
    low, high = arch.conf_int(difference, reps=200, method="percentile", size=0.9)[:, 0]
    # arch takes quantiles of its own kind, between the same neighbours.
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.02 * (high - low))
    assert found.low < found.difference < found.high
    assert found.block_length == block


def test_strategies_that_move_together_have_a_narrow_interval() -> None:
    width = {}
    for correlation in (0.0, 0.99):
        found = sharpe_difference(pairs(3, correlation=correlation), 252, resamples=500)
        width[correlation] = found.high - found.low
    assert width[0.99] < 0.3 * width[0.0]


def test_the_width_is_about_that_of_theory() -> None:
    n, correlation = 2520, 0.5
    returns = np.random.default_rng(4).multivariate_normal(
        [0.0004, 0.0004], 1e-4 * np.array([[1, correlation], [correlation, 1]]), n
    )
    found = sharpe_difference(returns, 252, resamples=2000, block_length=1)
    # Jobson & Korkie (1981), small daily ratios: variance of the difference is 2 (1 - correlation) / years.
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(2 * (1 - correlation) / 10), rel=0.08)


def test_intervals_hold_the_true_difference_about_as_often_as_they_say() -> None:
    # Both have the same mean and variance (0.8**2 + 0.6**2 = 1); 150 tries at 90 % miss 15 times, give or take 4.
    missed = 0
    for seed in range(150):
        found = sharpe_difference(
            pairs(100 + seed, n=250), 252, confidence=0.9, resamples=200, block_length=1
        )
        missed += not found.low <= 0 <= found.high
    assert 4 <= missed <= 29


def test_one_series_twice_differs_by_nothing_and_the_same_seed_says_the_same() -> None:
    returns = pairs(5)
    same = sharpe_difference(returns[:, [0, 0]], 252, resamples=100)
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert sharpe_difference(returns, 252, resamples=100) == sharpe_difference(returns, 252, resamples=100)
    swapped = sharpe_difference(returns[:, ::-1], 252, resamples=100)
    found = sharpe_difference(returns, 252, resamples=100)
    assert [swapped.low, swapped.high] == pytest.approx([-found.high, -found.low])


@settings(max_examples=25, deadline=None)
@given(st.floats(0.01, 50), st.integers(0, 1000))
def test_leverage_changes_nothing(leverage: float, seed: int) -> None:
    returns = pairs(seed, n=60)
    scaled = sharpe_difference(returns * np.array([leverage, 1]), 252, resamples=100, block_length=3)
    found = sharpe_difference(returns, 252, resamples=100, block_length=3)
    assert (scaled.difference, scaled.low, scaled.high) == pytest.approx(
        (found.difference, found.low, found.high), abs=1e-6
    )


def test_too_few_flat_or_broken_returns_give_a_reason() -> None:
    assert "19 common returns are too few" in str(sharpe_difference(pairs(1, n=19), 252).reason)
    holes = pairs(1, n=30)
    holes[:11, 0] = np.nan
    assert sharpe_difference(holes, 252).n == 19
    holes = pairs(1, n=40)
    holes[3, 1] = np.inf
    assert sharpe_difference(holes, 252, resamples=100).n == 39
    for column, said in (([0], "new backtest"), ([1], "champion's backtest"), ([0, 1], "both")):
        flat = pairs(1)
        flat[:, column] = 0.001
        found = sharpe_difference(flat, 252)
        assert said in str(found.reason)
        assert math.isnan(found.difference)


def test_a_series_that_hardly_ever_varies_has_no_interval() -> None:
    returns = pairs(6, n=100)
    returns[:, 1] = 0.0
    returns[50, 1] = 0.01
    found = sharpe_difference(returns, 252, resamples=300, block_length=1)
    assert math.isfinite(found.difference)
    assert math.isnan(found.low)
    assert "vary so rarely" in str(found.reason)


def test_a_year_of_minutes_is_compounded() -> None:
    rng = np.random.default_rng(7)
    returns = rng.normal(1e-6, 1e-4, (30_000, 2))
    found = sharpe_difference(returns, 98_000, resamples=100)
    assert (found.n, found.periods) == (30_000, 6_000)
    longer = (1 + returns).reshape(6_000, 5, 2).prod(axis=1) - 1
    assert found.difference == pytest.approx(sharpe_difference(longer, 98_000 / 5, resamples=100).difference)

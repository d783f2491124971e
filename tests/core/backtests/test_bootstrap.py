"""Intervals by the stationary bootstrap: against arch itself, against a plain loop, and how often they are right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.backtests.measures import measure
from core.backtests.significance import bootstrap, samples
from core.backtests.significance.bootstrap import bootstrap_intervals
from core.backtests.significance.resampled_measures import measures_of, periods_of
from core.backtests.significance.samples import compounded, period_starts
from core.backtests.types import Annualisation, EquityCurve
from core.errors import BadInputError

RETURNS = np.random.default_rng(5).standard_t(4, 400) * 0.01 + 0.0006
BENCHMARK = 0.5 * RETURNS + np.random.default_rng(6).normal(0, 0.006, 400)


def plain(returns: np.ndarray, a_year: float, benchmark: np.ndarray | None = None) -> dict[str, float]:
    """Every measure by its definition, one return at a time."""
    level, peak, deepest = 1.0, 1.0, 0.0
    for value in returns:
        level *= max(1 + value, 0)
        peak = max(peak, level)
        deepest = min(deepest, level / peak - 1)
    mean = sum(returns) / len(returns)
    variance = sum((value - mean) ** 2 for value in returns) / (len(returns) - 1)
    downside = math.sqrt(sum(min(value, 0) ** 2 for value in returns) / len(returns))
    cagr = level ** (a_year / len(returns)) - 1
    found = {
        "total_return": level - 1,
        "cagr": cagr,
        "volatility": math.sqrt(variance * a_year),
        "sharpe": mean / math.sqrt(variance) * math.sqrt(a_year),
        "sortino": mean / downside * math.sqrt(a_year),
        "calmar": cagr / -deepest,
        "max_drawdown": deepest,
    }
    if benchmark is not None:
        found["excess_cagr"] = cagr - plain(benchmark, a_year)["cagr"]
        found["information_ratio"] = plain(returns - benchmark, a_year)["sharpe"]
    return found


def test_estimates_are_the_measures_by_definition() -> None:
    found = bootstrap_intervals(RETURNS, 252, resamples=50, benchmark_returns=BENCHMARK)
    expected = plain(RETURNS, 252, BENCHMARK)
    assert {interval.measure: interval.estimate for interval in found.intervals} == pytest.approx(expected)


@pytest.mark.parametrize("measure", list(plain(RETURNS, 252)))
def test_intervals_are_those_of_arch_over_the_same_resamples(measure: str) -> None:
    found = bootstrap_intervals(RETURNS, 252, confidence=0.9, resamples=200, seed=11)
    assert found.block_length is not None
    arch = StationaryBootstrap(found.block_length, RETURNS, seed=11)
    low, high = arch.conf_int(
        lambda returns: plain(returns, 252)[measure], reps=200, method="percentile", size=0.9
    ).ravel()
    assert (found[measure].low, found[measure].high) == pytest.approx((low, high))


def test_a_benchmark_is_resampled_with_the_run() -> None:
    found = bootstrap_intervals(RETURNS, 252, resamples=100, seed=2, benchmark_returns=BENCHMARK)
    assert found.block_length is not None
    arch = StationaryBootstrap(found.block_length, RETURNS, BENCHMARK, seed=2)
    values = arch.apply(lambda run, other: plain(run, 252, other)["information_ratio"], reps=100)
    expected = np.quantile(values, (0.025, 0.975))
    assert (found["information_ratio"].low, found["information_ratio"].high) == pytest.approx(tuple(expected))


def test_batches_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap_intervals(RETURNS, 252, resamples=101)
    monkeypatch.setattr(samples, "BATCH_VALUES", 400 * 7)
    assert bootstrap_intervals(RETURNS, 252, resamples=101) == whole


def test_the_seed_decides() -> None:
    first, again, other = (bootstrap_intervals(RETURNS, 252, resamples=100, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_blocks_are_as_long_as_the_returns_depend_on_each_other() -> None:
    noise = np.random.default_rng(8).normal(0, 0.01, 2000)
    trending = noise.copy()
    for i in range(1, len(trending)):
        trending[i] += 0.8 * trending[i - 1]
    short, long = (bootstrap_intervals(values, 252, resamples=20) for values in (noise, trending))
    assert short.block_length is not None and long.block_length is not None
    assert long.block_length == math.ceil(optimal_block_length(trending)["stationary"].item())
    assert long.block_length > 5 * short.block_length


def test_intervals_hold_the_true_ratio_about_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(9), 0
    for seed in range(150):
        found = bootstrap_intervals(
            rng.normal(0.05, 1.0, 300) / 100, 1, confidence=0.9, resamples=200, seed=seed
        )
        held += found["sharpe"].low <= 0.05 <= found["sharpe"].high
    assert 0.82 <= held / 150 <= 0.96


def test_a_year_of_minutes_is_compounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "MAX_PERIODS", 30)
    found = bootstrap_intervals(RETURNS, 252, resamples=20)
    exact = plain(RETURNS, 252)
    assert (found.n, found.periods, found.periods_per_year) == (400, 29, pytest.approx(252 * 29 / 400))
    for name in ("total_return", "cagr", "max_drawdown", "calmar"):
        assert found[name].estimate == pytest.approx(exact[name])
    longer = [np.prod(1 + part) - 1 for part in np.split(RETURNS, period_starts(400, 30)[1:])]
    assert found["sharpe"].estimate == pytest.approx(plain(np.array(longer), 252 * 29 / 400)["sharpe"])


def test_a_long_series_keeps_to_its_bound() -> None:
    long = np.random.default_rng(1).normal(0, 1e-4, 91_157)
    found = bootstrap_intervals(long, 252 * 390, resamples=10)
    assert (found.n, found.periods) == (91_157, 5_698)


@given(
    arrays(
        np.float64,
        st.integers(1, 40),
        elements=st.integers(-12, 15).map(lambda value: value / 10),
        fill=st.nothing(),
    ),
    st.integers(1, 12),
)
@example(np.array([-0.5, 0.1]), 1)
@example(np.array([0.5, -1.0, 0.3]), 2)
@example(np.array([0.1, 0.5, -0.3]), 2)
@example(np.array([-1.2, -1.1, 0.1]), 1)
def test_compounding_keeps_growth_and_drawdown(returns: np.ndarray, most: int) -> None:
    starts = period_starts(len(returns), most)
    periods = periods_of((returns,), starts, 1.0, 0.0)
    found = measures_of(periods, np.arange(len(starts))[None, :]) if len(starts) > 1 else None
    level = np.cumprod(np.concatenate([[1.0], np.maximum(1 + returns, 0)]))
    assert np.prod(1 + np.maximum(compounded(returns, starts), -1)) == pytest.approx(level[-1])
    assert len(starts) <= most
    assert np.ptp(np.diff(np.append(starts, len(returns)))) <= 1
    if found is not None:
        fall = (level / np.maximum.accumulate(level) - 1).min()
        assert found["max_drawdown"][0] == pytest.approx(fall, abs=1e-12)
        assert found["total_return"][0] == pytest.approx(level[-1] - 1)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float64, (20, 2), elements=st.sampled_from([-1.0, -0.01, 0.0, 0.01, 0.5, math.nan, math.inf]))
)
def test_no_returns_break_it(table: np.ndarray) -> None:
    table = np.concatenate([table, table])
    found = bootstrap_intervals(table[:, 0], 252, resamples=20, benchmark_returns=table[:, 1])
    assert found.n + found.dropped == 40
    assert bool(found.intervals) != bool(found.reason)
    for interval in found.intervals:
        assert math.isnan(interval.low) or interval.low <= interval.high


def test_missing_returns_are_left_out_in_pairs() -> None:
    run, other = RETURNS.copy(), BENCHMARK.copy()
    run[3], other[7], other[9] = math.nan, math.nan, math.inf
    found = bootstrap_intervals(run, 252, resamples=20, benchmark_returns=other)
    rest = np.delete(np.arange(400), [3, 7, 9])
    assert (found.n, found.dropped) == (397, 3)
    assert (
        found.intervals
        == bootstrap_intervals(RETURNS[rest], 252, resamples=20, benchmark_returns=BENCHMARK[rest]).intervals
    )


def test_a_measure_that_many_resamples_lack_has_no_interval() -> None:
    rarely_down = np.full(60, 0.01)
    rarely_down[30] = -0.02
    found = bootstrap_intervals(rarely_down, 252, resamples=200)
    assert found["sortino"].estimate > 0
    assert math.isnan(found["sharpe"].high), "many resamples have no fall, and so no variance"
    assert math.isnan(found["sortino"].low) and math.isnan(found["calmar"].high)
    assert found["total_return"].low < found["total_return"].high


def test_an_account_that_was_lost_stays_lost() -> None:
    ruined = np.append(RETURNS[:30], -1.4)
    found = bootstrap_intervals(ruined, 252, resamples=200)
    assert (found["total_return"].estimate, found["max_drawdown"].estimate) == (-1.0, -1.0)
    assert found["cagr"].low == -1.0


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (RETURNS[:19], "19 returns are too few"),
        (np.zeros(0), "0 returns are too few"),
        (np.full(100, 0.002), "All 100 returns are the same"),
        (np.append(RETURNS[:19], np.full(50, math.nan)), "19 returns are too few"),
    ],
)
def test_too_little_to_go_by_has_a_reason(returns: np.ndarray, reason: str) -> None:
    found = bootstrap_intervals(returns, 252)
    assert reason in (found.reason or "")
    assert (found.intervals, found.block_length) == ((), None)


@pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"resamples": 0}, {"benchmark_returns": np.zeros(3)}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInputError):
        bootstrap_intervals(RETURNS, 252, **wrong)  # type: ignore[arg-type]


def test_a_risk_free_rate_lowers_the_ratios_as_in_the_measures() -> None:
    returns = np.random.default_rng(5).normal(0.001, 0.01, 400)
    curve = EquityCurve(
        np.arange("2020-01-01", "2021-02-05", dtype="datetime64[D]")[:401].astype("datetime64[us]"),
        np.concatenate([[1.0], np.cumprod(1 + returns)]),
    )
    year = Annualisation(252.0, "business days", 252.0)
    expected = measure(curve, None, year, risk_free=0.05)
    found = bootstrap_intervals(curve.returns, 252.0, resamples=50, risk_free=0.05)
    assert found["sharpe"].estimate == pytest.approx(expected.sharpe, rel=1e-9)
    assert found["sortino"].estimate == pytest.approx(expected.sortino, rel=1e-9)
    free = bootstrap_intervals(curve.returns, 252.0, resamples=50)
    assert found["sharpe"].high < free["sharpe"].high
    assert found["cagr"] == free["cagr"]

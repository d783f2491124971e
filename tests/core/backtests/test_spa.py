"""Hansen's test: against his formulas over the same resamples, and the properties his paper is about."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.significance import superior
from core.backtests.significance.superior import (
    common_returns,
    long_run_variance,
    superior_predictive_ability,
)
from core.backtests.types import EquityCurve
from core.errors import BadInputError

DAY = np.timedelta64(1, "D")


def hansen(excess: np.ndarray, block: int, resamples: int, seed: int) -> tuple[float, float, float, float]:
    """Statistic and p-values as in Hansen (2005), section 3, one run and one resample at a time."""
    n, k = excess.shape
    q, omega = 1 / block, np.empty(k)
    for run in range(k):
        centred = excess[:, run] - excess[:, run].mean()
        variance = centred @ centred / n
        for lag in range(1, n):
            weight = (n - lag) / n * (1 - q) ** lag + lag / n * (1 - q) ** (n - lag)
            variance += 2 * weight * (centred[:-lag] @ centred[lag:]) / n
        omega[run] = math.sqrt(variance)
    mean = excess.mean(axis=0)
    statistic = max(max(math.sqrt(n) * mean[run] / omega[run] for run in range(k)), 0.0)
    kept = mean >= -omega / math.sqrt(n) * math.sqrt(2 * math.log(math.log(n)))
    centres = [np.maximum(mean, 0), np.where(kept, mean, 0.0), mean]
    above = [0, 0, 0]
    bootstrap = StationaryBootstrap(block, excess, seed=seed)
    for (resampled,), _ in bootstrap.bootstrap(resamples):
        for i, centre in enumerate(centres):
            z = math.sqrt(n) * (resampled.mean(axis=0) - centre) / omega
            above[i] += max(z.max(), 0.0) > statistic
    return statistic, *(count / resamples for count in above)


def noise(seed: int, n: int, runs: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.01, (n, runs)), rng.normal(0, 0.01, n)


@pytest.mark.parametrize("block", [1, 6])
@pytest.mark.parametrize("seed", [2, 4, 5])
def test_it_is_the_test_of_the_paper(seed: int, block: int) -> None:
    runs, benchmark = noise(seed, 150, 6)
    runs = runs * np.array([1, 4, 1, 0.5, 1, 1]) + np.array([0, 0.0016, 0.001, 0.0005, -0.003, -0.02])
    found = superior_predictive_ability(runs, benchmark, resamples=300, seed=seed, block_length=block)
    expected = hansen(runs - benchmark[:, None], block, 300, seed)
    assert (found.statistic, found.p_lower, found.p_consistent, found.p_upper) == pytest.approx(expected)
    assert 0 < found.p_lower < found.p_upper < 1, "the example tells nothing otherwise"


def test_arch_alone_would_compare_plain_means() -> None:
    # arch 8.0 takes `studentize` and does not divide; once it does, the division here can go.
    runs, benchmark = noise(1, 200, 2)
    runs = benchmark[:, None] + (runs - runs.mean(axis=0)) * np.array([10.0, 0.2]) + np.array([0.0, 0.0005])
    arch = SPA(-benchmark, -runs, block_size=2, reps=300, seed=0)
    arch.compute()
    found = superior_predictive_ability(runs, benchmark, resamples=300, block_length=2)
    assert arch.pvalues["consistent"] > found.p_consistent + 0.2


def test_the_variance_is_the_one_arch_uses() -> None:
    runs, benchmark = noise(2, 130, 4)
    arch = SPA(-benchmark, -runs, block_size=5, reps=2, seed=0)
    arch.compute()
    assert long_run_variance(runs - benchmark[:, None], 5) == pytest.approx(arch._loss_diff_var)


def test_the_variance_is_that_of_resampled_means() -> None:
    runs, _ = noise(3, 100, 2)
    runs[1:] += 0.6 * runs[:-1]
    means = StationaryBootstrap(7, runs, seed=0).apply(lambda values: values.mean(axis=0), reps=6000)
    assert long_run_variance(runs, 7) == pytest.approx(100 * means.var(axis=0), rel=0.06)


def p_values(count: int, better: float) -> np.ndarray:
    """p_consistent of samples of 20 runs as good as the benchmark; one of them is better by that much."""
    found = []
    for seed in range(count):
        runs, benchmark = noise(seed + 1000, 120, 20)
        runs[:, 7] += better
        found.append(
            superior_predictive_ability(
                runs, benchmark, resamples=200, seed=seed, block_length=1
            ).p_consistent
        )
    return np.array(found)


def test_runs_without_skill_are_rarely_called_better() -> None:
    """Size: 5 % of samples, with room for chance in 200 of them and for what small samples add."""
    rejected = (p_values(200, 0.0) < 0.05).mean()
    assert 0.01 <= rejected <= 0.11


def test_power_rises_with_skill() -> None:
    rejected = [float((p_values(30, better) < 0.05).mean()) for better in (0.0, 0.004, 0.008)]
    assert rejected[0] < 0.2 < rejected[1] < rejected[2]
    assert rejected[2] > 0.9


@pytest.mark.parametrize("better", [0.0, 0.0006])
def test_poor_runs_change_the_upper_value_only(better: float) -> None:
    """Hansen's point against White's reality check, whose p-value is the upper one."""
    runs, benchmark = noise(11, 250, 3)
    runs[:, 0] += better
    poor = np.random.default_rng(12).normal(-0.01, 0.01, (250, 60))
    few = superior_predictive_ability(runs, benchmark, resamples=500, block_length=1)
    many = superior_predictive_ability(np.hstack([runs, poor]), benchmark, resamples=500, block_length=1)
    assert 0.02 < few.p_consistent < 0.9
    assert many.p_consistent == pytest.approx(few.p_consistent, abs=0.02)
    assert many.p_upper > few.p_upper + 0.2
    assert (few.best_index, many.best_index) == (0, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(21, 60))
def test_the_three_values_are_ordered(seed: int, runs: int, n: int) -> None:
    values, benchmark = noise(seed, n, runs)
    found = superior_predictive_ability(values, benchmark, resamples=50, seed=seed)
    assert 0 <= found.p_lower <= found.p_consistent <= found.p_upper <= 1
    assert found.k == runs and found.statistic >= 0


def test_scale_does_not_matter() -> None:
    runs, benchmark = noise(4, 200, 5)
    one = superior_predictive_ability(runs, benchmark, resamples=200, block_length=3)
    ten = superior_predictive_ability(10 * runs, 10 * benchmark, resamples=200, block_length=3)
    assert (ten.p_lower, ten.p_consistent, ten.p_upper) == (one.p_lower, one.p_consistent, one.p_upper)
    assert ten.best_excess == pytest.approx(10 * one.best_excess)


def test_the_best_run_stands_out_most_not_highest() -> None:
    runs, benchmark = noise(5, 300, 2)
    steady = benchmark + 0.001 + 0.1 * runs[:, 0]
    wild = benchmark + 0.002 + 20 * runs[:, 1] - 20 * runs[:, 1].mean()
    found = superior_predictive_ability(np.column_stack([wild, steady]), benchmark, resamples=100)
    assert found.best_index == 1
    assert found.best_excess == pytest.approx((steady - benchmark).mean())


def test_no_run_above_the_benchmark_is_no_evidence() -> None:
    runs, benchmark = noise(6, 100, 1)
    found = superior_predictive_ability(benchmark[:, None] + runs - 0.01, benchmark)
    assert (found.p_lower, found.p_consistent, found.p_upper, found.statistic) == (1, 1, 1, 0)
    assert found.best_excess < 0


def test_the_seed_decides() -> None:
    runs, benchmark = noise(7, 100, 4)
    one, again, other = (superior_predictive_ability(runs, benchmark, seed=seed) for seed in (1, 1, 2))
    assert one == again != other


def test_runs_that_are_the_benchmark_are_left_out() -> None:
    runs, benchmark = noise(8, 100, 2)
    with_it = np.column_stack([benchmark, runs])
    found = superior_predictive_ability(with_it, benchmark, resamples=100, block_length=2)
    alone = superior_predictive_ability(runs, benchmark, resamples=100, block_length=2)
    assert (found.k, found.same_as_benchmark) == (2, 1)
    assert found.p_consistent == alone.p_consistent
    assert found.best_index == (alone.best_index or 0) + 1


def test_missing_returns_leave_the_step_out() -> None:
    runs, benchmark = noise(9, 100, 3)
    runs[4, 1], benchmark[9], runs[9, 0] = math.nan, math.inf, math.nan
    found = superior_predictive_ability(runs, benchmark, resamples=100)
    rest = np.delete(np.arange(100), [4, 9])
    clean = superior_predictive_ability(runs[rest], benchmark[rest], resamples=100)
    assert (found.n, found.dropped) == (98, 2)
    assert (found.p_consistent, found.statistic) == (clean.p_consistent, clean.statistic)


def test_long_series_are_compounded(monkeypatch: pytest.MonkeyPatch) -> None:
    runs, benchmark = noise(10, 100, 3)
    monkeypatch.setattr(superior, "MAX_PERIODS", 50)
    found = superior_predictive_ability(runs, benchmark, resamples=100, block_length=1)
    pairs = (1 + runs).reshape(50, 2, 3).prod(axis=1) - 1
    by_pair = superior_predictive_ability(
        pairs, (1 + benchmark).reshape(50, 2).prod(axis=1) - 1, resamples=100, block_length=1
    )
    assert (found.n, found.periods) == (100, 50)
    assert (found.p_consistent, found.statistic) == pytest.approx((by_pair.p_consistent, by_pair.statistic))


@pytest.mark.parametrize(
    ("runs", "benchmark", "reason"),
    [
        (np.zeros((2, 3)), np.zeros(2), "2 common returns are too few"),
        (np.zeros((0, 3)), np.zeros(0), "0 common returns are too few"),
        (np.zeros((30, 0)), np.zeros(30), "No run's return ever differs"),
        (np.full((30, 2), 0.02), np.full(30, 0.01), "No run's return ever differs"),
    ],
)
def test_too_little_to_go_by_has_a_reason(runs: np.ndarray, benchmark: np.ndarray, reason: str) -> None:
    found = superior_predictive_ability(runs, benchmark)
    assert reason in (found.reason or "")
    assert math.isnan(found.p_consistent) and found.best_index is None


@pytest.mark.parametrize(
    ("runs", "benchmark", "more"),
    [
        (np.zeros(30), np.zeros(30), {}),
        (np.zeros((30, 2)), np.zeros(29), {}),
        (np.zeros((30, 2)), np.zeros(30), {"resamples": 0}),
        (np.zeros((30, 2)), np.zeros(30), {"block_length": 0}),
    ],
)
def test_what_makes_no_sense_is_refused(
    runs: np.ndarray, benchmark: np.ndarray, more: dict[str, int]
) -> None:
    with pytest.raises(BadInputError):
        superior_predictive_ability(runs, benchmark, **more)  # type: ignore[arg-type]


def curve(days: list[int], values: list[float]) -> EquityCurve:
    return EquityCurve(np.datetime64("2024-01-01", "us") + np.array(days) * DAY, np.array(values))


def test_returns_between_common_times_are_compounded() -> None:
    rng = np.random.default_rng(1)
    daily = curve(list(range(60)), list(100 * np.cumprod(1 + rng.normal(0, 0.01, 60))))
    every_other = curve(list(range(4, 80, 2)), list(10 * np.cumprod(1 + rng.normal(0, 0.01, 38))))
    times, returns = common_returns([daily, every_other])
    assert list((times - np.datetime64("2024-01-01")) / DAY) == list(range(4, 60, 2))
    assert returns.shape == (27, 2)
    assert np.prod(1 + returns, axis=0) == pytest.approx(
        [daily.values[58] / daily.values[4], every_other.values[27] / every_other.values[0]]
    )
    assert returns[0, 0] == pytest.approx(daily.values[6] / daily.values[4] - 1)


def test_a_ruined_run_does_not_end_the_comparison() -> None:
    alive = curve(list(range(30)), [100.0 + day for day in range(30)])
    ruined = curve([0, 1, 2, 3], [50.0, 40.0, 20.0, -5.0])
    times, returns = common_returns([alive, ruined])
    assert len(times) == 30
    assert returns[:3, 1] == pytest.approx([-0.2, -0.5, -1.25])
    assert not returns[3:, 1].any()
    assert returns[-1, 0] == pytest.approx(129 / 128 - 1)


def test_too_few_common_times_are_named() -> None:
    first = curve(list(range(40)), [1.0] * 40)
    second = curve(list(range(20, 60)), [1.0] * 40)
    with pytest.raises(BadInputError, match="2 runs have 20 times in common"):
        common_returns([first, second])
    with pytest.raises(BadInputError, match="none given"):
        common_returns([])
    times, returns = common_returns([first])
    assert (len(times), returns.shape) == (40, (39, 1))

"""Sharpe ratios against luck: the numbers the papers print, and what must hold for all numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from core.backtests.significance.sharpe import (
    deflated_sharpe,
    expected_maximum_sharpe,
    minimum_track_record_length,
    probabilistic_sharpe,
)
from core.backtests.significance.sharpe_assessment import assess_sharpe
from core.errors import BadInputError

# Bailey & López de Prado (2014): an annual ratio of 2.5 from 1,250 days, trials with annual variance 1/2.
DAILY_SHARPE, DAYS, DAILY_VARIANCE = 2.5 / math.sqrt(250), 1250, 0.5 / 250


def test_the_deflated_ratio_of_the_paper_of_2014() -> None:
    assert expected_maximum_sharpe(DAILY_VARIANCE, 100) == pytest.approx(0.1132, abs=5e-5)
    of_100 = deflated_sharpe(DAILY_SHARPE, DAYS, -3, 10, 100, DAILY_VARIANCE)
    of_46 = deflated_sharpe(DAILY_SHARPE, DAYS, -3, 10, 46, DAILY_VARIANCE)
    normal_of_88 = deflated_sharpe(DAILY_SHARPE, DAYS, 0, 3, 88, DAILY_VARIANCE)
    assert (round(of_100, 4), round(of_46, 4), round(normal_of_88, 4)) == (0.9004, 0.9505, 0.9505)


def test_the_probabilistic_ratio_of_the_paper_of_2012() -> None:
    assert round(probabilistic_sharpe(0.458, 0.0, 24, -2.448, 10.164), 3) == 0.913
    assert round(probabilistic_sharpe(0.458, 0.0, 24, 0.0, 3.0), 3) == 0.982


@pytest.mark.parametrize(
    ("a_year", "skew", "kurtosis", "years"),
    [(252, 0, 3, 2.73), (52, 0, 3, 2.83), (12, 0, 3, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_the_track_records_of_the_paper_of_2012(
    a_year: int, skew: float, kurtosis: float, years: float
) -> None:
    unit = math.sqrt(a_year)
    assert round(minimum_track_record_length(2 / unit, 1 / unit, skew, kurtosis) / a_year, 2) == years


moments = st.tuples(st.floats(-3, 3), st.floats(0.1, 20)).map(
    lambda pair: (pair[0], pair[0] ** 2 + 1 + pair[1])
)
"""Skew and kurtosis that a distribution can have: kurtosis is above skew² + 1."""


@given(st.floats(0.01, 1), st.floats(-1, 0.9), moments, st.floats(0.6, 0.99))
def test_the_minimum_track_record_is_where_the_probability_reaches_the_confidence(
    sharpe: float, share: float, shape: tuple[float, float], confidence: float
) -> None:
    length = minimum_track_record_length(sharpe, share * sharpe, *shape, confidence)
    above = probabilistic_sharpe(sharpe, share * sharpe, math.ceil(length), *shape)
    below = probabilistic_sharpe(sharpe, share * sharpe, math.floor(length), *shape)
    assert above >= confidence - 1e-9
    assert below <= confidence + 1e-9 or math.floor(length) < 2


@given(st.floats(-1, 1), st.integers(3, 5000), moments, st.floats(1, 1000), st.floats(0, 0.5))
def test_more_trials_never_raise_the_deflated_ratio(
    sharpe: float, n: int, shape: tuple[float, float], trials: float, variance: float
) -> None:
    one, some, more = (
        deflated_sharpe(sharpe, n, *shape, count, variance) for count in (1, trials, trials + 1)
    )
    assert more <= some <= one == probabilistic_sharpe(sharpe, 0.0, n, *shape)


def test_the_best_of_many_trials_without_skill_is_as_good_as_expected() -> None:
    best = np.random.default_rng(3).normal(0, 0.2, (4000, 100)).max(axis=1)
    assert expected_maximum_sharpe(0.04, 100) == pytest.approx(best.mean(), rel=0.02)


def test_without_a_variance_luck_alone_makes_the_trials_differ() -> None:
    estimated = (1 - -3 * DAILY_SHARPE + 9 / 4 * DAILY_SHARPE**2) / (DAYS - 1)
    assert deflated_sharpe(DAILY_SHARPE, DAYS, -3, 10, 100, None) == pytest.approx(
        deflated_sharpe(DAILY_SHARPE, DAYS, -3, 10, 100, estimated)
    )


def test_a_ratio_below_the_benchmark_needs_an_infinite_track_record() -> None:
    assert minimum_track_record_length(0.1, 0.1, 0, 3) == math.inf
    assert minimum_track_record_length(-0.1, 0.0, 0, 3) == math.inf


def test_what_cannot_be_computed_is_missing() -> None:
    assert math.isnan(probabilistic_sharpe(0.1, 0, 1, 0, 3))
    assert math.isnan(probabilistic_sharpe(math.nan, 0, 100, 0, 3))
    assert math.isnan(probabilistic_sharpe(1.0, 0, 100, 5, 3)), "no distribution has such moments"
    assert math.isnan(minimum_track_record_length(1.0, 0, 5, 3))
    assert math.isnan(minimum_track_record_length(0.1, math.nan, 0, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: expected_maximum_sharpe(0.1, 0),
        lambda: expected_maximum_sharpe(-0.1, 5),
        lambda: minimum_track_record_length(0.1, 0, 0, 3, 0.4),
        lambda: assess_sharpe(np.ones(5), 0.0),
        lambda: assess_sharpe(np.ones(5), 252, np.array([0.1, 0.2]), trials=2),
    ],
)
def test_what_makes_no_sense_is_refused(call: object) -> None:
    with pytest.raises(BadInputError):
        call()  # type: ignore[operator]


RETURNS = np.random.default_rng(7).standard_t(5, 500) * 0.01 + 0.001


def test_an_assessment_puts_the_formulas_together() -> None:
    others = np.array([0.02, math.nan, -0.05, 0.11])
    found = assess_sharpe(np.append(RETURNS, [math.nan, math.inf]), 252, others)
    sharpe = RETURNS.mean() / RETURNS.std(ddof=1)
    assert (found.n, found.dropped, found.trials, found.reason) == (500, 2, 4, None)
    assert found.sharpe == pytest.approx(sharpe)
    assert found.skew == pytest.approx(stats.skew(RETURNS))
    assert found.kurtosis == pytest.approx(stats.kurtosis(RETURNS, fisher=False))
    assert found.trial_variance == pytest.approx(np.var([0.02, -0.05, 0.11, sharpe], ddof=1))
    assert found.deflated == pytest.approx(
        probabilistic_sharpe(found.sharpe, found.expected_maximum, 500, found.skew, found.kurtosis)
    )
    assert found.expected_maximum == expected_maximum_sharpe(found.trial_variance or 0.0, 4)
    assert found.deflated < found.probabilistic
    assert found.minimum_track_record_years == found.minimum_track_record / 252


def test_one_trial_is_not_deflated() -> None:
    found = assess_sharpe(RETURNS, 252)
    assert (found.trials, found.expected_maximum, found.trial_variance) == (1, 0.0, None)
    assert found.deflated == found.probabilistic


def test_the_number_of_trials_alone_deflates_too() -> None:
    found = assess_sharpe(RETURNS, 252, trials=50)
    assert (found.trials, found.trial_variance) == (50, None)
    assert found.deflated == deflated_sharpe(found.sharpe, 500, found.skew, found.kurtosis, 50, None)
    assert 0 < found.deflated < found.probabilistic


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        (np.array([0.1, 0.2, math.nan]), "2 returns are too few"),
        (np.zeros(0), "0 returns are too few"),
        (np.full(50, 0.001), "All 50 returns are the same"),
        (np.cumprod(np.full(51, 1.001))[1:] / np.cumprod(np.full(51, 1.001))[:-1] - 1, "are the same"),
    ],
)
def test_too_little_to_go_by_has_a_reason(returns: np.ndarray, reason: str) -> None:
    found = assess_sharpe(returns, 252, np.array([0.1]))
    assert reason in (found.reason or "")
    assert all(
        math.isnan(value)
        for value in (found.sharpe, found.probabilistic, found.deflated, found.minimum_track_record)
    )

import math
import statistics
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib.stride_tricks import sliding_window_view

from core.backtests.measures import measure
from core.backtests.rolling import default_window, rolling_beta, rolling_sharpe, rolling_volatility
from core.backtests.types import Annualisation, EquityCurve
from core.errors import BadInputError

NAN = math.nan
RANDOM = np.random.default_rng(5)
QUIET = RANDOM.normal(0, 1e-3, 700)
SERIES = {
    "returns": QUIET,
    "mostly flat": np.where(RANDOM.random(700) < 0.9, 0.0, QUIET),
    "a large mean": 0.5 + QUIET / 10,
    "a crash": np.where(np.arange(700) == 350, -0.9, QUIET / 100),
    "loud, then quiet": np.where(np.arange(700) < 350, QUIET * 100, QUIET / 100),
    "plateaus": np.repeat(QUIET[:70], 10),
    "steps": np.where(np.arange(700) // 50 % 2, 0.5, 0.0) + QUIET / 10,
}
WINDOWS = [2, 3, 7, 60, 126, 349, 350, 351, 699, 700]


def each_window(sample, window, function):
    whole = [function(sample[at + 1 - window : at + 1]) for at in range(window - 1, len(sample))]
    return np.concatenate((np.full(window - 1, NAN), whole))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def beta_by_hand(pairs, window):
    own, market = pairs[~np.isnan(pairs[:, 1])].T
    if len(own) < max(2, window / 2) or max(market) - min(market) < 1e-13:
        return NAN
    return statistics.linear_regression(market.tolist(), own.tolist()).slope


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("name", SERIES)
def test_volatility_and_sharpe_are_those_of_each_window(name, window):
    sample = SERIES[name]
    windows = sliding_window_view(sample.astype(np.longdouble), window)
    deviation, mean = (part.astype(float) for part in (windows.std(axis=1, ddof=1), windows.mean(axis=1)))
    same = windows.max(axis=1) == windows.min(axis=1)
    empty = np.full(window - 1, NAN)
    close(rolling_volatility(sample, window, 252.0)[window - 1 :], np.where(same, 0.0, deviation) * 252**0.5)
    rate = 1.03 ** (1 / 252) - 1
    ratio = np.divide(mean - rate, deviation, out=np.full(len(mean), NAN), where=~same) * 252**0.5
    np.testing.assert_allclose(rolling_sharpe(sample, window, 252.0, 0.03)[window - 1 :], ratio, rtol=1e-9)
    for found in (rolling_volatility(sample, window, 252.0), rolling_sharpe(sample, window, 252.0)):
        assert found.shape == sample.shape
        np.testing.assert_array_equal(found[: window - 1], empty)


@pytest.mark.parametrize("window", [2, 3, 7, 60, 351, 700])
@pytest.mark.parametrize("holes", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("name", SERIES)
def test_beta_is_that_of_each_window(name, holes, window):
    market = np.where(RANDOM.random(700) < holes, NAN, SERIES[name])
    own = 1.5 * SERIES[name] + RANDOM.normal(0, 1e-3, 700)
    expected = each_window(np.column_stack((own, market)), window, lambda pairs: beta_by_hand(pairs, window))
    found = rolling_beta(own, market, window)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


COARSE = hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(-9, 9))


@settings(deadline=None)
@given(COARSE, st.integers(2, 70), st.data())
def test_any_series_rolls_as_each_window(steps, window, data):
    own = steps / 100
    market = data.draw(hnp.arrays(np.int64, len(own), elements=st.integers(-9, 9))) / 100
    market[data.draw(hnp.arrays(np.bool_, len(own)))] = NAN
    volatility = rolling_volatility(own, window, 12.0)
    if window > len(own):
        assert np.isnan(volatility).all()
        assert np.isnan(rolling_beta(own, market, window)).all()
        return
    flat = each_window(own, window, lambda part: float(len(set(part)) == 1)) == 1
    close(volatility, np.where(flat, 0.0, each_window(own, window, lambda part: part.std(ddof=1)) * 12**0.5))
    np.testing.assert_array_equal(np.isnan(rolling_sharpe(own, window, 12.0)), flat | np.isnan(volatility))
    pairs = np.column_stack((own, market))
    np.testing.assert_allclose(
        rolling_beta(own, market, window),
        each_window(pairs, window, lambda part: beta_by_hand(part, window)),
        rtol=1e-9,
        atol=1e-9,
    )


def test_the_whole_curve_as_one_window_is_the_measure():
    market = 100 * np.cumprod(1 + np.append(0, QUIET))
    own = 100 * np.cumprod(1 + np.append(0, 0.5 * QUIET + SERIES["steps"] / 100))
    times = np.datetime64("2020-01-01", "us") + np.arange(701) * np.timedelta64(1, "D")
    curve = EquityCurve(times, own, market)
    found = measure(curve, None, Annualisation(365.0, "every day", NAN), risk_free=0.02)
    assert rolling_volatility(curve.returns, 700, 365.0)[-1] == pytest.approx(found.volatility, rel=1e-9)
    assert rolling_sharpe(curve.returns, 700, 365.0, 0.02)[-1] == pytest.approx(found.sharpe, rel=1e-9)
    assert rolling_beta(curve.returns, curve.benchmark_returns, 700)[-1] == pytest.approx(
        found.beta, rel=1e-9
    )


def test_a_benchmark_with_too_many_holes_has_no_beta():
    market = np.array([0.01, NAN, NAN, 0.02, 0.03])
    own = np.array([0.02, 0.5, 0.5, 0.04, 0.06])
    found = rolling_beta(own, market, 4)
    assert found.tolist() == pytest.approx([NAN, NAN, NAN, 2.0, 2.0], nan_ok=True)
    assert np.isnan(rolling_beta(own, market, 3)[:4]).all()


@pytest.mark.parametrize("window", [1, 0, -5])
def test_a_window_of_one_return_is_refused(window):
    with pytest.raises(BadInputError, match="two or more"):
        rolling_volatility(QUIET, window, 252.0)


@pytest.mark.parametrize(
    ("per_year", "window"), [(252, 126), (365, 182), (52, 26), (12, 12), (4, 12), (1, 12), (15098.2, 7549)]
)
def test_the_default_window_is_half_a_year_or_twelve_returns(per_year, window):
    assert default_window(Annualisation(float(per_year), "", NAN)) == window


@pytest.mark.parametrize("window", [126, 7549])
def test_a_long_window_takes_no_longer_than_a_short_one(window):
    sample = RANDOM.normal(0, 1e-3, 91_156)
    started = time.perf_counter()
    rolling_sharpe(sample, window, 15098.2)
    assert time.perf_counter() - started < 1.0  # 0.03 s on a quiet machine

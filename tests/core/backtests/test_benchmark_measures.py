import math
import statistics

import numpy as np
import pytest

from core.backtests import benchmark_measures as against
from core.backtests.measures import measure
from core.backtests.types import Annualisation, EquityCurve
from tests.core.backtests.oracles import EMPYRICAL, NAIVE, Case, same

NAN = math.nan
NAMES = ("benchmark_total_return", "benchmark_cagr", "excess_return", "alpha", "beta", "information_ratio",
         "information_ratio_annual", "tracking_error", "correlation", "up_capture", "down_capture")  # fmt: skip
YEAR = Annualisation(252.0, "business days", NAN)


def curve_of(values, benchmark):
    times = np.datetime64("2020-01-01", "us") + np.arange(len(values)) * np.timedelta64(1, "D")
    return EquityCurve(
        times, np.array(values, float), None if benchmark is None else np.array(benchmark, float)
    )


def defined(curve, **options):
    found = measure(curve, None, YEAR, **options)
    return {name: getattr(found, name) for name in NAMES if getattr(found, name) is not None}


@pytest.fixture
def walk():
    steps = np.random.default_rng(3).normal(0.001, 0.02, (2, 400))
    own, market = 100 * np.cumprod(
        1
        + np.column_stack(
            (
                np.zeros(2),
                0.6 * steps[0] + steps,
            )
        )[:, 1:],
        axis=1,
    )
    return np.append(100.0, own), np.append(100.0, market)


def test_without_a_benchmark_nothing_is_measured_against_it():
    assert defined(curve_of([100, 101, 99], None)) == {}


@pytest.mark.parametrize("benchmark", [[NAN] * 4, [NAN, 5, NAN, NAN], [NAN, 5, NAN, 6]])
def test_a_benchmark_without_a_known_step_has_no_measures_of_steps(benchmark):
    found = defined(curve_of([100, 101, 99, 103], benchmark))
    assert set(found) <= {"benchmark_total_return", "benchmark_cagr", "excess_return"}


def test_a_constant_benchmark_has_no_beta():
    found = defined(curve_of([100, 101, 99, 103], [7, 7, 7, 7]))
    assert sorted(found) == [
        "benchmark_cagr", "benchmark_total_return", "excess_return", "information_ratio",
        "information_ratio_annual", "tracking_error",
    ]  # fmt: skip
    assert found["benchmark_total_return"] == 0.0


def test_a_curve_that_is_its_benchmark():
    found = defined(curve_of([100, 101, 99, 103], [10, 10.1, 9.9, 10.3]))
    assert found["beta"] == pytest.approx(1.0)
    assert found["alpha"] == pytest.approx(0.0, abs=1e-12)
    assert found["correlation"] == pytest.approx(1.0)
    assert found["up_capture"] == pytest.approx(1.0)
    assert found["down_capture"] == pytest.approx(1.0)
    assert found["excess_return"] == pytest.approx(0.0, abs=1e-12)
    assert found["tracking_error"] == 0.0
    assert "information_ratio" not in found


def test_twice_the_benchmark_has_a_beta_of_two(walk):
    _, market = walk
    steps = market[1:] / market[:-1] - 1
    own = np.append(100.0, 100 * np.cumprod(1 + 2 * steps + 0.001))
    found = defined(curve_of(own, market))
    assert found["beta"] == pytest.approx(2.0)
    assert found["alpha"] == pytest.approx(1.001**252 - 1)
    assert found["correlation"] == pytest.approx(1.0)


def test_holes_in_the_benchmark_are_left_out_of_its_measures_only(walk):
    own, market = walk
    holes = market.copy()
    holes[[5, 6, 100, 399]] = NAN
    full, cut = (measure(curve_of(own, levels), None, YEAR) for levels in (market, holes))
    assert (cut.sharpe, cut.max_drawdown, cut.cagr) == (full.sharpe, full.max_drawdown, full.cagr)
    kept = [i for i in range(400) if not (math.isnan(holes[i]) or math.isnan(holes[i + 1]))]
    assert len(kept) == 393
    active = [own[i + 1] / own[i] - market[i + 1] / market[i] for i in kept]
    assert cut.information_ratio == pytest.approx(
        statistics.fmean(active) / statistics.stdev(active), rel=1e-9
    )
    # The last level is known, so a hole inside takes nothing from the total.
    assert cut.benchmark_total_return == full.benchmark_total_return
    assert cut.excess_return == full.excess_return


def test_a_benchmark_that_begins_late_is_compared_over_its_own_span():
    found = defined(curve_of([100, 200, 220, 110], [NAN, 10, 12, NAN]))
    assert found["benchmark_total_return"] == pytest.approx(0.2)
    assert found["excess_return"] == pytest.approx(-0.1)
    assert found["benchmark_cagr"] == pytest.approx(1.2**252 - 1)


def test_captures_need_steps_of_their_direction():
    found = defined(curve_of([100, 101, 99], [10, 11, 12]))
    assert "up_capture" in found
    assert "down_capture" not in found


def test_a_loss_beyond_the_mean_has_no_alpha():
    assert against.alpha(against.Pairs(np.array([-3.0, -2.0]), np.array([0.1, 0.2])), 252.0) is None


@pytest.mark.parametrize("first", [0.0, -5.0])
def test_a_benchmark_that_starts_at_zero_or_below_has_no_total(first):
    assert "benchmark_total_return" not in defined(curve_of([100, 101, 99], [first, 4.0, 5.0]))


def test_the_annual_information_ratio_is_the_active_mean_over_the_tracking_error(walk):
    found = measure(curve_of(*walk), None, YEAR)
    pairs = against.pair(curve_of(*walk))
    active = float((pairs.returns - pairs.benchmark).mean()) * 252
    assert found.information_ratio_annual == pytest.approx(active / found.tracking_error, rel=1e-12)


@pytest.mark.parametrize("risk_free", [0.0, 0.04])
@pytest.mark.parametrize("oracles", [NAIVE, EMPYRICAL], ids=["naive", "empyrical"])
def test_a_walk_measures_as_the_oracles(walk, oracles, risk_free):
    case = Case(curve_of(*walk), None, 252.0, risk_free)
    found = defined(case.curve, risk_free=risk_free)
    assert set(found) == set(NAMES)
    for name in set(NAMES) & set(oracles):
        assert same(found[name], oracles[name](case)), name

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.backtests.drawdowns import (
    drawdown_days,
    longest_drawdown_days,
    ulcer_index,
    underwater,
    worst_drawdowns,
)
from core.backtests.types import EquityCurve
from core.errors import BadInputError
from tests.core.backtests.oracles import Case, episodes

VALUES = st.lists(st.integers(1, 12).map(float) | st.floats(0.01, 1e6), min_size=1, max_size=80)


def curve_of(values):
    times = np.datetime64("2020-01-01", "us") + np.arange(len(values)) * np.timedelta64(1, "D")
    return EquityCurve(times, np.array(values, float))


@settings(deadline=None)
@given(VALUES)
def test_falls_are_those_found_point_by_point(values):
    curve = curve_of(values)
    expected = sorted(episodes(Case(curve)), key=lambda one: one[0])
    found = worst_drawdowns(curve, top=len(values))
    assert [(one.peak_index, one.trough_index, one.recovery_index) for one in found] == [
        one[1:] for one in expected
    ]
    assert [one.depth for one in found] == pytest.approx([one[0] for one in expected])


@settings(deadline=None)
@given(VALUES, st.integers(0, 5))
def test_the_worst_falls_do_not_overlap_and_go_by_depth(values, top):
    found = worst_drawdowns(curve_of(values), top)
    assert len(found) <= top
    assert [one.depth for one in found] == sorted(one.depth for one in found)
    spans = sorted((one.peak_index, one.recovery_index or len(values)) for one in found)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    for one in found:
        assert one.peak == np.datetime64("2020-01-01") + one.peak_index
        assert one.trough == np.datetime64("2020-01-01") + one.trough_index


@settings(deadline=None)
@given(VALUES)
def test_under_water_is_the_distance_from_the_highest_so_far(values):
    found = underwater(np.array(values))
    assert found.shape == (len(values),)
    assert found[0] == 0.0
    for at, value in enumerate(values):
        best = max(values[: at + 1])
        assert found[at] == pytest.approx((value - best) / best, abs=1e-12)


def test_a_loss_in_the_first_period_is_a_fall():
    (found,) = worst_drawdowns(curve_of([100, 50, 55]))
    assert (found.depth, found.peak_index, found.trough_index, found.recovery) == (-0.5, 0, 1, None)
    assert drawdown_days(curve_of([100, 50, 55]), found) == 2.0


def test_the_peak_is_the_last_time_at_it_and_equals_recover():
    (found,) = worst_drawdowns(curve_of([100, 120, 120, 110, 120, 120]))
    assert (found.peak_index, found.trough_index, found.recovery_index) == (2, 3, 4)
    assert drawdown_days(curve_of([100, 120, 120, 110, 120, 120]), found) == 2.0


def test_of_equal_falls_the_earlier_comes_first():
    found = worst_drawdowns(curve_of([100, 50, 100, 50, 100]))
    assert [one.peak_index for one in found] == [0, 2]


def test_the_longest_is_not_the_deepest():
    curve = curve_of([100, 50, 100, 99, 98, 99, 97])
    assert worst_drawdowns(curve, 1)[0].peak_index == 0
    assert longest_drawdown_days(curve) == 4.0


def test_ruin_is_all_or_more():
    assert underwater(np.array([100.0, 120.0, -12.0])).tolist() == pytest.approx([0, 0, -1.1])
    assert worst_drawdowns(curve_of([100, 0]))[0].depth == -1.0


def test_a_curve_that_never_falls_has_no_drawdown():
    assert worst_drawdowns(curve_of([1, 1, 2, 2, 3])) == ()
    assert longest_drawdown_days(curve_of([1, 1, 2])) == 0.0
    assert ulcer_index(np.array([1.0, 1.0, 2.0])) == 0.0


def test_two_points_are_enough():
    assert longest_drawdown_days(curve_of([2, 1])) == 1.0
    assert ulcer_index(np.array([2.0, 1.0])) == 0.5


def test_nothing_is_under_water_without_capital():
    assert np.isnan(underwater(np.array([0.0]))).all()


def test_ten_falls_are_listed_unless_asked_for_more():
    curve = curve_of([100, 90] * 15)
    assert len(worst_drawdowns(curve)) == 10
    assert len(worst_drawdowns(curve, 99)) == 15


@pytest.mark.parametrize("values", [[], [5.0]])
def test_too_few_points_have_nothing(values):
    assert worst_drawdowns(curve_of(values)) == ()
    assert longest_drawdown_days(curve_of(values)) is None
    assert ulcer_index(np.array(values)) is None


def test_the_ulcer_index_counts_every_step_but_not_the_start():
    assert ulcer_index(np.array([100.0, 90.0, 100.0])) == pytest.approx(math.sqrt(0.1**2 / 2))


def test_a_negative_number_of_falls_is_refused():
    with pytest.raises(BadInputError, match="-1 drawdowns"):
        worst_drawdowns(curve_of([1, 2]), -1)


def test_many_points_and_many_falls():
    values = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(1e-3, 1e-3, 200_000)))
    found = worst_drawdowns(curve_of(values), 10)
    assert len(found) == 10
    assert found[0].depth == underwater(values).min()

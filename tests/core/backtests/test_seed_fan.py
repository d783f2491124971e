"""Fans of seed groups: a plain look-up at every time, common stretches, and ruined runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backtests.significance import seed_fan as module
from core.backtests.significance.seed_fan import seed_fan
from core.backtests.types import EquityCurve
from core.errors import BadInputError

START = np.datetime64("2024-01-01", "us")
DAY = np.timedelta64(1, "D")


def curve(days: list[int], values: list[float]) -> EquityCurve:
    return EquityCurve(START + np.array(days) * DAY, np.array(values, dtype=np.float64))


def days_of(times: np.ndarray) -> list[int]:
    return [int(day) for day in (times - START) / DAY]


def test_runs_are_rebased_and_joined() -> None:
    fan = seed_fan(
        [curve([0, 1, 2], [10, 11, 8]), curve([0, 1, 2], [200, 180, 300]), curve([0, 1, 2], [1, 1, 1])],
        ["a", "b", "c"],
    )
    assert days_of(fan.times) == [0, 1, 2]
    assert fan.median == pytest.approx([1, 1, 1])
    assert fan.low == pytest.approx([1, 0.9, 0.8])
    assert fan.high == pytest.approx([1, 1.1, 1.5])
    assert fan.finals == pytest.approx([0.8, 1.5, 1])
    assert (fan.worst_index, fan.best_index, fan.n, fan.quantiles) == (0, 1, 3, False)
    assert fan.labels == ("a", "b", "c")


def test_the_fan_covers_what_all_runs_cover_at_the_times_of_any() -> None:
    fan = seed_fan([curve([0, 1, 2, 4, 8], [2, 5, 10, 20, 30]), curve([1, 3, 5], [10, 40, 20])], ["a", "b"])
    assert days_of(fan.times) == [1, 2, 3, 4, 5]
    assert fan.low == pytest.approx([1, 1, 2, 4, 2])
    assert fan.high == pytest.approx([1, 2, 4, 4, 4])


curves = st.lists(
    st.dictionaries(st.integers(0, 30), st.floats(0.5, 200), min_size=2, max_size=20).map(
        lambda points: curve([-1, *sorted(points), 31], [7.0, *(points[day] for day in sorted(points)), 9.0])
    ),
    min_size=1,
    max_size=25,
)


@given(curves)
def test_every_point_is_the_last_known_value_of_each_run(group: list[EquityCurve]) -> None:
    fan = seed_fan(group, [str(i) for i in range(len(group))])
    quantiles = (0.05, 0.95) if len(group) >= 20 else (0, 1)
    for i, time in enumerate(fan.times):
        growth = [
            [value for t, value in zip(one.times, one.values, strict=True) if t <= time][-1] / 7.0
            for one in group
        ]
        assert fan.median[i] == pytest.approx(np.median(growth))
        assert (fan.low[i], fan.high[i]) == pytest.approx(tuple(np.quantile(growth, quantiles)))
    assert fan.quantiles == (len(group) >= 20)
    assert days_of(fan.times) == sorted({day for one in group for day in days_of(one.times)})


def test_worst_and_best_are_those_at_the_common_end() -> None:
    fan = seed_fan([curve([0, 1, 2], [1, 2, 3]), curve([0, 1], [1, 2.5])], ["late winner", "early"])
    assert (fan.worst_index, fan.best_index) == (0, 1)
    equal = seed_fan([curve([0, 1], [1, 2]), curve([0, 1], [2, 4])], ["a", "b"])
    assert (equal.worst_index, equal.best_index) == (0, 0)


def test_a_ruined_run_stays_in_the_fan() -> None:
    fan = seed_fan([curve([0, 1, 2, 3], [1, 2, 2, 4]), curve([0, 1], [10, 0])], ["a", "b"])
    assert days_of(fan.times) == [0, 1, 2, 3]
    assert fan.low == pytest.approx([1, 0, 0, 0])
    both = seed_fan([curve([0, 1, 2], [1, 2, -1]), curve([0, 1], [10, 0])], ["a", "b"])
    assert both.finals == pytest.approx([-1, 0])


@pytest.mark.parametrize(("runs", "low", "high"), [(19, 1, 19), (20, 1.95, 19.05)])
def test_many_runs_are_shown_without_their_outliers(runs: int, low: float, high: float) -> None:
    fan = seed_fan([curve([0, 1], [1, final]) for final in range(1, runs + 1)], ["run"] * runs)
    assert fan.quantiles == (runs == 20)
    assert (fan.low[-1], fan.high[-1]) == pytest.approx((low, high))


def test_one_run_is_three_times_its_curve() -> None:
    fan = seed_fan([curve([0, 1, 2], [4, 6, 2])], ["only"])
    for line in (fan.low, fan.median, fan.high):
        assert line == pytest.approx([1, 1.5, 0.5])


def test_times_that_never_agree_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TIMES", 5)
    group = [curve(list(range(0, 100, 2)), list(range(1, 51))), curve([0, *range(1, 99, 2), 98], [1.0] * 51)]
    fan = seed_fan(group, ["a", "b"])
    assert len(fan.times) == 5
    assert (days_of(fan.times)[0], days_of(fan.times)[-1]) == (0, 98)
    assert fan.high[-1] == 50


@pytest.mark.parametrize(
    ("group", "labels", "message"),
    [
        ([], [], "0 runs"),
        ([curve([0, 1], [1, 2])], ["a", "b"], "1 runs and 2 labels"),
        ([curve([0, 1], [1, 2]), curve([5, 6], [1, 2])], ["a", "b"], "share no stretch"),
        ([curve([0, 1], [1, 2]), curve([1, 2], [1, 2])], ["a", "b"], "share no stretch"),
        ([curve([0, 1], [1, 0]), curve([1, 2], [1, 2])], ["gone", "b"], "Run gone was ruined"),
    ],
)
def test_what_cannot_be_joined_is_refused(group: list[EquityCurve], labels: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        seed_fan(group, labels)

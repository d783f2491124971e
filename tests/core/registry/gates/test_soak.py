"""Time in Staging: to the second, to the right minute in words, and with clocks that disagree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.gates.soak import judge_soak
from core.registry.types import Stage
from tests.core.registry.gates.kit import evidence, verdict

SINCE = datetime(2026, 11, 30, 14, 4, 20, tzinfo=UTC)
DAY = timedelta(hours=24)


def test_while_it_waits_it_says_how_long_and_until_when() -> None:
    result = judge_soak(Stage.STAGING, SINCE, 24, SINCE + timedelta(hours=3, minutes=10, seconds=59))
    assert result.reason == "In Staging for 3 h 10 min of 24 h; eligible Tue 2026-12-01 14:05 UTC."
    assert result.eligible_at == SINCE + DAY
    assert verdict(result) == "failed"
    assert evidence(result)["hours_asked"] == 24


@pytest.mark.parametrize(("seconds", "passed"), [(-1, False), (0, True), (1, True)])
def test_it_passes_at_the_very_second(seconds: int, passed: bool) -> None:
    result = judge_soak(Stage.STAGING, SINCE, 24, SINCE + DAY + timedelta(seconds=seconds))
    assert result.passed is passed
    assert (result.eligible_at is None) is passed
    assert ("24 h are enough" in result.reason) is passed
    assert ("for 23 h 59 min of 24 h" in result.reason) is not passed


@given(st.floats(0.02, 200), st.timedeltas(timedelta(0), timedelta(days=10)))
def test_what_is_promised_is_kept(hours: float, waited: timedelta) -> None:
    first = judge_soak(Stage.STAGING, SINCE, hours, SINCE + waited)
    if first.passed:
        assert waited >= timedelta(hours=hours)
    else:
        assert first.eligible_at is not None
        assert judge_soak(Stage.STAGING, SINCE, hours, first.eligible_at).passed
        assert not judge_soak(
            Stage.STAGING, SINCE, hours, first.eligible_at - timedelta(microseconds=1)
        ).passed
        named = datetime.strptime(first.reason.split("eligible ")[1], "%a %Y-%m-%d %H:%M UTC.").replace(
            tzinfo=UTC
        )
        assert timedelta(0) <= named - first.eligible_at < timedelta(minutes=1)


@pytest.mark.parametrize("stage", [Stage.NONE, Stage.PRODUCTION, Stage.ARCHIVED])
def test_time_elsewhere_does_not_count(stage: Stage) -> None:
    result = judge_soak(stage, SINCE, 24, SINCE + 9 * DAY)
    assert verdict(result) == "failed"
    assert f"in {stage}" in result.reason
    assert result.eligible_at is None


def test_an_unknown_beginning_and_a_clock_that_goes_backwards_are_not_judged() -> None:
    assert verdict(judge_soak(Stage.STAGING, None, 24, SINCE)) == "not judged"
    result = judge_soak(Stage.STAGING, SINCE, 24, SINCE - timedelta(minutes=5))
    assert verdict(result) == "not judged"
    assert "Mon 2026-11-30 14:04 UTC" in result.reason
    assert "13:59" in result.reason
    assert result.eligible_at is None


def test_hours_are_those_that_pass_not_those_of_the_clock_on_the_wall() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # clocks go forward on 2026-03-29
    since, now = datetime(2026, 3, 28, 20, tzinfo=berlin), datetime(2026, 3, 29, 20, tzinfo=berlin)
    result = judge_soak(Stage.STAGING, since, 24, now)
    assert "In Staging for 23 h of 24 h" in result.reason


@pytest.mark.parametrize(("hours", "said"), [(0.5, "of 30 min;"), (1.5, "of 1 h 30 min;"), (72, "of 72 h;")])
def test_spans_are_written_in_hours_and_minutes(hours: float, said: str) -> None:
    assert said in judge_soak(Stage.STAGING, SINCE, hours, SINCE).reason

"""When schedules are due: against a walk minute by minute, and by hand where clocks are changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadInputError
from core.training.schedule import times

MINUTE = timedelta(minutes=1)
# A day on which each zone's clocks are changed, or were once.
CHANGES = {
    "UTC": (date(2026, 3, 29),),
    "America/Bogota": (date(1992, 5, 3), date(1993, 2, 6), date(2026, 11, 1)),
    "Europe/Berlin": (date(2026, 3, 29), date(2026, 10, 25), date(1945, 5, 24), date(1947, 5, 11)),
    "America/New_York": (date(2026, 3, 8), date(2026, 11, 1)),
    "Australia/Lord_Howe": (date(2026, 4, 5), date(2026, 10, 4)),
    "Pacific/Apia": (date(2011, 12, 30), date(2011, 9, 24), date(2012, 4, 1)),
    "America/Santiago": (date(2026, 9, 6), date(2026, 4, 5)),
}


@dataclass(frozen=True)
class Weekly:
    first_day: date
    interval_days: int = 7
    time_of_day: str = "02:00"
    zone: str = "UTC"


def walk(schedule: Weekly, start: datetime, end: datetime) -> list[datetime]:
    """Look at the zone's clocks every minute; a day's time has come when they show it, or a later time."""
    zone, hands = ZoneInfo(schedule.zone), time.fromisoformat(schedule.time_of_day)
    wanted, found = datetime.combine(schedule.first_day, hands), []
    at = start
    while at <= end:
        shown = at.astimezone(zone).replace(tzinfo=None)
        while wanted <= shown:
            found.append(at)
            wanted += timedelta(days=schedule.interval_days)
        at += MINUTE
    return sorted(set(found))


@st.composite
def schedules(draw: st.DrawFn) -> Weekly:
    zone = draw(st.sampled_from(sorted(CHANGES)))
    change = draw(st.sampled_from(CHANGES[zone]))
    first = change - timedelta(days=draw(st.integers(0, 4)))
    # Changes are made at night, so that is when most schedules are due here.
    hour = draw(st.one_of(st.integers(0, 4), st.integers(0, 23)))
    hands = f"{hour:02}:{draw(st.sampled_from((0, 1, 15, 29, 30, 45, 59))):02}"
    return Weekly(first, draw(st.integers(1, 3)), hands, zone)


@settings(deadline=None, max_examples=150)
@given(schedules(), st.integers(0, 9 * 24 * 60))
def test_it_is_due_when_a_look_at_the_clock_every_minute_says_so(schedule: Weekly, minutes: int) -> None:
    start = datetime.combine(schedule.first_day - timedelta(days=2), time(), UTC)
    end = start + timedelta(days=12)
    seen = walk(schedule, start, end)
    moment = start + minutes * MINUTE
    later = [one for one in seen if one > moment]
    if later:
        assert times.next_after(schedule, moment) == later[0]
    earlier = [one for one in seen if one <= moment]
    assert times.last_due(schedule, moment) == (earlier[-1] if earlier else None)
    assert times.times_due(schedule, start, moment) == len(earlier)


@settings(deadline=None)
@given(schedules(), st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)))
def test_each_time_follows_the_one_before(schedule: Weekly, at: datetime) -> None:
    moment = at.replace(tzinfo=UTC)
    due = times.next_after(schedule, moment)
    assert times.last_due(schedule, due) == due
    before = times.last_due(schedule, due - timedelta(microseconds=1))
    assert before is None or before <= moment
    assert times.next_after(schedule, due) > due


@pytest.mark.parametrize(
    ("zone", "day", "hands", "due"),
    [
        # Skipped: 02:00 to 03:00 in Berlin, 02:00 to 02:30 on Lord Howe, 00:00 to 01:00 in Santiago.
        ("Europe/Berlin", date(2026, 3, 29), "02:30", "2026-03-29T01:00"),
        ("Europe/Berlin", date(2026, 3, 29), "03:00", "2026-03-29T01:00"),
        ("Australia/Lord_Howe", date(2026, 10, 4), "02:15", "2026-10-03T15:30"),
        ("America/Santiago", date(2026, 9, 6), "00:00", "2026-09-06T04:00"),
        # The whole day is skipped.
        ("Pacific/Apia", date(2011, 12, 30), "02:00", "2011-12-30T10:00"),
        # Shown twice: the first of them.
        ("Europe/Berlin", date(2026, 10, 25), "02:30", "2026-10-25T00:30"),
        ("America/New_York", date(2026, 11, 1), "01:30", "2026-11-01T05:30"),
        ("Australia/Lord_Howe", date(2026, 4, 5), "01:45", "2026-04-04T14:45"),
        # Neither.
        ("America/Bogota", date(2026, 3, 29), "02:00", "2026-03-29T07:00"),
    ],
)
def test_times_that_clocks_skip_or_show_twice(zone: str, day: date, hands: str, due: str) -> None:
    assert times.instant(day, hands, zone) == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_the_time_of_day_stays_over_a_change_of_the_clock() -> None:
    weekly = Weekly(date(2026, 3, 22), 7, "02:00", "Europe/Berlin")
    moment = datetime(2026, 3, 20, tzinfo=UTC)
    found = []
    for _ in range(3):
        moment = times.next_after(weekly, moment)
        found.append(moment.astimezone(ZoneInfo("Europe/Berlin")))
    assert [f"{one:%d %H:%M}" for one in found] == ["22 02:00", "29 03:00", "05 02:00"]


def test_nothing_is_due_before_the_first_day() -> None:
    daily = Weekly(date(2026, 5, 10), 1)
    assert times.last_due(daily, datetime(2026, 5, 10, 1, 59, tzinfo=UTC)) is None
    assert times.next_after(daily, datetime(2020, 1, 1, tzinfo=UTC)) == datetime(2026, 5, 10, 2, tzinfo=UTC)


def test_the_first_day_is_the_next_on_which_the_time_is_still_to_come() -> None:
    # 02:30 UTC is 21:30 of the day before in Bogota.
    moment = datetime(2026, 5, 10, 2, 30, tzinfo=UTC)
    assert times.first_day_after("22:00", "America/Bogota", moment) == date(2026, 5, 9)
    assert times.first_day_after("21:30", "America/Bogota", moment) == date(2026, 5, 10)


@pytest.mark.parametrize("name", ["Europe/Berlyn", "", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b"])
def test_a_zone_that_there_is_not(name: str) -> None:
    with pytest.raises(BadInputError, match="There is no time zone"):
        times.read_zone(name)


def test_a_zone_that_was_mistyped_is_guessed() -> None:
    with pytest.raises(BadInputError, match=r"Did you mean Europe/Berlin\?"):
        times.read_zone("Europe/Berlyn")


@pytest.mark.parametrize("text", ["24:00", "2:00", "02:60", "02:00:00", "", "٠٢:00"])
def test_a_time_of_day_that_there_is_not(text: str) -> None:
    with pytest.raises(BadInputError, match="write it as HH:MM"):
        times.read_time(text)

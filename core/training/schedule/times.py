"""When a schedule is due: every so many days, at a time of day, by the clocks of a time zone. Pure.

The time of day stays what it is when clocks are changed. A time that clocks skip happens at the first instant after
the gap; one that they show twice happens at the first of the two. Both follow from one rule: a schedule is due at the
first instant at which the zone's clocks show that day and time, or a later one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Final, Protocol
from zoneinfo import ZoneInfo, available_timezones

from core.errors import BadInputError

_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_SECOND: Final = timedelta(seconds=1)


class Recurring(Protocol):
    """What is due again and again; a `core.training.schedule.types.Schedule`."""

    @property
    def first_day(self) -> date: ...
    @property
    def interval_days(self) -> int: ...
    @property
    def time_of_day(self) -> str: ...
    @property
    def zone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The least that can be due again and again."""

    first_day: date
    interval_days: int
    time_of_day: str
    zone: str


def next_after(schedule: Recurring, moment: datetime) -> datetime:
    """Return the first time later than `moment` at which a schedule is due, UTC.

    Raises
    ------
    BadInputError
        If its zone or time of day cannot be used.
    """
    return next(due for due in _from(schedule, moment) if due > moment)


def last_due(schedule: Recurring, moment: datetime) -> datetime | None:
    """Return the last time up to `moment`, itself included, at which a schedule was due; None before the first."""
    last = None
    for due in _from(schedule, moment):
        if due > moment:
            return last
        last = due
    return None


def times_due(schedule: Recurring, start: datetime, end: datetime) -> int:
    """Return how often a schedule was due from `start` to `end`, both included."""
    times = set()
    for due in _from(schedule, start):
        if due > end:
            break
        if due >= start:
            times.add(due)
    return len(times)


def first_day_after(time_of_day: str, zone: str, moment: datetime) -> date:
    """Return the first day on which a time of day is still to come."""
    today = moment.astimezone(read_zone(zone)).date()
    return today if instant(today, time_of_day, zone) > moment else today + timedelta(days=1)


def instant(day: date, time_of_day: str, zone: str) -> datetime:
    """Return the first instant at which the clocks of a zone show this day and time, or a later one; UTC."""
    clocks, wanted = read_zone(zone), datetime.combine(day, read_time(time_of_day))
    # By the clocks of before a change, and by those of after it: the same unless one is near.
    late, early = (wanted.replace(tzinfo=clocks, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early >= late:
        # The usual case; also clocks that show it twice, of which fold 0 is the first.
        return late
    # Clocks skip it: somewhere between the two they jump from before it to after it.
    while late - early > _SECOND:
        middle = early + ((late - early) / 2 // _SECOND) * _SECOND
        if middle.astimezone(clocks).replace(tzinfo=None) >= wanted:
            late = middle
        else:
            early = middle
    return late


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises
    ------
    BadInputError
        If there is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = sorted(available_timezones())
        close = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise BadInputError(
            f"There is no time zone {name!r} on this machine.{hint} Write one such as America/Bogota or UTC."
        ) from None


def read_time(text: str) -> time:
    """Return a time of day.

    Raises
    ------
    BadInputError
        If it is not of the form HH:MM.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise BadInputError(f"The time of day is {text!r}: write it as HH:MM, from 00:00 to 23:59.")
    return time(int(found[1]), int(found[2]))


def _from(schedule: Recurring, moment: datetime) -> Iterator[datetime]:
    """Yield the times at which a schedule is due, from one before `moment` (if there is one) on."""
    today = moment.astimezone(read_zone(schedule.zone)).date()
    # A zone that skips a whole day moves what was due on it to the next: start two intervals and a day earlier.
    passed = (today - schedule.first_day).days - 1
    for number in count(max(passed // schedule.interval_days - 1, 0)):
        day = schedule.first_day + timedelta(days=number * schedule.interval_days)
        yield instant(day, schedule.time_of_day, schedule.zone)

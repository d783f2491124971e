"""How often a model is retrained and when next, in words."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.training.schedule.types import Schedule
from dashboard.formats import MISSING, count, local_time


def rhythm(schedule: Schedule) -> str:
    """Say how often, at what time and where: "every 7 days at 02:00 America/Bogota"."""
    every = "every day" if schedule.interval_days == 1 else f"every {count(schedule.interval_days, 'day')}"
    return f"{every} at {schedule.time_of_day} {schedule.zone}"


def due(schedule: Schedule) -> str:
    """Write when it is due next, by the clocks of its zone and, where they differ, by those of this machine."""
    if schedule.next_due is None:
        return "off" if not schedule.enabled else MISSING
    here = local_time(schedule.next_due)
    try:
        there = local_time(schedule.next_due, ZoneInfo(schedule.zone))
    except (ZoneInfoNotFoundError, ValueError):
        return here
    return here if here == there else f"{there} {schedule.zone} ({here} here)"

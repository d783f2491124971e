"""A fortnight in seconds: two models, a change of the clock, three days with the machine off."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.training.schedule.types import RetrainingOutcome, Trigger
from core.training.types import JobState
from tests.core.training.schedule.room import Room

BERLIN = ZoneInfo("Europe/Berlin")
STEP = timedelta(minutes=30)
# Clocks go from 02:00 to 03:00 on Sunday the 29th.
START, END = datetime(2026, 3, 22, 12, tzinfo=UTC), datetime(2026, 4, 5, 12, tzinfo=UTC)
OFF_FROM, OFF_UNTIL = datetime(2026, 3, 31, 20, tzinfo=UTC), datetime(2026, 4, 3, 20, tzinfo=UTC)


def test_a_fortnight(room: Room) -> None:
    room.hands.time = START
    room.schedule(
        "m", interval_days=7, zone="Europe/Berlin", time_of_day="02:30", first_day=date(2026, 3, 22)
    )
    room.schedule(
        "n", interval_days=1, zone="Europe/Berlin", time_of_day="02:30", first_day=date(2026, 3, 20)
    )
    at = START
    while at <= END:
        if not OFF_FROM < at < OFF_UNTIL:
            room.hands.time = at
            live(room)
        # The worker looks every second; here as often as something can happen.
        at += STEP
    weekly, daily = (room.desk.retrainings(name, limit=100)[::-1] for name in ("m", "n"))

    assert [local(one.started_at) for one in weekly] == ["29 03:00", "05 02:30"]
    assert [local(one.started_at) for one in daily] == [
        *(f"{day} 02:30" for day in range(23, 29)),
        "29 03:00",
        "30 02:30",
        "31 02:30",
        # Off from the 31st at 22:00 to the 3rd at 22:00: the 1st, 2nd and 3rd are made up for once.
        "03 22:00",
        "04 02:30",
        "05 02:30",
    ]
    assert {one.outcome for one in (*weekly, *daily)} == {RetrainingOutcome.STAGED}
    (missed,) = [one for one in daily if one.trigger is Trigger.MISSED]
    assert "(was due at 2026-04-01 00:30 UTC, missed 3 times, run once now)" in missed.log[0].text
    assert all(one.trigger is Trigger.SCHEDULE for one in weekly)
    # Each has made its version, and none has touched a champion.
    for name, made in (("m", weekly), ("n", daily)):
        stages = room.stages(name)
        assert stages.pop(1) == "Production"
        assert [one.version for one in made] == list(range(3, 3 + len(made)))
        assert [stages[one.version or 0] for one in made] == ["Staging"] * len(made)
        schedule = room.desk.of(name)
        assert schedule is not None
        assert schedule.next_due is not None
        assert schedule.next_due > END
    assert len(room.training.asked()) == len(weekly) + len(daily)
    assert room.trail.verify().whole


def local(at: datetime) -> str:
    """Return the day and the time of a look that was made at most some seconds later."""
    return f"{at.astimezone(BERLIN):%d %H:%M}"


def live(room: Room) -> None:
    """Let the worker look as long as there is something to do."""
    for _ in range(12):
        room.desk.tick()
        under_way = [one for one in room.desk.retrainings() if one.is_open]
        if not under_way:
            return
        for one in under_way:
            if one.job_id is not None and not room.training.job(one.job_id).state.is_over:
                room.training.end(one.job_id, JobState.FINISHED)
    raise AssertionError("It does not end.")

"""Schedules: who may set them, what they ask for, when they begin, and what is missed or left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.access import Actor, Role
from core.database import open_database
from core.errors import BadInputError, NotFoundError, RefusedError
from core.schema import retrainings, schedules
from core.training.schedule.desk import SCHEDULER
from core.training.schedule.types import Mode, RetrainingOutcome, ScheduleRequest, Step, Trigger
from core.training.types import JobState
from tests import servers
from tests.core.training.schedule.room import Room
from tests.registries import ANALYST, LEAD


def test_a_schedule_is_kept_as_it_was_set(room: Room) -> None:
    room.data()
    request = ScheduleRequest(
        "rl",
        {"data": str(room.home / "prices.csv"), "seed": "7"},
        mode=Mode.FULL,
        interval_days=3,
        time_of_day="23:30",
        zone="America/Bogota",
        first_day=date(2026, 3, 24),
    )
    kept = room.desk.set("m", request, LEAD)
    assert kept == room.desk.of("m")
    for one in dataclasses.fields(ScheduleRequest):
        assert getattr(kept, one.name) == getattr(request, one.name), one.name
    assert kept.next_due == datetime(2026, 3, 25, 4, 30, tzinfo=UTC)
    assert kept.set_by == LEAD.name
    event = room.trail.events("m", action="scheduled")[0]
    assert (event.actor, event.details["zone"]) == (LEAD.name, "America/Bogota")


def test_by_default_it_is_weekly_from_the_next_time_on(room: Room) -> None:
    room.schedule()
    kept = room.desk.of("m")
    assert kept is not None
    assert (kept.interval_days, kept.mode, kept.last_days, kept.epochs) == (7, Mode.INCREMENTAL, 30, 5)
    assert kept.next_due == datetime(2026, 3, 21, 2, tzinfo=UTC)


def test_setting_it_anew_keeps_its_day_unless_another_is_given(room: Room) -> None:
    room.schedule(first_day=date(2026, 3, 23))
    room.schedule(epochs=9)
    kept = room.desk.of("m")
    assert kept is not None
    assert (kept.epochs, kept.first_day) == (9, date(2026, 3, 23))
    assert room.count(schedules) == 1


BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"zone": "America/Bogta"}, "Did you mean America/Bogota?"),
    ({"time_of_day": "2am"}, "write it as HH:MM"),
    ({"interval_days": 0}, "interval_days is 0; accepted"),
    ({"last_days": -1}, "last_days is -1"),
    ({"epochs": 0}, "epochs is 0"),
    ({"artifact_path": " / "}, "The artifact path is empty"),
    ({"first_day": date(9999, 12, 31)}, "accepted are the years"),
    ({"epochs": 5000}, "epochs is 5000: accepted is 0 to 1000"),
    ({"parameters": {}}, "data has no default"),
    ({"parameters": {"data": "/not/there.csv"}}, "no such file"),
    ({"parameters": {"data": "{data}", "sede": "1"}}, "Did you mean seed?"),
    ({"parameters": {"data": "{data}", "epochs": "3"}}, "sets epochs itself"),
    ({"entry_point": "r1"}, "no entry point 'r1'"),
    ({"model": "a/b"}, "No model can have the name"),
    ({"model": " "}, "No model can have the name"),
)


def test_what_cannot_be_used_is_said_and_nothing_is_kept(room: Room) -> None:
    for changes, sentence in BAD:
        given = changes.get("parameters", {"data": "{data}"})
        parameters = {key: str(room.data()) if value == "{data}" else value for key, value in given.items()}
        values = {"entry_point": "rl", **changes, "parameters": parameters}
        model = values.pop("model", "m")
        with pytest.raises(BadInputError) as refused:
            room.desk.set(model, ScheduleRequest(**values), LEAD)
        assert sentence in str(refused.value)
    assert room.count(schedules) == 0


def test_all_that_is_wrong_is_said_at_once(room: Room) -> None:
    request = ScheduleRequest("rl", {"data": str(room.data())}, zone="Mars", time_of_day="25:00", epochs=0)
    with pytest.raises(BadInputError, match=r"epochs is 0.*time zone 'Mars'.*'25:00'"):
        room.desk.set("m", request, LEAD)


@pytest.mark.parametrize("role", list(Role))
def test_what_each_role_may(room: Room, role: Role) -> None:
    by = Actor("somebody", role)
    room.schedule()
    request = ScheduleRequest("rl", {"data": str(room.data())})
    lead = role in (Role.LEAD, Role.ADMIN)
    tries: list[tuple[bool, Callable[[], Any]]] = [
        (lead, lambda: room.desk.set("m", request, by)),
        (lead, lambda: room.desk.switch("m", False, by)),
        (role is not Role.VIEWER, lambda: room.desk.retrain("m", by)),
        (role is not Role.VIEWER, lambda: room.desk.stop(1, by)),
        (lead, lambda: room.desk.remove("m", by)),
    ]
    for number, (allowed, attempt) in enumerate(tries):
        if allowed:
            attempt()
        else:
            with pytest.raises(RefusedError, match="somebody acts as"):
                attempt()
            assert room.desk.of("m") is not None, number


def test_off_means_that_nothing_begins_and_on_makes_up_for_nothing(room: Room) -> None:
    room.schedule(interval_days=1)
    assert room.desk.switch("m", False, LEAD).next_due is None
    room.hands.pass_by(days=3)
    room.desk.tick()
    assert room.desk.retrainings() == ()
    assert room.desk.switch("m", True, LEAD).next_due == datetime(2026, 3, 24, 2, tzinfo=UTC)
    room.desk.tick()
    assert room.desk.retrainings() == ()
    assert room.actions()[-2:] == ["schedule switched", "schedule switched"]


def test_a_removed_schedule_leaves_what_was_retrained(room: Room) -> None:
    room.schedule()
    one = room.desk.retrain("m", ANALYST)
    room.desk.remove("m", LEAD)
    assert room.desk.all() == ()
    assert room.tick_until_over(one.id).outcome is RetrainingOutcome.STAGED
    with pytest.raises(NotFoundError, match=r"m has no schedule\. Say it first: greenroom schedule set m"):
        room.desk.remove("m", LEAD)


# Retraining


def test_without_a_schedule_nothing_says_how(room: Room) -> None:
    with pytest.raises(RefusedError, match=r"Nothing says how m is trained\. Say it first"):
        room.desk.retrain("m", ANALYST)


def test_a_schedule_that_is_off_says_how_all_the_same(room: Room) -> None:
    room.schedule(enabled=False)
    assert room.desk.retrain("m", ANALYST).is_open


def test_never_two_at_once(room: Room, new_place: Any) -> None:
    room.schedule()
    one = room.desk.retrain("m", ANALYST)
    other = room.open()
    with pytest.raises(
        RefusedError, match=f"m is being retrained already: retraining {one.id}, since 2026-03-20"
    ):
        other.retrain("m", LEAD, trigger=Trigger.API)
    assert room.count(retrainings) == 1
    assert room.actions().count("retraining started") == 1
    room.tick_until_over(one.id)
    assert other.retrain("m", LEAD, trigger=Trigger.API).trigger is Trigger.API


def test_stopping(room: Room) -> None:
    room.schedule()
    early = room.desk.retrain("m", ANALYST)
    assert room.desk.stop(early.id, LEAD).reason == "Stopped by jonas before it trained."
    with pytest.raises(RefusedError, match="is over: it is stopped"):
        room.desk.stop(early.id, LEAD)
    late = room.desk.retrain("m", ANALYST)
    room.desk.tick()
    room.desk.tick()
    assert room.desk.stop(late.id, LEAD).step is Step.TRAINING
    room.desk.tick()
    assert room.desk.retraining(late.id).outcome is RetrainingOutcome.STOPPED
    last = room.desk.retrain("m", ANALYST)
    room.desk.tick()
    room.desk.tick()
    room.training.end(2, JobState.FINISHED)
    room.desk.tick()
    with pytest.raises(RefusedError, match="is validating and cannot be stopped"):
        room.desk.stop(last.id, LEAD)


def test_the_status_that_programs_ask_for(room: Room) -> None:
    nothing = room.desk.status("m")
    assert (nothing.enabled, nothing.is_training, nothing.interval_days) == (False, False, None)
    room.schedule()
    one = room.desk.retrain("m", ANALYST)
    assert room.desk.status("m").is_training
    one = room.tick_until_over(one.id)
    # One that fails is no retraining that a program should count on.
    room.projects.entry_points.clear()
    room.tick_until_over(room.desk.retrain("m", ANALYST).id)
    found = room.desk.status("m")
    assert (found.enabled, found.is_training, found.interval_days) == (True, False, 7)
    assert (found.last_retrain_time, found.next_retrain_time) == (
        one.ended_at,
        datetime(2026, 3, 21, 2, tzinfo=UTC),
    )


# The clock


def test_what_is_due_begins_in_the_name_of_the_schedule(room: Room) -> None:
    room.schedule()
    room.hands.time = datetime(2026, 3, 21, 1, 59, 59, tzinfo=UTC)
    room.desk.tick()
    assert room.desk.retrainings() == ()
    room.hands.time = datetime(2026, 3, 21, 2, 0, 5, tzinfo=UTC)
    room.desk.tick()
    (one,) = room.desk.retrainings()
    assert (one.trigger, one.due_at) == (Trigger.SCHEDULE, datetime(2026, 3, 21, 2, tzinfo=UTC))
    assert one.actor == SCHEDULER
    kept = room.desk.of("m")
    assert kept is not None
    assert kept.next_due == datetime(2026, 3, 28, 2, tzinfo=UTC)
    started = room.trail.events("m", action="retraining started")[0]
    assert started.details["set_by"] == LEAD.name
    room.desk.tick()
    assert len(room.desk.retrainings()) == 1


@pytest.mark.parametrize(
    ("days", "minutes", "trigger", "first_line"),
    [
        (0, 10, Trigger.SCHEDULE, "Starting automated retraining of m..."),
        (
            0,
            11,
            Trigger.MISSED,
            "Starting automated retraining of m (was due at 2026-03-21 02:00 UTC, missed once)...",
        ),
        (
            3,
            0,
            Trigger.MISSED,
            "Starting automated retraining of m (was due at 2026-03-21 02:00 UTC, missed 4 times, run once now)...",
        ),
    ],
)
def test_what_was_missed_runs_once_and_says_so(
    room: Room, days: int, minutes: int, trigger: Trigger, first_line: str
) -> None:
    room.schedule(interval_days=1)
    room.hands.time = datetime(2026, 3, 21, 2, tzinfo=UTC)
    room.hands.pass_by(days=days, minutes=minutes, seconds=-1)
    if days:
        room.hands.pass_by(seconds=2)
    room.desk.tick()
    (one,) = room.desk.retrainings()
    assert (one.trigger, one.log[0].text) == (trigger, first_line)
    assert one.due_at == datetime(2026, 3, 21, 2, tzinfo=UTC)
    kept = room.desk.of("m")
    assert kept is not None
    assert kept.next_due == datetime(2026, 3, 22 + days, 2, tzinfo=UTC)


def test_what_is_due_while_one_is_under_way_is_left_out_and_noted(room: Room) -> None:
    room.schedule(interval_days=1)
    one = room.desk.retrain("m", ANALYST)
    room.hands.time = datetime(2026, 3, 21, 2, 1, tzinfo=UTC)
    room.desk.tick()
    assert [each.id for each in room.desk.retrainings()] == [one.id]
    (skipped,) = room.trail.events("m", action="retraining skipped")
    assert f"retraining {one.id}" in skipped.reason
    assert skipped.details["due_at"].startswith("2026-03-21T02:00")
    kept = room.desk.of("m")
    assert kept is not None
    assert kept.next_due == datetime(2026, 3, 22, 2, tzinfo=UTC)


def test_one_schedule_that_cannot_be_read_keeps_no_other_waiting(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.schedule()
    room.schedule("n")
    with room.engine.begin() as connection:
        connection.execute(sa.update(schedules).where(schedules.c.model == "m").values(zone="Mars/Olympus"))
    room.hands.time = datetime(2026, 3, 21, 2, 1, tzinfo=UTC)
    for _ in range(3):
        room.desk.tick()
    assert [one.model for one in room.desk.retrainings()] == ["n"]
    assert caplog.text.count("m is not retrained: There is no time zone 'Mars/Olympus'") == 1


def test_two_workers_see_the_same_schedule_due(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.schedule()
    room.hands.time = datetime(2026, 3, 21, 2, 1, tzinfo=UTC)
    first, second = room.desk, room.open()
    stale = second._store.due(room.hands())
    first.tick()
    monkeypatch.setattr(second._store, "due", lambda _: stale)
    second.tick()
    assert len(room.desk.retrainings()) == 1
    assert room.actions().count("retraining skipped") == 0


def test_data_given_by_a_relative_path_are_found_from_elsewhere(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = room.data()
    monkeypatch.chdir(file.parent)
    kept = room.desk.set("m", ScheduleRequest("rl", {"data": file.name}), LEAD)
    assert kept.parameters == {"data": str(file)}


@pytest.mark.postgres
def test_on_postgresql(new_place: Callable[[], tuple[str, Path]], postgres: servers.Postgres) -> None:
    uri, home = new_place()
    room = Room(uri, home, engine=open_database(postgres.create("schedules"), home))
    room.schedule(interval_days=1)
    room.hands.time = datetime(2026, 3, 23, 2, 1, tzinfo=UTC)
    room.desk.tick()
    with pytest.raises(RefusedError, match="is being retrained already: retraining 1"):
        room.desk.retrain("m", ANALYST)
    one = room.tick_until_over(1)
    assert (one.trigger, one.outcome, one.version) == (Trigger.MISSED, RetrainingOutcome.STAGED, 3)
    with pytest.raises(RefusedError, match="Look at it, then try again"):
        _switch_late(room)
    assert room.trail.verify().whole
    room.engine.dispose()


def _switch_late(room: Room) -> None:
    """Switch a schedule off that somebody else changes in between."""
    stale = room.desk._scheduled("m")
    room.schedule(interval_days=2)
    room.desk._scheduled = lambda _: stale  # type: ignore[method-assign]
    room.desk.switch("m", False, LEAD)

"""The schedule desk: which model is retrained when, and what came of it. Every write checks who acts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.engine import Connection, Engine

from core import clock
from core.access import Actor, Permission, Role
from core.audit import AuditTrail, News
from core.errors import BadInputError, NotFoundError, RefusedError
from core.training.schedule import rows, times
from core.training.schedule.checking import checked_request
from core.training.schedule.flow import Flow
from core.training.schedule.parts import Parts
from core.training.schedule.recording import Recorder, tell
from core.training.schedule.steps import Steps
from core.training.schedule.store import Store
from core.training.schedule.types import (
    LogLine,
    Retraining,
    RetrainingOutcome,
    Schedule,
    ScheduleRequest,
    SchedulerStatus,
    Step,
    Trigger,
)

log = logging.getLogger("greenroom.retraining")

SCHEDULER: Final = Actor("greenroom schedule", Role.ANALYST)
"""In whose name a schedule retrains: enough to launch, register and move to Staging, and for nothing more."""

LATE: Final = timedelta(minutes=10)
"""What is begun later than this was missed."""


class ScheduleDesk:
    """The schedules and retrainings of one tracking store. Safe for many threads and many processes.

    Methods that write raise `BadInputError` where something given cannot be used, `RefusedError` where a rule or the
    actor's role is in the way, `NotFoundError` where there is no such schedule or retraining, and `DatabaseError` where
    Greenroom's database does not answer.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        store_key: str,
        trail: AuditTrail,
        parts: Parts,
        now: clock.Clock = clock.now,
    ) -> None:
        self._store = Store(engine, store_key)
        self._trail = trail
        self._parts = parts
        self._now = now
        self._recorder = Recorder(self._store, trail, now)
        steps = Steps(self._store, self._recorder, parts, now)
        self._flow = Flow(engine, store_key, self._store, steps, self._recorder, now)
        self._complained: set[tuple[int, str]] = set()

    # Looking

    def all(self) -> tuple[Schedule, ...]:
        """Return all schedules, by model."""
        return self._store.schedules()

    def of(self, model: str) -> Schedule | None:
        """Return the schedule of a model; None where it has none."""
        return self._store.schedule(model)

    def retrainings(self, model: str | None = None, *, limit: int = 20) -> tuple[Retraining, ...]:
        """Return retrainings, newest first."""
        return self._store.retrainings(model, limit)

    def retraining(self, retraining_id: int) -> Retraining:
        """Return a retraining by its number.

        Raises
        ------
        NotFoundError
        """
        return self._store.retraining(retraining_id)

    def status(self, model: str) -> SchedulerStatus:
        """Return what the schedule of a model is at."""
        schedule, latest = self.of(model), self.retrainings(model, limit=1)
        staged = self._store.last_of(model, str(RetrainingOutcome.STAGED))
        return SchedulerStatus(
            enabled=schedule is not None and schedule.enabled,
            is_training=bool(latest) and latest[0].is_open,
            last_retrain_time=staged.ended_at if staged is not None else None,
            next_retrain_time=schedule.next_due if schedule is not None else None,
            interval_days=schedule.interval_days if schedule is not None else None,
        )

    # Scheduling

    def set(self, model: str, request: ScheduleRequest, by: Actor) -> Schedule:
        """Give a model a schedule, or another one; what is under way goes on as it began."""
        by.require(Permission.SCHEDULE)
        request = checked_request(model, request, self._parts.projects)
        before, now = self.of(model), self._now()
        first = request.first_day
        if first is None and before is not None:
            first = before.first_day
        if first is None:
            first = times.first_day_after(request.time_of_day, request.zone, now)
        rhythm = times.Rhythm(first, request.interval_days, request.time_of_day, request.zone)
        due = clock.text(times.next_after(rhythm, now)) if request.enabled else None
        values = {**rows.schedule_row(request, first), "next_due": due}
        by_whom = {"set_by": by.name, "set_at": clock.text(now)}
        with self._audited() as connection:
            self._store.put_schedule(connection, model, {**values, **by_whom})
            self._trail.append(connection, by, News("scheduled", model, details=values))
        return self._scheduled(model)

    def switch(self, model: str, enabled: bool, by: Actor) -> Schedule:
        """Switch a schedule on or off; what was due while it was off is not made up for."""
        by.require(Permission.SCHEDULE)
        schedule = self._scheduled(model)
        if schedule.enabled == enabled:
            return schedule
        due = clock.text(times.next_after(schedule, self._now())) if enabled else None
        news = News("schedule switched", model, details={"enabled": enabled, "next_due": due})
        with self._audited() as connection:
            if not self._store.change_schedule(connection, schedule, enabled=enabled, next_due=due):
                raise RefusedError(
                    f"The schedule of {model} has just been changed. Look at it, then try again."
                )
            self._trail.append(connection, by, news)
        return self._scheduled(model)

    def remove(self, model: str, by: Actor) -> None:
        """Remove a schedule; what is under way goes on, and what was retrained is still shown."""
        by.require(Permission.SCHEDULE)
        with self._audited() as connection:
            if not self._store.remove_schedule(connection, model):
                raise NotFoundError(_none(model))
            self._trail.append(connection, by, News("schedule removed", model))

    @contextmanager
    def _audited(self) -> Iterator[Connection]:
        """Open a transaction that ends in an audit event.

        The chain's lock comes first, as everywhere, so that two of them never wait for each other; it also begins the
        transaction, which a savepoint alone would not on SQLite.
        """
        with self._store.transaction() as connection:
            self._trail.lock(connection)
            yield connection

    def _scheduled(self, model: str) -> Schedule:
        schedule = self.of(model)
        if schedule is None:
            raise NotFoundError(_none(model))
        return schedule

    # Retraining

    def retrain(self, model: str, by: Actor, *, trigger: Trigger = Trigger.MANUAL) -> Retraining:
        """Begin to retrain a model as its schedule says, whether that is on or off.

        Raises
        ------
        RefusedError
            If one is under way, or nothing says how the model is trained.
        """
        by.require(Permission.LAUNCH)
        schedule = self.of(model)
        if schedule is None:
            raise RefusedError(f"Nothing says how {model} is trained. {_HOW.format(model=model)}")
        with self._audited() as connection:
            number, lines = self._begin(connection, schedule, trigger, by)
        tell(model, lines)
        return self.retraining(number)

    def stop(self, retraining_id: int, by: Actor) -> Retraining:
        """Stop a retraining: its job ends, or it ends before it has one.

        Raises
        ------
        RefusedError
            If it is over, or has trained already and is about to end.
        """
        by.require(Permission.STOP)
        one = self.retraining(retraining_id)
        if not one.is_open:
            raise RefusedError(f"Retraining {one.id} of {one.model} is over: it is {one.outcome}.")
        if one.step is Step.TRAINING and one.job_id is not None:
            self._parts.training.stop(one.job_id, by)
        elif one.step is not Step.PREPARING:
            raise RefusedError(
                f"Retraining {one.id} of {one.model} is {one.step} and cannot be stopped there. Look at it in a minute."
            )
        elif not self._recorder.end(
            one, RetrainingOutcome.STOPPED, f"Stopped by {by.name} before it trained."
        ):
            raise RefusedError(f"Retraining {one.id} of {one.model} has gone on meanwhile. Stop it again.")
        return self.retraining(retraining_id)

    def _begin(
        self,
        connection: Connection,
        schedule: Schedule,
        trigger: Trigger,
        by: Actor,
        due_at: datetime | None = None,
        late: str = "",
    ) -> tuple[int, tuple[LogLine, ...]]:
        model, now = schedule.model, self._now()
        lines = self._recorder.lines(
            "INFO", f"Starting automated retraining of {model}{late}...", "Step 1: Preparing training data..."
        )
        values = {
            "due_at": clock.text(due_at) if due_at is not None else None,
            "log": rows.log_text(lines),
            "asked_by": by.name,
            "asked_as": str(by.role),
            "started_at": clock.text(now),
        }
        number = self._store.begin(connection, model, trigger, rows.request_of(schedule), values)
        details = {"retraining": number, "trigger": str(trigger), "due_at": values["due_at"]}
        reason = late.strip(" ()")
        news = News(
            "retraining started", model, reason=reason, details={**details, "set_by": schedule.set_by}
        )
        self._trail.append(connection, by, news)
        return number, lines

    # The clock

    def tick(self) -> None:
        """Begin what is due, and take each retraining that is under way one step on.

        Raises
        ------
        DatabaseError
            If Greenroom's database does not answer; the next tick goes on where this one stopped.
        """
        for schedule in self._store.due(self._now()):
            try:
                self._due(schedule)
            except BadInputError as error:
                self._complain(schedule, str(error))
        for one in self._store.open_retrainings():
            self._flow.advance(one.id)

    def _due(self, schedule: Schedule) -> None:
        """Begin a retraining and move the schedule on, in one transaction: a crash loses none and doubles none."""
        due, now = schedule.next_due, self._now()
        if due is None:
            return
        following = times.next_after(schedule, now)
        missed, late = now - due > LATE, ""
        if missed:
            count = times.times_due(schedule, due, now)
            often = "once" if count == 1 else f"{count} times, run once now"
            late = f" (was due at {due:%Y-%m-%d %H:%M} UTC, missed {often})"
        trigger = Trigger.MISSED if missed else Trigger.SCHEDULE
        lines: tuple[LogLine, ...] = ()
        with self._audited() as connection:
            if not self._store.change_schedule(connection, schedule, next_due=clock.text(following)):
                # Another process was first, or somebody has just set it anew.
                return
            try:
                _, lines = self._begin(connection, schedule, trigger, SCHEDULER, due, late)
            except RefusedError as error:
                details = {"due_at": clock.text(due), "next_due": clock.text(following)}
                news = News("retraining skipped", schedule.model, reason=str(error), details=details)
                self._trail.append(connection, SCHEDULER, news)
                log.warning("%s: what was due at %s is left out: %s", schedule.model, due, error)
        tell(schedule.model, lines)

    def _complain(self, schedule: Schedule, why: str) -> None:
        """Say once what is wrong with a schedule, and not at every tick."""
        if (schedule.id, why) not in self._complained:
            self._complained.add((schedule.id, why))
            log.error("%s is not retrained: %s", schedule.model, why)


_HOW: Final = (
    'Say it first: greenroom schedule set {model} -e ENTRY_POINT -P "data=...", or on the page Training.'
)


def _none(model: str) -> str:
    return f"{model} has no schedule. {_HOW.format(model=model)}"

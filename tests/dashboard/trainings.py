"""What tests of the page Training need: a project with every kind of parameter, jobs in every state, schedules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from core import clock
from core.access import Actor, Permission, Role
from core.errors import BadInputError, NotFoundError, RefusedError
from core.training.desk import TrainingDesk
from core.training.jobs.place import job_place
from core.training.schedule.types import (
    GateVerdict,
    LogLine,
    Retraining,
    RetrainingOutcome,
    Schedule,
    ScheduleRequest,
    Step,
    Trigger,
    Verdict,
    VerdictPoint,
    VerdictWord,
)
from core.training.types import Job, JobState, LaunchRequest, Progress
from tests.dashboard.registries import MODEL, Registry

PROJECT = """
name: team
entry_points:
  fit:
    help: Fits <b>curves</b>.
    resumes: true
    parameters:
      data: {type: path, label: Sales file, help: A row a day}
      depth: {type: int, default: "3", min: 1, max: 9, unit: levels}
      rate: {type: float, default: "3e-4", min: 0}
      model: {type: choice, default: ridge, choices: [ridge, forest]}
      shuffle: {type: bool, default: "False"}
      net: {type: string, default: "64,64"}
    command: "python fit.py {data} {depth} {rate} {model} {shuffle} {net}"
  last_month:
    parameters:
      last_days: {type: int, default: "0"}
      note: {type: string, default: ""}
    command: "python month.py {last_days} {note}"
"""


def add_project(registry: Registry) -> None:
    """Name a project with two entry points in greenroom.toml."""
    folder = registry.folder / "team"
    folder.mkdir()
    (folder / "MLproject").write_text(PROJECT)
    registry.configure(f'[gates."*"]\nsmoke = false\nsoak_hours = 0\n[projects.team]\nsource = "{folder}"\n')


class Jobs:
    """The training desk that the pages use, and its jobs in whatever state a test wants them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.data = registry.folder / "sales.csv"
        self.data.write_text("date,sales\n2026-01-01,1\n")

    @property
    def desk(self) -> TrainingDesk:
        return self._registry.workspace.training

    def launch(self, by: Actor, entry_point: str = "fit", **parameters: str) -> Job:
        """Launch a job that stays queued: there is no worker."""
        given = {"data": str(self.data), **parameters} if entry_point == "fit" else parameters
        return self.desk.launch(LaunchRequest(entry_point, given, project="team"), by)

    def run(self, job: Job, progress: Progress | None = None, log: str | bytes = "") -> Job:
        """Say that a job runs, and what it has written."""
        store = self._registry.workspace.training_parts.store
        assert store.claim(job.id, "otherhost")
        store.hear(job.id, progress)
        self.write(job, log)
        return self.desk.job(job.id)

    def write(self, job: Job, log: str | bytes) -> None:
        """Write its log."""
        workspace = self._registry.workspace
        place = job_place(Path(workspace.settings.home).resolve(), workspace.address.key, job.id)
        place.make()
        place.log.write_bytes(log if isinstance(log, bytes) else log.encode())

    def end(self, job: Job, state: JobState, reason: str = "", exit_code: int | None = None) -> Job:
        """Say that a running job is over."""
        store = self._registry.workspace.training_parts.store
        assert store.end(job.id, state, reason, exit_code, clock.now())
        return self.desk.job(job.id)


class FakeSchedules:
    """Keeps schedules and retrainings in memory; checks roles as the desk does."""

    def __init__(self) -> None:
        self.schedules: dict[str, Schedule] = {}
        self.made: list[Retraining] = []
        self.stopped: list[int] = []

    def all(self) -> tuple[Schedule, ...]:
        return tuple(self.schedules.values())

    def of(self, model: str) -> Schedule | None:
        return self.schedules.get(model)

    def set(self, model: str, request: ScheduleRequest, by: Actor) -> Schedule:
        by.require(Permission.SCHEDULE)
        if request.parameters.get("data") == "/nowhere":
            raise BadInputError("The entry point 'fit' cannot be launched like this. data is '/nowhere'.")
        now = clock.now()
        values = {name: getattr(request, name) for name in ScheduleRequest.__dataclass_fields__}
        values["first_day"] = request.first_day or date(2026, 11, 2)
        due = datetime(2030, 11, 26, 7, 0, tzinfo=UTC) if request.enabled else None
        made = Schedule(id=1, model=model, next_due=due, set_by=by.name, set_at=now, **values)
        self.schedules[model] = made
        return made

    def switch(self, model: str, enabled: bool, by: Actor) -> Schedule:
        by.require(Permission.SCHEDULE)
        due = datetime(2030, 11, 26, 7, 0, tzinfo=UTC) if enabled else None
        self.schedules[model] = replace(self.schedules[model], enabled=enabled, next_due=due)
        return self.schedules[model]

    def remove(self, model: str, by: Actor) -> None:
        by.require(Permission.SCHEDULE)
        del self.schedules[model]

    def retrain(self, model: str, by: Actor, *, trigger: Trigger = Trigger.MANUAL) -> Retraining:
        by.require(Permission.LAUNCH)
        if any(one.is_open for one in self.made):
            raise RefusedError(f"{model} is being retrained already.")
        return self.add(model=model, trigger=trigger, asked_by=by.name)

    def retrainings(self, model: str | None = None, *, limit: int = 20) -> tuple[Retraining, ...]:
        found = [one for one in reversed(self.made) if model in (None, one.model)]
        return tuple(found[:limit])

    def retraining(self, retraining_id: int) -> Retraining:
        if not 0 < retraining_id <= len(self.made):
            raise NotFoundError(f"There is no retraining {retraining_id}.")
        return self.made[retraining_id - 1]

    def stop(self, retraining_id: int, by: Actor) -> Retraining:
        by.require(Permission.STOP)
        self.stopped.append(retraining_id)
        return self.retraining(retraining_id)

    def add(self, **values: Any) -> Retraining:
        """Add a retraining that is under way, or over where an outcome is given."""
        now = clock.now()
        base: dict[str, Any] = {
            "id": len(self.made) + 1,
            "model": MODEL,
            "trigger": Trigger.SCHEDULE,
            "due_at": None,
            "step": Step.PREPARING,
            "outcome": None,
            "reason": "",
            "job_id": None,
            "version": None,
            "verdict": None,
            "log": (LogLine(now, "INFO", "Starting automated retraining..."),),
            "asked_by": "greenroom schedule",
            "started_at": now - timedelta(minutes=5),
            "ended_at": now if values.get("outcome") else None,
            "asked_as": Role.ANALYST,
            "request": ScheduleRequest("fit"),
        }
        made = Retraining(**{**base, **values})
        self.made.append(made)
        return made

    def refused(self, **values: Any) -> Retraining:
        """Add one whose version is worse than the champion and did not pass."""
        verdict = Verdict(
            VerdictWord.WORSE,
            "Worse than v5 in 1 of 2 figures.",
            (
                VerdictPoint("sharpe", 0.81, 0.62, -0.19, False, "<b>90%</b> interval"),
                VerdictPoint("drawdown", -0.2, -0.1, 0.1, True),
            ),
            (GateVerdict("smoke", True, "Loads."), GateVerdict("champion", False, "Its sharpe is lower.")),
        )
        return self.add(
            step=Step.VALIDATING,
            outcome=RetrainingOutcome.REFUSED,
            reason="v6 did not pass the gate champion. Keeping current model active.",
            version=6,
            verdict=verdict,
            **values,
        )


def with_schedules(registry: Registry) -> FakeSchedules:
    """Give the pages schedules that are kept in memory."""
    fake = FakeSchedules()
    registry.workspace.training.__dict__["schedules"] = fake
    return fake


class NoFindings:
    """A watch of live figures that found what it is given."""

    def __init__(self, found: Sequence[Any] = ()) -> None:
        self.findings = self
        self._found = tuple(found)

    def find(self, model: str | None = None, state: str | None = None) -> tuple[Any, ...]:
        return self._found

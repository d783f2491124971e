"""What the API asks of a workspace and its training desk, and how a route is handed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

from fastapi import Depends, Request

from core.access import Actor
from core.registry.desk import RegistryDesk
from core.runs.explorer import RunExplorer
from core.runs.keeper import Keeper
from core.settings import Settings
from core.tokens import Tokens
from core.training.projects.catalogue import Projects
from core.training.schedule.types import Retraining, Schedule, SchedulerStatus, Trigger
from core.training.types import Job, JobState, LaunchRequest, LogPart


class Schedules(Protocol):
    """When models are trained again; see `core.training.schedule`."""

    def of(self, model: str) -> Schedule | None:
        """Return the schedule of a model."""
        ...

    def retrain(self, model: str, by: Actor, *, trigger: Trigger = ...) -> Retraining:
        """Begin a retraining; `RefusedError` if one is under way, or nothing says how."""
        ...

    def status(self, model: str) -> SchedulerStatus:
        """Return what the schedule of a model is at."""
        ...

    def retraining(self, retraining_id: int) -> Retraining:
        """Return a retraining as it is now."""
        ...


class Training(Protocol):
    """Jobs and what can be launched; see `core.training.desk`."""

    @property
    def projects(self) -> Projects: ...

    @property
    def schedules(self) -> Schedules: ...

    def launch(self, request: LaunchRequest, by: Actor) -> Job: ...

    def stop(self, job_id: int, by: Actor) -> Job: ...

    def retry(self, job_id: int, by: Actor) -> Job: ...

    def resume(self, job_id: int, by: Actor) -> Job: ...

    def job(self, job_id: int) -> Job: ...

    def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        sweep: int | None = None,
        run_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Sequence[Job]: ...

    def counts(self) -> dict[JobState, int]: ...

    def log(self, job_id: int, *, start: int | None = None, most: int = 65_536) -> LogPart: ...


class Opened(Protocol):
    """A workspace, as far as the API asks it."""

    settings: Settings

    @property
    def runs(self) -> RunExplorer: ...

    @property
    def registry(self) -> RegistryDesk: ...

    @property
    def training(self) -> Training: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def keeper(self) -> Keeper: ...

    def actor(self, by: str | None = None) -> Actor: ...


def _opened(request: Request) -> Any:
    return request.app.state.open_workspace()


async def _acting(request: Request) -> Actor:
    # Set by the guard, which lets nobody through without.
    actor: Actor = request.state.actor
    return actor


# The protocol is no type that FastAPI could make a schema of, and need not: both are handed in.
Workspace = Annotated[Any, Depends(_opened)]
"""The workspace, handed to a route; it is an `Opened`."""

By = Annotated[Actor, Depends(_acting)]
"""Who asks, handed to a route."""

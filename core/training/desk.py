"""The training desk: launch, watch, stop, retry, sweep. Every write checks who acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.access import Actor, Permission
from core.audit import AuditTrail, News
from core.errors import GreenroomError, RefusedError
from core.training import checking
from core.training.configuration import TrainingSettings
from core.training.jobs.heartbeat import WorkerState, worker_state
from core.training.jobs.logs import read_log
from core.training.jobs.place import job_place
from core.training.jobs.store import JobStore
from core.training.jobs.sweep_store import SweepStore
from core.training.jobs.tickets import TicketQueue
from core.training.launching import JobLauncher
from core.training.news import job_news, sweep_news
from core.training.projects.catalogue import Projects
from core.training.projects.types import EntryPoint
from core.training.repeating import request_of, values_used
from core.training.types import EngineKind, Job, JobState, LaunchRequest, LogPart, Sweep
from core.training.uploads import keep_upload

if TYPE_CHECKING:
    from core.training.jobs.runs import JobRuns
    from core.training.schedule.desk import ScheduleDesk

_ENDED_BADLY: Final = (JobState.FAILED, JobState.STOPPED, JobState.LOST)
_OVER: Final = (JobState.FINISHED, *_ENDED_BADLY)
_LATELY: Final = 100
_LONGEST_NAME: Final = 250


class TrainingDesk:
    """The use cases of training. Safe for many threads and many processes.

    Methods that write raise `BadInputError` where something given cannot be used, `RefusedError` where a rule or the
    actor's role is in the way, `NotFoundError` where there is no such job, project or entry point, and `SourceError` or
    `DatabaseError` where MLflow or Greenroom's database does not answer.

    Attributes
    ----------
    projects : Projects
    schedules : ScheduleDesk
    """

    def __init__(
        self,
        store: JobStore,
        sweeps: SweepStore,
        projects: Projects,
        runs: Callable[[], JobRuns],
        tickets: Callable[[], TicketQueue],
        trail: AuditTrail,
        refuse_old_schema: Callable[[], None],
        schedules: Callable[[TrainingDesk], ScheduleDesk],
        settings: TrainingSettings,
        home: Path,
        now: clock.Clock = clock.now,
    ) -> None:
        self.projects = projects
        self._store = store
        self._sweeps = sweeps
        self._launcher = JobLauncher(store, sweeps, projects, runs, tickets, home)
        self._trail = trail
        self._refuse_old_schema = refuse_old_schema
        self._make_schedules = schedules
        self._settings = settings
        self._home = home
        self._now = now

    @cached_property
    def schedules(self) -> ScheduleDesk:
        """When which model is retrained."""
        return self._make_schedules(self)

    # What can be launched

    def engines(self) -> tuple[EngineKind, ...]:
        """Return the engines that are set up."""
        return checking.engines(self._settings)

    def missing_for(self, project: str, entry_point: str) -> str | None:
        """Return the command that installs what an entry point needs and this machine lacks; None where nothing is."""
        return checking.missing_for(project, entry_point)

    def used_before(self, entry: EntryPoint, parameter: str) -> tuple[str, ...]:
        """Return the values that a parameter was given lately other than its default, the latest first."""
        return values_used(self._store.jobs(limit=_LATELY), entry, parameter)

    def keep_upload(self, name: str, content: bytes, by: Actor) -> Path:
        """Keep a file that a person uploads, so that an entry point can be given its path."""
        by.require(Permission.LAUNCH)
        return keep_upload(self._home, name, content)

    # Launching

    def launch(self, request: LaunchRequest, by: Actor) -> Job:
        """Record a job, make its MLflow run, and queue it."""
        by.require(Permission.LAUNCH)
        values = self._checked(request)
        self._refuse_old_schema()
        with self._store.transaction() as connection:
            job_id = self._store.add(connection, checking.with_names(request), values, by.name)
            self._trail.append(connection, by, job_news("launched", job_id, request, values))
        self._launcher.launch((job_id,), request.tags)
        return self._store.job(job_id)

    def sweep(self, request: LaunchRequest, grid: Mapping[str, Sequence[str]], by: Actor) -> Sweep:
        """Launch a job for every combination of some values, under one parent run."""
        by.require(Permission.LAUNCH)
        combinations = checking.combinations(grid)
        # Everything is looked at before anything is written: a sweep is launched whole or not at all.
        values_of_each = [
            self._checked(replace(request, parameters={**request.parameters, **one})) for one in combinations
        ]
        self._refuse_old_schema()
        request = checking.with_names(request)
        name = request.name or f"{request.entry_point} sweep"
        with self._store.transaction() as connection:
            sweep_id = self._sweeps.add(connection, name, grid, by.name)
            ids = []
            for one, values in zip(combinations, values_of_each, strict=True):
                label = ", ".join(f"{key}={value}" for key, value in one.items())
                member = replace(request, name=label[:_LONGEST_NAME])
                ids.append(self._store.add(connection, member, values, by.name, sweep_id))
            self._trail.append(connection, by, sweep_news(sweep_id, request, grid, len(ids)))
        self._launcher.launch(ids, request.tags)
        return self._sweeps.sweep(sweep_id)

    def retry(self, job_id: int, by: Actor) -> Job:
        """Launch the same again, with a run of its own."""
        job = self._store.job_in(job_id, _OVER, "retried yet")
        return self.launch(replace(request_of(job), made_from=job.id), by)

    def resume(self, job_id: int, by: Actor) -> Job:
        """Go on with the run of a job that did not finish, where it stopped."""
        by.require(Permission.LAUNCH)
        job = self._store.job_in(job_id, _ENDED_BADLY, "resumed")
        if job.run_id is None or not self.can_resume(job):
            raise RefusedError(
                f"The entry point {job.entry_point} of {job.project} does not say that it resumes. Retry job {job_id} "
                "instead: it begins anew."
            )
        self._refuse_old_schema()
        request = replace(request_of(job), resumes=job.id)
        values = self._checked(request)
        with self._store.transaction() as connection:
            twin = self._store.open_twin(connection, job.run_id)
            if twin is not None:
                raise RefusedError(f"Job {twin} goes on with the run of job {job_id} already.")
            made = self._store.add(connection, request, values, by.name, job.sweep_id)
            self._trail.append(connection, by, job_news("resumed", made, request, values))
        self._launcher.launch((made,), {})
        return self._store.job(made)

    def can_resume(self, job: Job) -> bool:
        """Say whether the entry point of a job goes on where it stopped."""
        if job.state not in _ENDED_BADLY:
            return False
        try:
            return self.projects.entry_point(job.project, job.entry_point).resumes
        except GreenroomError:
            return False

    def make_missing_run(self, job: Job) -> None:
        """Make the MLflow run of a job whose launch was cut off before; nothing where that is still at it."""
        self._launcher.make_missing_run(job)

    # Stopping and moving

    def stop(self, job_id: int, by: Actor) -> Job:
        """Take a job out of the queue, or end it with all its processes within seconds."""
        by.require(Permission.STOP)
        self._store.job_in(job_id, (JobState.QUEUED, JobState.RUNNING), "stopped any more")
        ended = {
            "state": str(JobState.STOPPED),
            "reason": f"Stopped by {by.name} before it began.",
            "stop_asked_by": by.name,
            "ended_at": clock.text(self._now()),
        }
        if self._store.change(job_id, JobState.QUEUED, ended) or self._store.change(
            job_id, JobState.RUNNING, {"stop_asked_by": by.name}, stop_asked_by=None
        ):
            with self._store.transaction() as connection:
                self._trail.append(connection, by, News("stopped", details={"job": job_id}))
        return self._store.job(job_id)

    def set_priority(self, job_id: int, priority: int, by: Actor) -> Job:
        """Move a job that waits up or down."""
        by.require(Permission.LAUNCH)
        checking.refuse_priority(priority)
        if not self._store.change(job_id, JobState.QUEUED, {"priority": priority}):
            self._store.job_in(job_id, (JobState.QUEUED,), "moved in the queue")
        return self._store.job(job_id)

    # Looking

    def job(self, job_id: int) -> Job:
        """Return a job."""
        return self._store.job(job_id)

    def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        sweep: int | None = None,
        run_id: str | None = None,
        limit: int | None = 50,
        offset: int = 0,
    ) -> tuple[Job, ...]:
        """Return jobs, newest first; those that wait, if only they are asked for, in the order they will run."""
        return self._store.jobs(states, sweep, run_id, limit, offset)

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        return self._store.counts()

    def changed(self) -> tuple[Any, ...]:
        """Return something that is another one after every change of a job; cheap, for pages that look every second."""
        return self._store.changed()

    def log(self, job_id: int, *, start: int | None = None, most: int = 65_536) -> LogPart:
        """Return a piece of the log of a job; None as `start` means its end."""
        self._store.job(job_id)
        return read_log(job_place(self._home, self._store.store_key, job_id).log, start, most)

    def sweeps(self, limit: int = 20) -> tuple[Sweep, ...]:
        """Return sweeps, newest first."""
        return self._sweeps.sweeps(limit)

    def sweep_of(self, sweep_id: int) -> Sweep:
        """Return a sweep."""
        return self._sweeps.sweep(sweep_id)

    def worker(self) -> WorkerState:
        """Return what is known of the worker here."""
        return worker_state(self._home, self._store.store_key)

    def _checked(self, request: LaunchRequest) -> dict[str, str]:
        return checking.checked_values(request, self.projects, self._settings)

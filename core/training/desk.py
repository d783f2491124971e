"""The training desk: launch, watch, stop, retry, sweep. Every write checks who acts."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.access import Actor, Permission
from core.audit import AuditTrail, News
from core.errors import BadInputError, GreenroomError, NotFoundError, RefusedError
from core.training.configuration import TrainingSettings
from core.training.jobs.heartbeat import WorkerState, worker_state
from core.training.jobs.logs import read_log
from core.training.jobs.place import job_place, take_lock
from core.training.jobs.store import JobStore
from core.training.jobs.tickets import TicketQueue
from core.training.projects.catalogue import Projects
from core.training.projects.parameters import checked
from core.training.projects.types import EntryPoint, Project
from core.training.types import (
    BUILT_IN,
    MOST_PRIORITY,
    EngineKind,
    Job,
    JobState,
    LaunchRequest,
    LogPart,
    Sweep,
)

if TYPE_CHECKING:
    from core.training.jobs.runs import JobRuns
    from core.training.schedule.desk import ScheduleDesk

MOST_IN_SWEEP: Final = 1_000
_ENDED_BADLY: Final = (JobState.FAILED, JobState.STOPPED, JobState.LOST)
_OVER: Final = (JobState.FINISHED, *_ENDED_BADLY)
_EXPERIMENTS: Final = {"stores": "store-forecasts", "rl": "trading"}
_EXTRAS: Final = {"rl": (("torch", "stable_baselines3", "gymnasium"), "rl")}
_LATELY, _MOST_USED = 100, 5
_MOST_UPLOAD: Final = 512 * 2**20


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
        self._runs = runs
        self._tickets = tickets
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
        found = [EngineKind.LOCAL]
        if self._settings.ray_address:
            found.append(EngineKind.RAY)
        if self._settings.kubernetes_config:
            found.append(EngineKind.KUBERNETES)
        return tuple(found)

    def missing_for(self, project: str, entry_point: str) -> str | None:
        """Return the command that installs what an entry point needs and this machine lacks; None where nothing is."""
        if project != BUILT_IN or entry_point not in _EXTRAS:
            return None
        packages, extra = _EXTRAS[entry_point]
        if all(find_spec(one) is not None for one in packages):
            return None
        return f'pip install "greenroom[{extra}]"'

    def used_before(self, entry: EntryPoint, parameter: str) -> tuple[str, ...]:
        """Return the values that a parameter was given lately other than its default, the latest first."""
        declared = entry.parameter(parameter)
        default = declared.default if declared is not None else None
        found: dict[str, None] = {}
        for job in self._store.jobs(limit=_LATELY):
            if (job.project, job.entry_point) == (entry.project, entry.name):
                value = job.parameters.get(parameter)
                if value and value != default:
                    found.setdefault(value)
        return tuple(found)[:_MOST_USED]

    def keep_upload(self, name: str, content: bytes, by: Actor) -> Path:
        """Keep a file that a person uploads, so that an entry point can be given its path.

        The same content under the same name is kept once.
        """
        import hashlib

        by.require(Permission.LAUNCH)
        if len(content) > _MOST_UPLOAD:
            raise BadInputError(
                f"{name} has {len(content) // 2**20} MiB; uploads take {_MOST_UPLOAD // 2**20}. Copy it to this "
                "machine and give its path."
            )
        plain = re.sub(r"[^\w.-]+", "_", Path(name).name).lstrip(".")[-100:] or "upload"
        folder = self._home / "uploads" / hashlib.sha256(content).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / plain
        if not path.exists():
            fresh = path.with_name(f".{plain}.fresh")
            fresh.write_bytes(content)
            fresh.replace(path)
        return path

    # Launching

    def launch(self, request: LaunchRequest, by: Actor) -> Job:
        """Record a job, make its MLflow run, and queue it."""
        by.require(Permission.LAUNCH)
        values = self._checked(request)
        self._refuse_old_schema()
        with self._store.transaction() as connection:
            job_id = self._store.add(connection, self._named(request), values, by.name)
            self._record(connection, by, "launched", job_id, request, values)
        return self._queued(job_id, request.tags)

    def sweep(self, request: LaunchRequest, grid: Mapping[str, Sequence[str]], by: Actor) -> Sweep:
        """Launch a job for every combination of some values, under one parent run."""
        by.require(Permission.LAUNCH)
        combinations = _combinations(grid)
        # Everything is looked at before anything is written: a sweep is launched whole or not at all.
        checked_ones = [
            self._checked(replace(request, parameters={**request.parameters, **one})) for one in combinations
        ]
        self._refuse_old_schema()
        request = self._named(request)
        name = request.name or f"{request.entry_point} sweep"
        with self._store.transaction() as connection:
            sweep_id = self._store.add_sweep(connection, name, grid, by.name)
            ids = []
            for one, values in zip(combinations, checked_ones, strict=True):
                label = ", ".join(f"{key}={value}" for key, value in one.items())
                member = replace(request, name=label[:250], parameters=values)
                ids.append(self._store.add(connection, member, values, by.name, sweep_id))
            self._trail.append(
                connection,
                by,
                News(
                    "sweep launched",
                    details={
                        "sweep": sweep_id,
                        "project": request.project,
                        "entry_point": request.entry_point,
                        "grid": {key: list(values) for key, values in grid.items()},
                        "jobs": len(ids),
                    },
                ),
            )
        try:
            for job_id in ids:
                self._make_run(job_id, request.tags)
        except GreenroomError as error:
            for job_id in ids:
                self._give_up(job_id, str(error))
            raise
        self._queue(len(ids))
        return self.sweep_of(sweep_id)

    def retry(self, job_id: int, by: Actor) -> Job:
        """Launch the same again, with a run of its own."""
        job = self._store.refuse_missing(job_id, _OVER, "retried yet")
        return self.launch(replace(request_of(job), made_from=job.id), by)

    def resume(self, job_id: int, by: Actor) -> Job:
        """Go on with the run of a job that did not finish, where it stopped."""
        by.require(Permission.LAUNCH)
        job = self._store.refuse_missing(job_id, _ENDED_BADLY, "resumed")
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
            self._record(connection, by, "resumed", made, request, values)
        return self._queued(made, {})

    def can_resume(self, job: Job) -> bool:
        """Say whether the entry point of a job goes on where it stopped."""
        if job.state not in _ENDED_BADLY:
            return False
        try:
            return self.projects.entry_point(job.project, job.entry_point).resumes
        except GreenroomError:
            return False

    def _checked(self, request: LaunchRequest) -> dict[str, str]:
        """Return all parameters of a request that can be launched."""
        if not -MOST_PRIORITY <= request.priority <= MOST_PRIORITY:
            raise BadInputError(
                f"The priority is {request.priority}; accepted is a number from -{MOST_PRIORITY} to {MOST_PRIORITY}."
            )
        if request.engine not in self.engines():
            raise BadInputError(_no_engine(request.engine))
        for what, value in (("cpus", request.resources.cpus), ("gpus", request.resources.gpus)):
            if not 0 <= value <= 10_000:
                raise BadInputError(f"The {what} are {value:g}; accepted is a number from 0 to 10,000.")
        project, entry = self._entry_point(request)
        _refuse_environment(project, request.engine)
        missing = (
            self.missing_for(request.project, request.entry_point)
            if request.engine is EngineKind.LOCAL
            else None
        )
        if missing is not None:
            raise BadInputError(
                f"The entry point {request.entry_point} needs packages that are not installed here. Run: {missing}"
            )
        return checked(entry, request.parameters, project.folder)

    def _entry_point(self, request: LaunchRequest) -> tuple[Project, EntryPoint]:
        project = self.projects.project(request.project)
        if project.folder is None:
            project = self.projects.refresh(request.project)
        return project, self.projects.entry_point(request.project, request.entry_point)

    def _named(self, request: LaunchRequest) -> LaunchRequest:
        default = _EXPERIMENTS.get(request.entry_point) if request.project == BUILT_IN else None
        experiment = (request.experiment or "").strip() or default or request.entry_point
        return replace(request, experiment=experiment, name=(request.name or "").strip() or None)

    def _record(
        self,
        connection: Any,
        by: Actor,
        action: str,
        job_id: int,
        request: LaunchRequest,
        values: Mapping[str, str],
    ) -> None:
        details = {
            "job": job_id,
            "project": request.project,
            "entry_point": request.entry_point,
            "engine": str(request.engine),
            "parameters": dict(values),
        }
        self._trail.append(connection, by, News(action, details=details))

    def _queued(self, job_id: int, tags: Mapping[str, str]) -> Job:
        """Make the run of a job that was recorded, and queue it."""
        try:
            self._make_run(job_id, tags)
        except GreenroomError as error:
            self._give_up(job_id, str(error))
            raise
        self._queue(1)
        return self._store.job(job_id)

    def make_missing_run(self, job: Job) -> None:
        """Make the MLflow run of a job whose launch was cut off before; nothing where that is still at it."""
        self._make_run(job.id, {}, again=True)

    def _make_run(self, job_id: int, tags: Mapping[str, str], *, again: bool = False) -> None:
        place = job_place(self._home, self._store.store_key, job_id)
        place.make()
        # A long sweep and the worker that mends its launch may come to the same job.
        held = take_lock(place.making, wait=not again)
        if held is None:
            return
        try:
            job = self._store.job(job_id)
            if job.run_id is None and job.state is JobState.QUEUED:
                self._make_run_of(job, tags, again=again)
        finally:
            os.close(held)

    def _make_run_of(self, job: Job, tags: Mapping[str, str], *, again: bool) -> None:
        if job.resumes is not None:
            run_id = self._store.job(job.resumes).run_id
            if run_id is None:
                raise NotFoundError(f"Job {job.resumes}, which is resumed, has no run.")
            self._runs().again(run_id, job.id)
            self._store.set_run(job.id, run_id, job.name)
            return
        parent = None if job.sweep_id is None else self._parent_of(job, job.sweep_id, again=again)
        run_id, name = self._runs().make(job, self._given(job), tags, parent, again=again)
        # Another machine, whose locks are not seen here, may have been faster.
        if not self._store.set_run(job.id, run_id, name) and self._store.job(job.id).run_id != run_id:
            self._runs().discard(run_id)

    def _parent_of(self, job: Job, sweep_id: int, *, again: bool) -> str:
        sweep = self.sweep_of(sweep_id)
        if sweep.run_id is not None:
            return sweep.run_id
        made = self._runs().make_parent(job.experiment, sweep.name, sweep.id, sweep.asked_by, again=again)
        if not self._store.set_sweep_run(sweep.id, made):
            there = self.sweep_of(sweep_id).run_id
            if there is not None and there != made:
                self._runs().discard(made)
                return there
        return made

    def _given(self, job: Job) -> dict[str, str]:
        """Return the parameters that differ from their defaults: what `mlflow run` would log."""
        entry = self.projects.entry_point(job.project, job.entry_point)
        defaults = {one.name: one.default for one in entry.parameters}
        return {key: value for key, value in job.parameters.items() if value != defaults.get(key)}

    def _give_up(self, job_id: int, reason: str) -> None:
        values = {"state": str(JobState.FAILED), "reason": reason, "ended_at": clock.text(self._now())}
        with suppress(GreenroomError):
            self._store.change(job_id, JobState.QUEUED, values)

    def _queue(self, tickets: int) -> None:
        # A queue that does not answer delays a job and loses none: the worker looks for those without a ticket.
        with suppress(GreenroomError):
            self._tickets().put(tickets)

    # Stopping

    def stop(self, job_id: int, by: Actor) -> Job:
        """Take a job out of the queue, or end it with all its processes within seconds."""
        by.require(Permission.STOP)
        self._store.refuse_missing(job_id, (JobState.QUEUED, JobState.RUNNING), "stopped any more")
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
        if not -MOST_PRIORITY <= priority <= MOST_PRIORITY:
            raise BadInputError(
                f"The priority is {priority}; accepted is a number from -{MOST_PRIORITY} to {MOST_PRIORITY}."
            )
        if not self._store.change(job_id, JobState.QUEUED, {"priority": priority}):
            self._store.refuse_missing(job_id, (JobState.QUEUED,), "moved in the queue")
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
        return self._store.sweeps(limit)

    def sweep_of(self, sweep_id: int) -> Sweep:
        """Return a sweep."""
        found = self._store.sweeps(1, sweep_id)
        if not found:
            raise NotFoundError(f"There is no sweep {sweep_id}.")
        return found[0]

    def worker(self) -> WorkerState:
        """Return what is known of the worker here."""
        return worker_state(self._home, self._store.store_key)


def request_of(job: Job) -> LaunchRequest:
    """Return what would launch the same job again."""
    return LaunchRequest(
        entry_point=job.entry_point,
        parameters=job.parameters,
        project=job.project,
        engine=job.engine,
        resources=job.resources,
        experiment=job.experiment,
        name=job.name,
        priority=job.priority,
    )


def _combinations(grid: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    if not grid or any(not values for values in grid.values()):
        raise BadInputError("A sweep needs at least one parameter with at least one value.")
    for key, values in grid.items():
        if len(set(values)) < len(values):
            raise BadInputError(f"The sweep gives the parameter {key} a value twice. Give each once.")
    count = 1
    for values in grid.values():
        count *= len(values)
    if count > MOST_IN_SWEEP:
        raise BadInputError(f"The sweep has {count:,} combinations; accepted are up to {MOST_IN_SWEEP:,}.")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _no_engine(engine: EngineKind) -> str:
    if engine is EngineKind.RAY:
        return (
            "No Ray cluster is set up. Set ray_address under [training] in greenroom.toml, such as "
            '"http://127.0.0.1:8265".'
        )
    return "Kubernetes is not set up. Set kubernetes_config under [training] in greenroom.toml."


def _refuse_environment(project: Project, engine: EngineKind) -> None:
    """Refuse a container where there is none to run it, and the other way round."""
    in_docker = project.environment.startswith("docker_env")
    if in_docker and engine is not EngineKind.KUBERNETES:
        raise BadInputError(
            f"The project {project.name} names docker_env, which the engine kubernetes alone runs. Choose that engine."
        )
    if engine is EngineKind.KUBERNETES and not in_docker:
        raise BadInputError(
            f"The project {project.name} names no docker_env, which MLflow needs on Kubernetes. Choose another engine."
        )

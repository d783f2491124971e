"""The jobs and sweeps of a tracking store in Greenroom's database. A state changes only from the one it was seen in."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from core import clock
from core.database import transaction
from core.errors import NotFoundError, RefusedError
from core.schema import jobs, sweeps
from core.training.types import EngineKind, Job, JobState, LaunchRequest, Progress, Resources, Sweep

_OTHERWISE: Final = "jobs can be neither read nor written"
_OVER: Final = tuple(str(one) for one in JobState if one.is_over)
_OPEN: Final = tuple(str(one) for one in JobState if not one.is_over)
_NEXT: Final = (jobs.c.priority.desc(), jobs.c.id)


class JobStore:
    """Reads and writes jobs. Safe for many threads and many processes.

    Every method raises `DatabaseError` where the database does not answer.
    """

    def __init__(self, engine: Callable[[], Engine], store_key: str, now: clock.Clock = clock.now) -> None:
        self._engine = engine
        self._now = now
        self.store_key = store_key

    # Making

    def add(
        self,
        connection: Connection,
        request: LaunchRequest,
        parameters: Mapping[str, str],
        asked_by: str,
        sweep_id: int | None = None,
    ) -> int:
        """Insert a queued job within a transaction of the caller's; return its number."""
        made = connection.execute(
            sa.insert(jobs).values(
                store_key=self.store_key,
                project=request.project,
                entry_point=request.entry_point,
                parameters=json.dumps(dict(parameters)),
                experiment=request.experiment or request.entry_point,
                name=request.name or "",
                engine=str(request.engine),
                resources=json.dumps({"cpus": request.resources.cpus, "gpus": request.resources.gpus}),
                priority=request.priority,
                state=str(JobState.QUEUED),
                reason="",
                asked_by=asked_by,
                asked_at=clock.text(self._now()),
                sweep_id=sweep_id,
                made_from=request.made_from,
                resumes=request.resumes,
                told=False,
            )
        )
        return _number(made)

    def add_sweep(
        self, connection: Connection, name: str, grid: Mapping[str, Sequence[str]], asked_by: str
    ) -> int:
        """Insert a sweep within a transaction of the caller's; return its number."""
        made = connection.execute(
            sa.insert(sweeps).values(
                store_key=self.store_key,
                name=name,
                grid=json.dumps({key: list(values) for key, values in grid.items()}),
                asked_by=asked_by,
                asked_at=clock.text(self._now()),
            )
        )
        return _number(made)

    def open_twin(self, connection: Connection, run_id: str) -> int | None:
        """Return a job that is queued or runs and has this MLflow run, or will have it.

        Nobody else gets an answer for the same run before the caller's transaction has ended.
        """
        of_run = sa.and_(self._here, jobs.c.run_id == run_id)
        # A change of nothing, which locks the rows.
        connection.execute(sa.update(jobs).where(of_run).values(run_id=jobs.c.run_id))
        ended = sa.select(jobs.c.id).where(of_run)
        query = sa.select(jobs.c.id).where(
            self._here,
            jobs.c.state.in_(_OPEN),
            sa.or_(jobs.c.run_id == run_id, jobs.c.resumes.in_(ended)),
        )
        found: int | None = connection.execute(query.limit(1)).scalar()
        return found

    def transaction(self) -> Any:
        """Open a transaction of Greenroom's database."""
        return transaction(self._engine(), _OTHERWISE)

    # Changing

    def change(
        self, job_id: int, was: JobState | Sequence[JobState], values: Mapping[str, Any], **where: Any
    ) -> bool:
        """Change a job that is in one of these states; return whether it was."""
        states = [str(one) for one in ((was,) if isinstance(was, JobState) else was)]
        query = sa.update(jobs).where(self._here, jobs.c.id == job_id, jobs.c.state.in_(states))
        for column, value in where.items():
            query = query.where(jobs.c[column] == value)
        with self.transaction() as connection:
            return bool(connection.execute(query.values(**values)).rowcount)

    def claim(self, job_id: int, host: str) -> bool:
        """Take a queued job for this machine; one process alone succeeds."""
        now = clock.text(self._now())
        values = {"state": str(JobState.RUNNING), "host": host, "started_at": now, "heard_at": now}
        return self.change(job_id, JobState.QUEUED, values)

    def hear(self, job_id: int, progress: Progress | None) -> None:
        """Note a sign of life and how far the job is."""
        values: dict[str, Any] = {"heard_at": clock.text(self._now())}
        if progress is not None:
            said = {"done": progress.done, "total": progress.total, "what": progress.what}
            values["progress"] = json.dumps({**said, "at": clock.text(progress.at)})
        with self.transaction() as connection:
            connection.execute(
                sa.update(jobs)
                .where(self._here, jobs.c.id == job_id, jobs.c.state == str(JobState.RUNNING))
                .values(**values)
            )

    def wanted(self, job_id: int) -> tuple[JobState, str | None]:
        """Return the state a job is said to be in, and who wants it stopped."""
        query = sa.select(jobs.c.state, jobs.c.stop_asked_by).where(self._here, jobs.c.id == job_id)
        with self.transaction() as connection:
            state, asked = connection.execute(query).one()
        return JobState(state), asked

    def end(self, job_id: int, state: JobState, reason: str, exit_code: int | None, at: datetime) -> bool:
        """End a running job; return whether it ran."""
        values = {
            "state": str(state),
            "reason": reason,
            "exit_code": exit_code,
            "ended_at": clock.text(at),
        }
        return self.change(job_id, JobState.RUNNING, values)

    def set_run(self, job_id: int, run_id: str, name: str) -> bool:
        """Note the MLflow run of a job; return False where it has one."""
        # A job that was stopped meanwhile: MLflow is told of its end once more, for now there is a run.
        values = {"run_id": run_id, "name": name, "told": False}
        return self.change(job_id, tuple(JobState), values, run_id=None)

    def set_sweep_run(self, sweep_id: int, run_id: str) -> bool:
        """Note the parent run of a sweep; return False where it has one."""
        query = sa.update(sweeps).where(
            sweeps.c.store_key == self.store_key, sweeps.c.id == sweep_id, sweeps.c.run_id.is_(None)
        )
        with self.transaction() as connection:
            return bool(connection.execute(query.values(run_id=run_id)).rowcount)

    def told(self, job_id: int, run_id: str | None) -> None:
        """Note that MLflow knows how a job with this run ended."""
        self.change(job_id, tuple(JobState), {"told": True}, run_id=run_id)

    def end_sweep(self, sweep_id: int) -> None:
        """Note that all jobs of a sweep are over and MLflow knows it."""
        with self.transaction() as connection:
            connection.execute(
                sa.update(sweeps).where(sweeps.c.id == sweep_id).values(ended_at=clock.text(self._now()))
            )

    # Reading

    def job(self, job_id: int) -> Job:
        """Return a job.

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        with self.transaction() as connection:
            row = connection.execute(sa.select(jobs).where(self._here, jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no job {job_id}. `greenroom jobs` lists them.")
        return _job(row)

    def jobs(
        self,
        states: Sequence[JobState] = (),
        sweep: int | None = None,
        run_id: str | None = None,
        limit: int | None = 50,
        offset: int = 0,
    ) -> tuple[Job, ...]:
        """Return jobs, newest first; those that wait, if only they are asked for, in the order they will run."""
        query = sa.select(jobs).where(self._here)
        if states:
            query = query.where(jobs.c.state.in_([str(one) for one in states]))
        if sweep is not None:
            query = query.where(jobs.c.sweep_id == sweep)
        if run_id is not None:
            query = query.where(jobs.c.run_id == run_id)
        order = _NEXT if tuple(states) == (JobState.QUEUED,) else (jobs.c.id.desc(),)
        with self.transaction() as connection:
            found = connection.execute(query.order_by(*order).limit(limit).offset(offset))
            return tuple(_job(row) for row in found)

    def untold(self, limit: int = 50) -> tuple[Job, ...]:
        """Return jobs that are over and of which MLflow does not know it, oldest first."""
        query = sa.select(jobs).where(self._here, jobs.c.state.in_(_OVER), jobs.c.told.is_(False))
        with self.transaction() as connection:
            return tuple(_job(row) for row in connection.execute(query.order_by(jobs.c.id).limit(limit)))

    def without_run(self, older_than: datetime) -> tuple[Job, ...]:
        """Return queued jobs whose launch was cut off before their MLflow run was made."""
        query = sa.select(jobs).where(
            self._here,
            jobs.c.state == str(JobState.QUEUED),
            jobs.c.run_id.is_(None),
            jobs.c.asked_at < clock.text(older_than),
        )
        with self.transaction() as connection:
            return tuple(_job(row) for row in connection.execute(query.order_by(jobs.c.id).limit(50)))

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        query = sa.select(jobs.c.state, sa.func.count()).where(self._here).group_by(jobs.c.state)
        with self.transaction() as connection:
            found = {JobState(state): int(count) for state, count in connection.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def changed(self) -> tuple[Any, ...]:
        """Return something that is another one after every change of a job but how far it is."""
        columns = (jobs.c.ended_at, jobs.c.started_at)
        query = sa.select(
            sa.func.count(),
            *(sa.func.max(column) for column in columns),
            *(sa.func.count(column) for column in (*columns, jobs.c.run_id, jobs.c.stop_asked_by)),
            sa.func.sum(jobs.c.priority * jobs.c.id),
        ).where(self._here)
        with self.transaction() as connection:
            return tuple(connection.execute(query).one())

    def next_queued(self, other_than: Collection[int] = ()) -> int | None:
        """Return the job that is to run next; one whose MLflow run is not made yet waits."""
        query = sa.select(jobs.c.id).where(
            self._here, jobs.c.state == str(JobState.QUEUED), jobs.c.run_id.is_not(None)
        )
        if other_than:
            query = query.where(jobs.c.id.not_in(tuple(other_than)))
        with self.transaction() as connection:
            found: int | None = connection.execute(query.order_by(*_NEXT).limit(1)).scalar()
            return found

    def sweeps(
        self, limit: int | None = 20, sweep_id: int | None = None, open_only: bool = False
    ) -> tuple[Sweep, ...]:
        """Return sweeps, newest first."""
        query = sa.select(sweeps).where(sweeps.c.store_key == self.store_key)
        if sweep_id is not None:
            query = query.where(sweeps.c.id == sweep_id)
        if open_only:
            query = query.where(sweeps.c.ended_at.is_(None))
        with self.transaction() as connection:
            found = connection.execute(query.order_by(sweeps.c.id.desc()).limit(limit)).all()
            states = connection.execute(
                sa.select(jobs.c.sweep_id, jobs.c.state, sa.func.count())
                .where(jobs.c.sweep_id.in_([row.id for row in found]))
                .group_by(jobs.c.sweep_id, jobs.c.state)
            ).all()
        return tuple(
            Sweep(
                row.id,
                row.name,
                {key: tuple(values) for key, values in json.loads(row.grid).items()},
                row.run_id,
                row.asked_by,
                clock.moment(row.asked_at),
                _moment(row.ended_at),
                {JobState(state): int(count) for sweep, state, count in states if sweep == row.id},
            )
            for row in found
        )

    def refuse_missing(self, job_id: int, wanted: Sequence[JobState], what: str) -> Job:
        """Return a job that is in one of these states.

        Raises
        ------
        RefusedError
            If it is in another one.
        """
        job = self.job(job_id)
        if job.state not in wanted:
            raise RefusedError(f"Job {job_id} is {job.state}; it cannot be {what}.")
        return job

    @property
    def _here(self) -> sa.ColumnElement[bool]:
        return jobs.c.store_key == self.store_key


def _number(made: sa.CursorResult[Any]) -> int:
    """Return the number that a new row was given."""
    key = made.inserted_primary_key
    assert key is not None  # noqa: S101
    return int(key[0])


def _job(row: Row[Any]) -> Job:
    resources = json.loads(row.resources)
    said = json.loads(row.progress) if row.progress else None
    return Job(
        id=row.id,
        project=row.project,
        entry_point=row.entry_point,
        parameters=json.loads(row.parameters),
        experiment=row.experiment,
        name=row.name or f"{row.entry_point} {row.id}",
        engine=EngineKind(row.engine),
        resources=Resources(resources["cpus"], resources["gpus"]),
        priority=row.priority,
        state=JobState(row.state),
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=clock.moment(row.asked_at),
        run_id=row.run_id,
        sweep_id=row.sweep_id,
        made_from=row.made_from,
        resumes=row.resumes,
        host=row.host,
        started_at=_moment(row.started_at),
        heard_at=_moment(row.heard_at),
        ended_at=_moment(row.ended_at),
        exit_code=row.exit_code,
        stop_asked_by=row.stop_asked_by,
        progress=None
        if said is None
        else Progress(said["done"], said["total"], said["what"], clock.moment(said["at"])),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else clock.moment(text)

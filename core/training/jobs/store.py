"""The jobs of a tracking store in Greenroom's database. A state changes only from the one it was seen in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from core import clock
from core.database import transaction
from core.errors import NotFoundError, RefusedError
from core.schema import jobs
from core.training.jobs.rows import asked_columns, job_of, number_of, progress_text
from core.training.types import Job, JobState, LaunchRequest, Progress

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
                state=str(JobState.QUEUED),
                reason="",
                asked_by=asked_by,
                asked_at=clock.text(self._now()),
                sweep_id=sweep_id,
                told=False,
                **asked_columns(request, parameters),
            )
        )
        return number_of(made)

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

    def transaction(self) -> AbstractContextManager[Connection]:
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
            values["progress"] = progress_text(progress)
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

    def give_up(self, job_id: int, reason: str) -> bool:
        """Fail a job that waits and can never run; return whether it waited."""
        values = {"state": str(JobState.FAILED), "reason": reason, "ended_at": clock.text(self._now())}
        return self.change(job_id, JobState.QUEUED, values)

    def set_run(self, job_id: int, run_id: str, name: str) -> bool:
        """Note the MLflow run of a job; return False where it has one."""
        # A job that was stopped meanwhile: MLflow is told of its end once more, for now there is a run.
        values = {"run_id": run_id, "name": name, "told": False}
        return self.change(job_id, tuple(JobState), values, run_id=None)

    def told(self, job_id: int, run_id: str | None) -> None:
        """Note that MLflow knows how a job with this run ended."""
        self.change(job_id, tuple(JobState), {"told": True}, run_id=run_id)

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
        return job_of(row)

    def job_in(self, job_id: int, states: Sequence[JobState], what: str) -> Job:
        """Return a job that is in one of these states.

        Parameters
        ----------
        what : str
            What could be done with it then, as the refusal ends: "retried yet".

        Raises
        ------
        RefusedError
            If it is in another one.
        """
        job = self.job(job_id)
        if job.state not in states:
            raise RefusedError(f"Job {job_id} is {job.state}; it cannot be {what}.")
        return job

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
            return tuple(job_of(row) for row in found)

    def untold(self, limit: int = 50) -> tuple[Job, ...]:
        """Return jobs that are over and of which MLflow does not know it, oldest first."""
        query = sa.select(jobs).where(self._here, jobs.c.state.in_(_OVER), jobs.c.told.is_(False))
        with self.transaction() as connection:
            return tuple(job_of(row) for row in connection.execute(query.order_by(jobs.c.id).limit(limit)))

    def without_run(self, older_than: datetime) -> tuple[Job, ...]:
        """Return queued jobs whose launch was cut off before their MLflow run was made."""
        query = sa.select(jobs).where(
            self._here,
            jobs.c.state == str(JobState.QUEUED),
            jobs.c.run_id.is_(None),
            jobs.c.asked_at < clock.text(older_than),
        )
        with self.transaction() as connection:
            return tuple(job_of(row) for row in connection.execute(query.order_by(jobs.c.id).limit(50)))

    def over_since(self, before: datetime, among: Collection[int]) -> tuple[Job, ...]:
        """Return those of some jobs that were over before a time."""
        query = sa.select(jobs).where(
            self._here, jobs.c.id.in_(among), jobs.c.state.in_(_OVER), jobs.c.ended_at < clock.text(before)
        )
        with self.transaction() as connection:
            return tuple(job_of(row) for row in connection.execute(query))

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

    @property
    def _here(self) -> sa.ColumnElement[bool]:
        return jobs.c.store_key == self.store_key

"""Make the MLflow runs of jobs that were recorded, and queue them; what a crash cut off is made up for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import GreenroomError, NotFoundError
from core.training.jobs.place import job_place, take_lock
from core.training.jobs.store import JobStore
from core.training.jobs.sweep_store import SweepStore
from core.training.jobs.tickets import TicketQueue
from core.training.projects.catalogue import Projects
from core.training.types import Job, JobState

if TYPE_CHECKING:
    from core.training.jobs.runs import JobRuns


class JobLauncher:
    """Gives recorded jobs what they need to be run: an MLflow run each, and a ticket in the queue.

    Methods raise `SourceError`, `RefusedError` or `NotFoundError` where MLflow does not take a run, and `DatabaseError`
    where Greenroom's database does not answer.
    """

    def __init__(
        self,
        store: JobStore,
        sweeps: SweepStore,
        projects: Projects,
        runs: Callable[[], JobRuns],
        tickets: Callable[[], TicketQueue],
        home: Path,
    ) -> None:
        self._store = store
        self._sweeps = sweeps
        self._projects = projects
        self._runs = runs
        self._tickets = tickets
        self._home = home

    def launch(self, job_ids: Sequence[int], tags: Mapping[str, str]) -> None:
        """Make the runs of jobs, and queue them; where one cannot be made, none of them is run."""
        try:
            for job_id in job_ids:
                self._make_run(job_id, tags)
        except GreenroomError as error:
            for job_id in job_ids:
                # What went wrong first is what the caller has to hear.
                with suppress(GreenroomError):
                    self._store.give_up(job_id, str(error))
            raise
        # A queue that does not answer delays a job and loses none: the worker looks for those without a ticket.
        with suppress(GreenroomError):
            self._tickets().put(len(job_ids))

    def make_missing_run(self, job: Job) -> None:
        """Make the run of a job whose launch was cut off; nothing where that is still at it."""
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
        """Return the run above the runs of a sweep; the first of its jobs makes it."""
        sweep = self._sweeps.sweep(sweep_id)
        if sweep.run_id is not None:
            return sweep.run_id
        made = self._runs().make_parent(job.experiment, sweep.name, sweep.id, sweep.asked_by, again=again)
        if not self._sweeps.set_run(sweep.id, made):
            there = self._sweeps.sweep(sweep_id).run_id
            if there is not None and there != made:
                self._runs().discard(made)
                return there
        return made

    def _given(self, job: Job) -> dict[str, str]:
        """Return the parameters that differ from their defaults: what `mlflow run` would log."""
        entry = self._projects.entry_point(job.project, job.entry_point)
        defaults = {one.name: one.default for one in entry.parameters}
        return {key: value for key, value in job.parameters.items() if value != defaults.get(key)}

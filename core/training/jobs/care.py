"""What keeps jobs true after whatever happened: lost ones are found, MLflow is told, tickets are made up for."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from core import clock
from core.errors import GreenroomError, NotFoundError, RefusedError, SourceError
from core.training.jobs.ending import Ended, lost, read_end
from core.training.jobs.place import JobPlace, job_place
from core.training.jobs.processes import end_all, mark_of
from core.training.jobs.runs import JobRuns
from core.training.jobs.store import JobStore
from core.training.jobs.sweep_store import SweepStore
from core.training.jobs.tickets import TicketQueue
from core.training.types import EngineKind, Job, JobState

log = logging.getLogger(__name__)

_SILENT: Final = timedelta(minutes=2)
_CUT_OFF: Final = timedelta(seconds=30)


class JobCare:
    """Looks after the jobs of a tracking store on one machine.

    Parameters
    ----------
    follow : callable
        Starts a process that goes on supervising a job which runs on a cluster.
    make_run : callable
        Makes the MLflow run of a job whose launch was cut off.
    """

    def __init__(
        self,
        store: JobStore,
        sweeps: SweepStore,
        runs: JobRuns,
        home: Path,
        follow: Callable[[int], subprocess.Popen[bytes]],
        make_run: Callable[[Job], None],
        now: clock.Clock = clock.now,
    ) -> None:
        self._store = store
        self._sweeps = sweeps
        self._runs = runs
        self._home = home
        self._follow = follow
        self._make_run = make_run
        self._now = now
        self._begun: set[int] = set()
        self._following: dict[int, subprocess.Popen[bytes]] = {}

    def recover(self) -> None:
        """Find jobs that are said to run and do not: end what is left of them, and say how they ended.

        Raises
        ------
        DatabaseError
        """
        for job_id, process in tuple(self._following.items()):
            if process.poll() is not None:
                self._following.pop(job_id, None)
        for job in self._store.jobs((JobState.RUNNING,), limit=None):
            place = job_place(self._home, self._store.store_key, job.id)
            if self._lives(job, place):
                continue
            held = place.lock() if place.folder.is_dir() else None
            if held is None and place.folder.is_dir():
                continue
            try:
                self._recover(self._store.job(job.id), place)
            finally:
                if held is not None:
                    os.close(held)
            self._go_on(job, place)

    def _lives(self, job: Job, place: JobPlace) -> bool:
        if place.folder.is_dir() and job.host == socket.gethostname():
            return place.is_held()
        # Another machine's job is judged by its silence, for its locks are not seen here.
        heard = job.heard_at or job.started_at
        return heard is not None and self._now() - heard < _SILENT

    def _recover(self, job: Job, place: JobPlace) -> None:
        """Say how a job ended whose supervising process is gone; its lock is held."""
        if job.state is not JobState.RUNNING:
            return
        found = read_end(place)
        if found is None and job.engine is EngineKind.RAY and place.begun.exists():
            return
        # What it started must be gone before anybody is told that it is over.
        end_all(mark_of(self._store.store_key, job.id), None, 0.0)
        if found is not None:
            ended, at = found
            self._store.end(job.id, ended.state, ended.reason, ended.exit_code, at)
        elif job.host == socket.gethostname() and not place.begun.exists() and job.stop_asked_by is None:
            # Its process died before it started anything: nothing is done twice when it is run again.
            values = {"state": str(JobState.QUEUED), "host": None, "started_at": None, "heard_at": None}
            self._store.change(job.id, JobState.RUNNING, values, stop_asked_by=None)
        else:
            stopper = job.stop_asked_by
            ended = lost(job) if stopper is None else Ended(JobState.STOPPED, f"Stopped by {stopper}.", None)
            self._store.end(job.id, ended.state, ended.reason, None, self._now())
            log.warning("Job %d is %s: %s", job.id, ended.state, ended.reason)

    def _go_on(self, job: Job, place: JobPlace) -> None:
        """Supervise again what goes on in a cluster."""
        goes_on = job.engine is EngineKind.RAY and place.begun.exists() and not place.end.exists()
        # One that has been started takes a while before it holds the lock.
        if goes_on and job.id not in self._following:
            self._following[job.id] = self._follow(job.id)

    def tell_begun(self) -> None:
        """Tell MLflow which jobs run, whichever worker has started them.

        Raises
        ------
        DatabaseError
        SourceError
            If MLflow does not answer.
        """
        for job in self._store.jobs((JobState.RUNNING,), limit=None):
            place = job_place(self._home, self._store.store_key, job.id)
            if job.run_id is None or job.id in self._begun or not place.begun.exists():
                continue
            try:
                self._runs.begin(job.run_id, resumed=job.resumes is not None)
            except (NotFoundError, RefusedError) as error:
                log.warning("MLflow is not told that job %d runs: %s", job.id, error)
            self._begun.add(job.id)

    def tell(self) -> None:
        """Tell MLflow how jobs and sweeps ended; what it does not take now is told later.

        Raises
        ------
        DatabaseError
        SourceError
            If MLflow does not answer.
        """
        for job in self._store.untold():
            try:
                self._runs.end(job)
            except (NotFoundError, RefusedError) as error:
                # No later try will change that, and others wait behind it.
                log.warning("MLflow is not told how job %d ended: %s", job.id, error)
            self._store.told(job.id, job.run_id)
            self._begun.discard(job.id)
        for sweep in self._sweeps.not_ended():
            if not sweep.states or any(not state.is_over for state in sweep.states):
                continue
            if sweep.run_id is not None:
                whole = set(sweep.states) == {JobState.FINISHED}
                stopped = JobState.STOPPED in sweep.states
                self._end_parent(sweep.run_id, "FINISHED" if whole else "KILLED" if stopped else "FAILED")
            self._sweeps.end(sweep.id)

    def _end_parent(self, run_id: str, status: str) -> None:
        try:
            self._runs.end_parent(run_id, status)
        except (NotFoundError, RefusedError) as error:
            log.warning("The run of a sweep is gone: %s", error)

    def mend_launches(self) -> None:
        """Make the MLflow runs of jobs whose launch was cut off.

        Raises
        ------
        DatabaseError, SourceError
        """
        for job in self._store.without_run(self._now() - _CUT_OFF):
            try:
                self._make_run(job)
            except SourceError:
                raise
            except GreenroomError as error:
                self._store.give_up(job.id, str(error))

    def make_up(self, tickets: TicketQueue) -> None:
        """Put tickets into the queue where there are fewer than jobs that wait.

        Raises
        ------
        DatabaseError, GreenroomError
        """
        waiting = self._store.counts()[JobState.QUEUED]
        missing = waiting - tickets.size()
        if missing > 0:
            tickets.put(missing)

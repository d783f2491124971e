"""Start the jobs that wait, each as soon as a place is free, and see how their supervising processes end."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from core.errors import GreenroomError
from core.redaction import redact
from core.settings import Settings
from core.training.jobs.logs import read_log
from core.training.jobs.place import JobPlace, job_place, take_lock
from core.training.jobs.runner_process import TRY_LATER, start_runner
from core.training.jobs.store import JobStore
from core.training.types import JobState

log = logging.getLogger(__name__)

_SLOT_PATIENCE: Final = 0.2
_TRIES: Final = 3
_TRY_AGAIN_SECONDS: Final = 1.0


class JobStarter:
    """Starts the jobs of a tracking store on this machine, from as many threads as jobs run at once.

    Parameters
    ----------
    recover : callable
        Finds jobs whose supervising process is gone; raises nothing.
    stopping : threading.Event
        Set when the worker is to end: threads come back, jobs go on.
    news : threading.Event
        Is set where MLflow has something to be told.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        recover: Callable[[], None],
        stopping: threading.Event,
        news: threading.Event,
    ) -> None:
        self._settings = settings
        self._home = settings.home.resolve()
        self._store = store
        self._recover = recover
        self._stopping = stopping
        self._news = news
        self._failed_starts: dict[int, int] = {}
        self._chosen: set[int] = set()
        self._choosing = threading.Lock()

    def run_waiting(self) -> None:
        """Run the job that is next, and the next one, as long as there are any and as soon as a place is free."""
        try:
            while not self._stopping.is_set() and self._is_one_waiting():
                slot = self._free_slot()
                if slot is None:
                    self._stopping.wait(_SLOT_PATIENCE)
                else:
                    self._run_next(slot)
        except (GreenroomError, OSError) as error:
            # The ticket is spent; another one is put into the queue for the job that waits.
            log.warning("No job can be started now: %s", error)

    def _is_one_waiting(self) -> bool:
        with self._choosing:
            return self._store.next_queued(self._chosen) is not None

    def _free_slot(self) -> int | None:
        """Take one of the places for jobs; it is given back when this process and the supervising one let go of it."""
        folder = self._home / "worker" / self._store.store_key
        for number in range(self._settings.training.jobs_at_once):
            slot = take_lock(folder / f"slot-{number}")
            if slot is not None:
                return slot
        return None

    def _run_next(self, slot: int) -> None:
        """Start the job that is next, if there still is one, and stay with it."""
        job_id = None
        try:
            try:
                job_id = self._choose()
                if job_id is None:
                    return
                process = start_runner(self._settings, self._store.store_key, job_id, slot)
            finally:
                os.close(slot)
            self._stay(process, job_id)
        finally:
            with self._choosing:
                self._chosen.discard(job_id)

    def _choose(self) -> int | None:
        # Two threads that choose at once must not start the same job: one of them would do nothing for long.
        with self._choosing:
            job_id = self._store.next_queued(self._chosen)
            if job_id is not None:
                self._chosen.add(job_id)
            return job_id

    def _stay(self, process: subprocess.Popen[bytes], job_id: int) -> None:
        begun = False
        while process.poll() is None and not self._stopping.is_set():
            if not begun and self._place_of(job_id).begun.exists():
                begun = True
                self._news.set()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        if process.poll() is None:
            # It goes on without this worker; told otherwise, Python complains of a process that nobody waited for.
            process.returncode = 0
            return
        self._recover()
        self._news.set()
        if process.returncode == TRY_LATER:
            self._stopping.wait(_TRY_AGAIN_SECONDS)
        elif process.returncode:
            try:
                self._did_not_start(job_id)
            except GreenroomError as error:
                log.warning("%s", error)

    def _did_not_start(self, job_id: int) -> None:
        """Give a job up whose supervising process does not come to start it, after some tries."""
        if self._store.job(job_id).state is not JobState.QUEUED:
            return
        self._failed_starts[job_id] = self._failed_starts.get(job_id, 0) + 1
        if self._failed_starts[job_id] < _TRIES:
            self._stopping.wait(_TRY_AGAIN_SECONDS)
            return
        said = read_log(self._place_of(job_id).supervisor_log, most=2_000).text.strip().splitlines()
        why = redact(said[-1])[:300] if said else "it said nothing"
        self._store.give_up(job_id, f"Its supervising process did not start: {why}")

    def _place_of(self, job_id: int) -> JobPlace:
        return job_place(self._home, self._store.store_key, job_id)

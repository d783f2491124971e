"""The worker: draws tickets, starts supervising processes, and looks after what is under way."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

# Before there are threads: MLflow imports it in one of them, and half imported it breaks statements of the others.
import sqlalchemy.orm  # noqa: F401

from core import clock
from core.errors import GreenroomError
from core.redaction import redact
from core.settings import CONFIG_VARIABLE, Settings
from core.training.jobs.care import JobCare
from core.training.jobs.heartbeat import only_worker
from core.training.jobs.logs import read_log
from core.training.jobs.place import JobPlace, job_place, take_lock
from core.training.jobs.runner import TRY_LATER
from core.training.jobs.store import JobStore
from core.training.jobs.tickets import TicketQueue
from core.training.types import JobState

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_TICKETS_EVERY: Final = 15.0
_SLOT_PATIENCE: Final = 0.2
_STANDBY: Final = 1.0
_TRIES: Final = 3
_TRY_AGAIN_SECONDS: Final = 1.0


class Worker:
    """Runs the jobs of one tracking store on this machine.

    Parameters
    ----------
    chores : sequence of callable
        What else is looked after each second or two, in a thread of its own: schedules, live figures, retention.
    """

    def __init__(
        self,
        settings: Settings,
        store: JobStore,
        tickets: TicketQueue,
        care: JobCare,
        chores: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._settings = settings
        self._home = settings.home.resolve()
        self._store = store
        self._tickets = tickets
        self._care = care
        self._chores = chores
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._broken = False
        self._tries: dict[int, int] = {}
        self._chosen: set[int] = set()
        self._choosing = threading.Lock()

    def run(self, on_start: Callable[[], None] = lambda: None) -> None:
        """Work until `stop`; where another worker is at it, wait until that is gone.

        Jobs that run when this ends go on, and are found again by the next worker.

        Raises
        ------
        GreenroomError
            If a part of it failed in a way that nobody has foreseen.
        """
        slots = self._settings.training.jobs_at_once
        while not self._stopping.is_set():
            with only_worker(self._home, self._store.store_key, slots) as alone:
                if alone:
                    on_start()
                    self._work(slots)
                    return
            self._stopping.wait(_STANDBY)

    def stop(self) -> None:
        """End the work soon."""
        self._stopping.set()

    def _work(self, slots: int) -> None:
        consumer = self._tickets.consumer(self._one, slots)
        looking = [
            threading.Thread(target=self._keep_at, args=(work,), name=f"greenroom-{name}", daemon=True)
            for name, work in (("care", self._look), ("telling", self._tell), ("chores", self._do_chores))
        ]
        # What a crash left is put in order before anything new begins.
        self._quietly(self._care.recover)
        for thread in looking:
            thread.start()
        consumer.start()
        self._stopping.wait()
        self._news.set()
        consumer.stop(graceful=True)
        for thread in looking:
            thread.join(timeout=10)
        if self._broken:
            raise GreenroomError(
                "A part of the worker failed, so it ended; its log says more. Start it anew."
            )

    def _keep_at(self, work: Callable[[], None]) -> None:
        """End the whole worker where a part of it fails: one that is gone is seen, and started anew."""
        try:
            work()
        finally:
            self._broken = self._broken or not self._stopping.is_set()
            self._stopping.set()

    # Jobs

    def _one(self) -> None:
        """Run the job that is next, and the next one, as long as there are any and as soon as a place is free."""
        try:
            while not self._stopping.is_set() and self._next() is not None:
                slot = self._free_slot()
                if slot is None:
                    self._stopping.wait(_SLOT_PATIENCE)
                else:
                    self._run_next(slot)
        except (GreenroomError, OSError) as error:
            # The ticket is spent; another one is put into the queue for the job that waits.
            log.warning("No job can be started now: %s", error)

    def _next(self) -> int | None:
        with self._choosing:
            return self._store.next_queued(self._chosen)

    def _run_next(self, slot: int) -> None:
        """Start the job that is next, if there still is one, and stay with it."""
        job_id = None
        try:
            try:
                # Two threads that choose at once must not start the same job: one of them would do nothing for long.
                with self._choosing:
                    job_id = self._store.next_queued(self._chosen)
                    if job_id is None:
                        return
                    self._chosen.add(job_id)
                process = start_runner(self._settings, self._store.store_key, job_id, slot)
            finally:
                os.close(slot)
            self._stay(process, job_id)
        finally:
            with self._choosing:
                self._chosen.discard(job_id)

    def _free_slot(self) -> int | None:
        """Take one of the places for jobs; it is given back when this process and the supervising one let go of it."""
        folder = self._home / "worker" / self._store.store_key
        for number in range(self._settings.training.jobs_at_once):
            slot = take_lock(folder / f"slot-{number}")
            if slot is not None:
                return slot
        return None

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
        self._quietly(self._care.recover)
        self._news.set()
        if process.returncode == TRY_LATER:
            self._stopping.wait(_TRY_AGAIN_SECONDS)
        elif process.returncode:
            self._quietly(lambda: self._did_not_start(job_id))

    def _did_not_start(self, job_id: int) -> None:
        """Give a job up whose supervising process does not come to start it, after some tries."""
        if self._store.job(job_id).state is not JobState.QUEUED:
            return
        self._tries[job_id] = self._tries.get(job_id, 0) + 1
        if self._tries[job_id] < _TRIES:
            self._stopping.wait(_TRY_AGAIN_SECONDS)
            return
        said = read_log(self._place_of(job_id).supervisor_log, most=2_000).text.strip().splitlines()
        why = redact(said[-1])[:300] if said else "it said nothing"
        reason = f"Its supervising process did not start: {why}"
        values = {"state": str(JobState.FAILED), "reason": reason, "ended_at": clock.text(clock.now())}
        self._store.change(job_id, JobState.QUEUED, values)

    def _place_of(self, job_id: int) -> JobPlace:
        return job_place(self._home, self._store.store_key, job_id)

    # Looking after

    def _look(self) -> None:
        made_up = 0.0
        while not self._stopping.is_set():
            self._quietly(self._care.recover)
            if time.monotonic() - made_up > _TICKETS_EVERY:
                made_up = time.monotonic()
                self._quietly(lambda: self._care.make_up(self._tickets))
            self._stopping.wait(_LOOK_SECONDS)

    def _tell(self) -> None:
        # A thread of its own: an MLflow that hangs keeps no job from being started, stopped or found.
        while not self._stopping.is_set():
            self._news.clear()
            for look in (self._care.tell_begun, self._care.mend_launches, self._care.tell):
                self._quietly(look)
            self._news.wait(_LOOK_SECONDS)

    def _do_chores(self) -> None:
        while not self._stopping.is_set():
            for chore in self._chores:
                self._quietly(chore)
            self._stopping.wait(_LOOK_SECONDS)

    def _quietly(self, look: Callable[[], None]) -> None:
        """Do it, and say why where it cannot be done; it is tried again at the next look."""
        try:
            look()
        except GreenroomError as error:
            log.warning("%s", error)


def start_runner(
    settings: Settings, store_key: str, job_id: int, slot: int | None = None, *, again: bool = False
) -> subprocess.Popen[bytes]:
    """Start the process that supervises a job.

    Parameters
    ----------
    slot : int, optional
        A lock that it keeps as long as it lives.
    again : bool
        Whether the job was started before and goes on in a cluster.
    """
    place = job_place(settings.home.resolve(), store_key, job_id)
    place.make()
    command = [sys.executable, "-m", "core.training.jobs.runner", store_key, str(job_id)]
    with place.supervisor_log.open("ab") as said:
        return subprocess.Popen(
            [*command, "--again"] if again else command,
            env=runner_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            pass_fds=() if slot is None else (slot,),
        )


def runner_environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which a process reads the same settings."""
    environment = dict(os.environ)
    given = {
        "MLFLOW_TRACKING_URI": settings.effective_tracking_uri,
        "GREENROOM_HOME": str(settings.home.resolve()),
        "GREENROOM_DATABASE_URI": settings.database_uri,
        "GREENROOM_BACKEND_URI": settings.backend_uri,
    }
    for key, value in given.items():
        environment.pop(key, None)
        if value:
            environment[key] = value
    if Path(settings.place).is_file():
        environment[CONFIG_VARIABLE] = str(Path(settings.place).resolve())
    return environment

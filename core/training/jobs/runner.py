"""The process that supervises one job: `python -m core.training.jobs.runner STORE_KEY JOB`.

It lives apart from the worker that starts it, so that a worker may die and come back while a job goes on. It takes the
job (one process alone can), starts it, keeps its log, and writes down how it ended: in the job's folder first, then in
the database. It knows nothing of MLflow: the worker tells it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, NoReturn

from core import clock
from core.errors import DatabaseError, GreenroomError
from core.training.engines.base import Engine, EngineError, Launch, Running
from core.training.jobs.logs import LogWriter, progress_of
from core.training.jobs.place import JobPlace, job_place, read_json, write_json
from core.training.jobs.store import JobStore
from core.training.types import EngineKind, Job, JobState, Progress

if TYPE_CHECKING:
    from core.settings import Settings

_LOOK_SECONDS: Final = 0.25
_HEAR_SECONDS: Final = 5.0
_DISK_SECONDS: Final = 2.0
_WAIT_FOR_DATABASE: Final = 900.0
_LAST_WORDS_SECONDS: Final = 2.0
TRY_LATER: Final = 75
"""Exit code of a supervising process that could not take its job, for the database did not answer."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    state: JobState
    reason: str
    exit_code: int | None


class Supervision:
    """One job from its start to its end."""

    def __init__(self, store: JobStore, place: JobPlace, settings: Settings, job: Job) -> None:
        self._store = store
        self._place = place
        self._settings = settings
        self._job = job
        self._log = LogWriter(place.log, settings.training.log_mb * 2**20)
        self._told_to_end = False
        self._heard = 0.0
        self._looked_at_disk = 0.0
        self._progress_at: float = 0.0
        self._percent: int | None = None
        self._began = time.monotonic()

    def end_soon(self, *_: object) -> None:
        """Stop the job; what a signal to this process does."""
        self._told_to_end = True

    def run(self, launch: Launch, engine: Engine, *, again: bool) -> Ended:
        """Start the job, or find it again, and stay with it."""
        running: Running | None
        if again:
            running = engine.find(launch)
            if running is None:
                return Ended(JobState.LOST, lost_sentence(self._job), None)
        else:
            problem = self._no_room()
            if problem:
                return Ended(JobState.FAILED, problem, None)
            why = self._why_stop()
            if why is not None:
                return Ended(*why, None)
            # From here on it may have been started: whoever finds it without this process must not start it again.
            self._place.begin()
            running = engine.start(launch)
        try:
            return self._stay(running)
        finally:
            running.close()

    def _stay(self, running: Running) -> Ended:
        why: tuple[JobState, str] | None = None
        while True:
            running.pump(self._log.write, _LOOK_SECONDS)
            try:
                code = running.poll()
            except EngineError as error:
                return Ended(JobState.LOST, str(error), None)
            if code is not None:
                running.pump(self._log.write, 0.2)
                # What it was ended for, if that came through after its time.
                return self._over(code) if code == 0 or why is None else Ended(*why, code)
            why = self._why_stop()
            ended = None if why is None else self._stop(running, *why)
            if ended is not None:
                return ended

    def _stop(self, running: Running, state: JobState, reason: str) -> Ended | None:
        """End it; None where a cluster does not answer, which has to be asked until it does."""
        gone = running.stop()
        if not gone and self._job.engine is EngineKind.RAY:
            return None
        code = self._last_words(running)
        if code == 0 and state is JobState.STOPPED:
            # It was done before it heard of it.
            return self._over(code)
        if not gone:
            reason += " Some of its processes could not be ended; look for them with ps."
        return Ended(state, reason, code)

    def _last_words(self, running: Running) -> int | None:
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while True:
            running.pump(self._log.write, 0.1)
            with suppress(EngineError):
                code = running.poll()
                if code is not None or time.monotonic() > deadline:
                    return code
                continue
            return None

    def _over(self, code: int) -> Ended:
        if code == 0:
            return Ended(JobState.FINISHED, "", 0)
        said = self._log.last_line()
        quoted = f" The last line of its log: {said}" if said else " It printed nothing."
        if code < 0:
            name = _signal_name(-code)
            memory = ", as happens when memory runs out" if -code == signal.SIGKILL else ""
            return Ended(JobState.FAILED, f"It was ended by {name}{memory}.{quoted}", code)
        return Ended(JobState.FAILED, f"It exited with code {code}.{quoted}", code)

    def _why_stop(self) -> tuple[JobState, str] | None:
        """Return how it ends if it is to be ended now."""
        now = time.monotonic()
        hours = self._settings.training.max_hours
        if self._told_to_end:
            return JobState.STOPPED, "Its supervising process was asked to end."
        if now - self._began > hours * 3600:
            return JobState.FAILED, (
                f"It ran longer than {hours:g} hours and was ended. Raise max_hours under [training] if it needs more."
            )
        if now - self._looked_at_disk > _DISK_SECONDS:
            self._looked_at_disk = now
            problem = self._no_room()
            if problem:
                return JobState.FAILED, f"It was ended: {problem}"
        # A database that is away for a while does not end a training of days.
        with suppress(DatabaseError):
            state, asked = self._store.wanted(self._job.id)
            if asked is not None:
                return JobState.STOPPED, f"Stopped by {asked}."
            if state is not JobState.RUNNING:
                # Another machine has not heard of it for long, and somebody may have begun it anew since.
                return JobState.LOST, f"It was ended, for it was said to be {state} while it ran."
            self._hear(now)
        return None

    def _hear(self, now: float) -> None:
        """Tell the database that the job lives, if something is new or it is time."""
        said = self._said()
        if said is not None or now - self._heard >= _HEAR_SECONDS:
            self._heard = now
            self._store.hear(self._job.id, said)

    def _said(self) -> Progress | None:
        with suppress(OSError):
            at = self._place.progress.stat().st_mtime
            if at != self._progress_at:
                self._progress_at = at
                return progress_of(read_json(self._place.progress), clock.now())
        if not self._progress_at and self._log.percent != self._percent:
            self._percent = self._log.percent
            return Progress(float(self._percent or 0), 100.0, "", clock.now())
        return None

    def _no_room(self) -> str:
        least = self._settings.training.min_free_mb
        try:
            free = shutil.disk_usage(self._place.folder).free // 2**20
        except OSError:
            return ""
        if free >= least:
            return ""
        return f"only {free} MiB are free on the disk of {self._place.folder}, and {least} are to stay free. Make room."

    def close(self, ended: Ended) -> None:
        """Write down how it ended; the folder first, which needs no server."""
        at = clock.now()
        if ended.reason:
            self._log.say(ended.reason)
        self._log.close()
        write_end(self._place, ended, at)
        deadline = time.monotonic() + _WAIT_FOR_DATABASE
        while True:
            try:
                self._store.end(self._job.id, ended.state, ended.reason, ended.exit_code, at)
                return
            except DatabaseError:
                # The worker finds the file where it comes back later than that.
                if time.monotonic() > deadline:
                    return
                time.sleep(1.0)


def write_end(place: JobPlace, ended: Ended, at: datetime) -> None:
    """Write down how a job ended, for a worker that finds nothing else."""
    value = {"state": str(ended.state), "reason": ended.reason, "exit_code": ended.exit_code}
    with suppress(OSError):
        write_json(place.end, {**value, "at": clock.text(at)})


def read_end(place: JobPlace) -> tuple[Ended, datetime] | None:
    """Return what `write_end` wrote."""
    value = read_json(place.end)
    if not isinstance(value, dict):
        return None
    return Ended(JobState(value["state"]), value["reason"], value["exit_code"]), clock.moment(value["at"])


def lost_sentence(job: Job) -> str:
    """Say that nobody knows what became of a job."""
    return (
        f"Its supervising process on {job.host} is gone, as after a restart of the machine, and with it the job. "
        "Resume it where its entry point can, or retry it."
    )


def engine_of(kind: EngineKind) -> Engine:
    """Return an engine."""
    if kind is EngineKind.RAY:
        from core.training.engines.ray_jobs import RayEngine

        return RayEngine()
    from core.training.engines.local import LocalEngine

    return LocalEngine()


def supervise(settings: Settings, store: JobStore, job_id: int, *, again: bool) -> None:
    """Take a job and stay with it until it is over; nothing where another process has it."""
    from core.training.jobs.preparing import ready, ready_to_find

    place = job_place(settings.home.resolve(), store.store_key, job_id)
    place.make()
    held = place.lock()
    if held is None:
        return
    try:
        if again:
            job = store.job(job_id)
            if job.state is not JobState.RUNNING:
                return
        else:
            if not store.claim(job_id, socket.gethostname()):
                return
            job = store.job(job_id)
        watched = Supervision(store, place, settings, job)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, watched.end_soon)
        try:
            launch = (ready_to_find if again else ready)(settings, job, place)
            ended = watched.run(launch, engine_of(job.engine), again=again)
        except (GreenroomError, OSError) as error:
            unknown = isinstance(error, EngineError) and place.begun.exists() and again
            ended = Ended(JobState.LOST if unknown else JobState.FAILED, str(error), None)
        watched.close(ended)
    finally:
        os.close(held)


def main() -> None:
    """Supervise the job that the command line names."""
    from core.database import open_database
    from core.settings import read_settings

    store_key, job_id, *more = sys.argv[1:]
    settings = read_settings()
    try:
        engine = open_database(settings.database_uri, settings.home)
    except GreenroomError as error:
        _try_later(error)
    try:
        supervise(settings, JobStore(lambda: engine, store_key), int(job_id), again="--again" in more)
    except DatabaseError as error:
        _try_later(error)


def _try_later(error: GreenroomError) -> NoReturn:
    print(error, file=sys.stderr)  # noqa: T201 - into the supervising process's own log
    sys.exit(TRY_LATER)


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


if __name__ == "__main__":
    main()

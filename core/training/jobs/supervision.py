"""One job from its start to its end: it is started, watched, stopped where that is asked, and its log is kept."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from core import clock
from core.errors import DatabaseError
from core.training.engines.base import Engine, EngineError, Launch, Running
from core.training.jobs.ending import Ended, ended_by_itself, lost, write_end
from core.training.jobs.logs import LogWriter, progress_of
from core.training.jobs.place import JobPlace, read_json
from core.training.jobs.store import JobStore
from core.training.types import EngineKind, Job, JobState, Progress

if TYPE_CHECKING:
    from core.settings import Settings

_LOOK_SECONDS: Final = 0.25
_TELL_SECONDS: Final = 5.0
_DISK_SECONDS: Final = 2.0
_WAIT_FOR_DATABASE: Final = 900.0
_LAST_WORDS_SECONDS: Final = 2.0


class Supervision:
    """One job from its start to its end."""

    def __init__(self, store: JobStore, place: JobPlace, settings: Settings, job: Job) -> None:
        self._store = store
        self._place = place
        self._settings = settings
        self._job = job
        self._log = LogWriter(place.log, settings.training.log_mb * 2**20)
        self._asked_to_end = False
        self._told_at = 0.0
        self._looked_at_disk = 0.0
        self._progress_at = 0.0
        self._percent: int | None = None
        self._began = time.monotonic()

    def end_soon(self, *_: object) -> None:
        """Stop the job; what a signal to this process does."""
        self._asked_to_end = True

    def run(self, launch: Launch, engine: Engine, *, again: bool) -> Ended:
        """Start the job, or find it again, and stay with it."""
        running: Running | None
        if again:
            running = engine.find(launch)
            if running is None:
                return lost(self._job)
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
                return self._ended_by_itself(code) if code == 0 or why is None else Ended(*why, code)
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
            return self._ended_by_itself(code)
        if not gone:
            reason += " Some of its processes could not be ended; look for them with ps."
        return Ended(state, reason, code)

    def _last_words(self, running: Running) -> int | None:
        """Keep what it still prints; return its exit code, None where nobody knows it."""
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        while True:
            running.pump(self._log.write, 0.1)
            try:
                code = running.poll()
            except EngineError:
                return None
            if code is not None or time.monotonic() > deadline:
                return code

    def _ended_by_itself(self, code: int) -> Ended:
        return ended_by_itself(code, self._log.last_line())

    def _why_stop(self) -> tuple[JobState, str] | None:
        """Return how it ends if it is to be ended now."""
        now = time.monotonic()
        hours = self._settings.training.max_hours
        if self._asked_to_end:
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
            self._tell_that_it_lives(now)
        return None

    def _tell_that_it_lives(self, now: float) -> None:
        """Tell the database that the job lives, if something is new or it is time."""
        said = self._new_progress()
        if said is not None or now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            self._store.hear(self._job.id, said)

    def _new_progress(self) -> Progress | None:
        """Return how far the job is by its file, or by its log where it writes none; None where that is not new."""
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
        """Say what is wrong with the room on the disk; "" where there is enough."""
        least = self._settings.training.min_free_mb
        try:
            free = shutil.disk_usage(self._place.folder).free // 2**20
        except OSError:
            return ""
        if free >= least:
            return ""
        return f"only {free} MiB are free on the disk of {self._place.folder}, and {least} are to stay free. Make room."

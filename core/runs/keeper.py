"""Keeps the index fresh in the background while somebody looks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import GreenroomError
from core.runs.explorer import RunExplorer
from core.runs.types import SyncProgress

# A page that has not been heard of for this long is closed.
_WATCHED_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class KeeperState:
    """What the keeper does right now: `progress` while it syncs for the first time, `error` if it cannot."""

    progress: SyncProgress | None
    error: str | None


class Keeper:
    """A daemon thread that looks at the store every few seconds, but only while a page is open.

    Parameters
    ----------
    also : callable
        What else is looked at each time.
    """

    def __init__(
        self, explorer: RunExplorer, seconds: float, also: Callable[[], None] = lambda: None
    ) -> None:
        self._explorer = explorer
        self._also = also
        self._seconds = seconds
        self._watched_until = 0.0
        self._progress: SyncProgress | None = None
        self._error: str | None = None
        self._wake = threading.Event()
        self._stopped = False
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None
        self._guard = threading.Lock()

    def touch(self) -> None:
        """Say that a page is open; starts the thread at the first time."""
        self._watched_until = time.monotonic() + _WATCHED_SECONDS
        with self._guard:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="greenroom-keeper", daemon=True)
                self._thread.start()
        self._wake.set()

    def wait_for_look(self, seconds: float) -> bool:
        """Wait until the first look is over; says whether it is."""
        return self._looked.wait(seconds)

    @property
    def state(self) -> KeeperState:
        """What it is doing."""
        return KeeperState(self._progress, self._error)

    def stop(self) -> None:
        """End the thread after its current look."""
        self._stopped = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        self._look()
        while not self._stopped:
            # Cleared before looking at what it announces: a word that comes in between is not lost.
            self._wake.clear()
            if not self._stopped and time.monotonic() > self._watched_until:
                self._wake.wait()
                continue
            began = time.monotonic()
            self._look()
            # A store that is slow to read is looked at less often, so that it is not read all the time.
            pause = max(self._seconds, 2 * (time.monotonic() - began))
            deadline = time.monotonic() + pause
            while not self._stopped and time.monotonic() < deadline:
                time.sleep(min(0.1, max(0.0, deadline - time.monotonic())))

    def _look(self) -> None:
        try:
            self._explorer.sync(on_progress=self._note, wait_seconds=0.0)
            self._also()
            self._error = None
        except GreenroomError as error:
            self._error = str(error)
        finally:
            self._progress = None
            self._looked.set()

    def _note(self, progress: SyncProgress) -> None:
        self._progress = progress

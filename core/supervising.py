"""Keep one worker process alive beside a server, as long as that lives."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from core.training.jobs.processes import die_with_parent

if TYPE_CHECKING:
    from core.settings import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_WELL: Final = 60.0
_END_SECONDS: Final = 15.0


class WorkerSupervisor:
    """Starts `greenroom worker`, and starts it anew when it dies; ever more slowly while it dies at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="greenroom-supervisor", daemon=True)

    def start(self) -> None:
        """Start the worker; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker; jobs that run go on."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(timeout=_END_SECONDS)

    def _watch(self) -> None:
        from core.training.jobs.runner_process import environment_of

        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "core.cli", "worker"],
                env=environment_of(self._settings),
                stdin=subprocess.DEVNULL,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
            while self._process.poll() is None and not self._stopping.is_set():
                self._stopping.wait(0.2)
            if self._stopping.is_set():
                return
            lived = time.monotonic() - began
            pause = _FIRST_PAUSE if lived > _WELL else min(pause * 2, _LONGEST_PAUSE)
            log.warning("The worker ended with code %s and is started anew.", self._process.returncode)
            self._stopping.wait(pause)

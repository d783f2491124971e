"""The engine `local`: a process group on this machine, whose output comes through a pipe."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from core.training.engines.base import EngineError, Launch
from core.training.jobs import processes

_GRACE_SECONDS: Final = 3.0
_CHUNK: Final = 262_144


class LocalEngine:
    """Starts a process that dies with the one that starts it."""

    def start(self, launch: Launch) -> LocalProcess:
        processes.adopt_grandchildren()
        try:
            process = subprocess.Popen(
                launch.arguments,
                cwd=launch.folder,
                env={**os.environ, **launch.environment, processes.MARK: launch.mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=processes.die_with_parent(),
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise EngineError(
                f"{launch.arguments[0]} cannot be started: {reason}. Check the command of the entry point."
            ) from error
        processes.keep_for_owner(process.pid)
        return LocalProcess(process, launch.mark)

    def find(self, launch: Launch) -> None:
        """Find nothing: what this engine starts does not outlive who started it."""
        processes.end_all(launch.mark, None, 0.0)


class LocalProcess:
    """A process group; see `Running`."""

    def __init__(self, process: subprocess.Popen[bytes], mark: str) -> None:
        self._process = process
        self._mark = mark
        assert process.stdout is not None  # noqa: S101
        self._pipe: int | None = process.stdout.fileno()
        os.set_blocking(self._pipe, False)

    def pump(self, write: Callable[[bytes], None], seconds: float) -> None:
        if self._pipe is None:
            # It has closed its output and goes on.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        waiting = select.poll()
        waiting.register(self._pipe, select.POLLIN | select.POLLHUP)
        deadline = time.monotonic() + seconds
        while self._pipe is not None and waiting.poll(max(deadline - time.monotonic(), 0.0) * 1000):
            content = self._read()
            if content:
                write(content)
            # Even a flood leaves time to look whether it is to be stopped.
            if time.monotonic() >= deadline or not content:
                return

    def _read(self) -> bytes:
        assert self._pipe is not None  # noqa: S101
        try:
            content = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return b""
        if not content:
            self._pipe = None
        return content

    def poll(self) -> int | None:
        processes.reap()
        return self._process.poll()

    def stop(self) -> bool:
        gone = processes.end_all(self._mark, self._process.pid, _GRACE_SECONDS)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        return gone

    def close(self) -> None:
        """End what the job has left behind, and close the pipe."""
        processes.end_all(self._mark, self._process.pid, 0.5)
        if self._process.stdout is not None:
            self._process.stdout.close()

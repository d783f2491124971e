"""Servers that can be killed and come back, or that never answer; and trainings in processes of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests import servers, stores


class Server:
    """An MLflow server over one store, at one address, that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = servers.free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.backend = stores.new_sqlite(folder)
        self._running: contextlib.ExitStack | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--backend-store-uri", self.backend, "--workers", "1"),
            *("--artifacts-destination", str(self.folder / "artifacts")),
        ]
        self._running = contextlib.ExitStack()
        self._process = self._running.enter_context(
            servers.process(command, self.folder / "mlflow.log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")
        )
        servers.wait_for(f"{self.uri}/health", self._process)

    def kill(self) -> None:
        """Kill it at once, as the power would."""
        if self._process is not None and self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(10)
            self._running.close()
            self._process = None


@contextlib.contextmanager
def silent_server() -> Iterator[str]:
    """Accept connections and never answer; yields the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                kept.append(listener.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for one in kept:
            one.close()


def train(script: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Run a training script in a process of its own; what it prints can be read line by line."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        cwd=environment.get("GREENROOM_HOME", "."),
    )

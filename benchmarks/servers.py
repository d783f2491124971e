"""Servers that are measured: Greenroom's and MLflow's, each in a process group that ends with the measurement."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.stores import uri

_ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 90


@contextlib.contextmanager
def greenroom(store: Path, home: Path) -> Iterator[str]:
    """Serve Greenroom on a store and yield its address."""
    port = _free_port()
    command = [sys.executable, "-m", "core.cli", "up", "--port", str(port)]
    settings = {"MLFLOW_TRACKING_URI": uri(store), "GREENROOM_HOME": str(home)}
    with _running(command, home / "server.log", f"http://127.0.0.1:{port}/_stcore/health", settings):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def mlflow(store: Path, folder: Path) -> Iterator[str]:
    """Serve MLflow on a store, which it may write to, and yield its address."""
    port = _free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", uri(store), "--default-artifact-root", str(folder / "artifacts")),
    ]
    with _running(command, folder / "mlflow.log", f"http://127.0.0.1:{port}/health", {}):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _running(command: list[str], log: Path, health: str, settings: dict[str, str]) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            cwd=_ROOT,
            env={**os.environ, **settings},
            start_new_session=True,
        )
    try:
        _wait(process, health, log)
        yield
    finally:
        _end(process)


def _wait(process: subprocess.Popen[bytes], health: str, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(health, timeout=2).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"The server behind {health} did not start:\n{log.read_text()[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and what it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

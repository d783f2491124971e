"""Servers that tests start and stop themselves: PostgreSQL and MLflow, on free local ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    """Wait until a URL answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server behind {url} ended with {process.returncode}")
        failures = contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError)
        with failures, urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise TimeoutError(url)


@contextlib.contextmanager
def process(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own and end the whole group."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            command, stdout=output, stderr=output, start_new_session=True, env={**os.environ, **environment}
        )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGTERM)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait(10)


@contextlib.contextmanager
def mlflow_server(folder: Path, backend: str, port: int | None = None) -> Iterator[str]:
    """Start a real MLflow server and yield its address."""
    port = port or free_port()
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", backend, "--default-artifact-root", str(folder / "artifacts")),
        *("--workers", "1"),
    ]
    # The job workers that a server starts beside itself are of no use here, and cost a core.
    with process(command, folder / "mlflow.log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as running:
        wait_for(f"http://127.0.0.1:{port}/health", running)
        yield f"http://127.0.0.1:{port}"


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL server."""

    port: int

    def uri(self, database: str) -> str:
        """Return the URI of one of its databases."""
        return f"postgresql://greenroom:secret-word@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, options: str = "") -> str:
        """Create a database and return its URI."""
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {database} {options}".encode())
        return self.uri(database)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Start a PostgreSQL server in a folder; Debian's package `postgresql` has what is needed."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    found = shutil.which("initdb", path=str(binaries[-1]) if binaries else None) or shutil.which("initdb")
    if found is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    place = Path(found).parent
    # PostgreSQL refuses to run as root.
    as_user: list[str] = []
    data = folder / "data"
    if os.geteuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        data = Path("/tmp") / f"greenroom-postgres-{os.getpid()}"
        data.mkdir(mode=0o700)
        shutil.chown(data, "postgres")
    secret = data.with_name(data.name + ".word")
    secret.write_text("secret-word")
    secret.chmod(0o644)
    port = free_port()
    try:
        subprocess.run(
            [
                *as_user,
                str(place / "initdb"),
                "-D",
                str(data),
                "-U",
                "greenroom",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                f"--pwfile={secret}",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd="/",
        )
        options = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        command = [*as_user, str(place / "postgres"), "-D", str(data), "-p", str(port), *options]
        with process(command, folder / "postgres.log"):
            end = time.monotonic() + 30
            while True:
                try:
                    psycopg.connect(Postgres(port).uri("postgres")).close()
                    break
                except psycopg.OperationalError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.1)
            yield Postgres(port)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        secret.unlink(missing_ok=True)

"""A toy project, a training desk in a folder of its own, and workers that are started and killed."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Run

from core.access import Actor, Role
from core.database import open_database
from core.settings import Settings
from core.training.configuration import TrainingSettings
from core.training.desk import TrainingDesk
from core.training.jobs.place import JobPlace, job_place
from core.training.jobs.processes import MARK
from core.training.jobs.runner_process import environment_of
from core.training.projects.types import ProjectSetting
from core.training.types import Job, JobState, LaunchRequest
from core.workspace import Workspace
from tests import stores

ANA = Actor("ana", Role.ANALYST)
VERA = Actor("vera", Role.VIEWER)
PATIENCE = 60.0

PROJECT = """
name: toy
entry_points:
  once:
    parameters: {ledger: string, seconds: {type: float, default: 0.2}}
    command: python toy.py once {ledger} {seconds}
  count:
    parameters: {n: {type: int, default: 3, min: 1, max: 1000}, pause: {type: float, default: 0.05}}
    command: python toy.py count {n} {pause}
  wait: {command: python toy.py wait}
  fail:
    parameters: {code: {type: int, default: 3}}
    command: python toy.py fail {code}
  die: {command: python toy.py die}
  stubborn: {command: python toy.py stubborn}
  strays: {command: python toy.py strays}
  leaves: {command: python toy.py leaves}
  halted: {command: python toy.py halted}
  flood: {command: python toy.py flood}
  odd: {command: python toy.py odd}
  silent: {command: python toy.py silent}
  talks:
    parameters: {text: string}
    command: python toy.py talks {text}
  data:
    parameters: {file: path}
    command: python toy.py data {file}
  says_failed: {command: python toy.py says_failed}
  resumable: {command: python toy.py resumable, resumes: true}
  nowhere: {command: no-such-program-anywhere --help}
"""

SCRIPT = r'''
import json, os, signal, subprocess, sys, time

def once(ledger, seconds):
    # One write of one line: it is whole, whoever else writes.
    with open(ledger, "ab", buffering=0) as file:
        file.write(os.environ["GREENROOM_JOB"].encode() + b"\n")
    time.sleep(float(seconds))

def count(n, pause):
    for number in range(int(n)):
        print("line", number, flush=True)
        time.sleep(float(pause))

def wait():
    print("ready", flush=True)
    time.sleep(600)

def fail(code):
    print("no luck at all", flush=True)
    sys.exit(int(code))

def die():
    print("about to die", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait()

STRAY = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""
START = """
import signal, subprocess, sys, time
stray = subprocess.Popen([sys.executable, "-c", sys.argv[1]], start_new_session=True)
print("pid", stray.pid, flush=True)
if sys.argv[2:]:
    time.sleep(0.3)
    stray.send_signal(signal.SIGSTOP)
"""

def start_strays():
    # In a session of its own; the same without the mark by which it is known; and halted.
    for environment, more in ((None, ()), ({}, ()), (None, ("halted",))):
        subprocess.run([sys.executable, "-c", START, STRAY, *more], env=environment, check=True)

def strays():
    start_strays()
    wait()

def leaves():
    start_strays()

def halted():
    print("ready", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(600)

def flood():
    line = b"y" * 79 + b"\n"
    while True:
        os.write(1, line * 800)

def odd():
    out = sys.stdout.buffer
    out.write(b"\x00\x01binary\xff\xfe\n\x1b[31mred\x1b[0m\n10%\r50%\r100%\ndone\xc3")
    out.write(b"\n" + b"long" * 100_000 + b"\n")
    out.write("Straße 学".encode() + b" the end without a line break")
    out.flush()

def silent():
    os.close(1); os.close(2)
    time.sleep(0.7)
    place = os.environ["GREENROOM_JOB_DIR"]
    os.makedirs(place)
    with open(os.path.join(place, "done"), "w") as file:
        file.write("done")

def talks(text):
    with open(os.environ["GREENROOM_PROGRESS"] + ".fresh", "w") as file:
        file.write(text)
    os.replace(file.name, os.environ["GREENROOM_PROGRESS"])
    wait()

def data(file):
    with open(file) as opened:
        print(opened.read())

def says_failed():
    from mlflow import MlflowClient
    MlflowClient(os.environ["MLFLOW_TRACKING_URI"]).set_terminated(os.environ["MLFLOW_RUN_ID"], "FAILED")

def resumable():
    place = os.environ["GREENROOM_JOB_DIR"]
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, "steps")
    done = int(open(path).read()) if os.path.exists(path) else 0
    print("begins at", done, flush=True)
    if done:
        return
    with open(path, "w") as file:
        file.write("7")
    wait()

globals()[sys.argv[1]](*sys.argv[2:])
'''

# What `greenroom worker` does, without what else that looks after.
_WORKER = """
import logging, signal
logging.basicConfig(level="INFO", format="%(levelname)s %(name)s %(message)s")
from core import open_workspace
worker = open_workspace().training_parts.worker()
signal.signal(signal.SIGTERM, lambda *_: worker.stop())
worker.run(lambda: print("at work", flush=True))
"""


def write_project(folder: Path) -> Path:
    """Write the toy project."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLproject").write_text(PROJECT)
    (folder / "toy.py").write_text(SCRIPT)
    return folder


class Toys:
    """A home folder with a tracking store, the toy project and a training desk.

    Parameters
    ----------
    folder : Path
        Empty, and this one's alone.
    training
        Fields of `TrainingSettings`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tracking_uri: str | None = None,
        database_uri: str | None = None,
        **training: Any,
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.project = write_project(folder / "toy")
        if tracking_uri is None:
            stores.new_sqlite(self.home)
        if database_uri is None:
            (self.home / "greenroom.db").write_bytes(_database())
        self.tracking_uri = tracking_uri
        self.database_uri = database_uri
        self.ledger = folder / "ledger.txt"
        self.training = training
        self._workspace: Workspace | None = None
        self._workers: list[WorkerProcess] = []

    @property
    def settings(self) -> Settings:
        """What the desk and its workers read, as a file and as values."""
        place = self.folder / "greenroom.toml"
        lines = [f'[projects.toy]\nsource = "{self.project}"', "[training]"]
        lines += [
            f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
            for key, value in self.training.items()
        ]
        place.write_text("\n".join(lines) + "\n")
        return Settings(
            tracking_uri=self.tracking_uri,
            database_uri=self.database_uri,
            home=self.home,
            training=TrainingSettings(**self.training),
            projects=(ProjectSetting("toy", str(self.project)),),
            place=str(place),
        )

    @property
    def workspace(self) -> Workspace:
        if self._workspace is None:
            self._workspace = Workspace(self.settings)
        return self._workspace

    @property
    def desk(self) -> TrainingDesk:
        return self.workspace.training

    def launch(self, entry_point: str, parameters: Mapping[str, str] | None = None, **more: Any) -> Job:
        """Launch an entry point of the toy project as an analyst."""
        return self.desk.launch(LaunchRequest(entry_point, parameters or {}, project="toy", **more), ANA)

    def launch_once(self, seconds: float = 0.2, **more: Any) -> Job:
        """Launch a job that writes its mark into the ledger and waits a little."""
        return self.launch("once", {"ledger": str(self.ledger), "seconds": str(seconds)}, **more)

    def place(self, job: Job) -> JobPlace:
        return job_place(self.home.resolve(), self.workspace.address.key, job.id)

    def log(self, job: Job) -> str:
        return self.desk.log(job.id).text

    def job(self, job: Job) -> Job:
        return self.desk.job(job.id)

    def run_of(self, job: Job) -> Run:
        """Return the MLflow run of a job."""
        run_id = self.job(job).run_id
        assert run_id is not None
        return self.workspace.training_parts.runs().client.get_run(run_id)

    def status(self, job: Job) -> str:
        return str(self.run_of(job).info.status)

    def runs(self, filter_string: str = "") -> list[Run]:
        """Return all runs of the store that are not deleted."""
        client = self.workspace.training_parts.runs().client
        experiments = [one.experiment_id for one in client.search_experiments()]
        return list(client.search_runs(experiments, filter_string, max_results=1000))

    def until(self, job: Job, *states: JobState, seconds: float = PATIENCE) -> Job:
        """Wait until a job is in one of these states, by default over."""

        def there() -> bool:
            found = self.job(job).state
            return found in states if states else found.is_over

        wait_for(there, seconds, lambda: f"{self.job(job)}\n{self.log(job)[-500:]}\n{self._said()}")
        return self.job(job)

    def until_said(self, job: Job, text: str = "ready") -> Job:
        """Wait until a job has written something into its log."""
        wait_for(
            lambda: text in self.log(job), PATIENCE, lambda: f"{self.job(job)} {self.log(job)} {self._said()}"
        )
        return self.job(job)

    def until_told(self, job: Job, status: str) -> None:
        """Wait until the MLflow run of a job has a status."""
        wait_for(lambda: self.status(job) == status, PATIENCE, lambda: f"{self.status(job)} {self.job(job)}")

    def lines(self) -> list[str]:
        """Return the marks that jobs have written into the ledger."""
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def processes(self) -> list[int]:
        """Return the living processes of all jobs of this store."""
        return marked_processes(self.workspace.address.key)

    @contextlib.contextmanager
    def worker(self) -> Iterator[None]:
        """Work in a thread of this process."""
        worker = self.workspace.training_parts.worker()
        ready = threading.Event()
        thread = threading.Thread(target=worker.run, args=(ready.set,), daemon=True)
        thread.start()
        assert ready.wait(PATIENCE)
        try:
            yield
        finally:
            worker.stop()
            thread.join(PATIENCE)

    def start_worker(self) -> WorkerProcess:
        """Start a worker in a process of its own."""
        one = WorkerProcess(self.settings, self.folder / f"worker-{len(self._workers)}.txt")
        self._workers.append(one)
        return one

    def _said(self) -> str:
        return "\n".join(one.said()[-2000:] for one in self._workers[-1:])

    def close(self) -> None:
        """Leave nothing behind that runs."""
        for one in self._workers:
            one.kill()
        for pid in [*self.processes(), *self.runners()]:
            kill(pid)
        if self._workspace is not None:
            self._workspace.training_parts.close()
            self._workspace.close()

    def runners(self) -> list[int]:
        """Return the processes that supervise jobs of this store."""
        return [
            pid
            for pid, command in commands().items()
            if "core.training.jobs.runner" in command and self.workspace.address.key in command
        ]


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self._log = log
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                env=environment_of(settings),
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def until_at_work(self, seconds: float = PATIENCE) -> WorkerProcess:
        wait_for(lambda: "at work" in self.said(), seconds, self.said)
        return self

    def said(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Ask it to end, and wait."""
        self.process.terminate()
        self.process.wait(PATIENCE)


def wait_for(
    condition: Callable[[], bool], seconds: float = PATIENCE, otherwise: Callable[[], object] = lambda: ""
) -> float:
    """Wait until something holds; return the seconds that took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"Not within {seconds:g} s. {otherwise()}")
        time.sleep(0.02)
    return time.monotonic() - began


def marked_processes(store_key: str) -> list[int]:
    """Return the living processes that carry the mark of a job of a store."""
    wanted = f"\0{MARK}={store_key}-".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in b"\0" + (place / "environ").read_bytes() and is_alive(int(place.name)):
                found.append(int(place.name))
    return found


def commands() -> dict[int, str]:
    """Return the command lines of all processes."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found[int(place.name)] = (
                (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            )
    return found


def is_alive(pid: int) -> bool:
    """Say whether a process is there and no zombie."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def kill(pid: int) -> None:
    """Kill -9, if it is there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@functools.cache
def _database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        open_database(None, Path(folder)).dispose()
        return (Path(folder) / "greenroom.db").read_bytes()

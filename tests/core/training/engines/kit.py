"""A desk with a worker in a thread, and a project whose jobs are small."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from core import open_workspace
from core.access import Actor
from core.settings import read_settings
from core.training.desk import TrainingDesk
from core.training.jobs.place import JobPlace, job_place
from core.training.jobs.preparing import ready_to_find
from core.training.types import EngineKind, Job, LaunchRequest, Resources
from core.workspace import Workspace

PROJECT = """
name: small
entry_points:
  fit:
    parameters:
      rate: {type: float, default: 0.1}
      depth: {type: int, default: 1}
      seed: {type: int, default: 0}
    command: python fit.py {rate} {depth} {seed}
  fail:
    parameters: {code: {type: int, default: 3}}
    command: python fail.py {code}
  tree:
    parameters: {place: string}
    command: python tree.py {place}
  count:
    parameters: {place: string, lines: int, pause: float}
    command: python count.py {place} {lines} {pause}
"""

FIT = """
import random, sys
import mlflow

rate, depth, seed = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
draw = random.Random(f"{rate} {depth} {seed}")
with mlflow.start_run():
    mlflow.log_params({"drawn": draw.randint(0, 10**6)})
    for step in range(3):
        mlflow.log_metric("loss", draw.random() * rate / depth, step=step)
    mlflow.set_tag("kind", "small")
"""

FAIL = r"""
import sys
sys.stdout.buffer.write(b"no text: \xff\xfe\r\n")
print("no luck", flush=True)
sys.exit(int(sys.argv[1]))
"""

# A child that takes no notice of SIGTERM, and one that has left its parent and its session.
TREE = """
import os, signal, subprocess, sys, time

stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn])
subprocess.run(["sh", "-c", "setsid sleep 600 > /dev/null 2>&1 &"])
open(sys.argv[1], "w").close()
print("grown", flush=True)
time.sleep(600)
"""

COUNT = """
import os, sys, time
with open(sys.argv[1], "a") as file:
    file.write("began\\n")
for number in range(int(sys.argv[2])):
    print(f"line {number} {'.' * 100}", flush=number % 100 == 0)
    if number % 1000 == 0:
        time.sleep(float(sys.argv[3]))
"""


class Stage:
    """A home with a desk and a worker."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        self.folder = folder
        self.workspace = workspace
        self.desk: TrainingDesk = workspace.training
        self.by: Actor = workspace.actor()

    @property
    def client(self) -> MlflowClient:
        return self.workspace.training_parts.runs().client

    def launch(
        self, entry: str, engine: EngineKind, values: Mapping[str, object] | None = None, cpus: float = 0.0
    ) -> Job:
        parameters = {key: str(value) for key, value in (values or {}).items()}
        request = LaunchRequest(entry, parameters, "small", engine, Resources(cpus))
        return self.desk.launch(request, self.by)

    def place(self, job: Job) -> JobPlace:
        return job_place(self.workspace.settings.home.resolve(), self.workspace.address.key, job.id)

    def name(self, job: Job) -> str:
        return ready_to_find(self.workspace.settings, job, self.place(job)).name

    def over(self, job: Job, seconds: float = 60) -> Job:
        until(lambda: self.desk.job(job.id).state.is_over, seconds, lambda: self.log(job))
        return self.desk.job(job.id)

    def log(self, job: Job) -> str:
        log = self.place(job).log
        return log.read_bytes().decode("utf-8", "replace") if log.exists() else ""

    def status(self, job: Job) -> str:
        """The status of its run once MLflow was told."""
        wanted = ("FINISHED", "FAILED", "KILLED")
        until(lambda: self.run(job).info.status in wanted, 20)
        return str(self.run(job).info.status)

    def run(self, job: Job) -> Any:
        assert job.run_id is not None
        return self.client.get_run(job.run_id)


def until(done: Callable[[], object], seconds: float = 30, what: Callable[[], object] = lambda: "") -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.05)


@contextmanager
def stage(folder: Path, ray_address: str, slots: int = 3) -> Iterator[Stage]:
    """Open a home in a folder, and have a worker work in it."""
    project = folder / "project"
    project.mkdir()
    for name, text in {
        "MLproject": PROJECT,
        "fit.py": FIT,
        "fail.py": FAIL,
        "tree.py": TREE,
        "count.py": COUNT,
    }.items():
        (project / name).write_text(text)
    config = folder / "greenroom.toml"
    config.write_text(
        f'home = "{folder / "home"}"\n[training]\njobs_at_once = {slots}\nmin_free_mb = 0\n'
        f'ray_address = "{ray_address}"\n'
        f'[projects.small]\nsource = "{project}"\n'
    )
    before = os.environ.get("GREENROOM_CONFIG")
    os.environ["GREENROOM_CONFIG"] = str(config)
    try:
        workspace = open_workspace(read_settings())
        worker = workspace.training_parts.worker()
        working = threading.Thread(target=worker.run)
        working.start()
        try:
            yield Stage(folder, workspace)
        finally:
            worker.stop()
            working.join(20)
            workspace.close()
    finally:
        os.environ.pop("GREENROOM_CONFIG")
        if before is not None:
            os.environ["GREENROOM_CONFIG"] = before

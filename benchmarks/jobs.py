"""Launch, stop and read jobs with a worker in a process of its own; rerun the page of a long queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import Times, use_store
from benchmarks.rerunning import APP, SECONDS_AT_MOST, run_page
from benchmarks.stores import uri
from core.training.jobs.place import job_place
from core.training.jobs.processes import mark_of, marked
from core.training.types import Job, JobState, LaunchRequest
from core.workspace import Workspace, open_workspace

_LOOK_SECONDS, PATIENCE = 0.005, 120.0
LONG_LOG = 2**30
_STATES = ("All", "Queued")
_PROJECT = """
name: bench
entry_points:
  wait: {command: python wait.py}
  stubborn: {command: python wait.py stubborn}
"""
# Its first act is to say what time it is: what comes before is what a person waits for.
_SCRIPT = """
import signal, sys, time
if sys.argv[1:]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(time.time(), flush=True)
time.sleep(600)
"""


@dataclass(frozen=True, slots=True)
class Handled:
    """Seconds of the training desk.

    Attributes
    ----------
    launched : Times
        From `TrainingDesk.launch` to the first act of the process, one job at a time.
    stopped, killed : Times
        From `TrainingDesk.stop` until no process is left; of jobs that ignore SIGTERM.
    line : Times
        From a line written to a log of 1 GB until `TrainingDesk.log` has given it.
    """

    launched: Times
    stopped: Times
    killed: Times
    line: Times


def handle(folder: Path, count: int) -> Handled:
    """Launch and stop jobs, one after the other, with an idle worker beside."""
    workspace = prepared(folder)
    with _worker(folder, workspace):
        # The first launch makes the store's connections, and its experiment.
        _stop(workspace, _launch(workspace, "wait")[0])
        launched: list[float] = []
        stopped: list[float] = []
        killed: list[float] = []
        for number in range(count):
            stubborn = number % 5 == 4
            job, seconds = _launch(workspace, "stubborn" if stubborn else "wait")
            launched.append(seconds)
            if number == 0:
                line = _lines(workspace, job, 100)
            (killed if stubborn else stopped).append(_stop(workspace, job))
    workspace.close()
    return Handled(Times(tuple(launched)), Times(tuple(stopped)), Times(tuple(killed)), line)


def by_mlflow(folder: Path, count: int) -> Times:
    """Return the seconds from `mlflow run` of the same entry point to the first act of its process."""
    prepared(folder).close()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "run",
        str(folder / "project"),
        "-e",
        "wait",
        "--env-manager",
        "local",
    ]
    found = []
    for number in range(count):
        said = folder / f"said-{number}.txt"
        began = time.time()
        with said.open("wb") as out, (folder / "told.log").open("ab") as told:
            process = subprocess.Popen(command, stdout=out, stderr=told, cwd=folder, start_new_session=True)
        until(partial(_is_said, said))
        found.append(float(said.read_text()) - began)
        os.killpg(process.pid, 9)
        process.wait()
    return Times(tuple(found))


@dataclass(frozen=True, slots=True)
class Browsed:
    """Seconds of the page Training: its first run in a process, and reruns with another state or page each time."""

    first: float
    reruns: Times


def pages(folder: Path, queued: int, count: int) -> Browsed:
    """Rerun the page Training while many jobs wait."""
    from streamlit.testing.v1 import AppTest

    workspace = prepared(folder)
    store = workspace.training_parts.store
    request = LaunchRequest("wait", project="bench", name="one of many")
    with store.transaction() as connection:
        ids = [store.add(connection, request, {}, "bench") for _ in range(queued)]
    for job_id in ids:
        store.set_run(job_id, f"{job_id:032x}", f"one of many {job_id}")
    workspace.close()
    test = AppTest.from_file(str(APP), default_timeout=SECONDS_AT_MOST)
    # Leaves the Overview as the page that was open before, as a person would.
    run_page(test)
    test.switch_page("views/training.py")
    first = run_page(test)
    return Browsed(first, Times(tuple(_browse(test, number, queued) for number in range(count))))


def _browse(test: Any, number: int, queued: int) -> float:
    state, page = _STATES[number // 5 % 2], number % 5
    test.session_state["state"] = state
    test.session_state["jobs_page"] = 1 + page
    seconds = run_page(test)
    said = {one.label: one.value for one in test.metric}
    first = int(test.dataframe[0].value["Job"].iloc[0])
    # A page has 50; another state begins at the first.
    expected = {1 + 50 * page, 1} if state == "Queued" else {queued - 50 * page, queued}
    if said.get("Queued") != f"{queued:,}" or first not in expected:
        raise RuntimeError(f"The page Training does not show the jobs that wait: {first} comes first.")
    return seconds


def prepared(folder: Path) -> Workspace:
    """Make a project, and open a home folder that knows it."""
    project = folder / "project"
    project.mkdir(parents=True)
    (project / "MLproject").write_text(_PROJECT)
    (project / "wait.py").write_text(_SCRIPT)
    use_store(uri(folder / "mlflow.db"), folder / "home")
    config = folder / "greenroom.toml"
    config.write_text(f"[projects.bench]\nsource = {json.dumps(str(project))}\n")
    os.environ["GREENROOM_CONFIG"] = str(config)
    from mlflow import MlflowClient

    MlflowClient(uri(folder / "mlflow.db")).search_experiments()  # makes the tables
    return open_workspace()


@contextmanager
def _worker(folder: Path, workspace: Workspace) -> Iterator[None]:
    with (folder / "worker.log").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "core.cli", "worker"], stdout=said, stderr=said, cwd=folder
        )
    try:
        until(lambda: workspace.training.worker().alive or process.poll() is not None)
        if process.poll() is not None:
            raise RuntimeError(f"The worker ended:\n{(folder / 'worker.log').read_text()[-2000:]}")
        time.sleep(3.0)  # until its threads are idle
        yield
    finally:
        process.terminate()
        process.wait(30)


def _launch(workspace: Workspace, entry_point: str) -> tuple[Job, float]:
    """Launch a job; return it and the seconds until its process ran."""
    desk = workspace.training
    began = time.time()
    job = desk.launch(LaunchRequest(entry_point, project="bench"), workspace.actor())
    until(lambda: desk.log(job.id).text.endswith("\n"))
    return job, float(desk.log(job.id).text) - began


def _stop(workspace: Workspace, job: Job) -> float:
    """Stop a job; return the seconds until no process of it was left."""
    mark = mark_of(workspace.address.key, job.id)
    if not marked(mark):
        raise RuntimeError("The job has no process.")
    began = time.perf_counter()
    workspace.training.stop(job.id, workspace.actor())
    until(lambda: not marked(mark))
    seconds = time.perf_counter() - began
    until(lambda: workspace.training.job(job.id).state is JobState.STOPPED)
    return seconds


def _lines(workspace: Workspace, job: Job, count: int) -> Times:
    """Make a job's log 1 GB long, and read lines that are added to it."""
    path = job_place(workspace.settings.home.resolve(), workspace.address.key, job.id).log
    os.truncate(path, LONG_LOG)
    found = []
    with path.open("ab", buffering=0) as file:
        file.write(b"\n" + b"epoch 1: loss 0.25\n" * 100_000)
        for number in range(count):
            line = f"line {number}\n"
            began = time.perf_counter()
            file.write(line.encode())
            if not workspace.training.log(job.id).text.endswith(line):
                raise RuntimeError("The last line of the log is not shown.")
            found.append(time.perf_counter() - began)
    return Times(tuple(found))


def _is_said(path: Path) -> bool:
    return path.read_text().endswith("\n")


def until(there: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Not within {PATIENCE:g} s.")
        time.sleep(_LOOK_SECONDS)

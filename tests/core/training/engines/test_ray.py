"""Jobs on a real Ray cluster: the same runs as on this machine, stopped, failed, found again."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.training.jobs import processes
from core.training.jobs.runs import PARENT_TAG
from core.training.types import EngineKind, Job, JobState, LaunchRequest, Sweep
from tests import stores
from tests.core.training.engines import kit
from tests.ray_cluster import ray_cluster

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]

ENDS_WITH = ("greenroom.job", "greenroom.sweep", PARENT_TAG, "mlflow.project.backend")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ray_cluster(cpus=2) as address:
        yield address


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, address: str) -> Iterator[kit.Stage]:
    folder = tmp_path_factory.mktemp("ray")
    stores.new_sqlite(folder / "home")
    with kit.stage(folder, address) as stage:
        yield stage


def ended(stage: kit.Stage, sweep: Sweep) -> Sweep:
    kit.until(lambda: stage.desk.sweep_of(sweep.id).ended_at is not None, 140)
    return stage.desk.sweep_of(sweep.id)


def told(stage: kit.Stage, sweep: Sweep) -> tuple[Any, ...]:
    """What MLflow says of a sweep, without what names one engine or the other."""
    parent = stage.client.get_run(str(sweep.run_id))
    found = stage.client.search_runs(
        [parent.info.experiment_id], f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
    )
    children = []
    for run in found:
        history = stage.client.get_metric_history(run.info.run_id, "loss")
        children.append(
            (
                run.info.run_name,
                run.info.status,
                run.data.params,
                [(one.step, one.value) for one in history],
                {key: value for key, value in run.data.tags.items() if key not in ENDS_WITH},
            )
        )
    return parent.info.status, parent.info.run_name, sorted(children, key=lambda one: str(one[0]))


def marks(stage: kit.Stage, job: Job) -> list[int]:
    return processes.marked(processes.mark_of(stage.workspace.address.key, job.id))


def supervisor(stage: kit.Stage, job: Job) -> int | None:
    """The process that supervises a job."""
    wanted = f"core.training.jobs.runner\0{stage.workspace.address.key}\0{job.id}\0".encode()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "cmdline").read_bytes() and stage.place(job).is_held():
                return int(place.name)
        except OSError:
            continue
    return None


def test_the_same_sweep_gives_the_same_runs_on_both_engines(stage: kit.Stage) -> None:
    grid = {"rate": ("0.1", "0.2"), "seed": ("1", "2", "3", "4")}
    sweeps = [
        stage.desk.sweep(LaunchRequest("fit", project="small", engine=engine, name="both"), grid, stage.by)
        for engine in (EngineKind.LOCAL, EngineKind.RAY)
    ]
    here, there = (ended(stage, one) for one in sweeps)
    assert here.states == there.states == {JobState.FINISHED: 8}
    expected = told(stage, here)
    assert expected[0] == "FINISHED" and len(expected[2]) == 8
    # Nothing here is equal by being empty.
    assert len({str(one[3]) for one in expected[2]}) == 8 and all(len(one[3]) == 3 for one in expected[2])
    assert told(stage, there) == expected
    backends = {stage.run(job).data.tags["mlflow.project.backend"] for job in stage.desk.jobs(sweep=there.id)}
    assert backends == {"ray"}


def test_a_job_that_fails_tells_its_code_and_its_last_line(stage: kit.Stage) -> None:
    job = stage.over(stage.launch("fail", EngineKind.RAY, {"code": 3}))
    assert (job.state, job.exit_code) == (JobState.FAILED, 3)
    assert job.reason == "It exited with code 3. The last line of its log: no luck"
    assert stage.status(job) == "FAILED"
    # Bytes that are no text come as they are.
    assert b"no text: \xff\xfe\r\nno luck\n" in stage.place(job).log.read_bytes()


def test_a_stopped_job_leaves_no_process(stage: kit.Stage) -> None:
    grown = stage.folder / "grown"
    job = stage.launch("tree", EngineKind.RAY, {"place": grown})
    kit.until(grown.exists, 60, lambda: stage.log(job))
    assert len(marks(stage, job)) >= 3
    began = time.monotonic()
    stage.desk.stop(job.id, stage.by)
    kit.until(lambda: not marks(stage, job), 6)
    assert time.monotonic() - began < 5.5
    job = stage.over(job)
    assert (job.state, job.reason) == (JobState.STOPPED, f"Stopped by {stage.by.name}.")
    assert stage.status(job) == "KILLED"


def test_a_job_that_waits_for_more_than_there_is_can_be_stopped(stage: kit.Stage) -> None:
    place = stage.folder / "never"
    job = stage.launch("count", EngineKind.RAY, {"place": place, "lines": 1, "pause": 0}, cpus=64)
    kit.until(lambda: stage.desk.job(job.id).state is JobState.RUNNING)
    from core.training.engines.ray_cluster import RayCluster

    cluster = RayCluster(str(stage.workspace.settings.training.ray_address))
    kit.until(lambda: cluster.job(stage.name(job)) is not None, 30)
    stage.desk.stop(job.id, stage.by)
    job = stage.over(job, 15)
    assert job.state is JobState.STOPPED
    assert stage.status(job) == "KILLED"
    assert not place.exists()


def test_a_job_is_found_again_when_its_supervising_process_was_killed(stage: kit.Stage) -> None:
    place = stage.folder / "began"
    lines = 20_000
    job = stage.launch("count", EngineKind.RAY, {"place": place, "lines": lines, "pause": 0.4})
    for more in ("line 1000 ", "line 7000 "):
        kit.until(lambda more=more: f"\n{more}" in stage.log(job), 60, lambda: stage.log(job)[-500:])
        killed = supervisor(stage, job)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        kit.until(lambda killed=killed: supervisor(stage, job) not in (None, killed), 30)
    job = stage.over(job, 60)
    kit.until(lambda: supervisor(stage, job) is None)
    assert (job.state, job.reason) == (JobState.FINISHED, "")
    assert place.read_text() == "began\n"
    said = stage.log(job)
    assert said.count("[greenroom: found again after its supervising process was gone]\n") == 2
    kept = said.replace("[greenroom: found again after its supervising process was gone]\n", "")
    numbers = [int(one.split()[1]) for one in kept.splitlines() if one.startswith("line ")]
    assert numbers == list(range(lines))


def test_a_big_log_comes_whole(stage: kit.Stage) -> None:
    lines = 200_000
    values = {"place": stage.folder / "big", "lines": lines, "pause": 0}
    job = stage.over(stage.launch("count", EngineKind.RAY, values))
    assert job.state is JobState.FINISHED
    said = stage.log(job).splitlines()
    assert len(said) == lines + 2 and said[-1].startswith(f"line {lines - 1} ")

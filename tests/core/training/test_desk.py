"""The training desk: who may launch what, what is refused and why, and what is left when something fails."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core import clock
from core.access import Actor, Role
from core.errors import BadInputError, GreenroomError, NotFoundError, RefusedError, SourceError
from core.schema import audit_events
from core.training.jobs.runner_process import environment_of
from core.training.jobs.runs import JobRuns
from core.training.jobs.store import JobStore
from core.training.jobs.sweep_store import SweepStore
from core.training.types import JOB_TAG, EngineKind, Job, JobState, LaunchRequest
from tests import servers, stores
from tests.training import ANA, VERA, Toys, wait_for


@pytest.fixture
def new_toys(tmp_path: Path) -> Iterator[Callable[..., Toys]]:
    """Makes desks without a worker."""
    made: list[Toys] = []

    def make(**options: Any) -> Toys:
        made.append(Toys(tmp_path / f"toys-{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def toys(new_toys: Callable[..., Toys]) -> Toys:
    return new_toys()


def mend(toys: Toys) -> None:
    """Do what a worker does about launches that were cut off, half a minute later."""
    care = toys.workspace.training_parts.worker()._care
    care._now = lambda: clock.now() + timedelta(minutes=1)
    care.mend_launches()
    care.tell()


def tell(toys: Toys) -> None:
    toys.workspace.training_parts.worker()._care.tell()


# Launching


def test_a_viewer_launches_nothing(toys: Toys) -> None:
    with pytest.raises(RefusedError, match="may not launch a training"):
        toys.desk.launch(LaunchRequest("wait", project="toy"), VERA)
    assert not toys.desk.jobs() and not toys.runs()


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (LaunchRequest("wiat", project="toy"), "has no entry point 'wiat'. Did you mean wait?"),
        (LaunchRequest("wait", project="toyz"), "There is no project 'toyz'"),
        (LaunchRequest("count", {"n": "0", "m": "1"}, "toy"), "There is no parameter"),
        (LaunchRequest("count", {"n": "0", "m": "1"}, "toy"), "n is 0: accepted is 1 to 1000"),
        (LaunchRequest("once", project="toy"), "ledger has no default"),
        (LaunchRequest("data", {"file": "/no/such"}, "toy"), "there is no such file"),
        (LaunchRequest("wait", project="toy", priority=10), "accepted is a number from -9 to 9"),
        (LaunchRequest("wait", project="toy", engine=EngineKind.RAY), "Set ray_address under"),
        (LaunchRequest("wait", project="toy", engine=EngineKind.KUBERNETES), "Set kubernetes_config under"),
    ],
)
def test_what_cannot_be_launched_is_refused_with_every_problem(
    toys: Toys, request_: LaunchRequest, sentence: str
) -> None:
    with pytest.raises(BadInputError) as refused:
        toys.desk.launch(request_, ANA)
    assert sentence in str(refused.value)
    assert not toys.desk.jobs() and not toys.runs(), "nothing is written"


def test_a_project_that_does_not_parse_is_refused(toys: Toys) -> None:
    (toys.project / "MLproject").write_text("entry_points: [")
    with pytest.raises(BadInputError, match="MLproject"):
        toys.launch("wait")
    assert not toys.desk.jobs()


def test_what_is_done_is_audited(toys: Toys) -> None:
    job = toys.launch("fail", {"code": "4"})
    toys.desk.stop(job.id, ANA)
    query = sa.select(audit_events).order_by(audit_events.c.seq)
    with toys.workspace.database.connect() as connection:
        launched, stopped = connection.execute(query).all()
    assert (launched.action, launched.actor, stopped.action) == ("launched", "ana", "stopped")
    assert json.loads(launched.details)["parameters"] == {"code": "4"}
    assert json.loads(stopped.details) == {"job": job.id}


def test_a_value_that_mlflow_refuses_fails_the_launch_and_leaves_no_open_run(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    def refuse(*_: object, **__: object) -> None:
        raise MlflowException.invalid_parameter_value("Param value is too long")

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "log_batch", refuse)
        with pytest.raises(RefusedError, match=r"refuses the run of a job: .*too long"):
            toys.launch("fail", {"code": "4"})
    (job,) = toys.desk.jobs()
    assert job.state is JobState.FAILED and "too long" in job.reason and job.run_id is None
    (run,) = toys.runs()
    assert run.info.status == "RUNNING"
    tell(toys)
    (run,) = toys.runs()
    assert run.info.status == "FAILED" and "too long" in run.data.tags["greenroom.job_reason"]


def test_a_deleted_experiment_is_named(toys: Toys) -> None:
    job = toys.launch("wait")
    client = toys.workspace.training_parts.runs().client
    client.delete_experiment(toys.run_of(job).info.experiment_id)
    with pytest.raises(RefusedError, match="the experiment 'wait' has been deleted; restore it with"):
        toys.launch("wait")
    assert [one.state for one in toys.desk.jobs()] == [JobState.FAILED, JobState.QUEUED]


def test_a_server_that_is_down_refuses_the_launch_within_seconds(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys(tracking_uri=f"http://127.0.0.1:{servers.free_port()}")
    # Whether its schema is old cannot be asked either.
    toys.desk._refuse_old_schema = lambda: None
    began = time.monotonic()
    with pytest.raises(SourceError, match="cannot be reached: no connection"):
        toys.launch("wait")
    assert time.monotonic() - began < 10
    (job,) = toys.desk.jobs()
    assert job.state is JobState.FAILED and "cannot be reached" in job.reason
    began = time.monotonic()
    with pytest.raises(SourceError):
        tell(toys)
    assert time.monotonic() - began < 5


def test_with_a_server_that_is_down_the_whole_desk_refuses_within_seconds(
    new_toys: Callable[..., Toys],
) -> None:
    toys = new_toys(tracking_uri=f"http://127.0.0.1:{servers.free_port()}")
    began = time.monotonic()
    with pytest.raises(GreenroomError):
        toys.launch("wait")
    assert time.monotonic() - began < 15


def test_a_server_that_is_down_at_the_end_is_told_later(
    new_toys: Callable[..., Toys], tmp_path: Path
) -> None:
    backend, port = stores.new_sqlite(tmp_path / "server"), servers.free_port()
    toys = new_toys(tracking_uri=f"http://127.0.0.1:{port}")
    with servers.mlflow_server(tmp_path, backend, port):
        short, long = toys.launch_once(), toys.launch("count", {"n": "60"})
    with toys.worker():
        assert toys.until(short).state is JobState.FINISHED, "jobs need no MLflow to run"
        assert toys.until(long).state is JobState.FINISHED
        later = toys.job(long).ended_at
        with servers.mlflow_server(tmp_path, backend, port):
            toys.until_told(short, "FINISHED")
            toys.until_told(long, "FINISHED")
            assert later is not None
            assert abs(toys.run_of(long).info.end_time / 1000 - later.timestamp()) < 0.01, (
                "when it ended, not now"
            )


def test_a_run_that_was_deleted_holds_up_nobody(toys: Toys) -> None:
    gone, kept = toys.launch("wait"), toys.launch("wait")
    client = toys.workspace.training_parts.runs().client
    client.delete_run(gone.run_id)
    for job in (gone, kept):
        toys.desk.stop(job.id, ANA)
    tell(toys)
    assert toys.status(kept) == "KILLED"
    assert client.get_run(gone.run_id).info.status == "SCHEDULED"
    assert not toys.workspace.training_parts.store.untold()


def test_a_database_that_is_locked_for_a_while_costs_time_and_no_job(toys: Toys) -> None:
    job = toys.launch("count", {"n": "40"})
    queued = toys.launch_once()
    with toys.worker():
        toys.until_said(job, "line 0")
        with closing(sqlite3.connect(toys.home / "greenroom.db", isolation_level=None)) as other:
            other.execute("begin immediate")
            end = time.monotonic() + 14  # longer than anybody waits for it
            wait_for(lambda: time.monotonic() > end)
            assert toys.job(job).state is JobState.RUNNING
            other.execute("rollback")
        assert toys.until(job).state is JobState.FINISHED
        assert toys.until(queued).state is JobState.FINISHED
    assert len(toys.lines()) == 1


# Launches that were cut off

_CUT = """
import os
from core import open_workspace
from core.training.jobs.store import JobStore
from core.training.types import LaunchRequest
from tests.training import ANA

JobStore.set_run = lambda *_: os.kill(os.getpid(), 9)
open_workspace().training.launch(LaunchRequest("fail", {"code": "5"}, project="toy", experiment="e"), ANA)
"""


class Killed(BaseException):
    """What a kill looks like from within: nothing catches it, and locks are given back."""


@contextmanager
def cut_off(within: type, name: str) -> Iterator[None]:
    """Cut off what is done inside at its first call of a method."""

    def die(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Killed):
        patched.setattr(within, name, die)
        yield


FAIL = LaunchRequest("fail", {"code": "5"}, project="toy", experiment="e")
CUTS = [(JobRuns, "make"), (JobStore, "set_run")]
SWEEP_CUTS = [(JobRuns, "make_parent"), (SweepStore, "set_run"), *CUTS]


def test_a_launch_that_is_killed_is_mended(toys: Toys) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _CUT],
        env=environment_of(toys.settings) | {"PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == -9, done.stderr.decode()
    mend(toys)
    (job,), (run,) = toys.desk.jobs(), toys.runs()
    assert (job.state, job.run_id, run.info.status) == (JobState.QUEUED, run.info.run_id, "SCHEDULED")


@pytest.mark.parametrize(("within", "name"), CUTS)
def test_a_launch_that_was_cut_off_is_mended_once(toys: Toys, within: type, name: str) -> None:
    with cut_off(within, name):
        toys.desk.launch(FAIL, ANA)
    (job,) = toys.desk.jobs()
    assert (job.state, job.run_id) == (JobState.QUEUED, None)
    assert toys.workspace.training_parts.store.next_queued() is None, "it waits for its run"
    care = toys.workspace.training_parts.worker()._care
    care.mend_launches()
    assert toys.job(job).run_id is None, "the launch may be at it yet"
    for _ in range(2):
        mend(toys)
    (run,) = toys.runs()
    assert toys.job(job).run_id == run.info.run_id
    assert (run.info.status, run.data.params, run.data.tags[JOB_TAG]) == (
        "SCHEDULED",
        {"code": "5"},
        str(job.id),
    )


def test_a_launch_that_was_cut_off_and_stopped_leaves_no_open_run(toys: Toys) -> None:
    with cut_off(JobStore, "set_run"):
        toys.desk.launch(FAIL, ANA)
    (job,) = toys.desk.jobs()
    toys.desk.stop(job.id, ANA)
    mend(toys)
    (run,) = toys.runs()
    assert run.info.status == "KILLED" and toys.job(job).state is JobState.STOPPED


@pytest.mark.parametrize(("within", "name"), SWEEP_CUTS)
def test_a_sweep_that_was_cut_off_is_mended_whole(toys: Toys, within: type, name: str) -> None:
    with cut_off(within, name):
        toys.desk.sweep(LaunchRequest("count", project="toy"), {"n": ["1", "2"]}, ANA)
    mend(toys)
    (sweep,) = toys.desk.sweeps()
    runs = toys.runs()
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.run_id for run in parents] == [sweep.run_id]
    children = {
        run.data.tags[JOB_TAG] for run in runs if run.data.tags.get("mlflow.parentRunId") == sweep.run_id
    }
    assert children == {str(job.id) for job in toys.desk.jobs(sweep=sweep.id)} and len(runs) == 3


def test_a_worker_does_not_make_the_run_that_a_slow_launch_is_making(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, at_it, go_on = JobRuns.make, threading.Event(), threading.Event()

    def slow(*arguments: Any, **named: Any) -> Any:
        at_it.set()
        assert go_on.wait(30)
        return made(*arguments, **named)

    toys.workspace.training_parts.runs()
    monkeypatch.setattr(JobRuns, "make", slow)
    with ThreadPoolExecutor() as pool:
        launched = pool.submit(toys.launch, "wait")
        assert at_it.wait(30)
        mend(toys)
        go_on.set()
        job = launched.result()
    assert [run.info.run_id for run in toys.runs()] == [job.run_id]


def test_of_two_machines_that_make_a_run_one_takes_its_back(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = toys.launch("wait")
    store = toys.workspace.training_parts.store
    run_id = store.job(job.id).run_id
    assert store.set_run(job.id, "another", "wait") is False
    # The other machine looked before this one had noted its run.
    toys.desk._launcher._make_run_of(replace(job, run_id=None), {}, again=False)
    assert store.job(job.id).run_id == run_id
    assert [run.info.run_id for run in toys.runs()] == [run_id]


# Again


def test_a_retry_is_a_new_job_with_a_run_of_its_own(toys: Toys) -> None:
    first = toys.launch("count", {"n": "7"}, experiment="e", name="seven", priority=2)
    with pytest.raises(RefusedError, match="is queued; it cannot be retried yet"):
        toys.desk.retry(first.id, ANA)
    toys.desk.stop(first.id, ANA)
    second = toys.desk.retry(first.id, Actor("lee", Role.LEAD))
    assert (second.made_from, second.parameters, second.name, second.priority, second.asked_by) == (
        first.id,
        first.parameters,
        "seven",
        2,
        "lee",
    )
    assert second.run_id != first.run_id and second.state is JobState.QUEUED


def test_only_what_can_go_on_is_resumed(toys: Toys) -> None:
    plain, resumable = toys.launch("wait"), toys.launch("resumable")
    with pytest.raises(RefusedError, match="is queued; it cannot be resumed"):
        toys.desk.resume(resumable.id, ANA)
    for job in (plain, resumable):
        toys.desk.stop(job.id, ANA)
    with pytest.raises(RefusedError, match=r"does not say that it resumes\. Retry job"):
        toys.desk.resume(plain.id, ANA)
    with pytest.raises(RefusedError, match="may not launch"):
        toys.desk.resume(resumable.id, VERA)
    tell(toys)
    resumed = toys.desk.resume(resumable.id, ANA)
    assert (resumed.run_id, resumed.resumes, resumed.state) == (
        resumable.run_id,
        resumable.id,
        JobState.QUEUED,
    )
    run = toys.run_of(resumed)
    assert (run.info.status, run.data.tags[JOB_TAG]) == ("SCHEDULED", str(resumed.id))


def test_a_run_that_was_deleted_is_not_resumed(toys: Toys) -> None:
    job = toys.launch("resumable")
    toys.desk.stop(job.id, ANA)
    toys.workspace.training_parts.runs().client.delete_run(job.run_id)
    with pytest.raises(NotFoundError, match="has been deleted"):
        toys.desk.resume(job.id, ANA)
    assert [one.state for one in toys.desk.jobs()] == [JobState.FAILED, JobState.STOPPED]


def test_what_became_of_the_first_is_not_told_of_the_run_that_another_goes_on_with(toys: Toys) -> None:
    first = toys.launch("resumable")
    toys.desk.stop(first.id, ANA)
    resumed = toys.desk.resume(first.id, ANA)
    tell(toys)
    assert toys.status(resumed) == "SCHEDULED" and not toys.workspace.training_parts.store.untold()


def test_of_two_who_resume_at_once_one_does(toys: Toys) -> None:
    first = toys.launch("resumable")
    toys.desk.stop(first.id, ANA)
    second = toys.desk.resume(first.id, ANA)
    toys.desk.stop(second.id, ANA)
    tell(toys)

    def resume(job: Job) -> str:
        try:
            return f"job {toys.desk.resume(job.id, ANA).id}"
        except RefusedError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(resume, [first, second, first, second]))
    (made,) = [one for one in said if one.startswith("job ")]
    assert [one for one in said if one != made] == [
        f"Job {made[4:]} goes on with the run of job {number} already."
        for number in (
            one.id for one, text in zip([first, second, first, second], said, strict=True) if text != made
        )
    ]
    assert len(toys.desk.jobs(states=[JobState.QUEUED])) == 1


def test_a_resumption_that_was_cut_off_is_mended(toys: Toys) -> None:
    first = toys.launch("resumable")
    toys.desk.stop(first.id, ANA)
    tell(toys)
    with cut_off(JobRuns, "again"):
        toys.desk.resume(first.id, ANA)
    resumed = toys.desk.jobs()[0]
    assert (resumed.resumes, resumed.run_id) == (first.id, None)
    with pytest.raises(RefusedError, match=f"Job {resumed.id} goes on"):
        toys.desk.resume(first.id, ANA)
    mend(toys)
    assert toys.job(resumed).run_id == first.run_id and toys.status(first) == "SCHEDULED"
    assert len(toys.runs()) == 1


# Queue and sweeps


def test_the_higher_priority_runs_first_and_then_the_older(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys(jobs_at_once=1)
    jobs = [toys.launch_once(0, priority=one) for one in (0, 5, -1, 0, 5)]
    assert toys.desk.set_priority(jobs[2].id, 9, ANA).priority == 9
    expected = [jobs[number].id for number in (2, 1, 4, 0, 3)]
    assert [job.id for job in toys.desk.jobs(states=[JobState.QUEUED])] == expected
    with toys.worker():
        for job in jobs:
            toys.until(job)
    assert [int(line.rpartition("-")[2]) for line in toys.lines()] == expected
    with pytest.raises(RefusedError, match="is finished; it cannot be moved in the queue"):
        toys.desk.set_priority(jobs[0].id, 1, ANA)
    with pytest.raises(BadInputError, match="from -9 to 9"):
        toys.desk.set_priority(jobs[0].id, 10, ANA)


def test_a_sweep_runs_every_combination_under_one_parent(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys(jobs_at_once=4)
    request = LaunchRequest("count", {"pause": "0"}, project="toy", name="tries", tags={"team": "fx"})
    sweep = toys.desk.sweep(request, {"n": ["1", "2"], "pause": ["0", "0.01"]}, ANA)
    assert sweep.states == {JobState.QUEUED: 4} and sweep.run_id is not None
    with toys.worker():
        wait_for(lambda: toys.desk.sweep_of(sweep.id).ended_at is not None)
    client = toys.workspace.training_parts.runs().client
    parent = client.get_run(sweep.run_id)
    assert (parent.info.run_name, parent.info.status) == ("tries", "FINISHED")
    jobs = toys.desk.jobs(sweep=sweep.id)
    children = [toys.run_of(job) for job in jobs]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {sweep.run_id}
    assert {run.info.run_name for run in children} == {
        f"n={n}, pause={pause}" for n in ("1", "2") for pause in ("0", "0.01")
    }
    assert {run.info.status for run in children} == {"FINISHED"}
    assert {run.data.tags["team"] for run in children} == {"fx"}


@pytest.mark.parametrize(
    ("entry_point", "stop", "status"), [("fail", False, "FAILED"), ("fail", True, "KILLED")]
)
def test_a_sweep_that_does_not_finish_whole_says_so(
    toys: Toys, entry_point: str, stop: bool, status: str
) -> None:
    sweep = toys.desk.sweep(LaunchRequest(entry_point, project="toy"), {"code": ["0", "1"]}, ANA)
    if stop:
        toys.desk.stop(toys.desk.jobs(sweep=sweep.id)[0].id, ANA)
    with toys.worker():
        wait_for(lambda: toys.desk.sweep_of(sweep.id).ended_at is not None)
    assert toys.workspace.training_parts.runs().client.get_run(sweep.run_id or "").info.status == status


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        ({}, "at least one parameter"),
        ({"n": []}, "at least one value"),
        ({"n": ["1", "1"]}, "a value twice"),
        ({"n": ["1", "0"]}, "n is 0"),
        (
            {"n": [str(one) for one in range(1, 40)], "pause": [str(one) for one in range(40)]},
            "1,560 combinations",
        ),
    ],
)
def test_a_sweep_is_launched_whole_or_not_at_all(
    toys: Toys, grid: dict[str, list[str]], sentence: str
) -> None:
    with pytest.raises(BadInputError, match=sentence):
        toys.desk.sweep(LaunchRequest("count", project="toy"), grid, ANA)
    assert not toys.desk.jobs() and not toys.desk.sweeps() and not toys.runs()


# Looking


def test_every_change_of_a_job_is_noticed(toys: Toys) -> None:
    seen = [toys.desk.changed()]

    def noticed() -> None:
        seen.append(toys.desk.changed())
        assert seen[-1] != seen[-2]

    store = toys.workspace.training_parts.store
    first, second = toys.launch("wait"), toys.launch("wait")
    noticed()
    toys.desk.set_priority(second.id, 3, ANA)
    noticed()
    store.claim(first.id, "here")
    noticed()
    toys.desk.stop(first.id, ANA)
    noticed()
    store.end(first.id, JobState.STOPPED, "", None, clock.now())
    noticed()
    assert toys.desk.changed() == seen[-1]


def test_jobs_are_found_by_state_sweep_and_run(toys: Toys) -> None:
    one, two, three = (toys.launch("wait") for _ in range(3))
    toys.desk.stop(two.id, ANA)

    def ids(**asked: Any) -> list[int]:
        return [job.id for job in toys.desk.jobs(**asked)]

    assert ids() == [three.id, two.id, one.id]
    assert ids(states=[JobState.QUEUED]) == [one.id, three.id]
    assert ids(states=[JobState.QUEUED, JobState.STOPPED]) == [three.id, two.id, one.id]
    assert ids(run_id=two.run_id) == [two.id]
    assert ids(limit=1, offset=1) == [two.id]
    assert toys.desk.counts()[JobState.QUEUED] == 2 and toys.desk.counts()[JobState.LOST] == 0
    with pytest.raises(NotFoundError, match="There is no job 99"):
        toys.desk.job(99)
    with pytest.raises(NotFoundError, match="There is no job 99"):
        toys.desk.log(99)
    with pytest.raises(NotFoundError, match="There is no sweep 99"):
        toys.desk.sweep_of(99)


def test_a_file_is_kept_once_and_stays_in_its_folder(toys: Toys) -> None:
    first = toys.desk.keep_upload("../../../etc/my prices.csv", b"1,2", ANA)
    assert first == toys.desk.keep_upload("../../../etc/my prices.csv", b"1,2", ANA)
    assert first.read_bytes() == b"1,2" and first.name == "my_prices.csv"
    assert first.is_relative_to(toys.home.resolve() / "uploads")
    assert toys.desk.keep_upload("..", b"1,2", ANA).is_relative_to(toys.home.resolve() / "uploads")
    with pytest.raises(RefusedError):
        toys.desk.keep_upload("x", b"", VERA)


def test_there_is_no_worker_until_one_is_at_work(toys: Toys) -> None:
    assert toys.desk.worker().alive is False
    with toys.worker():
        state = toys.desk.worker()
        assert (state.alive, state.pid, state.slots) == (True, os.getpid(), 2)
    assert toys.desk.worker().alive is False


def test_secrets_of_greenroom_s_own_are_not_handed_to_jobs(
    toys: Toys, monkeypatch: pytest.MonkeyPatch
) -> None:
    (toys.project / "toy.py").write_text("import os, json; print(json.dumps(dict(os.environ)))")
    monkeypatch.setenv("GREENROOM_DATABASE_URI", "")
    monkeypatch.setenv("GREENROOM_BACKEND_URI", "")
    job = toys.launch("wait")
    with toys.worker():
        toys.until(job)
    seen = json.loads(toys.log(job))
    assert seen.get("GREENROOM_DATABASE_URI", "") == "" and seen["MLFLOW_RUN_ID"] == job.run_id

"""kill -9 at any moment: every job ends once or is marked lost, none runs twice, no process is left."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from core import clock
from core.errors import GreenroomError
from core.training.jobs.ending import Ended, write_end
from core.training.types import JOB_TAG, Job, JobState
from tests.training import ANA, Toys, WorkerProcess, kill, wait_for

ROUNDS = int(os.environ.get("KILL_ROUNDS", "6"))
QUEUED = 20
VICTIMS = ("worker", "runner", "both")
DONE = {JobState.FINISHED: "FINISHED", JobState.LOST: "KILLED"}


def check(toys: Toys, jobs: list[Job]) -> Counter[str]:
    """Check what became of jobs; return how many ended in which way."""
    began = Counter(line.rpartition("-")[2] for line in toys.lines())
    assert max(began.values(), default=0) <= 1, "no job runs twice"
    found = [toys.job(job) for job in jobs]
    for job in found:
        assert job.state in DONE, f"job {job.id} is {job.state}: {job.reason}"
        assert began[str(job.id)] == 1 or job.state is JobState.LOST, (
            f"job {job.id} finished without having run"
        )
        assert job.started_at is not None and job.ended_at is not None and job.started_at <= job.ended_at
    runs = Counter(run.data.tags[JOB_TAG] for run in toys.runs())
    assert runs == Counter(str(job.id) for job in found), "each has one run"
    wait_for(lambda: all(toys.status(job) == DONE[job.state] for job in found), 30)
    assert not toys.processes(), "no orphan"
    assert not toys.runners()
    return Counter(str(job.state) for job in found)


def until_all_are_over(toys: Toys, worker: WorkerProcess) -> None:
    def over() -> bool:
        counts = toys.desk.counts()
        return not counts[JobState.QUEUED] and not counts[JobState.RUNNING]

    wait_for(over, 180, lambda: f"{toys.desk.counts()} {worker.said()[-3000:]}")


def test_kill_9_of_worker_and_supervisors_at_random_moments(new_toys: Callable[..., Toys]) -> None:
    seed = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(10**6)
    pick = random.Random(seed)
    toys = new_toys(jobs_at_once=3)
    jobs: list[Job] = []
    hits: Counter[str] = Counter()
    said = ""
    began = time.monotonic()
    for number in range(ROUNDS):
        while toys.desk.counts()[JobState.QUEUED] < QUEUED:
            jobs.append(toys.launch_once(pick.choice((0.0, 0.1, 0.5))))
        worker = toys.start_worker()
        # While it starts and puts in order what the last one left, while supervisors start, and while jobs run.
        moment = pick.choice(("starts", "begins", "begins", "runs", "runs"))
        if moment == "begins":
            worker.until_at_work()
        elif moment == "runs":
            wait_for(lambda: toys.desk.counts()[JobState.RUNNING] > 0, 60, worker.said)
        time.sleep(pick.uniform(0, {"starts": 3, "begins": 2, "runs": 0.7}[moment]))
        victim = VICTIMS[number % len(VICTIMS)]
        if victim != "runner":
            os.kill(worker.process.pid, signal.SIGKILL)
        if victim != "worker":
            runners = toys.runners()
            for pid in runners if victim == "both" else pick.sample(runners, min(len(runners), 1)):
                hits["runner"] += 1
                kill(pid)
        hits[victim] += victim != "runner"
        running = toys.desk.counts()[JobState.RUNNING]
        hits["running then"] += running
        said += worker.said()
        worker.kill()
    worker = toys.start_worker()
    until_all_are_over(toys, worker)
    ended = check(toys, jobs)
    worker.end()
    assert "Traceback" not in said + worker.said()
    print(f"seed {seed}: {ROUNDS} rounds in {time.monotonic() - began:.0f} s; {dict(hits)}; {dict(ended)}")
    assert ended["finished"] > ended["lost"], "most are not even touched"


def test_after_a_restart_of_the_machine_queued_jobs_run_and_running_ones_can_be_resumed(
    new_toys: Callable[..., Toys],
) -> None:
    toys = new_toys(jobs_at_once=2)
    running = [toys.launch("resumable"), toys.launch("strays")]
    queued = [toys.launch_once() for _ in range(3)]
    worker = toys.start_worker()
    toys.until_said(running[0], "begins at 0")
    toys.until_said(running[1])
    worker.kill()
    for pid in [*toys.runners(), *toys.processes()]:
        kill(pid)
    assert [toys.job(job).state for job in running] == [JobState.RUNNING] * 2, "nobody could say otherwise"
    began = time.monotonic()
    toys.start_worker().until_at_work()
    for job in running:
        lost = toys.until(job)
        assert (
            lost.state is JobState.LOST and "Resume it where its entry point can, or retry it." in lost.reason
        )
        toys.until_told(job, "KILLED")
    assert [toys.desk.can_resume(toys.job(job)) for job in running] == [True, False]
    for job in queued:
        assert toys.until(job).state is JobState.FINISHED
    assert sorted(toys.lines()) == sorted(f"{toys.workspace.address.key}-{job.id}" for job in queued)
    resumed = toys.desk.resume(running[0].id, ANA)
    assert toys.until(resumed).state is JobState.FINISHED
    assert "begins at 7" in toys.log(resumed) and resumed.run_id == running[0].run_id
    toys.until_told(resumed, "FINISHED")
    assert time.monotonic() - began < 60


def test_orphans_of_a_killed_supervisor_are_ended_while_the_worker_lives(
    new_toys: Callable[..., Toys],
) -> None:
    toys = new_toys()
    job = toys.launch("strays")
    with toys.worker():
        toys.until_said(job)
        assert len(toys.processes()) == 3, "itself, and two strays that kept the mark"
        for pid in toys.runners():
            kill(pid)
        assert toys.until(job, seconds=10).state is JobState.LOST
        assert not toys.processes()
    pids = [int(line.split()[1]) for line in toys.log(job).splitlines() if line.startswith("pid")]
    for pid in pids:
        kill(pid)  # the one that has thrown its mark away; nobody knows it any more


def test_a_supervisor_that_died_before_it_began_is_followed_by_another(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch_once()
    store = toys.workspace.training_parts.store
    assert store.claim(job.id, socket.gethostname())
    toys.place(job).make()
    with toys.worker():
        assert toys.until(job).state is JobState.FINISHED
    assert len(toys.lines()) == 1


def test_one_that_may_have_begun_is_never_started_again(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch_once()
    store = toys.workspace.training_parts.store
    assert store.claim(job.id, socket.gethostname())
    toys.place(job).make()
    toys.place(job).begin()
    with toys.worker():
        assert toys.until(job).state is JobState.LOST
    assert not toys.lines()


def test_another_machine_s_silent_job_is_lost_and_not_run_here(
    new_toys: Callable[..., Toys],
) -> None:
    toys = new_toys()
    job = toys.launch_once()
    assert toys.workspace.training_parts.store.claim(job.id, "elsewhere")
    toys.place(job).make()  # a supervisor here tried, too, and was late
    care = toys.workspace.training_parts.worker()._care
    care.recover()
    assert toys.job(job).state is JobState.RUNNING, "it was heard of just now"
    care._now = lambda: clock.now() + timedelta(minutes=3)
    care.recover()
    assert toys.job(job).state is JobState.LOST


def test_what_a_supervisor_wrote_down_last_counts(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch_once()
    assert toys.workspace.training_parts.store.claim(job.id, socket.gethostname())
    toys.place(job).make()
    toys.place(job).begin()
    at = clock.now()
    write_end(toys.place(job), Ended(JobState.FAILED, "It exited with code 3.", 3), at)
    with toys.worker():
        ended = toys.until(job)
    assert (ended.state, ended.reason, ended.exit_code, ended.ended_at) == (
        JobState.FAILED,
        "It exited with code 3.",
        3,
        at,
    )


def test_a_supervisor_that_cannot_even_start_is_tried_three_times(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch_once()
    toys.place(job).make()
    toys.place(job).log.mkdir()  # nothing can be written there
    with toys.worker():
        failed = toys.until(job)
    assert failed.state is JobState.FAILED
    assert failed.reason.startswith("Its supervising process did not start: IsADirectoryError")


def test_a_job_goes_on_while_its_worker_is_replaced(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch("count", {"n": "1000", "pause": "0.02"})
    first = toys.start_worker().until_at_work()
    toys.until_said(job, "line 0")
    first.kill()
    assert toys.desk.worker().alive is False
    second = toys.start_worker().until_at_work()
    toys.until_told(job, "RUNNING")
    assert toys.job(job).state is JobState.RUNNING
    toys.desk.stop(job.id, ANA)
    assert toys.until(job).state is JobState.STOPPED
    toys.until_told(job, "KILLED")
    second.end()


def test_two_workers_on_one_home_take_turns(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    first = toys.start_worker().until_at_work()
    second = toys.start_worker()
    job = toys.until(toys.launch_once())
    assert job.state is JobState.FINISHED and toys.desk.worker().pid == first.process.pid
    time.sleep(1.5)
    assert "at work" not in second.said()
    first.kill()
    took = wait_for(lambda: "at work" in second.said(), 20)
    assert took < 5 and toys.desk.worker().pid == second.process.pid
    assert toys.until(toys.launch_once()).state is JobState.FINISHED


def test_no_more_run_at_once_than_is_allowed_over_restarts_of_the_worker(
    new_toys: Callable[..., Toys],
) -> None:
    toys = new_toys(jobs_at_once=2)
    jobs = [toys.launch("count", {"n": "40"}) for _ in range(6)]
    most = 0

    def look() -> bool:
        nonlocal most
        counts = toys.desk.counts()
        most = max(most, counts[JobState.RUNNING])
        return counts[JobState.FINISHED] == len(jobs)

    for _ in range(2):
        worker = toys.start_worker().until_at_work()
        wait_for(lambda: look() or most == 2)
        for _ in range(20):
            look()
            time.sleep(0.05)
        worker.kill()
    toys.start_worker()
    wait_for(look, 90, lambda: str(toys.desk.counts()))
    assert most == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_of_which_a_part_fails_ends_and_says_so(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()

    def chore() -> None:
        raise ZeroDivisionError

    with pytest.raises(GreenroomError, match="A part of the worker failed"):
        toys.workspace.training_parts.worker([chore]).run()
    assert not toys.desk.worker().alive


def test_a_chore_that_is_refused_is_tried_again(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    calls: list[int] = []

    def chore() -> None:
        calls.append(1)
        if len(calls) == 2:
            worker.stop()
        raise GreenroomError("Not now.")

    worker = toys.workspace.training_parts.worker([chore])
    worker.run()
    assert len(calls) == 2

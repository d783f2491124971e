"""Stop: within five seconds nothing of a job is left, whatever it does about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import RefusedError
from core.training.jobs.processes import mark_of, marked
from core.training.types import JobState
from tests.training import ANA, VERA, Toys, is_alive, wait_for


def test_a_queued_job_is_taken_out_of_the_queue(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch_once()
    stopped = toys.desk.stop(job.id, ANA)
    assert (stopped.state, stopped.reason) == (JobState.STOPPED, "Stopped by ana before it began.")
    later = toys.launch_once()
    with toys.worker():
        toys.until(later)
        toys.until_told(job, "KILLED")
    assert len(toys.lines()) == 1 and not toys.place(job).begun.exists()


@pytest.mark.parametrize("entry_point", ["wait", "stubborn", "strays", "halted"])
def test_nothing_is_left_of_a_running_job_within_five_seconds(toys: Toys, entry_point: str) -> None:
    job = toys.until_said(toys.launch(entry_point))
    pids = [int(line.split()[1]) for line in toys.log(job).splitlines() if line.startswith("pid")]
    mark = mark_of(toys.workspace.address.key, job.id)
    assert marked(mark)
    assert all(map(is_alive, pids)) and len(pids) == (3 if entry_point == "strays" else 0)
    asked = toys.desk.stop(job.id, ANA)
    assert asked.is_stopping or asked.state is JobState.STOPPED
    took = wait_for(lambda: toys.job(job).state.is_over)
    assert took < 5
    ended = toys.job(job)
    assert (ended.state, ended.reason) == (JobState.STOPPED, "Stopped by ana.")
    # Nothing is left by the time that it is said to be over.
    assert not any(map(is_alive, pids)) and not marked(mark)
    toys.until_told(job, "KILLED")


def test_stopping_twice_says_so_once(toys: Toys) -> None:
    job = toys.until_said(toys.launch("stubborn"))
    toys.desk.stop(job.id, ANA)
    toys.desk.stop(job.id, toys.workspace.actor())
    assert toys.until(job).reason == "Stopped by ana."


def test_what_is_over_cannot_be_stopped(toys: Toys) -> None:
    job = toys.until(toys.launch("fail"))
    with pytest.raises(RefusedError, match=f"Job {job.id} is failed; it cannot be stopped any more"):
        toys.desk.stop(job.id, ANA)


def test_a_viewer_stops_nothing(toys: Toys) -> None:
    job = toys.until_said(toys.launch("wait"))
    with pytest.raises(RefusedError, match="may not stop a training"):
        toys.desk.stop(job.id, VERA)
    assert toys.job(job).stop_asked_by is None
    toys.desk.stop(job.id, ANA)
    toys.until(job)


def test_a_job_that_another_machine_gave_up_ends_itself(toys: Toys) -> None:
    # As after a network failure of minutes: somebody may have begun it anew since.
    job = toys.until_said(toys.launch("wait"))
    store = toys.workspace.training_parts.store
    assert store.end(job.id, JobState.LOST, "Not heard of for long.", None, job.asked_at)
    wait_for(lambda: not toys.place(job).is_held())
    assert toys.job(job).state is JobState.LOST and toys.job(job).reason == "Not heard of for long."
    assert "said to be lost while it ran" in toys.log(job)

"""What becomes of jobs: finished, failed in every way there is, with a sentence for it, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from core import clock
from core.training.jobs.logs import progress_of
from core.training.jobs.place import read_json
from core.training.types import JOB_TAG, JobState
from tests.training import Toys, is_alive, wait_for


def test_the_run_is_there_from_the_start_and_follows_the_job(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch("count", {"n": "2"}, experiment="tries", name="first", tags={"team": "fx"})
    run = toys.run_of(job)
    assert (job.state, run.info.status, run.info.run_name) == (JobState.QUEUED, "SCHEDULED", "first")
    assert run.data.params == {"n": "2"}, "what is its default is not logged, as with mlflow run"
    assert job.parameters == {"n": "2", "pause": "0.05"}
    tags = run.data.tags
    assert (tags[JOB_TAG], tags["team"], tags["mlflow.user"]) == (str(job.id), "fx", "ana")
    assert (tags["mlflow.source.name"], tags["mlflow.project.entryPoint"]) == ("toy", "count")
    waiting = toys.launch("wait")
    with toys.worker():
        done = toys.until(job)
        assert (done.state, done.reason, done.exit_code) == (JobState.FINISHED, "", 0)
        toys.until_told(job, "FINISHED")
        assert abs(toys.run_of(job).info.end_time / 1000 - done.ended_at.timestamp()) < 0.01  # type: ignore[union-attr]
        assert toys.log(job) == "line 0\nline 1\n"
        toys.until_said(waiting)
        toys.until_told(waiting, "RUNNING")


def test_a_run_whose_script_says_how_it_ended_keeps_that(toys: Toys) -> None:
    job = toys.launch("says_failed")
    assert toys.until(job).state is JobState.FINISHED
    toys.until_told(job, "FAILED")


@pytest.mark.parametrize(
    ("entry_point", "code", "reason"),
    [
        ("fail", 3, "It exited with code 3. The last line of its log: no luck at all"),
        (
            "die",
            -9,
            "It was ended by signal 9 (SIGKILL), as happens when memory runs out. "
            "The last line of its log: about to die",
        ),
    ],
)
def test_a_job_that_fails_says_why(toys: Toys, entry_point: str, code: int, reason: str) -> None:
    job = toys.until(toys.launch(entry_point))
    assert (job.state, job.exit_code, job.reason) == (JobState.FAILED, code, reason)
    toys.until_told(job, "FAILED")
    wait_for(lambda: toys.run_of(job).data.tags.get("greenroom.job_reason") == reason)


def test_a_command_that_does_not_exist_is_named(toys: Toys) -> None:
    job = toys.until(toys.launch("nowhere"))
    assert job.state is JobState.FAILED
    assert job.reason.startswith("no-such-program-anywhere cannot be started: No such file or directory.")
    toys.until_told(job, "FAILED")


def test_what_is_gone_between_launch_and_start_is_named(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    file = toys.folder / "prices.csv"
    file.write_text("1")
    no_file = toys.launch("data", {"file": str(file)})
    file.unlink()
    with toys.worker():
        failed = toys.until(no_file)
        assert failed.state is JobState.FAILED and "there is no such file" in failed.reason
        toys.until_told(failed, "FAILED")
    no_project = toys.launch("wait")
    toys.project.rename(toys.folder / "moved")
    with toys.worker():
        failed = toys.until(no_project)
        assert failed.state is JobState.FAILED and str(toys.project) in failed.reason
    assert not toys.place(no_project).begun.exists(), "nothing of it was started"


def test_a_project_that_broke_after_the_launch_is_named(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    job = toys.launch("wait")
    (toys.project / "MLproject").write_text("entry_points: [")
    with toys.worker():
        failed = toys.until(job)
    assert failed.state is JobState.FAILED and "MLproject" in failed.reason


def test_a_job_that_runs_too_long_is_ended(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys(max_hours=0.001)
    job = toys.launch("stubborn")
    with toys.worker():
        ended = toys.until(job)
    assert ended.state is JobState.FAILED
    assert ended.reason.startswith("It ran longer than 0.001 hours and was ended. Raise max_hours")
    assert not toys.processes()


def test_with_too_little_room_nothing_starts(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys(min_free_mb=1_048_576)
    job = toys.launch_once()
    with toys.worker():
        failed = toys.until(job)
    assert failed.state is JobState.FAILED and not toys.lines()
    assert "MiB are free on the disk" in failed.reason and failed.reason.endswith("Make room.")


def test_a_flood_fills_its_log_to_the_limit_and_no_further(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys(log_mb=1)
    flood = toys.launch("flood")
    with toys.worker():
        wait_for(lambda: "the log is full" in toys.log(flood))
        other = toys.launch("count", {"n": "1"})
        assert toys.until(other).state is JobState.FINISHED, "others go on meanwhile"
        assert toys.job(flood).state is JobState.RUNNING
        toys.desk.stop(flood.id, toys.workspace.actor())
        took = wait_for(lambda: toys.job(flood).state.is_over)
    assert toys.job(flood).state is JobState.STOPPED and took < 5
    assert not toys.processes()
    assert 2**20 <= toys.place(flood).log.stat().st_size < 2**20 + 500


def test_whatever_is_printed_is_kept_and_shown_as_text(toys: Toys) -> None:
    job = toys.until(toys.launch("odd"))
    assert job.state is JobState.FINISHED
    raw = toys.place(job).log.read_bytes()
    assert raw.startswith(b"\x00\x01binary\xff\xfe\n\x1b[31mred") and raw.endswith(b"without a line break")
    began = time.monotonic()
    first = toys.desk.log(job.id, start=0, most=100).text
    assert first == "binary��\nred\n100%\ndone�\n"
    assert toys.log(job).endswith("Straße 学 the end without a line break")
    assert time.monotonic() - began < 1


def test_a_job_that_closes_its_output_goes_on(toys: Toys) -> None:
    job = toys.until(toys.launch("silent"))
    assert job.state is JobState.FINISHED
    assert (toys.home / "work" / str(job.run_id) / "done").read_text() == "done"


def test_what_a_finished_job_leaves_behind_is_ended(toys: Toys) -> None:
    job = toys.until(toys.launch("leaves"))
    assert job.state is JobState.FINISHED
    pids = [int(line.split()[1]) for line in toys.log(job).splitlines() if line.startswith("pid")]
    assert len(pids) == 3 and not any(map(is_alive, pids))


@pytest.mark.parametrize(
    "text",
    [
        '{"done": 1, "total": 1' + "0" * 400 + "}",
        '{"done": NaN, "total": 5}',
        '{"done": true, "total": 5}',
        '{"done": 1, "total": 5, "what": 7}',
        "[" * 60_000,
        "no JSON",
        "",
    ],
)
def test_progress_that_makes_no_sense_harms_nobody(new_toys: Callable[..., Toys], text: str) -> None:
    path = new_toys().folder / "progress.json"
    path.write_text(text)
    assert progress_of(read_json(path), clock.now()) is None


def test_progress_is_shown_with_what_is_left(toys: Toys) -> None:
    job = toys.launch("talks", {"text": '{"done": 30, "total": 60, "what": "epoch \\ud800\\u001b[1m3"}'})
    wait_for(lambda: toys.job(job).progress is not None)
    said = toys.job(job).progress
    assert said is not None and (said.share, said.what) == (0.5, "epoch ?3")
    left = toys.job(job).seconds_left(said.at)
    assert left is not None and left >= 0
    toys.desk.stop(job.id, toys.workspace.actor())
    assert toys.until(job).state is JobState.STOPPED

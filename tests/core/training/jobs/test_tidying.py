"""Which files of jobs go when they are over, and which stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from core import clock
from core.database import open_database
from core.training.jobs.place import job_place, work_folder
from core.training.jobs.store import JobStore
from core.training.jobs.tidying import tidy
from core.training.types import JobState, LaunchRequest

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Yard:
    """Jobs with files, each ended so many days ago."""

    def __init__(self, home: Path, engine: Engine) -> None:
        self.home = home
        self.store = JobStore(lambda: engine, "here", lambda: NOW)

    def job(self, state: JobState, days: float, run_id: str | None = None) -> int:
        with self.store.transaction() as connection:
            number = self.store.add(connection, LaunchRequest("fit", experiment="e"), {}, "ana")
        self.store.set_run(number, run_id or f"run{number}", "fit")
        ended = clock.text(NOW - timedelta(days=days))
        self.store.change(number, JobState.QUEUED, {"state": str(state), "ended_at": ended})
        place = job_place(self.home, "here", number)
        place.make()
        place.log.write_text("a log")
        checkpoint = work_folder(self.home, run_id or f"run{number}") / "checkpoints" / "1.zip"
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_text("weights")
        return number

    def has_log(self, number: int) -> bool:
        return job_place(self.home, "here", number).log.exists()

    def has_checkpoints(self, run_id: str) -> bool:
        return work_folder(self.home, run_id).exists()

    def tidy(self) -> int:
        return tidy(self.store, self.home, 90, lambda: NOW)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path, open_database(None, tmp_path))


def test_checkpoints_of_a_finished_job_go_after_a_day_and_its_log_stays(yard: Yard) -> None:
    old, fresh = yard.job(JobState.FINISHED, 1.1), yard.job(JobState.FINISHED, 0.9)
    assert yard.tidy() == 1
    assert (yard.has_checkpoints(f"run{old}"), yard.has_log(old)) == (False, True)
    assert (yard.has_checkpoints(f"run{fresh}"), yard.has_log(fresh)) == (True, True)


def test_what_could_be_resumed_keeps_its_checkpoints_for_the_days_that_are_set(yard: Yard) -> None:
    lost, older = yard.job(JobState.LOST, 89), yard.job(JobState.FAILED, 91)
    assert yard.tidy() == 2
    assert (yard.has_checkpoints(f"run{lost}"), yard.has_log(lost)) == (True, True)
    assert (yard.has_checkpoints(f"run{older}"), yard.has_log(older)) == (False, False)
    assert yard.store.job(older).state is JobState.FAILED


def test_a_run_that_another_job_goes_on_with_keeps_its_checkpoints(yard: Yard) -> None:
    first = yard.job(JobState.STOPPED, 100, "shared")
    second = yard.job(JobState.RUNNING, 0, "shared")
    assert yard.tidy() == 1
    assert (yard.has_log(first), yard.has_log(second), yard.has_checkpoints("shared")) == (False, True, True)


def test_a_job_that_is_supervised_still_is_left_alone(yard: Yard) -> None:
    number = yard.job(JobState.FAILED, 100)
    held = job_place(yard.home, "here", number).lock()
    assert held is not None
    assert yard.tidy() == 0
    assert yard.has_log(number)


def test_jobs_of_another_tracking_store_are_left_alone(yard: Yard) -> None:
    number = yard.job(JobState.FAILED, 100)
    place = job_place(yard.home, "elsewhere", number)
    place.make()
    yard.tidy()
    assert place.folder.is_dir()

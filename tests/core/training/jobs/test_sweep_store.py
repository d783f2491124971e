"""Sweeps in the database: a parent run is noted once, and each tracking store sees its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.database import open_database
from core.errors import DatabaseError, NotFoundError
from core.training.jobs.store import JobStore
from core.training.jobs.sweep_store import SweepStore
from core.training.types import JobState, LaunchRequest


@pytest.fixture
def stores(tmp_path: Path) -> Callable[[str], tuple[JobStore, SweepStore]]:
    engine = open_database(None, tmp_path)
    return lambda key: (JobStore(lambda: engine, key), SweepStore(lambda: engine, key))


def add(jobs: JobStore, sweeps: SweepStore, values: tuple[str, ...] = ("1", "2")) -> int:
    with jobs.transaction() as connection:
        sweep = sweeps.add(connection, "tries", {"n": values}, "ana")
        for value in values:
            jobs.add(connection, LaunchRequest("count"), {"n": value}, "ana", sweep)
    return sweep


def test_a_sweep_knows_the_states_of_its_own_jobs(
    stores: Callable[[str], tuple[JobStore, SweepStore]],
) -> None:
    jobs, sweeps = stores("store")
    first, second = add(jobs, sweeps), add(jobs, sweeps, ("3",))
    jobs.give_up(jobs.jobs(sweep=first)[0].id, "No luck.")
    newest, oldest = sweeps.sweeps()
    assert (newest.id, newest.states) == (second, {JobState.QUEUED: 1})
    assert (oldest.id, oldest.grid) == (first, {"n": ("1", "2")})
    assert oldest.states == {JobState.QUEUED: 1, JobState.FAILED: 1}
    assert sweeps.sweeps(limit=1) == (newest,)


def test_the_first_parent_run_is_kept(stores: Callable[[str], tuple[JobStore, SweepStore]]) -> None:
    jobs, sweeps = stores("store")
    sweep = add(jobs, sweeps)
    assert sweeps.set_run(sweep, "one") and not sweeps.set_run(sweep, "another")
    assert sweeps.sweep(sweep).run_id == "one"


def test_a_sweep_that_has_ended_is_looked_at_no_more(
    stores: Callable[[str], tuple[JobStore, SweepStore]],
) -> None:
    jobs, sweeps = stores("store")
    first, second = add(jobs, sweeps), add(jobs, sweeps)
    sweeps.end(first)
    assert [one.id for one in sweeps.not_ended()] == [second]
    assert sweeps.sweep(first).ended_at is not None


def test_stores_in_one_database_do_not_see_each_other(
    stores: Callable[[str], tuple[JobStore, SweepStore]],
) -> None:
    (jobs, one), (_, other) = stores("one"), stores("other")
    sweep = add(jobs, one)
    assert not other.sweeps() and not other.not_ended() and not other.set_run(sweep, "r")
    other.end(sweep)
    assert one.sweep(sweep).ended_at is None
    with pytest.raises(NotFoundError, match=f"There is no sweep {sweep}"):
        other.sweep(sweep)


def test_a_database_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/none/greenroom.db")
    with pytest.raises(DatabaseError, match="sweeps can be neither read nor written"):
        SweepStore(lambda: engine, "store").sweeps()

"""Jobs in the database: one of many takes a job, and a state changes only from the one it was seen in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.database import open_database
from core.errors import DatabaseError
from core.training.jobs.store import JobStore
from core.training.types import JobState, LaunchRequest, Progress
from tests import servers

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROCESSES, JOBS = 4, 60

_TAKER = """
import sys
from pathlib import Path
from core.database import open_database
from core.training.jobs.store import JobStore
uri, home, name = sys.argv[1:]
engine = open_database(uri, Path(home))
store = JobStore(lambda: engine, "store")
print("ready", flush=True)
sys.stdin.readline()
while (job := store.next_queued()) is not None:
    if store.claim(job, name):
        print(job, flush=True)
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database on each kind of server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'greenroom.db'}"
    server: servers.Postgres = request.getfixturevalue("postgres")
    return server.create(f"jobs_{os.urandom(4).hex()}").replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def new_store(uri: str, tmp_path: Path) -> Callable[[str], JobStore]:
    engine = open_database(uri, tmp_path)
    return lambda key: JobStore(lambda: engine, key)


@pytest.fixture
def store(new_store: Callable[[str], JobStore]) -> JobStore:
    return new_store("store")


def add(store: JobStore, run_id: str | None = "r", **values: object) -> int:
    with store.transaction() as connection:
        job = store.add(connection, LaunchRequest("wait", **values), {}, "ana")  # type: ignore[arg-type]
    if run_id is not None:
        store.set_run(job, run_id, "wait")
    return job


def test_each_job_is_taken_by_one_process(store: JobStore, uri: str, tmp_path: Path) -> None:
    ids = [add(store) for _ in range(JOBS)]
    root = Path(__file__).parents[4]
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKER, uri, str(tmp_path), f"host {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for number in range(PROCESSES)
    ]
    for one in takers:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in takers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    taken = {f"host {number}": one.communicate()[0].split() for number, one in enumerate(takers)}
    assert Counter(job for jobs in taken.values() for job in jobs) == Counter(map(str, ids))
    for job in store.jobs((JobState.RUNNING,), limit=None):
        assert str(job.id) in taken[job.host or ""]
    assert store.counts()[JobState.QUEUED] == 0


def test_a_state_changes_only_from_the_one_it_was_seen_in(store: JobStore) -> None:
    job = add(store)
    assert not store.end(job, JobState.FINISHED, "", 0, AT), "it does not run"
    assert store.claim(job, "here")
    assert not store.claim(job, "there")
    assert store.end(job, JobState.FINISHED, "", 0, AT)
    assert not store.end(job, JobState.LOST, "late", None, AT), "it ends once"
    found = store.job(job)
    assert (found.state, found.reason, found.exit_code, found.ended_at, found.host) == (
        JobState.FINISHED,
        "",
        0,
        AT,
        "here",
    )


def test_a_job_without_its_run_waits(store: JobStore) -> None:
    first, second = add(store, None), add(store)
    assert store.next_queued() == second and store.next_queued([second]) is None
    store.set_run(first, "r1", "wait")
    assert store.next_queued() == first
    assert store.set_run(first, "r2", "wait") is False and store.job(first).run_id == "r1"


def test_stores_in_one_database_do_not_see_each_other(new_store: Callable[[str], JobStore]) -> None:
    one, other = new_store("one"), new_store("other")
    job = add(one)
    assert not other.jobs() and other.next_queued() is None and other.counts()[JobState.QUEUED] == 0
    assert not other.claim(job, "here") and other.changed() != one.changed()
    assert other.set_run(job, "r2", "x") is False


def test_progress_is_kept_while_a_job_runs(store: JobStore) -> None:
    job = add(store)
    said = Progress(3.0, 12.0, "epoch 3", AT)
    store.hear(job, said)
    assert store.job(job).progress is None
    store.claim(job, "here")
    store.hear(job, said)
    store.hear(job, None)
    assert store.job(job).progress == said
    assert store.wanted(job) == (JobState.RUNNING, None)


def test_what_mlflow_was_told_is_said_once_more_where_the_run_came_later(store: JobStore) -> None:
    job = add(store, None)
    store.change(job, JobState.QUEUED, {"state": "stopped"})
    assert [one.id for one in store.untold()] == [job]
    store.told(job, None)
    assert not store.untold()
    store.set_run(job, "r", "wait")
    assert [one.run_id for one in store.untold()] == ["r"]
    store.told(job, None)
    assert store.untold(), "that was about the job without a run"
    store.told(job, "r")
    assert not store.untold()


def test_a_database_that_does_not_answer_is_said_so(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/none/greenroom.db")
    with pytest.raises(DatabaseError, match="jobs can be neither read nor written"):
        JobStore(lambda: engine, "store").counts()

"""The queue, on SQLite and on a real Redis: tickets come out, and nothing else does any harm."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.errors import GreenroomError
from core.training.jobs.tickets import TicketQueue
from core.training.types import JobState
from tests import servers
from tests.training import Toys, wait_for


@pytest.fixture(scope="module")
def redis_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server of our own."""
    pytest.importorskip("redis", reason="the package redis is not installed")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no Redis here: apt-get install redis-server")
    folder, port = tmp_path_factory.mktemp("redis"), servers.free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "secret-word"]
    with servers.process([program, *options, "--dir", str(folder)], folder / "redis.log") as running:
        uri = f"redis://:secret-word@127.0.0.1:{port}/0"
        wait_for(lambda: _answers(uri) or running.poll() is not None)
        yield uri


def _answers(uri: str) -> bool:
    import redis

    with closing(redis.Redis.from_url(uri)) as server:
        try:
            return bool(server.ping())
        except redis.RedisError:
            return False


@pytest.fixture(params=["sqlite", "redis"])
def queue_uri(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else str(request.getfixturevalue("redis_uri"))


@pytest.fixture
def queue(tmp_path: Path, queue_uri: str | None) -> Iterator[TicketQueue]:
    found = TicketQueue(tmp_path, queue_uri, f"s{os.urandom(6).hex()}")
    yield found
    found.close()


@contextmanager
def consumed(queue: TicketQueue) -> Iterator[list[int]]:
    """Draw tickets while inside; holds how many were drawn."""
    drawn, lock = [0], threading.Lock()

    def work() -> None:
        with lock:
            drawn[0] += 1

    consumer = queue.consumer(work, 3)
    consumer.start()
    try:
        yield drawn
    finally:
        consumer.stop(graceful=True)


def test_every_ticket_comes_out_once(queue: TicketQueue) -> None:
    queue.put(25)
    assert queue.size() == 25
    with consumed(queue) as drawn:
        wait_for(lambda: drawn[0] >= 25)
        queue.put()
        wait_for(lambda: drawn[0] >= 26)
    assert (drawn[0], queue.size()) == (26, 0)


def test_a_queue_outlives_who_put_into_it(tmp_path: Path, queue_uri: str | None) -> None:
    key = f"s{os.urandom(6).hex()}"
    first = TicketQueue(tmp_path, queue_uri, key)
    first.put(2)
    first.close()
    second = TicketQueue(tmp_path, queue_uri, key)
    assert second.size() == 2
    second.close()


def test_stores_have_queues_of_their_own(tmp_path: Path, queue_uri: str | None) -> None:
    one, other = (TicketQueue(tmp_path, queue_uri, f"s{os.urandom(6).hex()}") for _ in range(2))
    one.put()
    assert (one.size(), other.size()) == (1, 0)
    one.close()
    other.close()


class Bomb:
    """A pickle that leaves a file behind where it is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return os.system, (f"touch {self._path}",)


@pytest.mark.parametrize(
    "content", [None, b"5", b"null", b'["id", "no such task"]', b"[" * 100_000, b"\xff", b"{}"]
)
def test_what_is_no_ticket_is_left_out_and_harms_nobody(
    queue: TicketQueue, tmp_path: Path, content: bytes | None
) -> None:
    traces = tmp_path / "opened"
    queue._huey.storage.enqueue(pickle.dumps(Bomb(traces)) if content is None else content, 0)
    queue.put()
    with consumed(queue) as drawn:
        wait_for(lambda: drawn[0] == 1 and queue.size() == 0)
    assert not traces.exists(), "nothing in a queue is unpickled"


def test_a_queue_that_does_not_answer_is_said_so_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("redis")
    queue = TicketQueue(tmp_path, f"redis://:secret-word@127.0.0.1:{servers.free_port()}/0", "s1")
    with pytest.raises(GreenroomError, match=r"does not answer: .* Jobs stay recorded") as refused:
        queue.put()
    assert "secret-word" not in str(refused.value)
    queue.close()
    (tmp_path / "queue.db").write_bytes(b"no database at all, whatever it is called" * 100)
    with pytest.raises(GreenroomError, match=r"queue\.db does not answer"):
        TicketQueue(tmp_path, None, "s1").put()


def test_jobs_run_through_redis(new_toys: Callable[..., Toys], redis_uri: str) -> None:
    toys = new_toys(queue_uri=redis_uri)
    jobs = [toys.launch_once(0) for _ in range(3)]
    assert not (toys.home / "queue.db").exists()
    with toys.worker():
        assert [toys.until(job).state for job in jobs] == [JobState.FINISHED] * 3
    assert len(toys.lines()) == 3


def test_a_queue_that_is_away_at_the_launch_delays_a_job_and_loses_none(
    new_toys: Callable[..., Toys], monkeypatch: pytest.MonkeyPatch
) -> None:
    toys = new_toys()

    def away(*_: object) -> None:
        raise GreenroomError("The queue does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(TicketQueue, "put", away)
        job = toys.launch_once(0)
    assert toys.workspace.training_parts.tickets().size() == 0
    with toys.worker():
        assert toys.until(job).state is JobState.FINISHED


def test_tickets_too_many_are_drawn_in_seconds(new_toys: Callable[..., Toys]) -> None:
    toys = new_toys()
    tickets = toys.workspace.training_parts.tickets()
    tickets.put(300)
    with toys.worker():
        wait_for(lambda: tickets.size() == 0, 30)
    with closing(sqlite3.connect(toys.home / "queue.db")) as database:
        assert database.execute("select count(*) from task").fetchone() == (0,)

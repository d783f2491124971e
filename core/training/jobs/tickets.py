"""The queue between who launches and who works: Huey, on SQLite or on Redis.

What is queued are tickets, not jobs: a ticket says "there is something to do", and whoever draws it takes the job that
is to run next from the database. So a ticket that is lost costs nothing (the worker makes up for it), one too many
finds nothing to do, and a job that was cancelled or moved up needs no change in the queue.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from huey import RedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer

from core.errors import GreenroomError
from core.redaction import redact

_POLL_SECONDS: Final = 0.1


class TicketQueue:
    """The tickets of one tracking store.

    Parameters
    ----------
    home : Path
        Where ``queue.db`` is kept.
    queue_uri : str or None
        A Redis server instead.
    """

    def __init__(self, home: Path, queue_uri: str | None, store_key: str) -> None:
        self._shown = redact(queue_uri) if queue_uri else str(home / "queue.db")
        common = {"results": False, "serializer": _JsonSerializer()}
        name = f"greenroom-{store_key}"
        with _translated(self._shown):
            if queue_uri:
                self._huey = RedisHuey(name, url=queue_uri, blocking=False, **common)
            else:
                home.mkdir(parents=True, exist_ok=True)
                self._huey = SqliteHuey(name, filename=str(home / "queue.db"), timeout=10, **common)
        self._work: Callable[[], None] = lambda: None
        self._task = self._huey.task(name="ticket")(lambda: self._work())

    def put(self, count: int = 1) -> None:
        """Put tickets into the queue.

        Raises
        ------
        GreenroomError
            If the queue does not answer.
        """
        with _translated(self._shown):
            for _ in range(count):
                self._task()

    def size(self) -> int:
        """Return how many tickets are in the queue."""
        with _translated(self._shown):
            return int(self._huey.pending_count())

    def consumer(self, work: Callable[[], None], at_once: int) -> Consumer:
        """Return a consumer that calls `work` for each ticket, in `at_once` threads."""
        self._work = work
        return _QuietConsumer(
            self._huey,
            workers=at_once,
            periodic=False,
            initial_delay=_POLL_SECONDS,
            max_delay=_POLL_SECONDS,
            backoff=1.0,
            worker_type="thread",
        )

    def close(self) -> None:
        """Give back connections."""
        with suppress(Exception):  # whatever Redis says, nothing is left to be done
            self._huey.storage.close()


class _QuietConsumer(Consumer):  # type: ignore[misc]
    """A consumer that leaves signals to the worker around it."""

    def _set_signal_handlers(self) -> None:
        pass


class _JsonSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON: what comes out of a queue that others reach is not unpickled."""

    def _serialize(self, data: Message) -> bytes:
        return json.dumps([data.id, data.name]).encode()

    def _deserialize(self, data: Any) -> Message:
        try:
            ident, name = json.loads(bytes(data))
        except (ValueError, TypeError, RecursionError) as error:
            raise GreenroomError("The queue holds something that is no ticket; it is left out.") from error
        return Message(
            str(ident), str(name), None, 0, 0, None, (), {}, None, None, None, None, None, None, None
        )


class _translated:  # noqa: N801 - used as a statement
    """Turns what SQLite and Redis say into a sentence."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import sqlite3

        kinds: tuple[type[BaseException], ...] = (sqlite3.Error, OSError)
        with suppress(ImportError):
            import redis

            kinds = (*kinds, redis.RedisError)
        if isinstance(error, kinds):
            raise GreenroomError(
                f"The queue {self._shown} does not answer: {redact(str(error))}. Jobs stay recorded; the worker "
                "takes them up when it answers again."
            ) from error
        if type(error).__name__ == "ConfigurationError":
            raise GreenroomError(
                f"The queue {self._shown} needs the package redis. Install it: pip install redis"
            ) from error

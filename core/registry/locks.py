"""One process at a time works on a model: a lock that the death of its holder releases."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout
from sqlalchemy.engine import Engine

from core.errors import DatabaseError, RefusedError


@contextmanager
def model_lock(engine: Engine, store_key: str, model: str, wait_seconds: float) -> Iterator[None]:
    """Hold the lock of a model.

    With SQLite it is a lock file beside the database; with PostgreSQL the server's own advisory lock, so that
    Greenrooms on several machines respect it, too.

    Raises
    ------
    RefusedError
        If somebody else holds it for longer than the wait.
    DatabaseError
        If the database does not answer.
    """
    name = hashlib.sha256(f"{store_key}\0{model}".encode()).hexdigest()
    if engine.dialect.name == "postgresql":
        with _advisory_lock(engine, int(name[:15], 16), model, wait_seconds):
            yield
        return
    folder = Path(str(engine.url.database)).resolve().parent / "locks"
    folder.mkdir(exist_ok=True)
    lock = FileLock(folder / f"{name[:32]}.lock")
    try:
        lock.acquire(timeout=wait_seconds, poll_interval=0.01)
    except Timeout:
        raise RefusedError(_busy(model)) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _advisory_lock(engine: Engine, key: int, model: str, wait_seconds: float) -> Iterator[None]:
    deadline = time.monotonic() + wait_seconds
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(key))).scalar():
                if time.monotonic() >= deadline:
                    raise RefusedError(_busy(model))
                time.sleep(0.02)
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(key)))
    except sa.exc.SQLAlchemyError as error:
        raise DatabaseError(
            f"Greenroom's database does not answer, so {model} cannot be changed. `greenroom doctor` says more."
        ) from error


def _busy(model: str) -> str:
    return f"Somebody else is changing {model} right now. Look at what came of it, then try again."

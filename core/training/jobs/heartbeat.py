"""Is a worker alive? It holds a lock in the home folder as long as it lives, and writes down who it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core import clock
from core.training.jobs.place import is_locked, read_json, take_lock, write_json


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The worker of a home folder.

    Attributes
    ----------
    slots : int
        How many jobs it runs at once.
    """

    alive: bool
    host: str | None = None
    pid: int | None = None
    since: datetime | None = None
    slots: int = 0


def worker_state(home: Path, store_key: str) -> WorkerState:
    """Return what is known of the worker of a tracking store."""
    folder = home / "worker" / store_key
    said = read_json(folder / "state.json")
    if not is_locked(folder / "lock") or not isinstance(said, dict):
        return WorkerState(alive=False)
    return WorkerState(True, said["host"], said["pid"], clock.moment(said["since"]), said["slots"])


@contextmanager
def only_worker(home: Path, store_key: str, slots: int) -> Iterator[bool]:
    """Be the worker of a home folder and a tracking store; gives False where another one is."""
    folder = home / "worker" / store_key
    folder.mkdir(parents=True, exist_ok=True)
    held = take_lock(folder / "lock")
    if held is None:
        yield False
        return
    try:
        said = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "since": clock.text(clock.now()),
            "slots": slots,
        }
        write_json(folder / "state.json", said)
        yield True
    finally:
        os.close(held)

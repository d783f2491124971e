"""Where a job keeps its files: log, progress, checkpoints, and the lock that says that it is alive."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class JobPlace:
    """The folder of one job.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @property
    def log(self) -> Path:
        """What the job printed."""
        return self.folder / "log.txt"

    @property
    def supervisor_log(self) -> Path:
        """What its supervising process printed; empty unless that went wrong."""
        return self.folder / "supervisor.txt"

    @property
    def progress(self) -> Path:
        """How far it says it is; see `core.training.progress`."""
        return self.folder / "progress.json"

    @property
    def end(self) -> Path:
        """How it ended, written before the database is told."""
        return self.folder / "end.json"

    @property
    def begun(self) -> Path:
        """Is there once a process of the job may have been started."""
        return self.folder / "begun"

    @property
    def commit(self) -> Path:
        """The commit of its project that it runs from, where that comes from git."""
        return self.folder / "commit"

    def make(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> None:
        """Note that a process of the job may be there from now on; known even after a power failure."""
        with self.begun.open("ab") as file:
            os.fsync(file.fileno())
        folder = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @property
    def making(self) -> Path:
        """Locked by whoever makes the job's MLflow run."""
        return self.folder / "making"

    def lock(self) -> int | None:
        """Take the lock that the supervising process holds as long as it lives; None where another holds it.

        Returns
        -------
        int or None
            A file descriptor; closing it, or dying, gives the lock back.
        """
        return take_lock(self.folder / "lock")

    def is_held(self) -> bool:
        """Say whether a supervising process is alive."""
        return is_locked(self.folder / "lock")


def work_folder(home: Path, run_id: str) -> Path:
    """Return where the jobs of a run keep what they go on from, such as checkpoints."""
    return home / "work" / run_id


def job_place(home: Path, store_key: str, job_id: int) -> JobPlace:
    """Return the place of a job of a tracking store."""
    return JobPlace(home / "jobs" / store_key / str(job_id))


def take_lock(path: Path, *, wait: bool = False) -> int | None:
    """Take a lock that ends with its holders; None where it is taken and not waited for."""
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def is_locked(path: Path) -> bool:
    """Say whether somebody holds a lock."""
    try:
        found = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared: two who ask at the same time do not take each other for the holder.
        fcntl.flock(found, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(found)
    return False


def write_json(path: Path, value: Any) -> None:
    """Write a small file whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(value), encoding="utf-8")
    fresh.replace(path)


def read_json(path: Path) -> Any:
    """Return what a small file says; None where it is not there or says nothing that can be read."""
    # Whatever a job has written there: nesting without end, too.
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        return json.loads(file.read(65_536))
    return None

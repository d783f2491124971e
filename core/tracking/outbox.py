"""One run on disk: a journal of what was logged, the files beside it, and how far it has been sent."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

JOURNAL = "journal.jsonl"
STATE = "state.json"
REFUSED = "refused.jsonl"
PAYLOADS = "files"
_CHUNK = 1 << 20
_SENT = ".sent"

Operation = dict[str, Any]


@dataclass(slots=True)
class State:
    """How far an outbox has been sent; written after each piece.

    Attributes
    ----------
    offset : int
        Everything in the journal before this byte has been dealt with.
    run_id, experiment_id : str or None
        The run, once it exists.
    attempted : list of str
        What was begun and may exist already: "run", and the payloads of models.
    aside : list of int
        Offsets of files and models that could not be stored; the rest went on without them.
    ended : bool
        Whether the run's end has been sent.
    problem : str or None
        Why the sending last stopped, in words.
    """

    offset: int = 0
    run_id: str | None = None
    experiment_id: str | None = None
    attempted: list[str] = field(default_factory=list)
    aside: list[int] = field(default_factory=list)
    ended: bool = False
    problem: str | None = None


class Outbox:
    """The folder of one run; only the process that holds its lock touches it.

    The journal is append-only, one line and one ``write`` a call, so that a process may be killed at any moment: a
    torn last line is a call that had not returned.
    """

    def __init__(self, folder: Path, lock: FileLock) -> None:
        self.folder = folder
        self.name = folder.name
        self._lock = lock
        self._pid = os.getpid()
        self._writing = threading.Lock()
        self._journal: int | None = None
        self._payloads = 0
        self.lost = 0
        path = folder / JOURNAL
        self.size = _complete_size(path) if path.exists() else 0
        self.state = read_state(folder)

    @classmethod
    def create(cls, root: Path) -> Outbox:
        """Make and lock a new outbox; raises OSError if the disk refuses."""
        name = new_name()
        root.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # a folder of somebody else's that we may write to
            root.chmod(0o700)
        lock = _lock(root / f"{name}.lock")
        lock.acquire(timeout=0)
        folder = root / name
        folder.mkdir(mode=0o700)
        outbox = cls(folder, lock)
        outbox._journal = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return outbox

    @classmethod
    def take_over(cls, folder: Path) -> Outbox | None:
        """Lock an outbox whose process is gone; None if it lives, or if the folder is gone."""
        lock = _lock(folder.with_name(folder.name + ".lock"))
        try:
            lock.acquire(timeout=0)
        except (Timeout, RuntimeError):
            # RuntimeError: filelock saw that this very process holds it.
            return None
        if not folder.is_dir():
            _drop_lock(lock)
            return None
        return cls(folder, lock)

    @classmethod
    def peek(cls, folder: Path) -> Outbox:
        """Read an outbox that another process holds."""
        return cls(folder, _lock(folder.with_name(folder.name + ".lock")))

    @property
    def is_ours(self) -> bool:
        """Whether this process made the object; a forked child must leave it alone."""
        return os.getpid() == self._pid

    def append(self, operation: Operation) -> None:
        """Write one call down; raises OSError if the disk refuses, and then leaves no half line."""
        line = (json.dumps(operation, separators=(",", ":")) + "\n").encode()
        with self._writing:
            if self._journal is None:
                raise OSError("the outbox is closed")
            try:
                if os.write(self._journal, line) != len(line):
                    raise OSError("the disk is full")
            except OSError:
                os.ftruncate(self._journal, self.size)
                raise
            self.size += len(line)

    def new_payload(self) -> tuple[str, Path]:
        """Make a folder for files; returns its name for the journal, and its path."""
        with self._writing:
            self._payloads += 1
            name = f"{self._payloads:06d}"
        path = self.folder / PAYLOADS / name
        path.mkdir(parents=True)
        return name, path

    def payload(self, name: str) -> Path:
        """Return the folder of a payload."""
        return self.folder / PAYLOADS / name

    def drop_payload(self, name: str) -> None:
        """Delete a payload that has been stored."""
        shutil.rmtree(self.payload(name), ignore_errors=True)

    def read(self, offset: int) -> Iterator[tuple[Operation, int, int]]:
        """Yield operations from an offset on, each with the offsets of its beginning and end."""
        path = self.folder / JOURNAL
        if self.size <= offset:
            return
        with path.open("rb") as journal:
            journal.seek(offset)
            for line in journal:
                end = offset + len(line)
                if end > self.size or not line.endswith(b"\n"):
                    return
                yield json.loads(line), offset, end
                offset = end

    def first(self) -> Operation | None:
        """Return the operation that starts the run."""
        return next((operation for operation, _, _ in self.read(0)), None)

    def save(self) -> None:
        """Write the state by an atomic replacement."""
        state = self.state
        value = {name: getattr(state, name) for name in State.__slots__}
        temporary = self.folder / (STATE + ".new")
        temporary.write_text(json.dumps(value))
        temporary.replace(self.folder / STATE)

    def refuse(self, operation: Operation, reason: str) -> None:
        """Keep what the server will never take, with its reason."""
        line = json.dumps({"reason": reason, **operation}) + "\n"
        with (self.folder / REFUSED).open("a", encoding="utf-8") as file:
            file.write(line)

    def refused(self) -> list[Operation]:
        """Return what was refused."""
        path = self.folder / REFUSED
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]

    def close(self) -> None:
        """Give up the outbox and leave the folder for later."""
        if not self.is_ours:
            return
        self._close_journal()
        self._lock.release(force=True)

    def remove(self) -> None:
        """Delete the outbox: all of it has been sent."""
        self._close_journal()
        # Under another name first: half an outbox would look like one that has not been sent.
        sent = self.folder.with_name(self.folder.name + _SENT)
        with suppress(OSError):
            self.folder.rename(sent)
        shutil.rmtree(sent, ignore_errors=True)
        _drop_lock(self._lock)

    def _close_journal(self) -> None:
        with self._writing:
            if self._journal is not None:
                os.close(self._journal)
                self._journal = None


def folders(root: Path) -> list[Path]:
    """Return the outboxes in a folder, oldest first."""
    if not root.is_dir():
        return []
    # A lock without a folder was left in the moment of creation. Names begin with the time.
    paths = list(root.iterdir())
    for path in paths:
        if path.suffix == _SENT:
            shutil.rmtree(path, ignore_errors=True)
    names = {path.stem if path.suffix == ".lock" else path.name for path in paths if path.suffix != _SENT}
    return [root / name for name in sorted(names)]


def new_name() -> str:
    """Return a name for an outbox that sorts by time and is the only one of its kind."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{uuid4().hex}"


def _lock(path: Path) -> FileLock:
    # The sender's thread and the training's both hold it: the lock belongs to the process.
    return FileLock(path, thread_local=False)


def _drop_lock(lock: FileLock) -> None:
    path = Path(lock.lock_file)
    with suppress(OSError):
        path.unlink(missing_ok=True)
    lock.release(force=True)


def _complete_size(path: Path) -> int:
    """Return the length of a journal up to its last whole line."""
    size = path.stat().st_size
    with path.open("rb") as journal:
        place = size
        while place > 0:
            begin = max(0, place - _CHUNK)
            journal.seek(begin)
            found = journal.read(place - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            place = begin
    return 0


def read_state(folder: Path) -> State:
    """Return how far the outbox in a folder has been sent."""
    try:
        value = json.loads((folder / STATE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return State()
    return State(**{name: value[name] for name in State.__slots__ if name in value})

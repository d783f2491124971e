"""Open a SQLite file so that nothing beside it or in it changes, whatever state its writers left it in.

SQLite itself writes while reading in two cases: a file in WAL mode gets `-shm` and `-wal` companions, and a
journal left by a crash is rolled back into the file. Both are avoided here: see `_open_mode`.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from core.errors import SourceError

_MAGIC = b"SQLite format 3\x00"


def companion(path: Path, suffix: str) -> Path:
    """Return the path of a companion file (`-wal`, `-shm`, `-journal`)."""
    return path.with_name(path.name + suffix)


def check(path: Path) -> None:
    """Raise `SourceError` with a sentence unless `path` is a SQLite database that can be read."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise SourceError(
            f"There is no file {path}. Check the tracking URI, or start a training run that creates it."
        ) from None
    except OSError as error:
        raise SourceError(f"The file {path} cannot be read: {error.strerror}.") from error
    if not head:
        raise SourceError(f"The file {path} is empty: MLflow has not written to it yet.")
    if head != _MAGIC:
        raise SourceError(
            f"The file {path} is no SQLite database. Point the tracking URI at the file that MLflow writes."
        )


def fingerprint(path: Path) -> str:
    """Return a value that changes with every committed write: sizes, times and SQLite's change counter."""
    parts: list[object] = []
    for file in (path, companion(path, "-wal")):
        try:
            state = file.stat()
        except FileNotFoundError:
            parts.append(None)
            continue
        parts.append((state.st_size, state.st_mtime_ns))
    with path.open("rb") as database:
        database.seek(24)
        parts.append(database.read(4).hex())
    return repr(parts)


@contextmanager
def readable_uri(path: Path) -> Iterator[str]:
    """Yield a `file:` URI under which `path` can be read without leaving a trace."""
    check(path)
    mode = _open_mode(path)
    if mode == "copy":
        with tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
            for suffix in ("", "-wal", "-journal"):
                source = companion(path, suffix) if suffix else path
                if source.exists():
                    shutil.copy2(source, Path(folder) / source.name)
            yield _uri(Path(folder) / path.name, "mode=rw")
    else:
        yield _uri(path, mode)


def _uri(path: Path, mode: str) -> str:
    return f"file:{quote(str(path))}?{mode}"


def _open_mode(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(18)
        in_wal_mode = file.read(1) == b"\x02"
    wal, shm = companion(path, "-wal"), companion(path, "-shm")
    if in_wal_mode:
        if not wal.exists() or (wal.stat().st_size == 0 and not shm.exists()):
            # Nobody writes now: as an immutable file it needs no companions. A writer that starts
            # meanwhile moves the fingerprint, and the next look reads again.
            return "mode=ro&immutable=1"
        # Otherwise SQLite would write its index of the log anew into a -shm that a crash left behind.
        return "mode=ro&readonly_shm=1" if shm.exists() else "copy"
    return "mode=ro" if _opens(path) else "copy"


def _opens(path: Path) -> bool:
    """Say whether a read-only look works; it does not where a crash left a journal to roll back."""
    connection = sqlite3.connect(_uri(path, "mode=ro"), uri=True, timeout=20)
    try:
        connection.execute("select 1 from sqlite_master limit 1").fetchone()
    except sqlite3.OperationalError:
        if companion(path, "-journal").exists():
            return False
        raise
    finally:
        connection.close()
    return True

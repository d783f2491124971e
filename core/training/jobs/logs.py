"""A job's log: written up to a limit, and read in pieces whose cost does not depend on how long it is."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from core.redaction import redact
from core.training.types import LogPart, Progress

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_REWRITTEN: Final = re.compile(r"[^\n]*\r(?!\n)")
_PERCENT: Final = re.compile(rb"(\d{1,3})%\|")
_LAST: Final = 4_096


class LogWriter:
    """Appends to a log up to a limit; counts what comes after.

    Parameters
    ----------
    most : int
        Bytes that are kept.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._left = most - os.fstat(self._file).st_size
        self._tail = b""
        self._said_full = False
        self.percent: int | None = None

    def write(self, content: bytes) -> None:
        """Append; a disk that refuses costs these bytes and nothing else."""
        self._tail = (self._tail + content)[-_LAST:]
        said = _PERCENT.findall(content)
        if said:
            self.percent = min(int(said[-1]), 100)
        self._append(content[: max(self._left, 0)])
        if len(content) > self._left and not self._said_full:
            self._said_full = True
            self._append(b"\n[greenroom: the log is full; what follows is not kept]\n")
        self._left -= len(content)

    def say(self, sentence: str) -> None:
        """Append a line of Greenroom's own."""
        self._append(f"[greenroom: {sentence}]\n".encode())

    def last_line(self) -> str:
        """Return the last line that says something, shortened and without passwords."""
        lines = [one.strip() for one in readable(self._tail).splitlines()]
        return next((redact(one)[:300] for one in reversed(lines) if one), "")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _append(self, content: bytes) -> None:
        with suppress(OSError):
            while content:
                content = content[os.write(self._file, content) :]


def read_log(path: Path, start: int | None = None, most: int = 65_536) -> LogPart:
    """Read a piece of a log, whole lines where it can be.

    Parameters
    ----------
    start : int or None
        First byte; None for the end of the log.
    most : int
        Bytes that are read.

    Returns
    -------
    LogPart
        Empty where there is no log yet.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            at_end = start is None
            begin = max(size - most, 0) if start is None else min(max(start, 0), size)
            file.seek(begin)
            content = file.read(most)
    except FileNotFoundError:
        return LogPart("", 0, 0, 0)
    if at_end and begin:
        cut = content.find(b"\n") + 1
        content, begin = content[cut:], begin + cut
    return LogPart(readable(content), begin, begin + len(content), size)


def readable(content: bytes) -> str:
    """Return text for people: no escape sequences, no control characters, of rewritten lines the last state."""
    text = _ESCAPES.sub("", content.decode("utf-8", "replace")).replace("\r\n", "\n")
    return _CONTROLS.sub("", _REWRITTEN.sub("", text))


def progress_of(value: object, at: datetime) -> Progress | None:
    """Return the progress that a job has said; None where that makes no sense."""
    if not isinstance(value, dict):
        return None
    done, total, what = value.get("done"), value.get("total"), value.get("what", "")
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (done, total))
    if not numbers or not isinstance(what, str):
        return None
    if not (0 <= float(done) < 1e15 and 0 <= float(total) < 1e15):  # type: ignore[arg-type]
        return None
    return Progress(float(done), float(total), readable(what[:200].encode()), at)  # type: ignore[arg-type]

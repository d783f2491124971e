"""A job's log: written up to a limit, and read in pieces whose cost does not depend on how long it is."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final, TypeGuard

from core.redaction import redact
from core.training.types import LogPart, Progress

_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
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
    """Read a piece of a log: whole lines where they are no longer than the piece, and never a part of a character.

    Pieces that each begin where the one before ended make up the whole.

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
        cut = content[:-1].find(b"\n") + 1 or _first_character(content)
        content, begin = content[cut:], begin + cut
    elif begin + len(content) < size:
        content = content[: content.rfind(b"\n") + 1 or _last_character(content) or len(content)]
    return LogPart(readable(content), begin, begin + len(content), size)


def readable(content: bytes) -> str:
    """Return text for people: no escape sequences, no control characters, of rewritten lines the last state."""
    text = _ESCAPES.sub("", content.decode("utf-8", "replace"))
    if "\r" in text:
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return _CONTROLS.sub("", text)


def _first_character(content: bytes) -> int:
    """Return where the first whole character begins."""
    return next((place for place, byte in enumerate(content[:4]) if byte & 0xC0 != 0x80), 0)


def _last_character(content: bytes) -> int:
    """Return where the last whole character ends."""
    for back, byte in enumerate(reversed(content[-4:]), 1):
        if byte & 0xC0 != 0x80:
            wanted = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return len(content) - back if back < wanted else len(content)
    return len(content)


def progress_of(value: object, at: datetime) -> Progress | None:
    """Return the progress that a job has said; None where that makes no sense."""
    if not isinstance(value, dict):
        return None
    done, total, what = value.get("done"), value.get("total"), value.get("what", "")
    if not isinstance(what, str) or not _is_amount(done) or not _is_amount(total):
        return None
    return Progress(float(done), float(total), readable(what[:200].encode("utf-8", "replace")), at)


def _is_amount(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15

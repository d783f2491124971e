"""Count, measure and end every process below this one, however it has detached itself."""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LONGEST_PATH = 3_000
_ENTRY = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make processes whose parent has ended children of this one, whatever session they have moved to."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this kernel cannot hand orphans over")


def end_with_parent() -> None:
    """Have this process killed when its parent ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def descendants() -> dict[int, int]:
    """Return the resident bytes of every process below this one."""
    parents: dict[int, int] = {}
    resident: dict[int, int] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            text = (process / "stat").read_bytes()
        except OSError:
            continue  # It has ended meanwhile.
        # Its name may hold anything, brackets and blanks too.
        fields = text[text.rindex(b")") + 2 :].split()
        parents[int(process.name)] = int(fields[1])
        resident[int(process.name)] = int(fields[21]) * _PAGE
    found = {os.getpid()}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return {pid: resident[pid] for pid in found if pid != os.getpid()}


def proportional(resident: dict[int, int]) -> int:
    """Return the bytes of the processes together, memory that they share counted once; slower than adding up."""
    total = 0
    for pid, bytes_ in resident.items():
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines()
            total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Pss:"))
        except (OSError, StopIteration):
            total += bytes_  # It has ended, or hides what only its resident set tells.
    return total


def kill_all(seconds: float = 10.0) -> bool:
    """Kill every process below this one, until none is left; False if that takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid in descendants():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        time.sleep(0.002)
    return False


def written(folder: Path, pids: dict[int, int]) -> float:
    """Return the bytes on disk below a folder, and in deleted files that the processes still hold."""
    total = 0.0
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        if len(os.fsencode(place)) > _LONGEST_PATH:
            return float("inf")  # Deeper than any model needs, and soon deeper than a path can name.
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue  # It has gone meanwhile.
        for entry in entries:
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                total += status.st_blocks * 512 + _ENTRY
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(Path(entry.path))
    return total + _held(pids)


def _held(pids: dict[int, int]) -> int:
    files: dict[tuple[int, int], int] = {}
    for pid in pids:
        with suppress(OSError):
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    status = descriptor.stat()
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        files[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(files.values())

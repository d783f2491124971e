"""Processes of a job: started so that they die with who watches them, found by a mark, ended all of them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

MARK: Final = "GREENROOM_JOB"
"""Environment variable by which processes of a job are known, whatever group or session they are in."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


def mark_of(store_key: str, job_id: int) -> str:
    """Return the value that `MARK` has in processes of a job."""
    return f"{store_key}-{job_id}"


def adopt_grandchildren() -> None:
    """Make processes whose parent dies children of this one, so that they can be waited for."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """Return what a child does before it becomes the program: ask for a signal when whoever starts it dies.

    To Linux that is the thread which starts it.
    """
    if sys.platform != "linux":
        return None
    libc, parent = _libc(), os.getpid()

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(how), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it died before it could be asked for

    return ask


def marked(mark: str) -> list[int]:
    """Return the processes that carry a mark; on systems without /proc none are found."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0") and int(place.name) != os.getpid():
                found.append(int(place.name))
    return found


def end_all(mark: str, group: int | None, grace_seconds: float) -> bool:
    """End every process of a job: asked first, then killed. Return whether none is left.

    Parameters
    ----------
    group : int or None
        The process group of the job's first process. Where it is given, this process has no other children than
        those of the job, and what it has adopted is ended, too: a process may have thrown its mark away.
    grace_seconds : float
        How long they have after SIGTERM.
    """
    if _signal_all(mark, group, signal.SIGTERM):
        # A process that somebody has halted hears of it only when it goes on.
        _signal_all(mark, group, signal.SIGCONT)
        _wait_until_gone(mark, group, grace_seconds)
    deadline = time.monotonic() + 2.0
    # A process may start another one while it is being killed: until none is found.
    while _signal_all(mark, group, signal.SIGKILL):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _signal_all(mark: str, group: int | None, number: signal.Signals) -> bool:
    reap()
    there = _group_alive(group)
    if there and group is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
    found = _living(mark, group)
    for one in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one, number)
    return there or bool(found)


def _wait_until_gone(mark: str, group: int | None, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        reap()
        if not _group_alive(group) and not _living(mark, group):
            return
        time.sleep(0.05)


def _living(mark: str, group: int | None) -> list[int]:
    """Return the processes of a job, but for those that a group alone tells."""
    found = {*marked(mark), *(_descendants() if group is not None else ())}
    return [one for one in found if not _is_zombie(one)]


def reap() -> None:
    """Take notice of adopted processes that have ended; the job's first one is waited for elsewhere."""
    for child in _children(os.getpid()):
        if child != _kept:
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


_kept: int | None = None


def keep_for_owner(pid: int | None) -> None:
    """Leave this child's exit code to whoever started it."""
    global _kept
    _kept = pid


def _children(parent: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(one) for one in (task / "children").read_text().split()]
    return found


def _descendants() -> list[int]:
    found = _children(os.getpid())
    for one in found:
        found += _children(one)
    return found


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    return True


def _group_alive(group: int | None) -> bool:
    """Say whether a process of the group is left that is no zombie."""
    if group is None:
        return False
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    if not Path("/proc/self/stat").exists():
        return True
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError, ValueError):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in ("Z", "X"):
                return True
    return False


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)

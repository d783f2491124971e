"""Who the guest is: a user of its own where the caller is root, and nobody with privileges in any case."""

from __future__ import annotations

import ctypes
import os
import secrets
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FIRST_UID, _UIDS = 200_000, 1_000_000_000
_CAP_DAC_READ_SEARCH = 2
_PR_SET_KEEPCAPS, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 24, 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """The user that the guest runs as.

    Attributes
    ----------
    uid : int or None
        None for the caller's own.
    reads_all : bool
        It may pass folders that are closed to its user, as those that Python lies in: only behind Landlock, which
        then decides what it reads.
    """

    uid: int | None = None
    reads_all: bool = False

    @property
    def words(self) -> str:
        """What this protects, in one line for people."""
        if self.uid is None:
            return "it ran as Greenroom's own user, without any privilege"
        passes = (
            ", who may read what other users have closed, as far as Landlock allows" if self.reads_all else ""
        )
        return f"it ran as user {self.uid}, made for this trial{passes}"


def new_uid() -> int | None:
    """Return a user that nobody is, for a caller that is root; None for others."""
    return _FIRST_UID + secrets.randbelow(_UIDS) if os.geteuid() == 0 else None


def choose(uid: int | None, needed: Iterable[Path], behind_landlock: bool) -> Identity | None:
    """Return the most confined identity that can still read what is needed; None if there is none that is safe."""
    candidates = []
    if uid is not None:
        candidates.append(Identity(uid))
        if behind_landlock:
            candidates.append(Identity(uid, reads_all=True))
    places = list(needed)
    for one in candidates:
        if _can_be(one, places):
            return one
    return Identity() if behind_landlock else None


def become(identity: Identity) -> None:
    """Change to the identity for good. Raises OSError."""
    kept = 1 << _CAP_DAC_READ_SEARCH if identity.reads_all else 0
    if os.geteuid() == 0:
        for capability in range(64):
            if not kept >> capability & 1:
                # Fails for numbers that this kernel does not have, and for a root that has no such right.
                _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    if identity.uid is not None:
        _check(_libc.prctl(_PR_SET_KEEPCAPS, int(identity.reads_all), 0, 0, 0))
        os.setgroups([])
        os.setresgid(identity.uid, identity.uid, identity.uid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    head = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(head, struct.pack("=6I", kept, kept, kept, 0, 0, 0)))
    if identity.reads_all:
        _check(_libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, _CAP_DAC_READ_SEARCH, 0, 0))
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _can_be(identity: Identity, needed: list[Path]) -> bool:
    pid = os.fork()
    if pid == 0:
        code = 1
        with suppress(OSError):
            become(identity)
            for place in needed:
                os.close(os.open(place, os.O_RDONLY))
            code = 0
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

"""Put up every wall that this machine has around the process that is about to become the guest."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Any

from core.registry.sandbox import identity, landlock, seccomp

_CLONE_NEWIPC, _CLONE_NEWNET = 0x08000000, 0x40000000
_MB = 1 << 20
# PyTorch reserves far more addresses than it uses; resident memory is what the warden watches.
_ADDRESSES_MB = 8192
_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin")
_HARMLESS = (
    "/etc/ssl",
    "/etc/fonts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/dev/urandom",
    "/dev/random",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/filesystems",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system",
    # Of this process alone: the link is followed now.
    "/proc/self",
)

_libc = ctypes.CDLL(None, use_errno=True)


def put_up(request: dict[str, Any], who: identity.Identity) -> list[str]:
    """Confine this process for good and return the walls in words.

    Raises
    ------
    OSError
        If a wall that this machine has cannot be put up.
    """
    limits = request["limits"]
    words = []
    # Processes of a shared user are counted together, those of Greenroom too.
    others = 0 if who.uid is not None else _threads_of(os.getuid())
    _limit(limits, others)
    if os.geteuid() == 0 and _libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC) == 0:
        words.append("it had a network of its own with nothing in it")
    identity.become(who)
    words.append(who.words)
    known = landlock.version()
    if known:
        landlock.restrict(_rules(request))
        words.append(
            f"Landlock (version {known}) let it read only Python, the system's programs and its own files, "
            "and write only below its temporary folder"
        )
        if known >= 4:
            words.append("Landlock kept it from TCP")
        if known >= 6:
            words.append("Landlock kept it from sending signals to other processes")
    elif who.uid is None or who.reads_all:
        raise OSError("neither another user nor Landlock")
    if seccomp.restrict(who.uid is None, known >= 6):
        words.append(
            "seccomp kept it from opening sockets, and from other processes, mounts, keys and modules"
        )
    return words


def _rules(request: dict[str, Any]) -> list[tuple[Path, int]]:
    run = {*_SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *request["code"]}
    read = {*_HARMLESS, request["model"], request["guest"]}
    return [
        *((Path(one), landlock.RUN) for one in sorted(run)),
        *((Path(one), landlock.READ) for one in sorted(read)),
        *((Path(one), landlock.LIST) for one in request["listed"]),
        *((Path(one), landlock.DEVICE) for one in ("/dev/null", "/dev/zero")),
        (Path(request["work"]), landlock.OWN),
    ]


def _limit(limits: dict[str, Any], others: int) -> None:
    # A little above what the warden watches, so that it sees which limit was passed.
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_FSIZE, (limits["file_mb"] + 8) * _MB),
        (resource.RLIMIT_AS, (limits["memory_mb"] + _ADDRESSES_MB) * _MB),
        (resource.RLIMIT_CPU, int(limits["seconds"]) * 4 + 10),
        (resource.RLIMIT_NPROC, others + 2 * limits["processes"] + 64),
    ):
        _, hard = resource.getrlimit(what)
        bounded = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bounded, bounded))
    os.nice(5)


def _threads_of(uid: int) -> int:
    count = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if process.stat().st_uid == uid:
                    count += len(list((process / "task").iterdir()))
            except OSError:
                continue  # It has ended meanwhile.
    return count

"""Landlock, Linux's walls for one process and its children: which files it may open, and no network."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_MAKE_CHAR, _MAKE_BLOCK, _MAKE_SOCK = 1 << 6, 1 << 11, 1 << 9
# How many rights to files each version of the interface knows; later versions know those of the last.
_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

READ: Final = _READ_FILE | _READ_DIR
RUN: Final = READ | _EXECUTE
LIST: Final = _READ_DIR
DEVICE: Final = _READ_FILE | _WRITE_FILE
OWN: Final = ((1 << 15) - 1) & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK)
"""All that one may do below a folder of one's own, short of running programs, devices and sockets."""

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of the kernel's interface; 0 where it has none."""
    return max(0, int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))))


def restrict(rules: Iterable[tuple[Path, int]]) -> int:
    """Forbid this process everything that no rule allows, and TCP and signals to others where the kernel can.

    ``no_new_privs`` must be set. Places that do not exist are left out. Returns the version; raises OSError.
    """
    known = version()
    handled = (1 << _RIGHTS[min(known, 5)]) - 1
    attributes = [handled]
    if known >= 4:
        attributes.append(0b11)  # bind and connect of TCP, with no rule that allows either
    if known >= 6:
        attributes.append(0b11)  # abstract sockets and signals that reach out of the walls
    packed = struct.pack(f"={len(attributes)}Q", *attributes)
    rules_fd = _call(_CREATE, packed, ctypes.c_size_t(len(packed)), ctypes.c_uint32(0))
    try:
        for place, rights in rules:
            _allow(rules_fd, place, rights & handled)
        _call(_RESTRICT, ctypes.c_int(rules_fd), ctypes.c_uint32(0))
    finally:
        os.close(rules_fd)
    return known


def _allow(rules_fd: int, place: Path, rights: int) -> None:
    try:
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # Where even this process cannot go, the guest needs no rule.
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _ON_FILES
        if rights:
            rule = struct.pack("=Qi", rights, fd)
            _call(_ADD, ctypes.c_int(rules_fd), ctypes.c_int(1), rule, ctypes.c_uint32(0))
    finally:
        os.close(fd)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result

"""A filter of system calls: no sockets, no kernel interfaces, no way around the other walls."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Final

# Numbers on x86-64 and on AArch64; None where the call does not exist.
_Numbers = dict[str, tuple[int | None, int | None]]

_SOCKET: Final[_Numbers] = {"socket": (41, 198)}
_KERNEL: Final[_Numbers] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "syslog": (103, 116),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    # Work handed to it is done outside this filter.
    "io_uring_setup": (425, 425),
    # Files opened by handle are opened without their path.
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Memory that is in no process's resident set, and so in nobody's account.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
}
# As the caller's own user these would reach the caller's other processes.
_OTHERS: Final[_Numbers] = {
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
}
_SIGNALS: Final[_Numbers] = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
}
# Landlock lets one change the mode, owner, times and attributes of files that one may not open. Copying files uses
# these, so they succeed and do nothing.
_ATTRIBUTES: Final[_Numbers] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
}
_PRLIMIT: Final[_Numbers] = {"prlimit64": (302, 261)}
_CLONE: Final[_Numbers] = {"clone": (56, 220)}
_CLONE3: Final[_Numbers] = {"clone3": (435, 435)}
_CLONE_NEWUSER = 0x10000000

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_PR_SET_SECCOMP, _FILTER = 22, 2

_libc = ctypes.CDLL(None, use_errno=True)


def restrict(shares_user: bool, scoped_signals: bool) -> bool:
    """Put up the filter; False where this machine or kernel cannot. ``no_new_privs`` must be set.

    With ``shares_user``, what a user may do to their own files and processes is forbidden too; signals only where
    nothing else holds them in (``scoped_signals``).
    """
    machine = _MACHINES.get(os.uname().machine)
    if machine is None or sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    program = _program(*machine, shares_user, scoped_signals)
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    return int(_libc.prctl(_PR_SET_SECCOMP, _FILTER, head, 0, 0)) == 0


def _program(column: int, architecture: int, shares_user: bool, scoped_signals: bool) -> bytes:
    lines = [
        _line(_LOAD, _ARCHITECTURE_AT),
        _line(_EQUAL, architecture, 1, 0),
        _line(_RETURN, _KILL),
        _line(_LOAD, _NUMBER_AT),
    ]
    if column == 0:
        # The same calls under other numbers.
        lines += [_line(_AT_LEAST, 0x40000000, 0, 1), _line(_RETURN, _ERRNO | errno.EPERM)]

    def refuse(calls: _Numbers, code: int) -> None:
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                lines.extend((_line(_EQUAL, number, 0, 1), _line(_RETURN, _ERRNO | code)))

    refuse(_SOCKET, errno.EACCES)
    refuse(_KERNEL, errno.EPERM)
    # Its flags lie in memory, where no filter can look; the C library then uses clone.
    refuse(_CLONE3, errno.ENOSYS)
    if shares_user:
        refuse(_ATTRIBUTES, 0)
        refuse(_OTHERS, errno.EPERM)
        if not scoped_signals:
            refuse(_SIGNALS, errno.EPERM)
        # Its own limits it may read, and lower.
        lines += [
            _line(_EQUAL, _PRLIMIT["prlimit64"][column] or 0, 0, 4),
            _line(_LOAD, _FIRST_ARGUMENT_AT),
            _line(_EQUAL, 0, 1, 0),
            _line(_RETURN, _ERRNO | errno.EPERM),
            _line(_RETURN, _ALLOW),
        ]
    lines += [
        _line(_EQUAL, _CLONE["clone"][column] or 0, 0, 3),
        _line(_LOAD, _FIRST_ARGUMENT_AT),
        _line(_ANY_BIT, _CLONE_NEWUSER, 0, 1),
        _line(_RETURN, _ERRNO | errno.EPERM),
        _line(_RETURN, _ALLOW),
    ]
    return b"".join(lines)


def _line(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)

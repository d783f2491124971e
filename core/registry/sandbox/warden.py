"""The process between Greenroom and a guest: it puts up the walls, watches the limits, and leaves nobody behind.

Its standard input gives the request as one line of JSON, then ``done``, or ``gone`` where the guest has fallen silent;
its end without either means that Greenroom is gone. Its standard output gives one line of JSON: what became of the
guest.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.registry.sandbox import files, identity, landlock, processes, walls

_BETWEEN_LOOKS = 0.05
_MOMENT = 1.0
_WATCHED = "a warden watched its memory, files, processes and time, and ended whatever it had started"
_LAST_WORDS = 8_000


def main() -> None:
    """Run one guest."""
    processes.adopt_orphans()
    request = json.loads(_line(0))
    report: dict[str, Any] = {"ended": "unprotected", "walls": []}
    who = _identity(request)
    if who is not None:
        report = _run(request, who)
    line = json.dumps(report).encode() + b"\n"
    with suppress(BrokenPipeError):
        os.write(1, line)
    if report.pop("alone", False):
        files.remove(Path(request["folder"]))


def _identity(request: dict[str, Any]) -> identity.Identity | None:
    """Choose whom the guest runs as, and give that user its folder."""
    needed = [Path(one) for one in request["needed"]]
    behind_landlock = landlock.version() > 0
    uid = identity.new_uid()
    if uid is None:
        return identity.choose(None, needed, behind_landlock)
    try:
        # The folder holds the model: the guest passes through it, other users do not.
        os.chown(request["folder"], os.getuid(), uid)
        Path(request["folder"]).chmod(0o710)
        who = identity.choose(uid, needed, behind_landlock)
        if who is not None and who.uid is not None:
            os.chown(request["work"], uid, uid)
    except PermissionError:
        return identity.choose(None, needed, behind_landlock)  # A root that may give nothing away.
    return who


def _run(request: dict[str, Any], who: identity.Identity) -> dict[str, Any]:
    said, says = os.pipe()
    built, building = os.pipe()
    warden = os.getpid()
    guest = os.fork()
    if guest == 0:
        try:
            _become_guest(request, who, says, building, warden)
        except BaseException as error:  # noqa: BLE001 - whatever it is, this copy of the warden must not go on
            os.write(building, json.dumps({"failed": str(error)}).encode())
        os._exit(70)
    for fd in (says, building, request["questions"], request["answers"]):
        os.close(fd)
    setup = _setup(built)
    if "failed" in setup:
        processes.kill_all()
        return {"ended": "unprotected", "failed": setup["failed"], "walls": []}
    watch = _Watch(request, guest, said)
    watch.until_end()
    gone = processes.kill_all()
    return {**watch.report(), "walls": [*setup["walls"], _WATCHED], "left_over": not gone}


def _become_guest(
    request: dict[str, Any], who: identity.Identity, says: int, building: int, warden: int
) -> None:
    os.setsid()
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(says, 1)
    os.dup2(says, 2)
    kept = {0, 1, 2, request["questions"], request["answers"], building}
    for fd in [int(one.name) for one in Path("/proc/self/fd").iterdir()]:
        if fd not in kept:
            with suppress(OSError):
                os.close(fd)
    for fd in (request["questions"], request["answers"]):
        os.set_inheritable(fd, True)
    os.chdir(request["work"])
    words = walls.put_up(request, who)
    # A change of user takes this back, so it comes last.
    processes.end_with_parent()
    if os.getppid() != warden:
        os._exit(70)
    os.write(building, json.dumps({"walls": words}).encode())
    arguments = [sys.executable, "-I", "-B", request["guest"], json.dumps(request["job"])]
    os.execve(sys.executable, arguments, request["environment"])  # noqa: S606 - a shell would be one more guest


def _setup(fd: int) -> dict[str, Any]:
    """Read how the walls went up; the pipe closes when the guest's program starts."""
    text = b""
    while part := os.read(fd, 65_536):
        text += part
    os.close(fd)
    try:
        answer = json.loads(text)
    except ValueError:
        # Two answers: the walls stood, but the program did not start.
        answer = {"failed": text.decode(errors="replace") or "it ended without a word"}
    return dict(answer)


class _Watch:
    """Looks at the guest every 50 ms until it ends, passes a limit, or is no longer needed."""

    def __init__(self, request: dict[str, Any], guest: int, said: int) -> None:
        self._limits = request["limits"]
        self._work = Path(request["work"])
        self._guest = guest
        self._said: int | None = said
        self._words = b""
        self._peaks = {"memory_mb": 0.0, "file_mb": 0.0, "processes": 0}
        self._found: dict[str, Any] = {"ended": "done"}
        self._end = time.monotonic() + request["seconds_left"]

    def until_end(self) -> None:
        while self._look() and self._listen():
            pass
        if self._found["ended"] != "limit":
            # What happened since the last look: an error of the guest may be the sign of a limit.
            self._look()
        self._drain()

    def report(self) -> dict[str, Any]:
        words = self._words.decode(errors="replace")
        return {**self._found, "peaks": self._peaks, "last_words": words}

    def _look(self) -> bool:
        alive = processes.descendants()
        memory = sum(alive.values())
        if memory > self._limits["memory_mb"] * 2**20 and len(alive) > 1:
            memory = processes.proportional(alive)
        seen = {
            "memory_mb": memory / 2**20,
            "file_mb": processes.written(self._work, alive) / 2**20,
            "processes": len(alive),
        }
        for name, value in seen.items():
            if value < float("inf"):
                self._peaks[name] = max(self._peaks[name], value)
            if value > self._limits[name]:
                self._found = {"ended": "limit", "limit": name}
                return False
        if time.monotonic() > self._end:
            self._found = {"ended": "limit", "limit": "seconds"}
            return False
        # Looked at without reaping it, so that its number stays taken until all are killed.
        status = os.waitid(os.P_PID, self._guest, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if status is not None and self._found["ended"] == "done":
            by_signal = status.si_code != os.CLD_EXITED
            self._found = {"ended": "exited", "status": status.si_status, "by_signal": by_signal}
            return False
        self._reap_adopted()
        return True

    def _reap_adopted(self) -> None:
        """Let go of orphans that have ended; otherwise they would count as processes."""
        while True:
            status = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if status is None or status.si_pid == self._guest:
                return
            os.waitpid(status.si_pid, 0)

    def _listen(self) -> bool:
        """Wait for Greenroom and the guest's words until the next look; False when Greenroom needs no more."""
        end = time.monotonic() + _BETWEEN_LOOKS
        while (left := end - time.monotonic()) > 0:
            sources = [0] if self._said is None else [0, self._said]
            ready, _, _ = select.select(sources, [], [], left)
            if 0 in ready:
                word = os.read(0, 16)
                self._found = {"ended": "done", "alone": not word}
                if word == b"gone\n":
                    self._wait_for_exit()
                return False
            if ready:
                self._hear()
        return True

    def _wait_for_exit(self) -> None:
        """Give a guest whose pipe has closed the moment that it takes to end."""
        end = time.monotonic() + _MOMENT
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._guest, how) is None and time.monotonic() < end:
            time.sleep(0.01)

    def _hear(self) -> None:
        part = os.read(self._said, 65_536) if self._said is not None else b""
        if not part:
            self._said = None
        self._words = (self._words + part)[-_LAST_WORDS:]

    def _drain(self) -> None:
        end = time.monotonic() + _BETWEEN_LOOKS
        while self._said is not None and time.monotonic() < end:
            ready, _, _ = select.select([self._said], [], [], 0)
            if not ready:
                return
            self._hear()


def _line(fd: int) -> bytes:
    """Read up to a line's end and no further."""
    line = b""
    while (part := os.read(fd, 1)) not in (b"", b"\n"):
        line += part
    return line


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGHUP):
        # Ctrl-C in a terminal reaches Greenroom, whose end is the warden's.
        signal.signal(number, signal.SIG_IGN)
    main()

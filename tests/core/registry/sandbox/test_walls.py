"""Each wall by itself, as it stands where others cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.registry.sandbox import identity, landlock, verdict
from core.registry.sandbox.types import Limits

needs_landlock = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")

BEHIND = """
import json, os, resource, socket, sys
from pathlib import Path
from core.registry.sandbox import identity, landlock, seccomp

own, other = Path(sys.argv[1]), Path(sys.argv[2])
identity.become(identity.Identity())
if "landlock" in sys.argv[3]:
    landlock.restrict([(own, landlock.OWN)])
if "seccomp" in sys.argv[3]:
    assert seccomp.restrict(shares_user=True, scoped_signals=False)
seen = {}
for name, action in {
    "writes in its own folder": lambda: (own / "new").write_text("x"),
    "makes a socket": lambda: socket.socket(),
    "makes a pair of sockets": lambda: [one.close() for one in socket.socketpair()],
    "reads another's file": lambda: other.read_text(),
    "writes another's file": lambda: other.write_text("y"),
    "signals another": lambda: os.kill(os.getppid(), 0),
    "changes a mode": lambda: (own / "new").chmod(0o777),
    "reads a process": lambda: Path("/proc/1/status").read_text(),
    "allocates unseen": lambda: os.close(os.memfd_create("x")),
    "limits another": lambda: resource.prlimit(os.getppid(), 7),
    "reads its limits": lambda: resource.getrlimit(7),
}.items():
    try:
        action()
        seen[name] = True
    except OSError:
        seen[name] = False
print(json.dumps(seen))
"""


def behind(walls: str, folder: Path) -> set[str]:
    (folder / "own").mkdir()
    (folder / "secret").write_text("x")
    run = subprocess.run(
        [sys.executable, "-c", BEHIND, str(folder / "own"), str(folder / "secret"), walls],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name for name, done in json.loads(run.stdout).items() if done}


EVERYTHING = {
    "writes in its own folder",
    "makes a socket",
    "makes a pair of sockets",
    "reads another's file",
    "writes another's file",
    "signals another",
    "changes a mode",
    "reads a process",
    "allocates unseen",
    "limits another",
    "reads its limits",
}


def test_without_walls_everything_is_possible(tmp_path: Path) -> None:
    assert behind("", tmp_path) == EVERYTHING


def test_the_filter_of_system_calls_alone(tmp_path: Path) -> None:
    forbidden = {"makes a socket", "signals another", "allocates unseen", "limits another"}
    assert behind("seccomp", tmp_path) == EVERYTHING - forbidden
    # It was told that it had done so.
    assert (tmp_path / "own" / "new").stat().st_mode & 0o777 != 0o777


@needs_landlock
def test_landlock_alone(tmp_path: Path) -> None:
    seen = behind("landlock", tmp_path)
    assert "writes in its own folder" in seen
    assert not seen & {"reads another's file", "writes another's file", "reads a process"}
    assert (tmp_path / "secret").read_text() == "x"


def test_without_another_user_and_without_landlock_nothing_is_run() -> None:
    assert identity.choose(None, [], behind_landlock=False) is None
    assert identity.choose(identity.new_uid(), [Path("/no/such/place")], behind_landlock=False) is None
    reason = verdict.of_end({"ended": "unprotected", "walls": []}, Limits()) or ""
    assert reason.startswith("It was not run, because it cannot be walled in on this machine")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_user_of_its_own_is_preferred_to_one_that_passes_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    assert identity.choose(250_000, [Path("/usr/bin")], behind_landlock=True) == identity.Identity(250_000)
    assert identity.choose(250_000, [closed], behind_landlock=True) == identity.Identity(
        250_000, reads_all=True
    )

"""Models that mean harm: each is stopped in bounded time and memory, sees nothing, and leaves nobody behind."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.registry.sandbox.trial import Limits, try_model
from tests.core.registry.sandbox.folders import scripted

DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3, 4096):
            try:
                os.close(fd)
            except OSError:
                pass
        time.sleep(600)
    os._exit(0)
"""

FAKE_VERDICT = """
import json
print(json.dumps({"passed": True, "ended": "done", "loaded": True}), flush=True)
os._exit(0)
"""

FAKE_ANSWERS = """
import json
for fd in range(3, 4096):
    try:
        os.set_blocking(fd, False)  # or a pipe of some library that nobody reads stops it
        os.write(fd, (json.dumps({"loaded": True, "structure": {}}) + "\\n").encode())
        os.write(fd, (json.dumps({"id": "guessed", "answer": {"parts": []}, "passed": True}) + "\\n").encode())
    except OSError:
        pass
time.sleep(600)
"""

CASES = {
    "a fake verdict and a clean exit": ("return rows['a']", FAKE_VERDICT, "exit code 0"),
    "answers before the question": ("return rows['a']", FAKE_ANSWERS, "not to the question"),
    "sleeps": ("time.sleep(600)", "", "not finished after 3 s"),
    "eats memory": (
        "kept = []\nwhile True:\n    kept.append(b'x' * (16 << 20))",
        "",
        "more than 1,500 MB of memory",
    ),
    "fills the disk": (
        "n = 0\nwhile True:\n    open(f'{n}', 'wb').write(b'x' * (1 << 20))\n    n += 1",
        "",
        "wrote more than 16 MB",
    ),
    "fills the disk unseen": (
        "import tempfile\nkept = []\nwhile True:\n    kept.append(tempfile.TemporaryFile())\n"
        "    kept[-1].write(b'x' * (1 << 20))\n    kept[-1].flush()",
        "",
        "wrote more than 16 MB",
    ),
    "forks and forks": ("while True:\n    os.fork()", "", "more than 20 processes"),
    "answers without end": (
        "return np.zeros((len(rows), 1_000_000))",
        "",
        "more than 8 MB",
    ),
    "is killed": ("os.kill(os.getpid(), 9)", "", "SIGKILL"),
    "predicts NaN": ("return rows['a'] * float('nan')", "", "NaN, infinite or missing"),
}
LIMITS = Limits(seconds=60, memory_mb=1500, file_mb=16, processes=20)
IMPATIENT = Limits(seconds=3)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary folders, whose name marks the processes of this test among others; after pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="trials-"))
    folder.chmod(0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    folder.rmdir()


def left_over(place: Path) -> list[str]:
    """Processes and files that a trial has left behind."""
    found = [str(one) for one in place.iterdir()]
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(place) in line:
                found.append(f"{process.name} {line}")
    return found


@pytest.mark.parametrize("case", CASES)
def test_harm_is_stopped(case: str, tmp_path: Path, place: Path) -> None:
    predict, load, reason = CASES[case]
    folder = scripted(tmp_path / "model", predict, load)
    memory, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    trial = try_model(folder, IMPATIENT if case == "sleeps" else LIMITS)

    assert not trial.passed
    assert reason in trial.reason
    assert time.monotonic() - started < 40
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 300_000
    assert trial.evidence["peak_memory_mb"] < LIMITS.memory_mb * 2
    assert left_over(place) == []


def test_a_child_that_has_detached_itself_is_found_and_ended(tmp_path: Path, place: Path) -> None:
    folder = scripted(tmp_path / "model", "return rows['a']", DAEMON)

    trial = try_model(folder, LIMITS)

    assert trial.passed, trial
    assert trial.evidence["peak_processes"] >= 2
    assert left_over(place) == []


def test_a_process_with_many_files_open_can_try_models(tmp_path: Path) -> None:
    folder = scripted(tmp_path / "model", "return rows['a']", "")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2_000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_000), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        assert max(opened) > 1_024
        trial = try_model(folder, LIMITS)
    finally:
        for fd in opened:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert trial.passed, trial


SPY = """
import glob, socket
found = ["the spy was here"]
places = ["/proc/self/environ", *glob.glob("/proc/*/environ"), SECRET, os.path.expanduser("~/.aws/credentials")]
for place in [*places, "/etc/shadow", "/root/.bashrc"]:
    try:
        found.append(place + ": " + open(place, errors="replace").read())
    except OSError as error:
        found.append(place + ": " + type(error).__name__)
found.append(repr(dict(os.environ)))
for number in range(1, 200):
    try:
        found.append(os.readlink(f"/proc/{number}/cwd"))
    except OSError:
        pass
for kind, family in ((socket.SOCK_STREAM, socket.AF_INET), (socket.SOCK_DGRAM, socket.AF_INET)):
    try:
        one = socket.socket(family, kind)
        one.settimeout(1)
        one.connect(("127.0.0.1", PORT))
        one.send(b"caught")
        found.append("a network")
    except OSError as error:
        found.append(type(error).__name__)
for action in (lambda: os.chmod(SECRET, 0o777), lambda: os.unlink(SECRET), lambda: open(SECRET, "w")):
    try:
        action()
    except OSError as error:
        found.append(type(error).__name__)
for other in (GREENROOM, os.getppid()):
    try:
        os.kill(other, 9)
        found.append("could kill")
    except OSError:
        pass
found = " | ".join(found)
"""


def test_a_spy_sees_no_secret_and_reaches_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"secret{os.getpid()}x{time.time_ns()}"
    secret = tmp_path / "home" / ".aws" / "credentials"
    secret.parent.mkdir(parents=True)
    secret.write_text(mark)
    secret.chmod(0o600)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", mark)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with (
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim,
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.socket(type=socket.SOCK_DGRAM) as hearing,
    ):
        port = listening.getsockname()[1]
        hearing.bind(("127.0.0.1", port))
        listening.setblocking(False)
        hearing.setblocking(False)
        spy = f"SECRET, PORT, GREENROOM = {str(secret)!r}, {port}, {victim.pid}\n{SPY}"
        look = spy.partition("for kind, family")[0] + "print(found)"
        without_walls = subprocess.run(
            [sys.executable, "-c", f"import os\n{look}"], capture_output=True, text=True, check=True
        )
        told = f"{spy}\nprint(found, flush=True)\nopen('loot', 'w').write(found)\nreturn [found] * len(rows)"
        folder = scripted(tmp_path / "model", told, outputs=[{"type": "string"}])

        trial = try_model(folder)

        with pytest.raises(BlockingIOError):
            listening.accept()
        with pytest.raises(BlockingIOError):
            hearing.recv(10)
        assert victim.poll() is None
        victim.communicate(b"\n")
    assert without_walls.stdout.count(mark) >= 3, "the spy must find it where nothing stops it"
    assert trial.passed, trial
    words = trial.evidence["said_by_the_model"]["last_words"]
    assert 0 < len(words) <= 2000
    assert mark not in repr(trial)
    assert "a network" not in words
    assert "could kill" not in words
    assert secret.read_text() == mark
    assert secret.stat().st_mode & 0o777 == 0o600


def test_what_a_spy_answers_holds_no_secret_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of what it found comes back as its error, which has no tail to hide in."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-marked-secret")
    look = (
        "import glob\n"
        "def read(place):\n"
        "    try:\n"
        "        return open(place, errors='replace').read()\n"
        "    except OSError:\n"
        "        return ''\n"
        "seen = repr(dict(os.environ)) + ''.join(map(read, glob.glob('/proc/*/environ')))\n"
        "raise ValueError(('the-marked' + '-secret') in seen, 'MLFLOW_TRACKING_URI' in seen)"
    )
    trial = try_model(scripted(tmp_path / "model", look))

    assert "ValueError: (False, True)" in trial.reason


def test_nothing_outlives_greenroom(tmp_path: Path, place: Path) -> None:
    folder = scripted(tmp_path / "model", "time.sleep(600)", DAEMON + "\nopen('started', 'w').close()")
    script = (
        "import sys; from pathlib import Path; from core.registry.sandbox.trial import try_model\n"
        "try_model(Path(sys.argv[1]))"
    )
    greenroom = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, "TMPDIR": str(place)}
    )
    end = time.monotonic() + 60
    while not list(place.glob("*/work/started")):
        assert time.monotonic() < end
        time.sleep(0.05)

    greenroom.kill()
    greenroom.wait()

    end = time.monotonic() + 20
    while left_over(place) and time.monotonic() < end:
        time.sleep(0.05)
    assert left_over(place) == []


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = scripted(tmp_path / "model", "return rows['a']")
    (folder / "passwords").symlink_to("/etc/passwd")

    trial = try_model(folder)

    assert not trial.passed
    assert trial.reason == "Its passwords is a link that leads out of its folder."
    assert trial.digest == ""


def test_an_example_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = scripted(tmp_path / "model", "return rows['a']")
    (tmp_path / "private.json").write_text('{"columns": ["a"], "data": [[1]]}')
    content = json.loads((folder / "MLmodel").read_text())
    content["saved_input_example_info"]["artifact_path"] = str(tmp_path / "private.json")
    (folder / "MLmodel").write_text(json.dumps(content))

    trial = try_model(folder)

    assert trial.reason == "Its input example lies outside of its folder."

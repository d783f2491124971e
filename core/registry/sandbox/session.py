"""Greenroom's side of a trial: start the warden, ask the guest, and hear no more than is bearable."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import core
from core.registry.sandbox import files
from core.registry.sandbox.types import Limits

_LONGEST_ANSWER = 8 << 20
_LONGEST_REPORT_SECONDS = 30.0
_PATH = "/usr/local/bin:/usr/bin:/bin"


class GoneError(Exception):
    """The guest has ended, or shut its pipe; the warden's report says which."""


class NoiseError(Exception):
    """The guest sent something that is no answer; the message is one sentence for people."""


class Place:
    """A temporary folder: the model's copy in ``model``, the guest's program, and its ``work`` folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="greenroom-trial-"))
        self.model = self.folder / "model"
        self.guest = self.folder / "guest.py"
        self.work = self.folder / "work"
        self.work.mkdir(mode=0o700)
        self.guest.write_bytes((Path(__file__).parent / "guest.py").read_bytes())
        self.guest.chmod(0o644)

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(FileNotFoundError):
            files.remove(self.folder)


@dataclass(frozen=True, slots=True)
class Reads:
    """Folders of code that a guest may read besides Python's own, and folders that it may list."""

    code: tuple[Path, ...] = ()
    listed: tuple[Path, ...] = ()


class Session:
    """A guest behind walls, from its start to its end."""

    def __init__(
        self, place: Place, job: Mapping[str, Any], limits: Limits, reads: Reads, spent: float
    ) -> None:
        self._end = time.monotonic() + limits.seconds - spent + 5.0
        self._heard = bytearray()
        to_guest, self._asks = os.pipe()
        self._hears, from_guest = os.pipe()
        os.set_blocking(self._asks, False)
        request = {
            "folder": str(place.folder),
            "work": str(place.work),
            "model": str(place.model),
            "guest": str(place.guest),
            "questions": to_guest,
            "answers": from_guest,
            "limits": asdict(limits),
            "seconds_left": limits.seconds - spent,
            "code": [str(Path(core.__file__).parent), *map(str, reads.code)],
            "listed": [str(one) for one in reads.listed],
            "needed": _needed(place, reads.code),
            "environment": _environment(place.work),
            "job": {**job, "questions": to_guest, "answers": from_guest},
        }
        try:
            self._warden = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", "core.registry.sandbox.warden"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(to_guest, from_guest),
                env={"PATH": _PATH, "PYTHONPATH": str(Path(core.__file__).parents[1]), "LANG": "C.UTF-8"},
                cwd="/",
                bufsize=0,
                # Ctrl-C is for Greenroom; the warden notices when it is gone.
                start_new_session=True,
            )
        finally:
            os.close(to_guest)
            os.close(from_guest)
        assert self._warden.stdin is not None  # noqa: S101 - it was asked for
        with contextlib.suppress(BrokenPipeError):
            self._warden.stdin.write(json.dumps(request).encode() + b"\n")

    def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Ask a question and return the answer; see `listen`."""
        return self.listen(json.dumps(message).encode() + b"\n")

    def listen(self, unsent: bytes = b"") -> dict[str, Any]:
        """Return the guest's next message, unbelieved.

        Raises
        ------
        GoneError
            If no message can come any more.
        NoiseError
            If it is too long, or no message.
        """
        while b"\n" not in self._heard:
            # Not `select`, which knows the first 1,024 descriptors only: a busy server has more.
            waiting = select.poll()
            waiting.register(self._hears, select.POLLIN)
            if unsent:
                waiting.register(self._asks, select.POLLOUT)
            happened = dict(waiting.poll(1_000 * max(0.0, self._end - time.monotonic())))
            if not happened:
                raise GoneError
            if self._asks in happened:
                try:
                    unsent = unsent[os.write(self._asks, unsent[:65_536]) :]
                except BrokenPipeError:
                    raise GoneError from None
            if self._hears in happened:
                part = os.read(self._hears, 1 << 18)
                if not part:
                    raise GoneError
                self._heard += part
                if len(self._heard) > _LONGEST_ANSWER:
                    raise NoiseError(f"It answered more than {_LONGEST_ANSWER >> 20} MB to a few rows.")
        line, _, rest = self._heard.partition(b"\n")
        self._heard = bytearray(rest)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise NoiseError("It sent something that is no answer.")
        return message

    def close(self, word: Literal["done", "gone"]) -> dict[str, Any]:
        """End the guest with all its processes and return the warden's report; ``gone`` if it seems to have ended."""
        os.close(self._asks)
        os.close(self._hears)
        try:
            report, complaint = self._warden.communicate(
                word.encode() + b"\n", timeout=_LONGEST_REPORT_SECONDS
            )
        except subprocess.TimeoutExpired:
            # Never seen: the warden ends by itself at the limit.
            self._warden.kill()
            report, complaint = self._warden.communicate()
        try:
            return dict(json.loads(report))
        except ValueError:
            words = complaint.decode(errors="replace").strip()
            return {
                "ended": "unprotected",
                "walls": [],
                "failed": words.rpartition("\n")[2] or "the warden ended",
            }


def _needed(place: Place, code: Sequence[Path]) -> list[str]:
    """Return files that the guest's user must be able to open, one for each place that Python lies in."""
    own = [sys.executable, os.__file__, sysconfig.get_path("purelib"), str(place.guest)]
    return own + [str(one) for one in code]


def _environment(work: Path) -> dict[str, str]:
    return {
        "PATH": _PATH,
        "HOME": str(work),
        "TMPDIR": str(work),
        "USER": "model",
        "LOGNAME": "model",
        "LANG": "C.UTF-8",
        "MPLCONFIGDIR": str(work),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONWARNINGS": "ignore",
        "MLFLOW_TRACKING_URI": (work / "mlruns").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
    }

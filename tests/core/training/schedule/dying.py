"""A process that makes children which die in the middle of a tick.

It reads one order a line from stdin, forks, and the child ticks until the retraining is over, or is killed with SIGKILL
before it has run a given number of lines of the schedule's code; the parent prints how the child ended. The process
itself never touches a database, so that a fork copies no connection and no thread.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import mlflow.store.model_registry.sqlalchemy_store
import mlflow.tracking  # noqa: F401

import core.registry.reading.sql
import core.registry.writing
import core.training.schedule.desk
from tests.core.training.schedule import room

_FOLDER = str(Path(core.training.schedule.desk.__file__).parent)
_FILES = ("desk.py", "flow.py", "steps.py", "launching.py", "recording.py", "store.py", "freezing.py")
_FAKES = room.__file__


class _Countdown:
    """Kills the process when it has run so many lines; counts them where it shall not die."""

    def __init__(self, lines: int | None) -> None:
        self.left = lines
        self.seen = 0

    def start(self) -> None:
        sys.settrace(self._call)

    def stop(self) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        place = frame.f_code.co_filename
        return (
            self._line if place == _FAKES or (place.startswith(_FOLDER) and place.endswith(_FILES)) else None
        )

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.seen += 1
            if self.left is not None and self.seen > self.left:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._line


def _carry_out(order: dict[str, Any], answer: int) -> None:
    opened = room.Room(order["uri"], Path(order["home"]), finishes=True)
    opened.hands.time = opened.hands.time.fromisoformat(order["at"])
    countdown = _Countdown(order["lines"])
    countdown.start()
    edges = []
    for _ in range(order["ticks"]):
        opened.desk.tick()
        edges.append(countdown.seen)
    countdown.stop()
    os.write(answer, json.dumps({"lines": countdown.seen, "edges": edges}).encode())


def main() -> None:
    """Serve orders until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                _carry_out(order, writing)
            except BaseException as error:  # noqa: BLE001
                os.write(writing, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"killed": killed, **(json.loads(said) if said else {})}), flush=True)


if __name__ == "__main__":
    main()

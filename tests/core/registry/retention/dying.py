"""A process that makes children which die at a step of removing, bringing back or purging.

It reads one order a line from stdin, forks, and the child carries the order out and is killed with SIGKILL at the step
that the order names; the parent prints how the child ended. The process itself opens nothing, so that a fork copies no
connection and no thread.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from core import clock
from core.registry.retention.configuration import RetentionSettings, RunRule
from tests.core.registry.retention.registry_of_50 import Registry
from tests.registries import LEAD


def _carry_out(order: dict[str, Any]) -> list[str]:
    at = datetime.fromisoformat(order["at"])
    clock.now = lambda: at
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == order["die_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    uri = order["uri"]
    registry = Registry(uri, Path(uri.removeprefix("sqlite:///")).parent)
    rules = tuple(RunRule(**one) for one in order["runs"])
    workspace, desk = registry.open(Path(order["home"]), RetentionSettings(runs=rules), step)
    if order["act"] == "apply":
        desk.apply(desk.plan(), LEAD, "a test")
    elif order["act"] == "undo":
        desk.undo(order["ids"], LEAD, "a test")
    else:
        desk.purge()
    workspace.close()
    return steps


def main() -> None:
    """Serve orders until stdin ends."""
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            try:
                said: dict[str, Any] = {"steps": _carry_out(order)}
            except BaseException as error:  # noqa: BLE001
                said = {"error": f"{type(error).__name__}: {error}"}
            os.write(writing, json.dumps(said).encode())
            os._exit(0)
        os.close(writing)
        _, status = os.waitpid(child, 0)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(json.dumps({"killed": killed, **(json.loads(text) if text else {})}), flush=True)


if __name__ == "__main__":
    main()

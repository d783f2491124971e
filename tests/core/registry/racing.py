"""A process that promotes and rolls back the same model until time is up, and counts what came of it."""

from __future__ import annotations

import json
import random
import sys
import time
from collections import Counter
from pathlib import Path

from core.access import Actor, Role
from core.errors import GreenroomError, RefusedError
from core.registry.types import Stage
from tests import registries


def main() -> None:
    """Take part: URI, home, database URI or nothing, name, number of seconds."""
    uri, home, database, name, seconds = sys.argv[1:6]
    desk = registries.new_desk(uri, Path(home), database_uri=database or None)
    by, draw = Actor(name, Role.LEAD), random.Random(name)
    done: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    errors: list[str] = []
    print("ready", flush=True)
    sys.stdin.readline()
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        version = draw.randint(1, 8)
        act = draw.choice(["Staging", "Production", "Production", "roll back", "look"])
        try:
            if act == "look":
                desk.look()
                continue
            if act == "roll back":
                outcome = desk.rollback("m", f"race of {name}", by)
            else:
                outcome = desk.promote("m", version, Stage(act), f"race of {name}", by)
            done[f"{act}: {outcome.fate}"] += 1
        except RefusedError as error:
            refused[act] += 1
            assert str(error), "each loser is told why"
        except GreenroomError as error:
            errors.append(f"{type(error).__name__}: {error} <- {error.__cause__!r}")
    print(json.dumps({"done": done, "refused": refused, "errors": errors}), flush=True)


if __name__ == "__main__":
    main()

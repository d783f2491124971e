"""How far a job is: a small file that the training desk reads while the job works."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

VARIABLE: Final = "GREENROOM_PROGRESS"
"""The environment variable that names the file."""
_SECONDS: Final = 0.5

_writing = threading.Lock()
_written: tuple[str, float] | None = None


def report(done: float, total: float, what: str) -> None:
    """Say how much is done.

    The file is replaced as a whole, so that a reader never sees half of it, and at most every half second, but for
    the last report. Nothing happens where the variable is not set.

    Parameters
    ----------
    done, total : float
        In the same unit: stores, steps.
    what : str
        What is being done, in a few words.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    global _written
    with _writing:
        now = time.monotonic()
        if _written is not None and _written[0] == path and done < total and now - _written[1] < _SECONDS:
            return
        _written = (path, now)
        content = {"done": done, "total": total, "what": what, "at": datetime.now(UTC).isoformat()}
        # A disk that is full must not end a training: the next report may succeed.
        with suppress(OSError):
            target = Path(path)
            new = target.with_name(f".{target.name}.{os.getpid()}")
            new.write_text(json.dumps(content), encoding="utf-8")
            new.replace(target)

"""The dashboard with a clock that a test moves: as many hours ahead as a file says."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core import cli, clock


def now() -> datetime:
    """Return the time in UTC, ahead by the hours in the file."""
    return datetime.now(UTC) + timedelta(hours=float(Path(os.environ["HOURS_AHEAD"]).read_text()))


if __name__ == "__main__":
    clock.now = now
    sys.argv[0] = "greenroom"
    cli.main()

"""What time it is. Everything that decides by time asks here, so that a test can say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def text(moment: datetime) -> str:
    """Return a time as Greenroom's database keeps it: ISO 8601 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    """Return the time that `text` wrote."""
    return datetime.fromisoformat(text)

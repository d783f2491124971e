"""How gates word what they found: numbers, spans and points of time, and a gate that cannot be judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core.registry.gates.types import GateResult

# strftime would speak the language of the machine.
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTE: Final = timedelta(minutes=1)


def unjudged(name: str, why: str, evidence: Mapping[str, Any] | None = None) -> GateResult:
    """Return the verdict of a gate that cannot be judged; `why` is a clause without its full stop."""
    return GateResult(name, False, f"It cannot be judged: {why.removesuffix('.')}.", evidence or {})


def sentence(*clauses: str) -> str:
    """Join clauses to one sentence."""
    text = "; ".join(clauses)
    return f"{text[:1].upper()}{text[1:]}."


def number(value: float) -> str:
    """Write a number with four significant digits."""
    return f"{value:.4g}"


def percent(share: float) -> str:
    """Write a fraction as a percentage with four significant digits."""
    return f"{number(share * 100)} %"


def apart(value: float, limit: float, write: Callable[[float], str] = number) -> str:
    """Write a value beside its limit: in full where the rounded one would look like the limit and is not."""
    shown = write(value)
    return shown if value == limit or shown != write(limit) else repr(float(value))


def span(length: timedelta) -> str:
    """Write a span of time as hours and minutes, begun minutes left out."""
    hours, minutes = divmod(length // _MINUTE, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(time: datetime) -> str:
    """Write a point of time in UTC, to the minute."""
    time = time.astimezone(UTC)
    return f"{_WEEKDAYS[time.weekday()]} {time:%Y-%m-%d %H:%M} UTC"


def next_minute(time: datetime) -> datetime:
    """Return the first whole minute at or after a time, so that what is promised for it holds."""
    whole = time.replace(second=0, microsecond=0)
    return whole if whole == time else whole + _MINUTE


def finite(value: float | None) -> float | None:
    """Return a number for evidence: JSON holds neither NaN nor infinity."""
    return float(value) if value is not None and math.isfinite(value) else None

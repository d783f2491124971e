"""What a run recorded, read as what it means: missing, finite, numbers, times and hashes."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, TypeGuard

_NOTHING: Final = frozenset({"", "none", "null", "nan", "n/a", "unknown"})
_HASH: Final = re.compile(r"[0-9a-fA-F]{7,}")


def is_finite(metric: float | None) -> TypeGuard[float]:
    """Whether a metric has a finite value; None, NaN and infinity have none."""
    # MLflow's SQL store keeps infinity as the largest double.
    return metric is not None and abs(metric) < sys.float_info.max


def is_recorded(text: str | None) -> TypeGuard[str]:
    """Whether a param says anything: None, "", "None", "null", "nan", "n/a" and "unknown" do not."""
    return text is not None and text.strip().lower() not in _NOTHING


def as_number(text: str) -> float | None:
    """Read a number; None for any other text and for NaN."""
    try:
        # Python reads 2024_01 as 202401, which no one who logs it means.
        number = float(text.replace("_", "?"))
    except ValueError:
        return None
    return None if math.isnan(number) else number


def canonical(text: str) -> str:
    """Give equal numbers and equal times (UTC where no zone is named) one spelling.

    >>> canonical("1e-3"), canonical("2024-01-01T00:00:00Z")
    ('0.001', '2024-01-01')
    """
    stripped = text.strip()
    try:
        time = datetime.fromisoformat(stripped)
        utc = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        number = as_number(stripped)
        return stripped if number is None else f"{number:.15g}"
    return utc.replace(tzinfo=None).isoformat(sep=" ").removesuffix(" 00:00:00")


def merge_short_hashes(hashes: Sequence[str | None]) -> list[str | None]:
    """Replace every hash by the shortest one given that it begins with, so that equal means the same."""
    by_length = sorted({value for value in hashes if value}, key=lambda value: (len(value), value))
    return [value and next(short for short in by_length if _begins(short, value)) for value in hashes]


def shorten(text: str) -> str:
    """Cut a text for a sentence: a hash to 12 characters, other text to 40."""
    if _HASH.fullmatch(text):
        return text[:12]
    return text if len(text) <= 40 else f"{text[:39]}…"


def _begins(short: str, value: str) -> bool:
    both_hashes = _HASH.fullmatch(short) and _HASH.fullmatch(value)
    return short == value or (both_hashes is not None and value.lower().startswith(short.lower()))

"""The full record of what was removed, as values that JSON can hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from core import clock
from core.registry.types import Version
from core.runs.types import Run


def full_record(content: Version | Run) -> dict[str, Any]:
    """Return everything that is known of a version or run; NaN and infinity as texts."""
    return {one.name: _plain(getattr(content, one.name)) for one in fields(content)}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}

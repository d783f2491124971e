"""Turn what people log into what MLflow takes, and refuse what it would refuse, at the call."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, time
from enum import Enum
from pathlib import PurePath
from typing import Any

from core.errors import BadInputError

KEY_RULE = (
    "Accepted are letters, digits, _ - . space : and / (no leading or double slash, no ..), "
    "at most {limit} characters."
)


def check_key(kind: str, key: Any) -> str:
    """Return a key that MLflow accepts.

    Raises
    ------
    BadInputError
        If MLflow would refuse it; it names the key and what is allowed.
    """
    from mlflow.utils import validation

    limit = validation.MAX_ENTITY_KEY_LENGTH
    fits = (
        isinstance(key, str)
        and key.strip() != ""
        and len(key) <= limit
        and validation.validate_param_and_metric_name(key)  # type: ignore[no-untyped-call]
        and not validation.path_not_unique(key)  # type: ignore[no-untyped-call]
    )
    if not fits:
        shown = key if not isinstance(key, str) or len(key) <= 80 else key[:80] + "…"
        raise BadInputError(
            f"The {kind} key {shown!r} is one that MLflow refuses. {KEY_RULE.format(limit=limit)}"
        )
    return str(key)


def text_of(value: Any) -> str:
    """Return the text under which a param or tag is stored: JSON for what has parts, else as `str` has it."""
    if isinstance(value, str) and not isinstance(value, Enum):
        text = str(value)
    elif isinstance(value, Mapping | list | tuple | set | frozenset) or _is_array(value):
        text = json.dumps(_plain(value), ensure_ascii=False)
    else:
        text = str(_plain(value))
    # Databases refuse NUL, and bytes that are no character cannot be sent.
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return _plain(value.value) if isinstance(value.value, str | int | float) else value.name
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(one) for one in value), key=str)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if _is_array(value):
        return _plain(value.tolist())
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return _plain(value.item())
    if isinstance(value, type) or callable(value):
        # Activation functions and classes: their name, not their address in memory.
        return getattr(value, "__qualname__", None) or str(value)
    return str(value)


def _is_array(value: Any) -> bool:
    return hasattr(value, "tolist") and getattr(value, "shape", ()) != ()


def number_of(key: str, value: Any) -> float:
    """Return a metric's value; NaN and infinity are numbers, text is not.

    Raises
    ------
    BadInputError
        If it is no number; it names the key.
    """
    try:
        if isinstance(value, str | bytes | bytearray | complex) or value is None:
            raise TypeError
        if hasattr(value, "item") and math.prod(getattr(value, "shape", ())) == 1:
            value = value.item()
            if isinstance(value, str | bytes | complex):
                raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        shown = repr(value)
        raise BadInputError(
            f"The metric '{key}' must be a number, not {shown[:80]} ({type(value).__name__}). "
            "Text belongs into a param or a tag."
        ) from None


def step_of(step: Any) -> int:
    """Return a step as a whole number; None is 0, as in MLflow.

    Raises
    ------
    BadInputError
        If it is none.
    """
    if step is None:
        return 0
    try:
        number = int(step)
        if number != step or not -(2**63) <= number < 2**63:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise BadInputError(f"The step must be a whole number, not {step!r}.") from None
    return number


def artifact_path(path: Any, what: str = "artifact path") -> str:
    """Return a path inside a run's artifacts.

    Raises
    ------
    BadInputError
        If it is empty, absolute, or leads out of the run.
    """
    text = str(path).replace("\\", "/").rstrip("/") if isinstance(path, str | PurePath) else ""
    parts = text.split("/")
    if not text or any(part in ("", ".", "..") for part in parts) or "\x00" in text:
        raise BadInputError(
            f"The {what} {path!r} must be relative to the run, such as 'reports/summary.json', without '..'."
        )
    return text

"""The table ``[training]`` of greenroom.toml."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final
from urllib.parse import urlsplit

from core.errors import BadInputError
from core.redaction import redact


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """How jobs are run.

    Attributes
    ----------
    jobs_at_once : int
        How many run at the same time on a machine.
    queue_uri : str or None
        A Redis server through which several machines share the queue; None means SQLite in the home folder.
    ray_address : str or None
        Of a Ray cluster's Jobs API, such as ``http://ray.example.org:8265``.
    kubernetes_config : str or None
        MLflow's backend configuration file for its ``kubernetes`` backend.
    log_mb : int
        Longest log that is kept of a job, in MiB; what comes after is counted and not kept.
    max_hours : float
        A job that runs longer is stopped.
    min_free_mb : int
        With less room than this on the disk no job is started, and one that runs is stopped, in MiB.
    keep_days : float
        How long logs and checkpoints of jobs are kept that are over; checkpoints of finished ones, a day.
    """

    jobs_at_once: int = 2
    queue_uri: str | None = None
    ray_address: str | None = None
    kubernetes_config: str | None = None
    log_mb: int = 4096
    max_hours: float = 72.0
    min_free_mb: int = 256
    keep_days: float = 90.0


DEFAULT_TRAINING: Final = TrainingSettings()

_NUMBERS: Final[dict[str, tuple[type, float, float]]] = {
    "jobs_at_once": (int, 1, 64),
    "log_mb": (int, 1, 1_048_576),
    "max_hours": (float, 0.001, 8_784),
    "min_free_mb": (int, 0, 1_048_576),
    "keep_days": (float, 1, 36_500),
}
_ADDRESSES: Final = {
    "queue_uri": (("redis", "rediss", "unix"), "redis://host:6379/0"),
    "ray_address": (("http", "https"), "http://host:8265"),
}


def read_training(value: Any, place: str) -> TrainingSettings:
    """Read the table.

    Raises
    ------
    BadInputError
        For an unknown key or a value that cannot be used.
    """
    known = [one.name for one in fields(TrainingSettings)]
    if not isinstance(value, Mapping):
        raise BadInputError(f"training in {place} must be a table such as jobs_at_once = 2.")
    read: dict[str, Any] = {}
    for key, given in value.items():
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise BadInputError(
                f"The key 'training.{key}' in {place} is not known.{hint} Accepted: {', '.join(known)}."
            )
        read[key] = _number(key, given, place) if key in _NUMBERS else _text(key, given, place)
    return TrainingSettings(**read)


def _number(key: str, given: Any, place: str) -> int | float:
    kind, low, high = _NUMBERS[key]
    fits = isinstance(given, int) if kind is int else isinstance(given, int | float)
    if isinstance(given, bool) or not fits or not low <= given <= high:
        shape = "a whole number" if kind is int else "a number"
        raise BadInputError(
            f"training.{key} in {place} is {given!r}; accepted is {shape} from {low:g} to {high:g}."
        )
    return kind(given)  # type: ignore[no-any-return]


def _text(key: str, given: Any, place: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise BadInputError(
            f"training.{key} in {place} must be a text in quotes that is not empty, not {given!r}."
        )
    text = given.strip()
    if key in _ADDRESSES:
        schemes, example = _ADDRESSES[key]
        if urlsplit(text).scheme not in schemes:
            raise BadInputError(
                f"training.{key} in {place} is {redact(text)!r}; accepted is an address such as {example}."
            )
    return text

"""Quality bands: which thresholds of R2 and sMAPE a store's forecast passes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

from core.errors import BadInputError


class Band(StrEnum):
    """How good the forecast of a store is, best first; `UNKNOWN` has no measures, `FAILED` no model."""

    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"
    UNKNOWN = "unknown"
    FAILED = "failed"


BANDS: Final = tuple(Band)
GRADED: Final = (Band.EXCELLENT, Band.GOOD, Band.FAIR)
"""The bands that have thresholds; what passes none of them is poor."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a band asks for: R2 of at least `r2` and a sMAPE (percent, 0..200) of at most `smape`."""

    band: Band
    r2: float
    smape: float


DEFAULT_THRESHOLDS: Final = (
    Threshold(Band.EXCELLENT, 0.8, 10.0),
    Threshold(Band.GOOD, 0.6, 20.0),
    Threshold(Band.FAIR, 0.3, 35.0),
)


def band_of(
    r2: float | None, smape: float | None, thresholds: Iterable[Threshold] = DEFAULT_THRESHOLDS
) -> Band:
    """Return the first band whose thresholds are both passed; poor if none, unknown where a measure is missing.

    Parameters
    ----------
    r2 : float or None
    smape : float or None
        In percent, 0..200.
    thresholds : iterable of Threshold
        Best band first.
    """
    if r2 is None or smape is None or math.isnan(r2) or math.isnan(smape):
        return Band.UNKNOWN
    return next((one.band for one in thresholds if r2 >= one.r2 and smape <= one.smape), Band.POOR)


def read_thresholds(table: Mapping[str, Any], place: str) -> tuple[Threshold, ...]:
    """Read the table ``[quality]`` of greenroom.toml: ``excellent = { r2 = 0.8, smape = 10 }`` and so on.

    Raises
    ------
    BadInputError
        If a band or a value cannot be used, or a better band asks for less than a worse one.
    """
    found = {one.band: one for one in DEFAULT_THRESHOLDS}
    for name, given in table.items():
        if name not in GRADED:
            raise BadInputError(
                f"The band '{name}' under quality in {place} is not known. Accepted: {', '.join(GRADED)}."
            )
        fits = isinstance(given, Mapping) and set(given) == {"r2", "smape"}
        if not fits or not all(_is_number(value) for value in given.values()):
            raise BadInputError(
                f"quality.{name} in {place} must be of the form {{ r2 = 0.8, smape = 10 }}, sMAPE in percent."
            )
        if not 0 <= given["smape"] <= 200 or given["r2"] > 1:
            raise BadInputError(
                f"quality.{name} in {place}: r2 is at most 1, and smape from 0 to 200 percent."
            )
        found[Band(name)] = Threshold(Band(name), float(given["r2"]), float(given["smape"]))
    ordered = tuple(found[band] for band in GRADED)
    for better, worse in pairwise(ordered):
        if better.r2 < worse.r2 or better.smape > worse.smape:
            raise BadInputError(
                f"quality in {place}: {better.band} asks for less than {worse.band}. "
                "Give better bands a higher r2 and a lower smape."
            )
    return ordered


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

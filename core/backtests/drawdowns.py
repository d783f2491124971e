"""Falls below a previous peak: how deep, how long, and which were the worst."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.backtests.types import Drawdown, EquityCurve, Floats
from core.errors import BadInputError

Indexes = npt.NDArray[np.int64]
_DAY: Final = np.timedelta64(1, "D")


def underwater(values: npt.NDArray[Any]) -> Floats:
    """Distance from the highest value so far, as a fraction of it.

    ``values / maximum.accumulate(values) - 1``: 0 at a peak, -0.25 a quarter below it, -1 or less for an account
    that lost everything or owes money. The starting capital is the first peak, so a loss in the first period
    counts.

    Parameters
    ----------
    values : float64 array, shape (n + 1,)
        Starting capital first.

    Returns
    -------
    float64 array, shape (n + 1,)
        Starts at 0; NaN where the highest value so far is not above zero.
    """
    peaks = np.maximum.accumulate(np.asarray(values, dtype=np.float64))
    below = np.full(len(peaks), np.nan)
    np.divide(values, peaks, out=below, where=peaks > 0)
    return below - 1.0


def worst_drawdowns(curve: EquityCurve, top: int = 10) -> tuple[Drawdown, ...]:
    """Find the deepest falls, each from its peak to the recovery, so that no two overlap.

    Parameters
    ----------
    curve : EquityCurve
    top : int
        At most so many.

    Returns
    -------
    tuple of Drawdown
        Deepest first, of equals the earlier one; empty for a curve that never falls.

    Raises
    ------
    BadInputError
        For a negative `top`.
    """
    if top < 0:
        raise BadInputError(f"{top} drawdowns cannot be listed: ask for none or more.")
    below = underwater(curve.values)
    peaks, ends = _episodes(below)
    if not len(peaks):
        return ()
    depths = np.minimum.reduceat(below, peaks)
    return tuple(
        _drawdown(curve, below, int(peaks[worst]), int(ends[worst]))
        for worst in np.argsort(depths, kind="stable")[:top]
    )


def longest_drawdown_days(curve: EquityCurve) -> float | None:
    """Days of the longest stretch from a peak to its recovery, or to the end of the curve.

    Returns
    -------
    float or None
        0 for a curve that never falls; None for fewer than two points.
    """
    if len(curve) < 2:
        return None
    peaks, ends = _episodes(underwater(curve.values))
    if not len(peaks):
        return 0.0
    lasted = curve.times[np.minimum(ends, len(curve) - 1)] - curve.times[peaks]
    return float(lasted.max() / _DAY)


def drawdown_days(curve: EquityCurve, drawdown: Drawdown) -> float:
    """Days from the peak to the recovery, or to the end of the curve where it is still under water."""
    end = curve.times[-1] if drawdown.recovery is None else drawdown.recovery
    return float((end - drawdown.peak) / _DAY)


def ulcer_index(values: Floats) -> float | None:
    """Root of the mean squared distance from the peak, over the n points after the starting capital.

    As a fraction, where Martin and McCann (1989) write percent; None for fewer than two points.
    """
    return float(np.sqrt(np.mean(np.square(underwater(values)[1:])))) if len(values) > 1 else None


def _episodes(below: Floats) -> tuple[Indexes, Indexes]:
    """Last point at each peak, and the first one back at it; ``len(below)`` where it does not come back."""
    wet = np.concatenate(([False], below[1:] < 0, [False])) if len(below) else np.zeros(0, dtype=bool)
    change = np.flatnonzero(np.diff(wet))
    return change[::2], change[1::2] + 1


def _drawdown(curve: EquityCurve, below: Floats, peak: int, end: int) -> Drawdown:
    trough = peak + int(np.argmin(below[peak:end]))
    recovered = end < len(curve)
    return Drawdown(
        depth=float(below[trough]),
        peak=curve.times[peak],
        trough=curve.times[trough],
        recovery=curve.times[end] if recovered else None,
        peak_index=peak,
        trough_index=trough,
        recovery_index=end if recovered else None,
    )

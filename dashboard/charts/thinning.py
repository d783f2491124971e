"""Fewer points of a line without losing its extremes or its gaps."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

# SQL stores write infinity as ±1.797e308; the span of an axis that reaches this far would overflow.
LARGEST_DRAWN = 1e300


def finite(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return values as floats, with NaN for infinities and for what is as good as infinite."""
    array = np.array(values, dtype=np.float64)
    array[np.abs(array) > LARGEST_DRAWN] = np.nan
    return array


def drawable(values: npt.ArrayLike, log: bool) -> npt.NDArray[np.float64]:
    """Return `finite` values; on a log axis with NaN for zero and less."""
    numbers = finite(values)
    if log:
        numbers[numbers <= 0] = np.nan
    return numbers


def extremes(values: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.int64]:
    """Return the positions of at most `limit` values that draw the same line.

    The values are cut into equal buckets; each keeps its least and its greatest value, and one NaN if it
    has any, so that a gap stays a gap. The first and the last value stay.

    Parameters
    ----------
    values : ndarray of float64, shape (points,)
    limit : int
        At least 5.

    Returns
    -------
    ndarray of int64, shape (kept,), ascending
    """
    points = len(values)
    if points <= limit:
        return np.arange(points)
    missing = np.isnan(values)
    kept_per_bucket = 3 if missing.any() else 2
    buckets = (limit - 2) // kept_per_bucket
    width = math.ceil(points / buckets)
    padding = (0, -points % width)
    starts = np.arange(0, points, width)
    shape = (len(starts), width)
    low = np.pad(np.where(missing, np.inf, values), padding, constant_values=np.inf).reshape(shape)
    high = np.pad(np.where(missing, -np.inf, values), padding, constant_values=-np.inf).reshape(shape)
    kept = [starts + low.argmin(axis=1), starts + high.argmax(axis=1), np.array([0, points - 1])]
    if missing.any():
        gaps = np.pad(missing, padding).reshape(shape)
        kept.append((starts + gaps.argmax(axis=1))[gaps.any(axis=1)])
    return np.unique(np.concatenate(kept))


def band_extremes(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], limit: int
) -> npt.NDArray[np.int64]:
    """Return the ascending positions of about `limit` places that draw the same band; gaps are left out."""
    there = np.flatnonzero(~(np.isnan(low) | np.isnan(high)))
    each = max(5, limit // 2)
    return there[np.union1d(extremes(low[there], each), extremes(high[there], each))]

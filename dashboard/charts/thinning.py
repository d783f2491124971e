"""Fewer points of a line without losing its extremes or its gaps."""

from __future__ import annotations

import math
import sys

import numpy as np
import numpy.typing as npt


def finite(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return values as floats with infinities, written as ±1.797e308 by SQL stores, turned into NaN."""
    array = np.array(values, dtype=np.float64)
    array[np.abs(array) >= sys.float_info.max] = np.nan
    return array


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

"""Curves with fewer points: decimation that keeps every extreme, seed bands, and smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError
from core.runs.types import MetricHistory

MIN_POINTS: Final = 5
"""First, last, lowest, highest and one gap."""

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Several runs of one metric as a mean curve between the lowest and the highest run.

    Attributes
    ----------
    steps : ndarray of int64, shape (points,)
        Increasing.
    mean, low, high : ndarray of float64, shape (points,)
        Over the runs that have a finite value at the step; NaN where none has.
    n : ndarray of int64, shape (points,)
        Count of these runs.
    """

    steps: Integers
    mean: Floats
    low: Floats
    high: Floats
    n: Integers

    def __len__(self) -> int:
        return len(self.steps)


def downsample(steps: npt.NDArray[Any], values: npt.NDArray[Any], max_points: int) -> Integers:
    """Choose the points of a curve to draw, so that no peak or dip is lost.

    The curve is cut into buckets; each keeps its lowest and its highest point (min/max decimation), and its
    first gap. Half of the cuts are evenly spaced over the steps and half over the points: the first keep a
    sparsely logged stretch from losing detail, the second one far-off step from squeezing all others into one
    bucket. First and last point are always kept.

    Parameters
    ----------
    steps : ndarray of numbers, shape (points,)
        Not decreasing; steps, or times as numbers.
    values : ndarray of float64, shape (points,)
        NaN and infinity are gaps: never an extreme, but kept where a bucket has one, so that a line drawn
        through the chosen points breaks there too.
    max_points : int
        Upper bound of the result's length, at least 5.

    Returns
    -------
    ndarray of int64, shape (chosen,)
        Increasing indexes, at most `max_points`; all of them when there are no more points than that.

    Raises
    ------
    BadInputError
        For unordered steps, arrays of different length, or fewer than 5 points to choose.
    """
    position, number = np.asarray(steps, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if max_points < MIN_POINTS:
        raise BadInputError(
            f"A curve cannot be drawn with {max_points} points: ask for {MIN_POINTS} or more."
        )
    if position.shape != number.shape or position.ndim != 1:
        raise BadInputError(
            f"A curve needs a step for every value: {position.shape} and {number.shape} given."
        )
    if not np.all(np.diff(position) >= 0):
        raise BadInputError(
            "A curve can be downsampled only in the order of its steps: sort the points first."
        )
    if len(number) <= max_points:
        return np.arange(len(number), dtype=np.int64)

    finite = np.isfinite(number)
    kept_a_bucket = 2 if finite.all() else 3
    starts = _bucket_starts(position, max(1, (max_points - 2) // kept_a_bucket))
    chosen = [
        np.array([0, len(number) - 1]),
        _first_in_bucket(
            _equals_bucket(np.minimum, np.where(finite, number, np.inf), starts) & finite, starts
        ),
        _first_in_bucket(
            _equals_bucket(np.maximum, np.where(finite, number, -np.inf), starts) & finite, starts
        ),
        _first_in_bucket(~finite, starts),
    ]
    return np.unique(np.concatenate(chosen)).astype(np.int64)


def mean_and_band(histories: Sequence[MetricHistory], max_points: int) -> Band:
    """Join the runs of a seed group into one curve.

    At every step that any run logged, a run counts with its value at its last step up to there (last value
    carried forward), from its own first step to its own last one: nothing is extrapolated, so `n` falls where
    runs end early. Of several values at one step the last one counts. NaN and infinity are no value, and hide
    the earlier one until the next.

    Parameters
    ----------
    histories : sequence of MetricHistory
        Of one metric, ordered by step. Empty ones count for nothing.
    max_points : int
        Upper bound of the result's length, at least 15: the extremes of all three curves are kept.

    Returns
    -------
    Band

    Raises
    ------
    BadInputError
        For no history, several metrics, or fewer than 15 points.
    """
    keys = sorted({history.key for history in histories})
    if len(keys) != 1:
        raise BadInputError(
            f"A band joins runs of one metric, not of {len(keys)}: {', '.join(keys) or 'none given'}."
        )
    if max_points < 3 * MIN_POINTS:
        raise BadInputError(
            f"A band cannot be drawn with {max_points} points: ask for {3 * MIN_POINTS} or more."
        )
    steps = np.unique(np.concatenate([history.steps for history in histories])).astype(np.int64)
    mean, n = np.zeros(len(steps)), np.zeros(len(steps), dtype=np.int64)
    low, high = np.full(len(steps), np.inf), np.full(len(steps), -np.inf)
    for history in histories:
        carried = _carried_forward(history, steps)
        has = np.isfinite(carried)
        n += has
        low[has], high[has] = np.minimum(low[has], carried[has]), np.maximum(high[has], carried[has])
        # In shares, because a sum of large values overflows; and equal values keep their exact mean.
        mean[has] += carried[has] / n[has] - mean[has] / n[has]
    empty = n == 0
    low[empty] = high[empty] = mean[empty] = np.nan
    if len(steps) <= max_points:
        return Band(steps, mean, low, high, n)
    share = max_points // 3
    kept = np.unique(np.concatenate([downsample(steps, curve, share) for curve in (low, mean, high)]))
    return Band(steps[kept], mean[kept], low[kept], high[kept], n[kept])


def smooth(values: npt.NDArray[Any], weight: float) -> Floats:
    """Exponential moving average without the pull to zero at the start, as TensorBoard draws it.

    ``s[t] = sum(weight**i * x[t-i]) / sum(weight**i)`` over the finite values so far, which is the recursion
    ``m = weight * m + (1 - weight) * x`` divided by ``1 - weight**t`` (Kingma & Ba 2015, section 3;
    TensorBoard's line chart).

    Parameters
    ----------
    values : ndarray of float64, shape (points,)
        NaN and infinity stay where they are and leave the average untouched.
    weight : float
        0 (no smoothing) up to, but not including, 1.

    Returns
    -------
    ndarray of float64, shape (points,)

    Raises
    ------
    BadInputError
        For a weight outside [0, 1).
    """
    if not 0 <= weight < 1:
        raise BadInputError(f"A smoothing weight lies between 0 and 1 (1 excluded), not at {weight}.")
    number = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(number)
    smoothed = number.copy()
    if weight == 0:
        return smoothed
    smoothed[finite] = pl.Series(number[finite]).ewm_mean(alpha=1 - weight, adjust=True).to_numpy()
    return smoothed


def _bucket_starts(position: Floats, buckets: int) -> Integers:
    """First indexes of at most `buckets` buckets, none of them empty."""
    by_count = (buckets + 1) // 2
    even_count = np.arange(by_count) * len(position) // by_count
    even_steps = np.linspace(position[0], position[-1], buckets - by_count + 1)[:-1]
    starts = np.concatenate([even_count, np.searchsorted(position, even_steps)])
    return np.unique(starts).astype(np.int64)


def _equals_bucket(reduce: np.ufunc, number: Floats, starts: Integers) -> npt.NDArray[np.bool_]:
    extremes = reduce.reduceat(number, starts)
    sizes = np.diff(np.append(starts, len(number)))
    return np.asarray(number == np.repeat(extremes, sizes))


def _first_in_bucket(mask: npt.NDArray[np.bool_], starts: Integers) -> Integers:
    """Index of the first True of every bucket that has one."""
    hits = np.flatnonzero(mask)
    bucket = np.searchsorted(starts, hits, side="right")
    return hits[np.diff(bucket, prepend=0) > 0].astype(np.int64)


def _carried_forward(history: MetricHistory, steps: Integers) -> Floats:
    """Values of a run at the given steps, NaN before its first and after its last."""
    if not len(history):
        return np.full(len(steps), np.nan)
    values = history.values[np.searchsorted(history.steps, steps, side="right") - 1].astype(np.float64)
    outside = (steps < history.steps[0]) | (steps > history.steps[-1])
    return np.where(outside, np.nan, values)

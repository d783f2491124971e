"""How much higher one Sharpe ratio is than another over the same steps, with an interval by the bootstrap of pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.backtests.returns_measures import per_step
from core.backtests.significance.bootstrap import MAX_PERIODS, MAX_UNDEFINED
from core.backtests.significance.samples import (
    MIN_RETURNS,
    compounded,
    finite_rows,
    optimal_block,
    period_starts,
    stationary_rows,
    without_variance,
)
from core.backtests.types import Floats

SEED: Final = 0
"""The same curves must get the same verdict at every judging."""


@dataclass(frozen=True, slots=True)
class SharpeDifference:
    """Annual Sharpe ratios of two series of returns, their difference, and an interval around it.

    Attributes
    ----------
    new, old, difference : float
        ``difference = new - old``. NaN where `reason` says why.
    low, high : float
        The middle share of the differences over the resamples.
    block_length : int or None
        Mean length of the resampled blocks, in resampled periods.
    n : int
        Pairs of returns that were used.
    periods : int
        Periods that were resampled; fewer than `n` where returns were compounded.
    reason : str or None
        Why there is no interval; a clause without its full stop.
    """

    new: float
    old: float
    difference: float
    low: float
    high: float
    block_length: int | None
    n: int
    periods: int
    reason: str | None = None


def sharpe_difference(
    returns: Floats,
    periods_per_year: float,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    risk_free: float = 0.0,
    seed: int = SEED,
    block_length: int | None = None,
) -> SharpeDifference:
    """Percentile interval of the difference of two annual Sharpe ratios.

    With p returns a year and ``f = (1 + risk_free)**(1/p) - 1``, a ratio is ``mean(r - f) / std(r) * sqrt(p)``
    (n - 1 in the denominator), as in every tear sheet. Two strategies on one market move together, so pairs of
    returns are resampled, not each series on its own: by the stationary bootstrap of Politis & Romano (1994),
    JASA 89(428), in ``arch``. Resampling pairs for this very question is the way of Ledoit & Wolf (2008), "Robust
    Performance Hypothesis Testing with the Sharpe Ratio", Journal of Empirical Finance 15(5); unlike theirs, the
    interval is not studentised, and the mean block is that of Politis & White (2004, corrected 2009), of both
    series the median.

    More than 6,000 pairs are compounded into at most 6,000 periods, as in
    `core.backtests.significance.bootstrap`.

    Parameters
    ----------
    returns : float64 array, shape (n, 2)
        Simple returns, new ones in the first column, old ones in the second, of the same steps. Rows that are not
        finite are left out.
    periods_per_year : float
    confidence : float
        Of the two-sided interval, between 0 and 1.
    resamples : int
    risk_free : float
        A year, as a fraction.
    seed : int
        The same seed gives the same interval.
    block_length : int, optional
        Mean length of blocks, instead of the estimated one.

    Returns
    -------
    SharpeDifference
        With a reason and NaN for fewer than 20 pairs, for a series that does not vary, and, bounds alone, where a
        ratio is not defined in more than 5 % of the resamples.
    """
    (kept,), _ = finite_rows(returns)
    n = len(kept)
    if n < MIN_RETURNS:
        return _none(n, f"{n} common returns are too few: it takes {MIN_RETURNS}")
    starts = period_starts(n, MAX_PERIODS)
    pairs = compounded(kept, starts)
    flat = without_variance(pairs)
    if flat.any():
        whose = (
            "both backtests" if flat.all() else "the new backtest" if flat[0] else "the champion's backtest"
        )
        return _none(n, f"the returns of {whose} never vary over the common time")
    a_year = periods_per_year * len(pairs) / n
    excess = pairs - per_step(risk_free, a_year)
    new, old = (float(ratio) for ratio in _ratios(excess[None], a_year)[0])
    block = block_length or optimal_block(pairs)
    drawn = np.concatenate(
        [_ratios(excess[rows], a_year) for rows in stationary_rows(len(excess), block, resamples, seed)]
    )
    differences = drawn[:, 0] - drawn[:, 1]
    differences = differences[np.isfinite(differences)]
    if len(differences) < (1.0 - MAX_UNDEFINED) * resamples:
        reason = "returns vary so rarely that too many resamples have no Sharpe ratio"
        return SharpeDifference(new, old, new - old, math.nan, math.nan, block, n, len(pairs), reason)
    tail = (1.0 - confidence) / 2.0
    low, high = (float(bound) for bound in np.quantile(differences, (tail, 1.0 - tail)))
    return SharpeDifference(new, old, new - old, low, high, block, n, len(pairs))


def _ratios(excess: Floats, a_year: float) -> Floats:
    """Annual Sharpe ratios of samples of shape (samples, n, 2): shape (samples, 2), NaN where nothing varies."""
    flat = without_variance(excess.swapaxes(0, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = excess.mean(axis=1) / excess.std(axis=1, ddof=1) * math.sqrt(a_year)
    return np.where(flat, np.nan, ratios)


def _none(n: int, reason: str) -> SharpeDifference:
    nan = math.nan
    return SharpeDifference(nan, nan, nan, nan, nan, None, n, n, reason)

"""Volatility, Sharpe ratio and beta over a moving window of returns, each in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.backtests.returns_measures import NOISE, per_step
from core.backtests.types import Annualisation, Floats
from core.errors import BadInputError

FEWEST: Final = 12
"""Returns in a default window: a deviation of fewer says little."""


def default_window(annualisation: Annualisation) -> int:
    """Returns in about half a year, and at least 12: 126 for business days, 26 for weeks, 12 for months."""
    return max(FEWEST, round(annualisation.periods_per_year / 2))


def rolling_volatility(returns: Floats, window: int, per_year: float) -> Floats:
    """Standard deviation (ddof 1) of the last `window` returns, by the root of `per_year`.

    Parameters
    ----------
    returns : float64 array, shape (n,)
        Finite.
    window : int
        In returns, 2 or more.
    per_year : float
        Returns a year.

    Returns
    -------
    float64 array, shape (n,)
        NaN before the window is full; 0 where the returns in it do not vary.

    Raises
    ------
    BadInputError
        For a window of fewer than two returns.
    """
    moments = _moments(returns, returns, window)
    deviation = np.sqrt(moments.squares / (moments.count - 1))
    return _filled(np.where(deviation > NOISE, deviation, 0.0) * np.sqrt(per_year), len(returns))


def rolling_sharpe(returns: Floats, window: int, per_year: float, risk_free: float = 0.0) -> Floats:
    """Sharpe ratio of the last `window` returns, as `core.backtests.measures` has it.

    Parameters
    ----------
    returns, window, per_year
        As in `rolling_volatility`.
    risk_free : float
        Annual; ``(1 + risk_free) ** (1 / per_year) - 1`` a step.

    Returns
    -------
    float64 array, shape (n,)
        NaN before the window is full, and where the returns in it do not vary.
    """
    moments = _moments(returns, returns, window)
    excess = moments.mean - per_step(risk_free, per_year)
    deviation = np.sqrt(moments.squares / (moments.count - 1))
    ratio = np.divide(excess, deviation, out=np.full(len(excess), np.nan), where=deviation > NOISE)
    return _filled(ratio * np.sqrt(per_year), len(returns))


def rolling_beta(returns: Floats, benchmark: Floats, window: int) -> Floats:
    """Covariance with the benchmark over its variance, of the last `window` steps.

    Parameters
    ----------
    returns, benchmark : float64 array, shape (n,)
        Over the same steps. Steps where the benchmark is NaN are left out of the window they fall in.
    window : int
        In steps, 2 or more.

    Returns
    -------
    float64 array, shape (n,)
        NaN before the window is full, where fewer than half of its steps (or two) have both returns, and where
        the benchmark does not vary.
    """
    moments = _moments(benchmark, returns, window)
    deviation = np.sqrt(moments.squares / np.maximum(moments.count - 1, 1))
    usable = (deviation > NOISE) & (moments.count >= max(2, window / 2))
    slope = np.divide(moments.products, moments.squares, out=np.full(len(deviation), np.nan), where=usable)
    return _filled(slope, len(returns))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Of x, and of x with y, about their means, in every full window: count, mean, sums of squares and products."""

    count: Floats
    mean: Floats
    squares: Floats
    products: Floats


@dataclass(frozen=True, slots=True)
class _Part:
    """Count, means and sums about the means of one side of a window."""

    count: Floats
    mean_x: Floats
    mean_y: Floats
    squares: Floats
    products: Floats


def _moments(x: Floats, y: Floats, window: int) -> _Moments:
    """Join the end of one block with the beginning of the next, for every window.

    A running sum over the whole series would lose, by taking large sums from each other, the digits of a quiet
    stretch after a loud one. So the series is cut into blocks of the window's length; a window is the rest of a
    block and the beginning of the next, joined after Chan, Golub and LeVeque (1983). Either part is summed about
    its own outermost value. As that belongs to the part, the squares lose at most a factor of the window's length
    in precision, whatever the values; and where nothing varies they are exactly 0.
    """
    if window < 2:
        raise BadInputError(f"A rolling window of {window} returns has no deviation: ask for two or more.")
    if len(x) < window:
        return _Moments(*(np.empty(0) for _ in range(4)))
    known = np.isfinite(x) & np.isfinite(y)
    own_x, own_y = np.where(known, x, np.nan), np.where(known, y, np.nan)
    starts = np.arange(len(x) - window + 1)
    tails, heads = _running(own_x, own_y, window, -1), _running(own_x, own_y, window, 1)
    a = _Part(*(part[starts] for part in tails))
    b = _Part(*(np.where(starts % window == 0, 0.0, part[starts + window - 1]) for part in heads))
    count = a.count + b.count
    share = np.divide(b.count, count, out=np.zeros(len(count)), where=count > 0)
    apart_x, apart_y = b.mean_x - a.mean_x, b.mean_y - a.mean_y
    weight = a.count * share
    return _Moments(
        count=count,
        mean=a.mean_x + apart_x * share,
        squares=a.squares + b.squares + apart_x**2 * weight,
        products=a.products + b.products + apart_x * apart_y * weight,
    )


def _running(x: Floats, y: Floats, window: int, way: int) -> tuple[Floats, ...]:
    """The fields of `_Part`, shape (n,): from the start of the block to each point or, with -1, from it to the end."""
    missing = np.full(-len(x) % window, np.nan)
    block_x, block_y = (np.append(side, missing).reshape(-1, window)[:, ::way] for side in (x, y))
    known = np.isfinite(block_x)
    first = known.argmax(axis=1)[:, None]
    centre_x, centre_y = (
        np.nan_to_num(np.take_along_axis(block, first, axis=1)) for block in (block_x, block_y)
    )
    off_x, off_y = np.where(known, block_x - centre_x, 0.0), np.where(known, block_y - centre_y, 0.0)
    count = np.cumsum(known, axis=1, dtype=np.float64)
    sum_x, sum_y = off_x.cumsum(axis=1), off_y.cumsum(axis=1)
    some = np.maximum(count, 1.0)
    parts = (
        count,
        centre_x + sum_x / some,
        centre_y + sum_y / some,
        np.maximum((off_x * off_x).cumsum(axis=1) - sum_x * sum_x / some, 0.0),
        (off_x * off_y).cumsum(axis=1) - sum_x * sum_y / some,
    )
    return tuple(part[:, ::way].ravel()[: len(x)] for part in parts)


def _filled(windows: Floats, length: int) -> Floats:
    return np.concatenate((np.full(length - len(windows), np.nan), windows))

"""What returns need before they are resampled: gaps out, fewer and longer periods, a block length."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from core.backtests.types import Floats

Integers = npt.NDArray[np.int64]

BATCH_VALUES: Final = 200_000
"""Values of a batch of resamples: enough to be fast, few enough for any memory."""
MIN_RETURNS: Final = 20
"""Fewer say nothing about their own dependence, and an interval from them would look like knowledge."""


def finite_rows(*series: Floats) -> tuple[tuple[Floats, ...], int]:
    """Rows in which every series has a finite value, and the count of those left out.

    Parameters
    ----------
    *series : float64 arrays, shape (n,) or (n, k)
        Of one length.

    Returns
    -------
    tuple of float64 arrays, int
    """
    complete = np.ones(len(series[0]), dtype=bool)
    for values in series:
        complete &= np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    return tuple(values[complete] for values in series), int((~complete).sum())


def period_starts(n: int, most: int) -> Integers:
    """First indexes of at most `most` periods of n returns.

    Few enough that each has the same count of returns, or one less: a mix of single and double periods would
    look like changing volatility.
    """
    periods = math.ceil(n / math.ceil(n / most))
    return np.arange(periods, dtype=np.int64) * n // periods


def compounded(returns: Floats, starts: Integers) -> Floats:
    """Returns over longer periods: ``prod(1 + r) - 1`` from each start to the next, shape (len(starts), ...).

    A return of -100 % or less is a total loss: what follows within the period changes nothing.
    """
    if len(starts) == len(returns):
        return returns
    return np.multiply.reduceat(np.maximum(1.0 + returns, 0.0), starts, axis=0) - 1.0


def without_variance(returns: Floats) -> npt.NDArray[np.bool_]:
    """Which series do not move but for rounding: of shape (n, k), or (n,) for one answer."""
    spread, size = returns.std(axis=0), np.abs(returns).max(axis=0)
    return np.asarray(spread <= np.maximum(1e-9 * size, 1e-14))


def optimal_block(returns: Floats) -> int:
    """Mean block length for the stationary bootstrap, of returns with shape (n,) or (n, k).

    Politis & White (2004), "Automatic Block-Length Selection for the Dependent Bootstrap", Econometric Reviews
    23(1), as corrected by Patton, Politis & White (2009), Econometric Reviews 28(4): the length that estimates
    the variance of a mean best. Rounded up, 1 (no dependence) or more; of several series the median.
    """
    from arch.bootstrap import optimal_block_length  # slow to import: it brings statsmodels

    with np.errstate(all="ignore"):
        lengths = optimal_block_length(returns)["stationary"].to_numpy(dtype=np.float64)
    usable = lengths[np.isfinite(lengths)]
    return max(1, math.ceil(float(np.median(usable)))) if len(usable) else 1


def stationary_rows(n: int, block: int, resamples: int, seed: int) -> Iterator[Integers]:
    """Resampled indexes of n periods by the stationary bootstrap, in batches of shape (rows, n).

    Parameters
    ----------
    block : int
        Mean length of the blocks.
    seed : int
        The same seed gives the same indexes.
    """
    from arch.bootstrap import StationaryBootstrap  # slow to import: it brings statsmodels

    draws = StationaryBootstrap(block, np.arange(n), seed=seed).bootstrap(resamples)
    rows = (np.asarray(data[0]) for data, _ in draws)
    while batch := list(islice(rows, max(1, BATCH_VALUES // n))):
        yield np.stack(batch)

"""Intervals around a backtest's measures, by the stationary bootstrap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.backtests.significance.resampled_measures import Periods, measures_of, periods_of
from core.backtests.significance.samples import (
    MIN_RETURNS,
    finite_rows,
    optimal_block,
    period_starts,
    stationary_rows,
    without_variance,
)
from core.backtests.types import Floats
from core.errors import BadInputError

MAX_PERIODS: Final = 6_000
MAX_UNDEFINED: Final = 0.05


@dataclass(frozen=True, slots=True)
class MeasureInterval:
    """One measure, and the middle share of its values over the resamples.

    Attributes
    ----------
    measure : str
        "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown"; against a benchmark
        also "excess_cagr" and "information_ratio".
    estimate, low, high : float
        NaN where the measure is not defined, as a Sharpe ratio without variance; `low` and `high` also where it
        is not in more than 5 % of the resamples.
    """

    measure: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BootstrapIntervals:
    """Intervals of all measures from one set of resamples.

    Attributes
    ----------
    intervals : tuple of MeasureInterval
        Empty where `reason` says why there are none.
    reason : str or None
    confidence : float
    resamples : int
    block_length : int or None
        Mean length of the resampled blocks, in resampled periods.
    n : int
        Returns that were used.
    dropped : int
        Returns left out, because they or the benchmark's were missing.
    periods : int
        Periods that were resampled; fewer than `n` where returns were compounded.
    periods_per_year : float
        Of the resampled periods.
    """

    intervals: tuple[MeasureInterval, ...]
    reason: str | None
    confidence: float
    resamples: int
    block_length: int | None
    n: int
    dropped: int
    periods: int
    periods_per_year: float

    def __getitem__(self, measure: str) -> MeasureInterval:
        return next(interval for interval in self.intervals if interval.measure == measure)


def bootstrap_intervals(
    returns: Floats,
    periods_per_year: float,
    *,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    risk_free: float = 0.0,
    benchmark_returns: Floats | None = None,
) -> BootstrapIntervals:
    """Percentile intervals of a backtest's measures.

    Stationary bootstrap of Politis & Romano (1994), "The Stationary Bootstrap", JASA 89(428): blocks of
    consecutive returns, of geometrically distributed length, wrapped around the end. The mean length is that of
    Politis & White (2004) in the correction of Patton, Politis & White (2009). All measures come from the same
    resamples, through ``arch``.

    With m periods, p of them a year, growth ``G = prod(1 + r)``: total_return ``G - 1``; cagr ``G**(p/m) - 1``;
    volatility ``std(r) * sqrt(p)`` (m - 1 in the denominator); sharpe ``mean(r) / std(r) * sqrt(p)``; sortino
    ``mean(r) / sqrt(mean(min(r, 0)**2)) * sqrt(p)``; max_drawdown the deepest fall from a peak, the starting
    capital included, zero or less; calmar ``cagr / -max_drawdown``; excess_cagr the difference to the
    benchmark's cagr; information_ratio the sharpe of ``r - benchmark``.

    More than 6,000 returns are compounded into at most 6,000 periods as even as can be, with `periods_per_year`
    scaled to match, so that a year of minutes costs no more than twenty of days. Total return and drawdown stay
    exact; volatility and the ratios are those of the longer periods.

    Parameters
    ----------
    returns : float64 array, shape (n,)
        Simple returns. -100 % or less loses everything.
    periods_per_year : float
    confidence : float
        Between 0 and 1.
    resamples : int
    seed : int
        The same seed gives the same intervals.
    risk_free : float
        Annual, as a simple rate above -1; sharpe and sortino are those of ``r - ((1 + risk_free)**(1/p) - 1)``.
    benchmark_returns : float64 array, shape (n,), optional
        Over the same steps; resampled together with the returns.

    Returns
    -------
    BootstrapIntervals
        Without intervals, but with a reason, for fewer than 20 returns or returns that do not vary. NaN and
        infinite returns are left out with the benchmark's return of the same step, and the other way round.

    Raises
    ------
    BadInputError
        For arrays of different length, or a confidence, count or number of periods that makes no sense.
    """
    if not 0 < confidence < 1 or resamples < 1 or not 0 < periods_per_year < math.inf or not risk_free > -1:
        raise BadInputError(
            "Intervals need a confidence between 0 and 1, resamples and periods a year above 0, a rate above -1: "
            f"{confidence}, {resamples}, {periods_per_year} and {risk_free} given."
        )
    if benchmark_returns is not None and len(benchmark_returns) != len(returns):
        raise BadInputError(
            f"A benchmark needs a return for each of the run's: {len(benchmark_returns)} and {len(returns)} given."
        )
    series = (returns,) if benchmark_returns is None else (returns, benchmark_returns)
    kept, dropped = finite_rows(*series)
    n, reason, block = len(kept[0]), None, None
    if n < MIN_RETURNS:
        reason = f"{n} returns are too few to resample: it takes {MIN_RETURNS}."
    elif without_variance(kept[0]):
        reason = f"All {n} returns are the same: there is nothing to resample."
    intervals: tuple[MeasureInterval, ...] = ()
    starts = period_starts(n, MAX_PERIODS) if n else np.zeros(0, dtype=np.int64)
    a_year = periods_per_year * len(starts) / n if n else periods_per_year
    if reason is None:
        periods = periods_of(kept, starts, a_year, risk_free)
        block = optimal_block(periods.returns)
        intervals = _intervals(periods, block, confidence, resamples, seed)
    return BootstrapIntervals(
        intervals, reason, confidence, resamples, block, n, dropped, len(starts), a_year
    )


def _intervals(
    periods: Periods, block: int, confidence: float, resamples: int, seed: int
) -> tuple[MeasureInterval, ...]:
    estimates = measures_of(periods, np.arange(len(periods.returns))[None, :])
    batches = [
        measures_of(periods, rows) for rows in stationary_rows(len(periods.returns), block, resamples, seed)
    ]
    tail = (1.0 - confidence) / 2.0
    found = []
    for measure, estimate in estimates.items():
        values = np.concatenate([batch[measure] for batch in batches])
        values = values[np.isfinite(values)]
        low, high = math.nan, math.nan
        if len(values) >= (1.0 - MAX_UNDEFINED) * resamples:
            low, high = np.quantile(values, (tail, 1.0 - tail))
        found.append(MeasureInterval(measure, _finite_or_nan(float(estimate[0])), float(low), float(high)))
    return tuple(found)


def _finite_or_nan(value: float) -> float:
    return value if math.isfinite(value) else math.nan

"""Measures against the benchmark, on the steps of which both ends are known for it.

Steps where the benchmark is missing are left out here, and nowhere else. What `core.backtests.returns_measures`
says of returns, rates and missing measures holds here too; without a benchmark every measure is None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.backtests.returns_measures import (
    compound,
    correlate,
    defined,
    empyrical,
    growth,
    per_step,
    varies,
)
from core.backtests.types import EquityCurve, Floats


@dataclass(frozen=True, slots=True)
class Pairs:
    """Returns over the same steps, shape (k,) both, finite."""

    returns: Floats
    benchmark: Floats


@dataclass(frozen=True, slots=True)
class Span:
    """The curve and its benchmark between the first and the last known level of the benchmark.

    Attributes
    ----------
    steps : int
    growth, benchmark_growth : float or None
        Last value over the first.
    """

    steps: int
    growth: float | None
    benchmark_growth: float | None


def pair(curve: EquityCurve) -> Pairs:
    """Steps with a return of the benchmark; none for a curve without one."""
    benchmark = curve.benchmark_returns
    if benchmark is None:
        return Pairs(np.empty(0), np.empty(0))
    known = np.isfinite(benchmark)
    return Pairs(curve.returns[known], benchmark[known])


def span(curve: EquityCurve) -> Span:
    """What both made between the first and the last known level of the benchmark.

    From the levels and not from the pairs: over a gap of one point two steps are unknown, but not their product.
    """
    known = np.empty(0, dtype=np.int64)
    if curve.benchmark is not None:
        known = np.flatnonzero(np.isfinite(curve.benchmark))
    if curve.benchmark is None or len(known) < 2:
        return Span(0, None, None)
    first, last = int(known[0]), int(known[-1])
    return Span(
        last - first,
        growth(curve.values[first], curve.values[last]),
        growth(curve.benchmark[first], curve.benchmark[last]),
    )


def benchmark_total_return(span: Span) -> float | None:
    """Last known level over the first, minus 1."""
    return None if span.benchmark_growth is None else span.benchmark_growth - 1.0


def benchmark_cagr(span: Span, per_year: float) -> float | None:
    """Compound annual growth of the benchmark; a year is `per_year` steps of the curve."""
    return compound(span.benchmark_growth, span.steps, per_year)


def excess_return(span: Span) -> float | None:
    """Total return minus that of the benchmark, over the same span."""
    if span.growth is None or span.benchmark_growth is None:
        return None
    return span.growth - span.benchmark_growth


def beta(pairs: Pairs) -> float | None:
    """Covariance with the benchmark over its variance; None where it does not vary."""
    if not varies(pairs.benchmark):
        return None
    return defined(empyrical().beta_aligned(pairs.returns, pairs.benchmark))


def alpha(pairs: Pairs, per_year: float, risk_free: float = 0.0) -> float | None:
    """Mean of the excess return minus beta times that of the benchmark, compounded over a year."""
    slope = beta(pairs)
    if slope is None:
        return None
    rate = per_step(risk_free, per_year)
    # Not empyrical's, which warns of what a mean of -1 or less, or one that overflows, makes of the power.
    mean = float(np.mean(pairs.returns - rate - slope * (pairs.benchmark - rate)))
    return compound(1.0 + mean, 1, per_year) if mean > -1 else None


def information_ratio(pairs: Pairs) -> float | None:
    """Mean active return over its standard deviation (ddof 1), of one step."""
    if not varies(pairs.returns - pairs.benchmark):
        return None
    return defined(empyrical().excess_sharpe(pairs.returns, pairs.benchmark))


def information_ratio_annual(pairs: Pairs, per_year: float) -> float | None:
    """`information_ratio` by the root of `per_year`."""
    ratio = information_ratio(pairs)
    return None if ratio is None else defined(ratio * per_year**0.5)


def tracking_error(pairs: Pairs, per_year: float) -> float | None:
    """Standard deviation (ddof 1) of the active return, by the root of `per_year`; 0 where it does not vary."""
    active = pairs.returns - pairs.benchmark
    if len(active) < 2:
        return None
    return defined(np.std(active, ddof=1) * per_year**0.5) if varies(active) else 0.0


def correlation(pairs: Pairs) -> float | None:
    """Pearson's; None where one of the two does not vary."""
    if not (varies(pairs.returns) and varies(pairs.benchmark)):
        return None
    return defined(correlate(pairs.returns, pairs.benchmark))


def up_capture(pairs: Pairs, per_year: float) -> float | None:
    """Compound annual growth over that of the benchmark, of the steps in which the benchmark rose."""
    return _capture(pairs, pairs.benchmark > 0, per_year)


def down_capture(pairs: Pairs, per_year: float) -> float | None:
    """Compound annual growth over that of the benchmark, of the steps in which the benchmark fell."""
    return _capture(pairs, pairs.benchmark < 0, per_year)


def _capture(pairs: Pairs, steps: npt.NDArray[np.bool_], per_year: float) -> float | None:
    # Not empyrical's, which takes no number of returns a year here, only the name of a convention.
    own, market = (
        compound(float(np.prod(1.0 + returns[steps])), int(steps.sum()), per_year)
        for returns in (pairs.returns, pairs.benchmark)
    )
    return defined(own / market) if own is not None and market else None

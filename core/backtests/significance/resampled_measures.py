"""Measures of many resamples of a run's returns at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from core.backtests.significance.samples import Integers, compounded, without_variance
from core.backtests.types import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """Returns by resampled period; lows and highs are logs of the growth since the period's start.

    `rate` is the risk-free one of a period.
    """

    returns: Floats
    growth: Floats
    lowest: Floats
    highest: Floats
    deepest_fall: Floats
    benchmark: Floats | None
    a_year: float
    rate: float


def periods_of(series: tuple[Floats, ...], starts: Integers, a_year: float, risk_free: float) -> Periods:
    """Cut returns, and a benchmark's if there are two series, into periods that begin at `starts`.

    `a_year` is the count of these periods a year, `risk_free` an annual rate. What happens within a period is
    kept as far as drawdowns need it: its lowest and highest point, and its deepest fall.
    """
    longer = [compounded(values, starts) for values in series]
    with np.errstate(divide="ignore"):
        growth = np.log(np.maximum(1.0 + series[0], 0.0))
    sizes = np.diff(np.append(starts, len(growth)))
    within = np.arange(sizes.max())
    inside = within < sizes[:, None]
    path = np.zeros(inside.shape)
    path[inside] = growth
    path = np.cumsum(path, axis=1)
    peak = np.maximum.accumulate(np.maximum(path, 0.0), axis=1)
    return Periods(
        returns=longer[0],
        growth=path[:, -1],
        lowest=path.min(axis=1),
        highest=peak[:, -1],
        deepest_fall=(path - peak).min(axis=1),
        benchmark=longer[1] if len(longer) > 1 else None,
        a_year=a_year,
        rate=math.expm1(math.log1p(risk_free) / a_year),
    )


def measures_of(periods: Periods, rows: Integers) -> dict[str, Floats]:
    """Each measure of each row of indexes, shape (rows,); NaN or infinite where it is not defined."""
    a_year, n = periods.a_year, rows.shape[1]
    returns = periods.returns[rows]
    excess = returns - periods.rate
    downside = np.sqrt(np.square(np.minimum(excess, 0.0)).mean(axis=1))
    total, drawdown = _growth_and_drawdown(periods, rows)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        cagr = np.expm1(total * a_year / n)
        measures = {
            "total_return": np.expm1(total),
            "cagr": cagr,
            "volatility": returns.std(axis=1, ddof=1) * math.sqrt(a_year),
            "sharpe": _sharpe(excess, a_year),
            "sortino": excess.mean(axis=1) / downside * math.sqrt(a_year),
            "calmar": cagr / -drawdown,
            "max_drawdown": drawdown,
        }
        if periods.benchmark is not None:
            benchmark = periods.benchmark[rows]
            level = np.log(np.maximum(1.0 + benchmark, 0.0)).sum(axis=1)
            measures["excess_cagr"] = cagr - np.expm1(level * a_year / n)
            measures["information_ratio"] = _sharpe(returns - benchmark, a_year)
    return measures


def _growth_and_drawdown(periods: Periods, rows: Integers) -> tuple[Floats, Floats]:
    """Log of the growth, and the deepest fall as a fraction, of each row; both shape (rows,)."""
    level = np.cumsum(periods.growth[rows], axis=1)
    start = np.zeros_like(level)
    start[:, 1:] = level[:, :-1]
    peak = np.zeros_like(level)
    np.maximum.accumulate((start + periods.highest[rows])[:, :-1], axis=1, out=peak[:, 1:])
    across = (start + periods.lowest[rows] - peak).min(axis=1)
    return level[:, -1], np.expm1(np.minimum(across, periods.deepest_fall[rows].min(axis=1)))


def _sharpe(returns: Floats, a_year: float) -> Floats:
    flat = without_variance(returns.T)
    return np.where(flat, np.nan, returns.mean(axis=1) / returns.std(axis=1, ddof=1) * math.sqrt(a_year))

"""Measures of the returns alone: growth, risk, and growth for the risk.

What holds for all of them: `values` has shape (n + 1,) with the starting capital first, `returns` has shape (n,),
both are finite; `per_year` is the number of returns a year; `risk_free` and `threshold` are annual and become
``(1 + rate) ** (1 / per_year) - 1`` a step. A measure that is not defined is None, never 0, NaN or infinite. The
formulas, as people read them, are in `core.backtests.catalogue`.

empyrical-reloaded counts where it has the measure. It is left alone where it warns or answers with infinity (no
variation, no losses, an account below zero), and replaced, with the same values, where it is slow.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Final

import numpy as np

from core.backtests.types import Floats

NOISE: Final = 1e-14
"""Returns that deviate by less do not vary: a return itself is rounded to about 2e-16."""
TAIL: Final = 0.05


@cache
def empyrical() -> Any:
    """The library, imported when the first measure is taken: it needs most of a second, for SciPy and pandas."""
    import empyrical as library  # type: ignore[import-untyped]

    return library


def defined(value: float) -> float | None:
    """None in place of NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def per_step(annual: float, per_year: float) -> float:
    """Rate of one step that compounds to an annual one."""
    return math.expm1(math.log1p(annual) / per_year)


def varies(sample: Floats) -> bool:
    """Whether a sample has a deviation (ddof 1) that is more than rounding."""
    return len(sample) > 1 and bool(np.std(sample, ddof=1) > NOISE)


def correlate(first: Floats, second: Floats) -> float:
    """Pearson's correlation of two samples that vary.

    Summed by NumPy: the threads of BLAS, behind ``@`` and ``np.corrcoef``, cost up to 40 ms on a busy machine.
    """
    a, b = first - first.mean(), second - second.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def growth(first: float, last: float) -> float | None:
    """``last / first``; None where the first is not above zero."""
    return defined(last / first) if first > 0 else None


def compound(growth: float | None, steps: int, per_year: float) -> float | None:
    """``growth ** (per_year / steps) - 1``, and -1 where nothing is left, or less.

    Of the growth and not of a return: ``1 + (1e-20 - 1)`` is 0. None without steps, and where a few of them
    compound to more than a number can hold. Not empyrical's annual_return, which is NaN below zero and warns.
    """
    if growth is None or steps < 1:
        return None
    with np.errstate(over="ignore"):
        return defined(np.float64(max(growth, 0.0)) ** (per_year / steps) - 1.0)


def total_return(values: Floats) -> float | None:
    """Last value over the starting capital, minus 1."""
    made = growth(values[0], values[-1]) if len(values) > 1 else None
    return None if made is None else made - 1.0


def cagr(values: Floats, per_year: float) -> float | None:
    """Compound annual growth; a year is `per_year` returns."""
    return compound(growth(values[0], values[-1]), len(values) - 1, per_year) if len(values) > 1 else None


def volatility(returns: Floats, per_year: float) -> float | None:
    """Standard deviation (ddof 1) by the root of `per_year`; 0 where the returns do not vary."""
    if len(returns) < 2:
        return None
    return defined(empyrical().annual_volatility(returns, annualization=per_year)) if varies(returns) else 0.0


def sharpe(returns: Floats, per_year: float, risk_free: float = 0.0) -> float | None:
    """Mean excess return over its standard deviation (ddof 1), by the root of `per_year`."""
    if not varies(returns):
        return None
    rate = per_step(risk_free, per_year)
    return defined(empyrical().sharpe_ratio(returns, rate, annualization=per_year))


def sortino(returns: Floats, per_year: float, risk_free: float = 0.0) -> float | None:
    """Mean excess return over the root mean square of the shortfalls (of all n steps), by the root of `per_year`."""
    rate = per_step(risk_free, per_year)
    if len(returns) < 2 or returns.min() - rate >= -NOISE:
        return None
    return defined(empyrical().sortino_ratio(returns, rate, annualization=per_year))


def calmar(cagr: float | None, max_drawdown: float | None) -> float | None:
    """CAGR over the depth of the worst drawdown; None where there was none.

    Not empyrical's, which counts the drawdown anew and takes rounding for one.
    """
    return defined(cagr / -max_drawdown) if cagr is not None and max_drawdown else None


def recovery_factor(total: float | None, max_drawdown: float | None) -> float | None:
    """Total return over the depth of the worst drawdown; None where there was none."""
    return defined(total / -max_drawdown) if total is not None and max_drawdown else None


def omega(returns: Floats, per_year: float, threshold: float = 0.0) -> float | None:
    """Sum of what exceeds the threshold over the sum of what falls short of it; None where nothing does."""
    rate = per_step(threshold, per_year)
    if len(returns) < 2 or returns.min() - rate >= -NOISE:
        return None
    # Not empyrical's: it adds in a loop of Python.
    excess = returns - rate
    return defined(excess[excess > 0].sum() / -excess[excess < 0].sum())


def value_at_risk(returns: Floats) -> float | None:
    """The 5 % quantile of the returns, interpolated; a loss is negative."""
    return defined(empyrical().value_at_risk(returns, TAIL)) if len(returns) else None


def expected_shortfall(returns: Floats) -> float | None:
    """Mean of the lowest ``int(0.05 (n - 1)) + 1`` returns.

    Not empyrical's: its partition takes 11 ms for 91,000 returns that are mostly zero, sorting 1 ms (dense: 1, 4).
    """
    if not len(returns):
        return None
    return defined(np.sort(returns)[: int((len(returns) - 1) * TAIL) + 1].mean())


def tail_ratio(returns: Floats) -> float | None:
    """The 95 % quantile over the 5 % quantile, without signs; None where the latter is 0."""
    if not len(returns) or abs(np.percentile(returns, 100 * TAIL)) <= NOISE:
        return None
    return defined(empyrical().tail_ratio(returns))


def skew(returns: Floats) -> float | None:
    """Third central moment over the second to the power of 1.5, both with ddof 0 (biased, as scipy.stats.skew)."""
    return _standardised_moment(returns, 3)


def kurtosis(returns: Floats) -> float | None:
    """Fourth central moment over the square of the second, with ddof 0, minus 3 (biased, as scipy.stats)."""
    moment = _standardised_moment(returns, 4)
    return None if moment is None else moment - 3.0


def _standardised_moment(returns: Floats, order: int) -> float | None:
    if not varies(returns):
        return None
    scaled = (returns - returns.mean()) / returns.std()
    return defined(np.mean(np.square(scaled) * (scaled if order == 3 else np.square(scaled))))


def best_period(returns: Floats) -> float | None:
    """Highest return of one step."""
    return float(returns.max()) if len(returns) else None


def worst_period(returns: Floats) -> float | None:
    """Lowest return of one step."""
    return float(returns.min()) if len(returns) else None


def positive_periods(returns: Floats) -> float | None:
    """Share of the steps with a return above zero."""
    return float(np.mean(returns > 0)) if len(returns) else None


def stability(values: Floats) -> float | None:
    """R squared of a line through the logarithms of the n values after the starting capital.

    None for fewer than three values, without variation, and for an account that ends at zero or below. Not
    empyrical's, whose logarithm warns of such an account.
    """
    if len(values) < 3 or values.min() <= 0:
        return None
    logs = np.log(values[1:] / values[0])
    return defined(correlate(np.arange(len(logs), dtype=np.float64), logs) ** 2) if varies(logs) else None

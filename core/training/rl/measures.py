"""The three figures of a backtest that a trainer logs: total return, Sharpe ratio, worst drawdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.training.rl.bars import Floats, Times

_DAY: Final = np.timedelta64(1, "D")
_YEAR: Final = 365.25
_NOISE: Final = 1e-14
_CONVENTIONS: Final = ((5.0, 9.0, 52.0), (26.0, 35.0, 12.0))


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a strategy.

    Attributes
    ----------
    total_return : float
        Last value over the first, minus 1.
    sharpe : float or None
        Mean of the returns over their standard deviation (ddof 1), times the root of the returns a year; no
        risk-free rate. None where returns do not vary, as for an account that never trades.
    max_drawdown : float
        Deepest fall below the highest value before, the starting capital included; zero or negative.
    """

    total_return: float
    sharpe: float | None
    max_drawdown: float

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """Return the figures that are defined, as metrics."""
        found = {
            "total_return": self.total_return,
            "sharpe": self.sharpe,
            "max_drawdown": self.max_drawdown,
        }
        return {f"{prefix}{key}": value for key, value in found.items() if value is not None}


def figures(values: Floats, per_year: float) -> Figures:
    """Measure an equity curve.

    Parameters
    ----------
    values : float64 array, shape (n + 1,)
        Starting capital first, all above zero.
    per_year : float
        Returns a year.
    """
    returns = values[1:] / values[:-1] - 1.0
    spread = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return Figures(
        float(values[-1] / values[0] - 1.0),
        float(returns.mean() / spread * np.sqrt(per_year)) if spread > _NOISE else None,
        float((values / np.maximum.accumulate(values) - 1.0).min()),
    )


def returns_per_year(times: Times) -> float:
    """Find how many returns make a year, by the conventions of Greenroom's backtests.

    A median step under 18 hours: as counted, the returns over the elapsed years of 365.25 days. A day: 365 where
    there are bars on Saturdays and Sundays, else 252. A week: 52; a month: 12; anything else: as counted.

    Parameters
    ----------
    times : datetime64 array, shape (n + 1,)
        Rising, two at least.
    """
    steps = np.diff(times) / _DAY
    counted = float(len(steps) / (steps.sum() / _YEAR))
    typical = float(np.median(steps))
    if 0.75 <= typical <= 1.5:
        weekdays = np.bincount((times.astype("datetime64[D]").astype(np.int64) + 3) % 7, minlength=7)
        return 365.0 if weekdays[5:].min() >= len(times) / 14 else 252.0
    for shortest, longest, per_year in _CONVENTIONS:
        if shortest <= typical <= longest:
            return per_year
    return counted

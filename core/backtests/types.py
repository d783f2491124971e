"""Frozen values of backtests: curves, trades, how a year is counted, drawdowns, and what was noticed on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]
"""UTC, in microseconds (``datetime64[us]``)."""


@dataclass(frozen=True)
class EquityCurve:
    """What a portfolio was worth over time, the starting capital included.

    Attributes
    ----------
    times : datetime64[us] array, shape (n + 1,)
        UTC, strictly rising. ``times[0]`` is when the starting capital was there.
    values : float64 array, shape (n + 1,)
        In the account's currency, finite; from a table of returns, they start at 1. ``values[0]`` is the
        starting capital. Nothing follows a value of zero or less: the account is ruined there.
    benchmark : float64 array, shape (n + 1,), optional
        Level of the benchmark at the same times, NaN where it is missing.
    position : float64 array, shape (n + 1,), optional
        Signed position as logged, in whatever unit; NaN where it is missing.
    cash : float64 array, shape (n + 1,), optional
    from_returns : bool
        Whether the values were compounded from returns: they are no money then.
    """

    times: Times
    values: Floats
    benchmark: Floats | None = None
    position: Floats | None = None
    cash: Floats | None = None
    from_returns: bool = False

    def __len__(self) -> int:
        return len(self.times)

    @cached_property
    def returns(self) -> Floats:
        """Simple returns, shape (n,); the i-th leads from ``times[i]`` to ``times[i + 1]``."""
        return self.values[1:] / self.values[:-1] - 1.0

    @cached_property
    def benchmark_returns(self) -> Floats | None:
        """Simple returns of the benchmark over the same steps, shape (n,), NaN where one end is missing."""
        if self.benchmark is None:
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            returns = self.benchmark[1:] / self.benchmark[:-1] - 1.0
        return np.where(np.isfinite(returns), returns, np.nan)


@dataclass(frozen=True)
class Trades:
    """Closed and open trades, in order of entry; all arrays have shape (m,).

    Attributes
    ----------
    entry_time, exit_time : datetime64[us] array
        UTC; NaT where it was not logged, or the trade is still open.
    side : float64 array
        1 for long, -1 for short, NaN where it is not known.
    quantity, entry_price, exit_price : float64 array
        Quantity is zero or more; NaN where not logged.
    pnl : float64 array
        Profit or loss in the account's currency, after fees as far as the log says; NaN where not logged.
    fees : float64 array, optional
        Costs of the trade, zero or more; None where the table has no such column.
    """

    entry_time: Times
    exit_time: Times
    side: Floats
    quantity: Floats
    entry_price: Floats
    exit_price: Floats
    pnl: Floats
    fees: Floats | None = None

    def __len__(self) -> int:
        return len(self.pnl)


@dataclass(frozen=True, slots=True)
class Annualisation:
    """How many returns make a year, and why.

    Attributes
    ----------
    periods_per_year : float
    convention : str
        For people: "business days", "every day", "weekly", "monthly", "quarterly", "yearly", "intraday, as
        counted", "irregular, as counted", "as set".
    counted : float
        Returns a year as the time stamps have them; NaN where they span no time.
    """

    periods_per_year: float
    convention: str
    counted: float


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall below a previous peak.

    Attributes
    ----------
    depth : float
        As a fraction of the peak, zero or less: -0.25 is a fall by 25 %.
    peak, trough : datetime64[us]
        The last time at the old peak, and the lowest point after it.
    recovery : datetime64[us] or None
        First time at or above the old peak; None while it is under water.
    peak_index, trough_index : int
        Places in the curve.
    recovery_index : int or None
    """

    depth: float
    peak: np.datetime64
    trough: np.datetime64
    recovery: np.datetime64 | None
    peak_index: int
    trough_index: int
    recovery_index: int | None

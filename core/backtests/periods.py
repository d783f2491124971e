"""Parts of a curve: returns by month and by year, a window of it, and its usual step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from core.backtests.types import EquityCurve, Floats, Times, Trades
from core.errors import BadInputError

Years = npt.NDArray[np.int64]
_DATES = frozenset({"Y", "M", "W", "D"})


def typical_step(times: Times) -> np.timedelta64 | None:
    """Median time between two points, of two middle ones the shorter; None for fewer than two.

    Parameters
    ----------
    times : datetime64 array, shape (n + 1,)
        Strictly rising.
    """
    return np.quantile(np.diff(times), 0.5, method="lower") if len(times) > 1 else None


def monthly_returns(curve: EquityCurve) -> tuple[Years, Floats]:
    """Compound returns by calendar month, in UTC.

    A return belongs to the month in which it ends. A month is measured from the last value before it, so the
    first one from the starting capital, and all of them compound to the total return.

    Parameters
    ----------
    curve : EquityCurve

    Returns
    -------
    years : int array, shape (y,)
        Every year from the first to the last with a return; empty for a curve of one point.
    returns : float64 array, shape (y, 12)
        January first; NaN where no return ends in the month.
    """
    months, growth = _by_period(curve.times, curve.values, "M")
    years, rows = _years(months // 12)
    table = np.full((len(years), 12), np.nan)
    table[rows, months % 12] = growth
    return years, table


def yearly_returns(curve: EquityCurve) -> tuple[Years, Floats, Floats | None]:
    """Compound returns by calendar year, in UTC, of the curve and of its benchmark.

    Parameters
    ----------
    curve : EquityCurve

    Returns
    -------
    years : int array, shape (y,)
        Every year from the first to the last with a return; empty for a curve of one point.
    returns : float64 array, shape (y,)
        Measured as in `monthly_returns`; NaN where no return ends in the year.
    benchmark : float64 array, shape (y,), or None
        From the last known level before the year to the last known level in it; NaN where either is missing.
    """
    ended, growth = _by_period(curve.times, curve.values, "Y")
    years, rows = _years(ended)
    returns = np.full(len(years), np.nan)
    returns[rows] = growth
    if curve.benchmark is None:
        return years, returns, None
    benchmark = np.full(len(years), np.nan)
    known = np.isfinite(curve.benchmark)
    ended, growth = _by_period(curve.times[known], curve.benchmark[known], "Y")
    if len(ended):
        benchmark[ended + 1970 - years[0]] = growth
    return years, returns, benchmark


def window(
    curve: EquityCurve, start: np.datetime64 | None = None, end: np.datetime64 | None = None
) -> EquityCurve:
    """Cut the points from `start` to `end` out of a curve, both included.

    The first point that is kept is the starting capital of the new curve. The arrays are views.

    Parameters
    ----------
    curve : EquityCurve
    start, end : datetime64, optional
        UTC; no bound where None. A date without a time of day (unit D, W, M or Y) means all of it: an end
        of 2024-03-31, and one of 2024-03, keep the whole last day of March.

    Raises
    ------
    BadInputError
        Where fewer than two points are left.
    """
    low, high = bounds(start, end)
    first = 0 if low is None else int(np.searchsorted(curve.times, low, side="left"))
    last = len(curve) if high is None else int(np.searchsorted(curve.times, high, side="right"))
    if last - first < 2:
        raise BadInputError(_too_short(curve, start, end, max(0, last - first)))
    cut = slice(first, last)
    extras = {
        name: extra[cut]
        for name in ("benchmark", "position", "cash")
        if (extra := getattr(curve, name)) is not None
    }
    return replace(curve, times=curve.times[cut], values=curve.values[cut], **extras)


def window_trades(
    trades: Trades, start: np.datetime64 | None = None, end: np.datetime64 | None = None
) -> Trades:
    """Keep the trades that were entered from `start` to `end`, both included.

    Parameters
    ----------
    trades : Trades
    start, end : datetime64, optional
        As in `window`. With a bound, trades without an entry time are left out.
    """
    low, high = bounds(start, end)
    keep = np.ones(len(trades), dtype=bool)
    if low is not None:
        keep &= trades.entry_time >= low
    if high is not None:
        keep &= trades.entry_time <= high
    return Trades(
        entry_time=trades.entry_time[keep],
        exit_time=trades.exit_time[keep],
        side=trades.side[keep],
        quantity=trades.quantity[keep],
        entry_price=trades.entry_price[keep],
        exit_price=trades.exit_price[keep],
        pnl=trades.pnl[keep],
        fees=None if trades.fees is None else trades.fees[keep],
    )


def _by_period(times: Times, values: Floats, unit: str) -> tuple[Years, Floats]:
    """Count periods from 1970 in which a step ends, and the growth from the last value before to the last in."""
    if len(times) < 2:
        return np.empty(0, dtype=np.int64), np.empty(0)
    periods = times[1:].astype(f"datetime64[{unit}]").astype(np.int64)
    last = np.append(np.flatnonzero(np.diff(periods)), len(periods) - 1)
    ends = values[last + 1]
    starts = np.append(values[0], ends[:-1])
    growth = np.divide(ends, starts, out=np.full(len(ends), np.nan), where=starts != 0)
    return periods[last], growth - 1.0


def _years(since_1970: Years) -> tuple[Years, Years]:
    """Years without holes, and the row of each."""
    if not len(since_1970):
        return np.empty(0, dtype=np.int64), since_1970
    return np.arange(since_1970[0], since_1970[-1] + 1) + 1970, since_1970 - since_1970[0]


def bounds(
    start: np.datetime64 | None, end: np.datetime64 | None
) -> tuple[np.datetime64 | None, np.datetime64 | None]:
    """First and last microsecond of a window; a date without a time of day means all of it, as in `window`."""
    low = None if start is None or np.isnat(start) else start.astype("datetime64[us]")
    if end is None or np.isnat(end):
        return low, None
    if np.datetime_data(end.dtype)[0] in _DATES:
        return low, (end + 1).astype("datetime64[us]") - np.timedelta64(1, "us")
    return low, end.astype("datetime64[us]")


def _too_short(
    curve: EquityCurve, start: np.datetime64 | None, end: np.datetime64 | None, points: int
) -> str:
    seconds = curve.times.astype("datetime64[s]")
    held = f"holds {points} of the {len(curve)} points of the curve"
    return (
        f"The window from {'the start' if start is None else start} to {'the end' if end is None else end} {held}, "
        f"and two are needed for a return. The curve runs from {seconds[0]} to {seconds[-1]} (UTC): "
        "choose a window inside it."
        if len(curve)
        else "The curve has no points: log portfolio values first."
    )

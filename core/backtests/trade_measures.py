"""Measures of the table of trades: how many were won, what they made and cost, how long they were held.

A trade is closed when its exit time is known. In a table without a single exit time nobody can tell, and a trade
with a profit or loss counts as closed. What was not logged for a trade is left out of the measure that needs it,
and a measure with nothing left is None. Money is in the account's currency.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.backtests.returns_measures import defined
from core.backtests.types import EquityCurve, Floats, Trades

_DAY: Final = np.timedelta64(1, "D")
_Mask = npt.NDArray[np.bool_]


def closed(trades: Trades) -> _Mask:
    """Which trades are closed, shape (m,)."""
    exited = ~np.isnat(trades.exit_time)
    return exited if exited.any() else np.isfinite(trades.pnl)


def count(trades: Trades) -> int:
    """Closed trades."""
    return int(closed(trades).sum())


def count_side(trades: Trades, side: int) -> int | None:
    """Closed trades of a side, 1 or -1; None where no trade has one."""
    if len(trades) and np.isnan(trades.side).all():
        return None
    return int((closed(trades) & (trades.side == side)).sum())


def win_rate(trades: Trades) -> float | None:
    """Share of the closed trades with a profit above zero."""
    return _mean(_results(trades) > 0)


def expectancy(trades: Trades) -> float | None:
    """Mean profit or loss of a closed trade."""
    return _mean(_results(trades))


def payoff_ratio(trades: Trades) -> float | None:
    """Mean profit of the winners over the mean loss of the losers; None without winners or without losers."""
    results = _results(trades)
    profit, loss = _mean(results[results > 0]), _mean(results[results < 0])
    return None if profit is None or loss is None else defined(profit / -loss)


def profit_factor(trades: Trades) -> float | None:
    """Sum of the profits over the sum of the losses; None without losers."""
    results = _results(trades)
    losers = results < 0
    return defined(results[results > 0].sum() / -results[losers].sum()) if losers.any() else None


def average_holding_days(trades: Trades) -> float | None:
    """Mean time from entry to exit, in days of 24 hours."""
    held = (trades.exit_time - trades.entry_time) / _DAY
    return _mean(held[np.isfinite(held)])


def costs(trades: Trades) -> float | None:
    """Sum of the fees, those of open trades too; None where none was logged. A table without trades cost 0."""
    if trades.fees is None or (len(trades) and np.isnan(trades.fees).all()):
        return None
    return float(np.nansum(trades.fees))


def costs_of_capital(trades: Trades, curve: EquityCurve) -> float | None:
    """Costs over the starting capital; None where the curve was compounded from returns, which are no money."""
    paid = costs(trades)
    if paid is None or curve.from_returns or not len(curve) or curve.values[0] <= 0:
        return None
    return defined(paid / curve.values[0])


def turnover(trades: Trades, curve: EquityCurve, per_year: float) -> float | None:
    """Quantity by price of every entry and exit, over the mean value of the account and the years of the curve.

    A year is `per_year` returns. None where no side of any trade has both quantity and price, and where the curve
    was compounded from returns, which are no money.
    """
    if curve.from_returns:
        return None
    sides = np.concatenate((trades.quantity * trades.entry_price, trades.quantity * trades.exit_price))
    known = np.isfinite(sides)
    mean_value = curve.values.mean() if len(curve) > 1 else 0.0
    if mean_value <= 0 or (len(trades) and not known.any()):
        return None
    years = (len(curve) - 1) / per_year
    return defined(np.abs(sides[known]).sum() / mean_value / years)


def exposure(curve: EquityCurve, trades: Trades | None) -> float | None:
    """Share of the time in the market, by the clock.

    From the position where one was logged: it is held until the next point, and the time from a point without one
    is left out. Else from the trades: the time that at least one of them was open, within the curve; an open trade
    lasts to the end of the curve, one without entry time, or closed without exit time, is left out. None for a
    curve without time, and without a known position or trade; 0 for an empty table of trades.
    """
    if len(curve) < 2:
        return None
    steps = np.diff(curve.times) / _DAY
    if curve.position is not None:
        held = np.isfinite(curve.position[:-1])
        if held.any():
            return defined(steps[held & (curve.position[:-1] != 0)].sum() / steps[held].sum())
    if trades is None:
        return None
    ends = np.where(closed(trades), trades.exit_time, curve.times[-1])
    known = ~(np.isnat(trades.entry_time) | np.isnat(ends))
    if len(trades) and not known.any():
        return None
    return defined(_covered(curve, trades.entry_time[known], ends[known]) / steps.sum())


def _covered(curve: EquityCurve, starts: npt.NDArray[Any], ends: npt.NDArray[Any]) -> float:
    """Days of the curve that lie in at least one interval."""
    start, end = curve.times[0], curve.times[-1]
    order = np.argsort(starts, kind="stable")
    begin = (np.clip(starts[order], start, end) - start) / _DAY
    until = (np.clip(ends[order], start, end) - start) / _DAY
    before = np.concatenate(([0.0], np.maximum.accumulate(until)[:-1])) if len(until) else until
    return float(np.maximum(until - np.maximum(begin, before), 0.0).sum())


def _results(trades: Trades) -> Floats:
    """Profit or loss of the closed trades that have one."""
    return trades.pnl[closed(trades) & np.isfinite(trades.pnl)]


def _mean(sample: npt.NDArray[Any]) -> float | None:
    return float(sample.mean()) if len(sample) else None

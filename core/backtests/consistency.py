"""Whether trades and equity curve tell the same story: sums of money, and times."""

from __future__ import annotations

import numpy as np

from core.backtests.periods import typical_step
from core.backtests.types import EquityCurve, Trades

TOLERANCE = 0.001  # of the starting capital
_CENT = 0.01
_DAY = np.timedelta64(1, "D")
_MIDNIGHT = np.timedelta64(0, "us")


def check_trades(curve: EquityCurve, trades: Trades) -> tuple[str, ...]:
    """Compare the profits of trades with the change of equity, and their times with the curve's.

    Profits count as equal to the change up to 0.1 % of the starting capital, or half a cent a trade if that is
    more. Times may lie one typical step outside, because a date can stand for the end of its day.

    Returns
    -------
    tuple of str
        One sentence for each difference; empty when there is none, or no trade.
    """
    if not len(trades):
        return ()
    return (*_money(curve, trades), *_times(curve, trades))


def _money(curve: EquityCurve, trades: Trades) -> tuple[str, ...]:
    known = np.isfinite(trades.pnl)
    if not known.any():
        return ("No trade has a profit, so trades and curve cannot be compared in money.",)
    start = float(curve.values[0])
    if curve.from_returns or start == 1.0:
        return (
            "The curve starts at 1, so the profits of trades, which are amounts, cannot be compared with it.",
        )
    change, total = float(curve.values[-1]) - start, float(trades.pnl[known].sum())
    difference = total - change
    if abs(difference) <= max(TOLERANCE * abs(start), _CENT / 2 * int(known.sum())):
        return ()
    share = f" ({abs(difference) / start:.2%} of the starting capital)" if start > 0 else ""
    reasons = ["deposits or withdrawals", "costs outside the trades"]
    unknown = int((~known).sum())
    if unknown:
        reasons.insert(0, f"the {unknown:,} trades without a profit, open ones among them")
    return (
        f"Trades made {total:+,.2f} in all, the equity changed by {change:+,.2f}: they differ by "
        f"{abs(difference):,.2f}{share}. Possible reasons are {', '.join(reasons[:-1])} or {reasons[-1]}; none of "
        "these is logged.",
    )


def _times(curve: EquityCurve, trades: Trades) -> tuple[str, ...]:
    step = typical_step(curve.times)
    slack = _MIDNIGHT if step is None else step
    if (curve.times == curve.times.astype("datetime64[D]")).all():
        slack = max(slack, _DAY)
    first, last = curve.times[0] - slack, curve.times[-1] + slack
    outside = np.zeros(len(trades), bool)
    for times in (trades.entry_time, trades.exit_time):
        outside |= (times < first) | (times > last)  # NaT is neither
    count = int(outside.sum())
    if not count:
        return ()
    return (
        f"{count:,} of {len(trades):,} trades {'lies' if count == 1 else 'lie'} outside the curve's time, "
        f"{_day(curve.times[0])} to {_day(curve.times[-1])}.",
    )


def _day(time: np.datetime64) -> str:
    return str(np.datetime_as_string(time, unit="D"))

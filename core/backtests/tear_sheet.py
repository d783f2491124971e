"""From a curve and its trades to the frozen value that page, export and command line show."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.backtests.annualisation import annualise
from core.backtests.consistency import check_trades
from core.backtests.drawdowns import worst_drawdowns
from core.backtests.measures import Measures, measure
from core.backtests.periods import window, window_trades
from core.backtests.types import Annualisation, Drawdown, EquityCurve, Trades


@dataclass(frozen=True, slots=True)
class TearSheetOptions:
    """What a person can set.

    Attributes
    ----------
    start, end : datetime64, optional
        First and last time that counts; both included. A date without a time of day means all of it.
    periods_per_year : float, optional
        Instead of what the time stamps say.
    risk_free : float
        A year, as a fraction: 0.02 is 2 %.
    """

    start: np.datetime64 | None = None
    end: np.datetime64 | None = None
    periods_per_year: float | None = None
    risk_free: float = 0.0


@dataclass(frozen=True, slots=True)
class TearSheet:
    """A backtest as it is read: the curve within the chosen window and everything measured on it."""

    curve: EquityCurve
    trades: Trades | None
    annualisation: Annualisation
    measures: Measures
    drawdowns: tuple[Drawdown, ...]
    notes: tuple[str, ...]


def tear_sheet(
    curve: EquityCurve, trades: Trades | None, options: TearSheetOptions | None = None
) -> TearSheet:
    """Measure a backtest.

    Parameters
    ----------
    curve : EquityCurve
    trades : Trades, optional
        Those entered within the window count.
    options : TearSheetOptions, optional

    Raises
    ------
    BadInputError
        If fewer than two points lie in the window, or an option cannot be used.
    """
    options = options or TearSheetOptions()
    # How often a year is counted belongs to the whole curve: a window of a few days would guess.
    annualisation = annualise(curve.times, options.periods_per_year)
    notes = check_trades(curve, trades) if trades is not None else ()
    if options.start is not None or options.end is not None:
        curve = window(curve, options.start, options.end)
        trades = window_trades(trades, curve.times[0], curve.times[-1]) if trades is not None else None
    return TearSheet(
        curve=curve,
        trades=trades,
        annualisation=annualisation,
        measures=measure(curve, trades, annualisation, risk_free=options.risk_free),
        drawdowns=worst_drawdowns(curve, top=10),
        notes=notes,
    )


def with_benchmark(curve: EquityCurve, other: EquityCurve | None) -> EquityCurve:
    """Replace the benchmark of a curve by another curve, or by none.

    At each time stands the last known value of the other curve; NaN before it begins and after it ends.
    """
    if other is None:
        return replace(curve, benchmark=None)
    at = np.searchsorted(other.times, curve.times, side="right") - 1
    known = (at >= 0) & (curve.times <= other.times[-1])
    return replace(curve, benchmark=np.where(known, other.values[np.maximum(at, 0)], np.nan))

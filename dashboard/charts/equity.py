"""What portfolios were worth over time, with their trades, a benchmark, seed bands and marked dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from core.backtests.types import Trades
from dashboard.charts.events import Event, add_events, events_within
from dashboard.charts.theme import GREY, OKABE_ITO, add_band, empty_figure, number_axis
from dashboard.charts.thinning import band_extremes, drawable, finite
from dashboard.charts.time_series import (
    MAX_POINTS,
    TimeLine,
    Times,
    ValueAxis,
    add_lines,
    finish_over_time,
    iso_times,
    left_out_notes,
    lines_to_draw,
    period,
    points_per_line,
)
from dashboard.formats import MISSING, count

MAX_TRADES = 1_000
HEIGHT = 400

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class EquityBand:
    """What lies between two lines, such as the lowest and the highest of several seeds.

    Attributes
    ----------
    label : str
        For the note: "lowest to highest of 8 seeds".
    colour : str
    times : datetime64 array, shape (n,)
        UTC, rising.
    low, high : float array, shape (n,)
        In the unit of the lines; NaN leaves a gap.
    """

    label: str
    colour: str
    times: Times
    low: npt.NDArray[Any]
    high: npt.NDArray[Any]


def equity_figure(
    series: Sequence[TimeLine],
    *,
    log_y: bool,
    rebased: bool,
    title: str,
    y_title: str,
    trades: Trades | None = None,
    benchmark: TimeLine | None = None,
    bands: Sequence[EquityBand] = (),
    events: Sequence[Event] = (),
    max_points: int = MAX_POINTS,
) -> go.Figure:
    """Draw equity curves; a period can be picked by dragging, see `time_series.picked_period`.

    At most 20 lines and `max_points` points are drawn, longer lines thinned with their extremes kept. A
    note under the title says what was left out and what the marks mean.

    Parameters
    ----------
    log_y : bool
        Logarithmic axis; zero and less are left out.
    rebased : bool
        Every line is divided by its first value: growth of 1. A band is divided by the middle of its start.
    y_title : str
        With the unit, "Value (COP)" or "Growth of 1".
    trades : Trades, optional
        Drawn on the first line; the thousand with the largest profit or loss of those in its period.
    benchmark : TimeLine, optional
        Grey and dashed.
    events : sequence of (datetime64, str)
        UTC; upright lines, such as promotions. At most the last thirty in the period.
    """
    grey = None if benchmark is None else (_rebased(benchmark) if rebased else benchmark)
    lines = [_rebased(one) for one in series] if rebased else list(series)
    drawn = lines_to_draw(lines, grey, log=log_y)
    if not drawn:
        below_zero = log_y and any(np.isfinite(finite(one.values)).any() for one in lines)
        reason = "value is above zero: turn the log axis off" if below_zero else "finite value to draw"
        return empty_figure(title, f"No {reason}.", HEIGHT)
    limit = points_per_line(len(drawn) + 2 * len(bands), max_points)
    axis = ValueAxis(y_title, ".6~g" if rebased else ",.12~g", log=log_y)
    figure = go.Figure()
    for band in bands:
        _add_band(figure, band, limit, rebased, log_y)
    add_lines(figure, drawn, axis, limit)
    notes = []
    if trades is not None and len(trades):
        notes += [_add_trades(figure, trades, line) for line in lines_to_draw(lines[:1], None, log=log_y)]
    if bands:
        notes.append(f"band: {', '.join(dict.fromkeys(band.label for band in bands))}")
    notes += left_out_notes(lines, drawn, limit, log_y)
    marked, missing = events_within(events, *period(drawn))
    notes.append(missing)
    low, high = finish_over_time(
        figure, drawn, axis, title=title, notes=notes, height=HEIGHT, reference=1.0 if rebased else None
    )
    settings = number_axis([low, high], log_y)
    # In full also on a log axis, not as "1×10⁶".
    figure.update_yaxes(**{**settings, "tickformat": ",.12~g"} if log_y else settings)
    add_events(figure, marked, 10**low if log_y else low)
    return figure.update_layout(
        dragmode="select",
        selectdirection="h",
        newselection_line={"color": GREY, "width": 1, "dash": "dot"},
        activeselection={"fillcolor": GREY, "opacity": 0.18},
    )


def _rebased(line: TimeLine) -> TimeLine:
    values = finite(line.values)
    return replace(line, values=values / _start(values))


def _start(values: Floats) -> float:
    """Return the first value there is; NaN where it is not above zero, for then growth means nothing."""
    known = values[~np.isnan(values)]
    return float(known[0]) if len(known) and known[0] > 0 else np.nan


def _add_band(figure: go.Figure, band: EquityBand, limit: int, rebased: bool, log: bool) -> None:
    scale = _start((finite(band.low) + finite(band.high)) / 2) if rebased else 1.0
    low, high = drawable(finite(band.low) / scale, log), drawable(finite(band.high) / scale, log)
    if len(kept := band_extremes(low, high, limit)):
        add_band(figure, iso_times(band.times[kept]), low[kept], high[kept], band.colour)


def _add_trades(figure: go.Figure, trades: Trades, line: TimeLine) -> str:
    """Mark entries and exits on a line, and return what the note says of them."""
    first, last = line.times[0], line.times[-1]
    entered, left = ((first <= times) & (times <= last) for times in (trades.entry_time, trades.exit_time))
    inside = np.flatnonzero(entered | left)
    if not len(inside):
        return "no trade in this period"
    # Trades without a result sort last.
    kept = np.sort(inside[np.argsort(-np.abs(trades.pnl[inside]), kind="stable")[:MAX_TRADES]])
    figure.add_trace(_marks(trades, kept[entered[kept]], line, "entry"))
    figure.add_trace(_marks(trades, kept[left[kept]], line, "exit"))
    note = "▲ long, ▼ short entry, ✕ exit; filled blue: won, hollow orange: lost"
    if len(kept) < len(inside):
        note = f"{len(kept):,} of {count(len(inside), 'trade')}, the largest wins and losses: {note}"
    return note


def _marks(
    trades: Trades, places: npt.NDArray[np.int64], line: TimeLine, kind: Literal["entry", "exit"]
) -> go.Scatter:
    """Return marks on the line; what a trade was shows in shape and colour."""
    times = (trades.entry_time if kind == "entry" else trades.exit_time)[places]
    prices = (trades.entry_price if kind == "entry" else trades.exit_price)[places]
    side, pnl = trades.side[places], trades.pnl[places]
    entries = np.select([side > 0, side < 0], ["triangle-up", "triangle-down"], "circle")
    shapes = entries if kind == "entry" else np.full(len(places), "x")
    names = np.select([side > 0, side < 0], ["Long", "Short"], "Trade")
    results = np.select([pnl > 0, pnl < 0, pnl == 0], ["won", "lost", "even"], "result unknown")
    texts = [
        f"<b>{name} {kind}, {result}</b><br>{time.replace('T', ' ')} UTC<br>{_exact(quantity)} at {_exact(price)}"
        f"<br>Profit or loss: {_exact(gain, '+')}"
        for name, result, time, quantity, price, gain in zip(
            names, results, iso_times(times).tolist(), trades.quantity[places], prices, pnl, strict=True
        )
    ]
    return go.Scatter(
        x=iso_times(times),
        y=np.interp(_seconds(times), _seconds(line.times), line.values),
        mode="markers",
        marker={
            "symbol": np.where(pnl < 0, np.char.add(shapes, "-open"), shapes).tolist(),
            "color": np.select([pnl > 0, pnl < 0], [OKABE_ITO[0], OKABE_ITO[1]], GREY).tolist(),
            "size": 9 if len(places) <= 100 else 6,
        },
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
        cliponaxis=False,
    )


def _seconds(times: Times) -> Floats:
    return times.astype("datetime64[us]").astype(np.int64) / 1e6


def _exact(value: float, sign: str = "") -> str:
    return MISSING if np.isnan(value) else f"{value:{sign},.10g}"

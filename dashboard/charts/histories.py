"""Histories of a metric: one line a run or a group of runs, over steps or time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.charts.line_ends import LABEL_WIDTH, LineEnd, can_be_told_apart, label_ends
from dashboard.charts.theme import add_band, empty_figure, faded, finish, number_axis, plain, value_range
from dashboard.charts.thinning import band_extremes, drawable, extremes, finite
from dashboard.formats import count

MAX_SERIES = 200
MAX_POINTS = 40_000
MAX_POINTS_PER_LINE = 4_000
DIRECT_LABELS = 6

_WEBGL_FROM = 20_000
_UNITS = ((172_800.0, 86_400.0, "d"), (7_200.0, 3_600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))


@dataclass(frozen=True, slots=True, eq=False)
class HistorySeries:
    """One line: a run, or a group of runs with their mean and band.

    Attributes
    ----------
    label, colour, dash : str
        The line's name and its looks, see `theme.line_styles`.
    x : ndarray, shape (points,)
        Steps, UTC times as datetime64, or seconds since the start.
    y : ndarray of float64, shape (points,)
        NaN leaves a gap.
    raw : ndarray of float64, shape (points,), optional
        The unsmoothed values, drawn faintly.
    low, high : ndarray of float64, shape (points,), optional
        The limits of a band around `y`.
    """

    label: str
    colour: str
    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    raw: npt.NDArray[Any] | None = None
    low: npt.NDArray[Any] | None = None
    high: npt.NDArray[Any] | None = None
    dash: str = "solid"


def history_figure(
    series: Sequence[HistorySeries],
    x: Literal["step", "time", "relative"],
    log_y: bool,
    title: str,
    y_title: str,
) -> go.Figure:
    """Draw histories; up to six lines carry their name at their end, more have a legend.

    At most 200 series and about 40,000 points are drawn, 2 MB as JSON (3 MB over time): longer lines are
    thinned and keep their extremes. The note under the title states what was left out.
    """
    drawn = [one for one in series[:MAX_SERIES] if np.isfinite(drawable(one.y, log_y)).any()]
    if not drawn:
        below_zero = log_y and any(np.isfinite(finite(one.y)).any() for one in series[:MAX_SERIES])
        reason = "No value is above zero: turn the log axis off." if below_zero else _NOTHING_LOGGED
        return empty_figure(title, reason)
    lines = sum(1 + (one.raw is not None) + 2 * _has_band(one) for one in drawn)
    limit = max(5, min(MAX_POINTS // lines, MAX_POINTS_PER_LINE))
    points = sum(min(len(one.x), limit) for one in drawn)
    unit, size = _unit(drawn) if x == "relative" else ("", 1.0)
    x_title = _X_TITLES[x].format(unit=unit)

    figure = go.Figure()
    trace_type = go.Scattergl if points > _WEBGL_FROM else go.Scatter
    for one in drawn:
        _add_band(figure, one, limit, size, log_y)
    for one in drawn:
        _add_lines(figure, one, limit, size, log_y, trace_type, x_title)
    labelled = len(drawn) <= DIRECT_LABELS and can_be_told_apart([one.label for one in drawn])
    finish(
        figure,
        title=title,
        x_title=x_title,
        y_title=f"{y_title} (log)" if log_y else y_title,
        note=_note(series, drawn, limit, log_y),
        right=LABEL_WIDTH if labelled else 12,
        legend=None if labelled else "",
    )
    low, high = value_range(figure, log_y)
    figure.update_yaxes(**number_axis([low, high], log_y), range=[low, high])
    if x != "time":
        figure.update_xaxes(**number_axis([]))
    if labelled:
        label_ends(figure, [_end(one, log_y) for one in drawn], low, high)
    return figure


_NOTHING_LOGGED = "No finite value of this metric has been logged yet."
_X_TITLES = {"step": "Step", "time": "Time (UTC)", "relative": "Time since start ({unit})"}


def _has_band(one: HistorySeries) -> bool:
    return one.low is not None and one.high is not None


def _unit(drawn: Sequence[HistorySeries]) -> tuple[str, float]:
    """Choose the unit of relative times: no axis of 400,000 seconds."""
    span = max(float(np.nanmax(np.asarray(one.x, dtype=np.float64), initial=0.0)) for one in drawn)
    size, unit = next((size, unit) for least, size, unit in _UNITS if span >= least)
    return unit, size


def _x_values(values: npt.NDArray[Any], size: float) -> npt.NDArray[Any] | list[str]:
    """Return what Plotly gets: short ISO texts for times, else numbers."""
    if np.issubdtype(values.dtype, np.datetime64):
        return [str(text) for text in np.datetime_as_string(values, unit="ms")]
    return np.asarray(values, dtype=np.float64) / size


def _add_band(figure: go.Figure, one: HistorySeries, limit: int, size: float, log_y: bool) -> None:
    if one.low is None or one.high is None:
        return
    low, high = drawable(one.low, log_y), drawable(one.high, log_y)
    kept = band_extremes(low, high, limit)
    add_band(figure, _x_values(one.x[kept], size), low[kept], high[kept], one.colour)


def _add_lines(
    figure: go.Figure,
    one: HistorySeries,
    limit: int,
    size: float,
    log_y: bool,
    trace_type: type[Any],
    x_title: str,
) -> None:
    if one.raw is not None:
        raw = drawable(one.raw, log_y)
        kept = extremes(raw, limit)
        figure.add_trace(
            trace_type(
                x=_x_values(one.x[kept], size),
                y=raw[kept],
                mode="lines",
                line={"color": faded(one.colour, 0.3), "width": 1},
                hoverinfo="skip",
                showlegend=False,
            )
        )
    y = drawable(one.y, log_y)
    kept = extremes(y, limit)
    figure.add_trace(
        trace_type(
            x=_x_values(one.x[kept], size),
            y=y[kept],
            name=plain(one.label, 32),
            # A single point makes no line.
            mode="lines+markers" if np.isfinite(y).sum() <= 2 else "lines",
            line={"color": one.colour, "width": 1.8, "dash": one.dash},
            marker={"size": 6},
            hovertemplate=f"<b>{plain(one.label)}</b><br>{plain(x_title)}: %{{x}}<br>%{{y:.12~g}}<extra></extra>",
        )
    )


def _end(one: HistorySeries, log_y: bool) -> LineEnd:
    y = drawable(one.y, log_y)
    last = float(y[~np.isnan(y)][-1])
    return LineEnd(one.label, one.colour, float(np.log10(last)) if log_y else last, one.dash)


def _note(series: Sequence[HistorySeries], drawn: Sequence[HistorySeries], limit: int, log_y: bool) -> str:
    parts = []
    if left_out := len(series) - len(drawn):
        parts.append(f"{count(left_out, 'line')} of {len(series)} not drawn")
    if any(len(one.x) > limit for one in drawn):
        parts.append(f"thinned to {limit:,} points a line, extremes kept")
    infinite = sum(
        int((np.isnan(finite(one.y)) & ~np.isnan(one.y.astype(np.float64))).sum()) for one in drawn
    )
    if infinite:
        parts.append(f"{count(infinite, 'infinite value')} left out")
    if log_y and (low := sum(int((finite(one.y) <= 0).sum()) for one in drawn)):
        parts.append(f"{count(low, 'value')} of zero or less left out")
    return "; ".join(parts)

"""The rows of one store's forecast over time, and what forecast charts draw of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.events import Event, add_events, events_within
from dashboard.charts.store_marks import floats
from dashboard.charts.theme import TEXT_GREY, finish, number_axis, plain
from dashboard.charts.thinning import extremes
from dashboard.charts.time_series import Times, hover_format, iso_times
from dashboard.formats import number

MAX_POINTS = 2_000
HEIGHT = 380

Floats = npt.NDArray[np.float64]

# A pause is a gap if it is longer than nine in ten others by half: shut Sundays are none.
_USUAL_PAUSE, _LONGER = 0.9, 1.5
# Intervals reach this far beyond the lines at most, in spans of the lines, before the axis cuts them.
_INTERVAL_ROOM = 1.0
# Names of upright lines stand on their left from this share of the axis on.
_LATE = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class ForecastRows:
    """The rows of one store by time, with a row of NaN in every gap; each array has shape (n,).

    Attributes
    ----------
    times : datetime64[us] array
        UTC, rising.
    test : bool array
        Whether a row is of the test period.
    actual, predicted, lower, upper : float array
        NaN where nothing is known.
    """

    times: Times
    test: npt.NDArray[np.bool_]
    actual: Floats
    predicted: Floats
    lower: Floats
    upper: Floats

    def at(self, places: npt.NDArray[Any]) -> ForecastRows:
        """Return the rows at places, or where a mask is true."""
        return ForecastRows(*(getattr(self, one.name)[places] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class LineLook:
    """The name, colour, width in pixels and dash of a line."""

    name: str
    colour: str
    width: float
    dash: str = "solid"


ACTUAL = LineLook("Actual", TEXT_GREY, 1.4)


def forecast_rows(rows: pl.DataFrame) -> ForecastRows:
    """Return rows of `PREDICTIONS` by time, from the first with a value to the last, each time once."""
    ordered = rows.filter(pl.col("time").is_not_null()).unique("time", keep="first", maintain_order=True)
    ordered = ordered.sort("time")
    columns = [floats(ordered[name]) for name in ("actual", "predicted", "lower", "upper")]
    times = ordered["time"].cast(pl.Datetime("us")).to_numpy()
    test = (ordered["split"] == "test").fill_null(False).to_numpy()
    found = ForecastRows(times, test, *columns)
    there = np.flatnonzero(~(np.isnan(found.actual) & np.isnan(found.predicted)))
    return _with_gaps(found.at(np.arange(there[0], there[-1] + 1) if len(there) else there))


def _with_gaps(rows: ForecastRows) -> ForecastRows:
    """Put a row of NaN into each gap; it belongs to the split before it."""
    pauses = np.diff(rows.times)
    if not len(pauses):
        return rows
    usual = np.sort(pauses)[int(_USUAL_PAUSE * (len(pauses) - 1))]
    before = np.flatnonzero(pauses > _LONGER * usual)
    at = before + 1
    gap = np.full(len(at), np.nan)
    return ForecastRows(
        np.insert(rows.times, at, rows.times[before] + usual),
        np.insert(rows.test, at, rows.test[before]),
        *(np.insert(column, at, gap) for column in (rows.actual, rows.predicted, rows.lower, rows.upper)),
    )


def thinned(rows: ForecastRows) -> ForecastRows:
    """Return at most 2,000 rows; lines keep their extremes and gaps, splits where they meet."""
    turns = np.flatnonzero(np.diff(rows.test))[:2]
    each = (MAX_POINTS - 2 * len(turns)) // 2
    lines = [extremes(rows.actual, each), extremes(rows.predicted, each)]
    return rows.at(np.unique(np.concatenate([*lines, turns, turns + 1])))


def add_line(
    figure: go.Figure, times: Times, values: Floats, look: LineLook, more: Sequence[str] | None = None
) -> None:
    """Add a line from its first value to its last, with marks where a value has no neighbour.

    `more` is what hover adds to each value.
    """
    known = ~np.isnan(values)
    if not known.any():
        return
    there = np.flatnonzero(known)
    part = slice(there[0], there[-1] + 1)
    name = plain(look.name, 24)
    figure.add_trace(
        go.Scatter(
            x=iso_times(times[part]),
            y=values[part],
            name=name,
            mode="lines",
            line={"color": look.colour, "width": look.width, "dash": look.dash},
            customdata=None if more is None else more[part],
            hovertemplate=f"{name}: %{{y:,.10~g}}{'' if more is None else '%{customdata}'}<extra></extra>",
        )
    )
    alone = known & ~np.append(False, known[:-1]) & ~np.append(known[1:], False)
    if alone.any():
        figure.add_trace(
            go.Scatter(
                x=iso_times(times[alone]),
                y=values[alone],
                mode="markers",
                marker={"color": look.colour, "size": 3 + 2 * look.width},
                hoverinfo="skip",
                showlegend=False,
            )
        )


def intervals(rows: ForecastRows) -> list[str]:
    """Return what hover adds to a prediction: its interval, if there is one."""
    there = ~(np.isnan(rows.lower) | np.isnan(rows.upper))
    pairs = zip(rows.lower.tolist(), rows.upper.tolist(), there.tolist(), strict=True)
    return [f" ({number(low)} to {number(high)})" if known else "" for low, high, known in pairs]


def finish_forecast(
    figure: go.Figure,
    times: Times,
    *,
    title: str,
    y_title: str,
    notes: Sequence[str],
    events: Sequence[Event],
) -> None:
    """Give a figure of lines and intervals its axes, legend and events; `times` are all that are drawn."""
    first, last = times.min(), times.max()
    marked, missing = events_within(events, first, last)
    low, high, cut = _value_limits(figure)
    finish(
        figure,
        title=title,
        x_title="Time (UTC)",
        y_title=y_title,
        note="; ".join(note for note in [*notes, missing, cut] if note),
        height=HEIGHT,
        legend="",
    )
    # The plot begins where that of the residuals does.
    figure.update_layout(margin_l=72, hovermode="x unified")
    room = np.timedelta64(0 if first < last else 12, "h")
    figure.update_xaxes(
        type="date",
        range=iso_times(np.array([first - room, last + room])).tolist(),
        hoverformat=f"{hover_format(times)} UTC",
        spikecolor=TEXT_GREY,
        spikethickness=1,
        spikedash="dot",
    )
    figure.update_yaxes(**number_axis([low, high]), range=[low, high])
    add_events(figure, marked, low)


def mark_start(figure: go.Figure, time: np.datetime64, label: str) -> None:
    """Draw an upright line on a finished figure, its name below, where events have none, on the side with room."""
    first, last = np.array(figure.layout.xaxis.range, dtype="datetime64[us]").astype(np.int64)
    place = (time.astype("datetime64[us]").astype(np.int64) - first) / (last - first)
    (x,) = iso_times(np.array([time])).tolist()
    figure.add_vline(x=x, line={"color": TEXT_GREY, "width": 1})
    figure.add_annotation(
        x=x,
        y=0,
        yref="paper",
        text=f"{plain(label, 24)} →",
        xanchor="right" if place > _LATE else "left",
        yanchor="bottom",
        showarrow=False,
        font={"size": 11, "color": TEXT_GREY},
    )


def _value_limits(figure: go.Figure) -> tuple[float, float, str]:
    """Return limits around the lines, and around intervals as far as there is room; and a note if not."""
    lines = np.concatenate([trace.y for trace in figure.data if not trace.fill])
    everything = np.concatenate([trace.y for trace in figure.data])
    least, greatest = float(np.nanmin(lines)), float(np.nanmax(lines))
    room = _INTERVAL_ROOM * (greatest - least or abs(greatest) or 1.0)
    low, high = float(np.nanmin(everything)), float(np.nanmax(everything))
    cut = "intervals reach beyond the chart" if low < least - room or high > greatest + room else ""
    low, high = max(low, least - room), min(high, greatest + room)
    pad = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return low - pad, high + pad, cut

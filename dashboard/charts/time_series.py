"""Lines over UTC time: what the equity, drawdown and rolling charts share, and the period picked on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from dashboard.charts.line_ends import LABEL_WIDTH, LineEnd, can_be_told_apart, label_ends
from dashboard.charts.theme import GREY, faded, finish, plain, value_range
from dashboard.charts.thinning import drawable, extremes, finite
from dashboard.formats import count

MAX_LINES = 20
# Three charts of 20 lines stay under 2 MB: a point is up to 26 bytes of time and 11 of value.
MAX_POINTS = 16_000
MAX_POINTS_PER_LINE = 5_000
DIRECT_LABELS = 8

Times = npt.NDArray[np.datetime64]

# What a time is cut to, and how Plotly writes it on hover.
_UNITS: tuple[tuple[Literal["D", "m", "s", "ms"], str], ...] = (
    ("D", "%Y-%m-%d"),
    ("m", "%Y-%m-%d %H:%M"),
    ("s", "%Y-%m-%d %H:%M:%S"),
    ("ms", "%Y-%m-%d %H:%M:%S.%L"),
)


@dataclass(frozen=True, slots=True, eq=False)
class TimeLine:
    """One line: a run or its benchmark.

    Attributes
    ----------
    label, colour, dash : str
        The line's name and its looks, see `theme.line_styles`.
    times : datetime64 array, shape (n,)
        UTC, rising.
    values : float array, shape (n,)
        NaN leaves a gap.
    """

    label: str
    colour: str
    times: Times
    values: npt.NDArray[Any]
    dash: str = "solid"


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """What the y axis shows: its title, the d3 format of hover texts, the settings of Plotly's axis."""

    title: str
    hover: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    log: bool = False


def lines_to_draw(
    lines: Sequence[TimeLine], benchmark: TimeLine | None, *, log: bool = False
) -> list[TimeLine]:
    """Return the lines with something to draw, 20 at most, what cannot be drawn as NaN, and the benchmark last.

    The benchmark is grey and dashed whatever its own looks.
    """
    grey = [] if benchmark is None else [replace(benchmark, colour=GREY, dash="dash")]
    cleaned = [replace(one, values=drawable(one.values, log)) for one in [*lines[:MAX_LINES], *grey]]
    return [one for one in cleaned if not np.isnan(one.values).all()]


def points_per_line(lines: int, max_points: int) -> int:
    """Share the points of a chart among its lines."""
    return max(5, min(max_points // max(1, lines), MAX_POINTS_PER_LINE))


def add_lines(
    figure: go.Figure, drawn: Sequence[TimeLine], axis: ValueAxis, limit: int, *, fill: bool = False
) -> None:
    """Add the lines, the first on top; with `fill` the first is filled down or up to zero.

    They have no markers: those would be thousands of SVG nodes, and Streamlit hands every point in a picked
    period back to the server.
    """
    for place, one in reversed(list(enumerate(drawn))):
        kept = extremes(one.values, limit)
        single = np.isfinite(one.values).sum() <= 2
        filled = {"fill": "tozeroy", "fillcolor": faded(one.colour, 0.22)} if fill and place == 0 else {}
        figure.add_trace(
            go.Scatter(
                x=iso_times(one.times[kept]),
                y=one.values[kept],
                name=plain(one.label, 32),
                legendrank=place,
                mode="lines+markers" if single else "lines",
                line={"color": one.colour, "width": 1.4 if one.dash == "dash" else 1.8, "dash": one.dash},
                marker={"size": 6},
                hovertemplate=f"<b>{plain(one.label)}</b><br>%{{x|{hover_format(one.times)}}} UTC<br>"
                f"{plain(axis.title)}: %{{y:{axis.hover}}}<extra></extra>",
                **filled,
            )
        )


def finish_over_time(
    figure: go.Figure,
    drawn: Sequence[TimeLine],
    axis: ValueAxis,
    *,
    title: str,
    notes: Sequence[str],
    height: int,
    reference: float | None = None,
    include: Sequence[float] = (),
) -> tuple[float, float]:
    """Give a figure of lines its axes, names and reference line; return the limits of y in axis units.

    Two to eight lines carry their names at their ends; more have a legend, as have names that are too alike
    to shorten. A single run needs no name, and its benchmark is named in the note: charts of one run keep
    their whole width on a narrow screen, and their plots begin and end at the same places.

    Parameters
    ----------
    include : sequence of float
        Values for which the axis has room.
    """
    # No run is grey.
    grey = [one.label for one in drawn if one.colour == GREY]
    several = len(drawn) - len(grey) > 1
    labelled = several and len(drawn) <= DIRECT_LABELS and can_be_told_apart([one.label for one in drawn])
    named = [] if several else [f"grey, dashed: {label}" for label in grey]
    finish(
        figure,
        title=title,
        x_title="Time (UTC)",
        y_title=_titled(axis),
        note="; ".join(note for note in [*named, *notes] if note),
        height=height,
        right=_label_room(drawn) if labelled else 12,
        legend="" if several and not labelled else None,
    )
    # Room for the widest common tick, so that the plots of two figures begin at the same place.
    figure.update_layout(margin_l=72)
    low, high = value_range(figure, axis.log, include=[*include, *([] if reference is None else [reference])])
    figure.update_yaxes(**axis.settings, range=[low, high])
    first, last = period(drawn)
    room = np.timedelta64(0 if first < last else 12, "h")
    figure.update_xaxes(type="date", range=iso_times(np.array([first - room, last + room])).tolist())
    if reference is not None:
        figure.add_hline(y=reference, line={"color": GREY, "width": 1}, layer="below")
    if labelled:
        label_ends(figure, [_end(one, axis.log) for one in drawn], low, high)
    return low, high


def period(drawn: Sequence[TimeLine]) -> tuple[np.datetime64, np.datetime64]:
    """Return the first and the last time of all lines."""
    return min(one.times[0] for one in drawn), max(one.times[-1] for one in drawn)


def iso_times(times: Times) -> npt.NDArray[np.str_]:
    """Return times as the shortest ISO texts that tell them all exactly, to the millisecond at most.

    Not as numbers, which would be half as long: plotly.js draws those in the time zone of the browser. As an
    array, because Plotly looks at every item of a list.
    """
    return np.datetime_as_string(times, unit=_UNITS[_unit(times)][0])


def hover_format(times: Times) -> str:
    """Return how Plotly writes `iso_times` on hover."""
    return _UNITS[_unit(times)][1]


def left_out_notes(lines: Sequence[TimeLine], drawn: Sequence[TimeLine], limit: int, log: bool) -> list[str]:
    """Say what is not drawn: lines, points, infinite values, and values a log axis has no place for."""
    shown = [one for one in lines[:MAX_LINES] if not np.isnan(drawable(one.values, log)).all()]
    notes = []
    if left_out := len(lines) - len(shown):
        notes.append(f"{count(left_out, 'line')} of {len(lines)} not drawn")
    if any(len(one.times) > limit for one in drawn):
        notes.append(f"thinned to {limit:,} points a line, extremes kept")
    cleaned = [(finite(one.values), np.asarray(one.values, dtype=np.float64)) for one in shown]
    if infinite := sum(int((np.isnan(clean) & ~np.isnan(raw)).sum()) for clean, raw in cleaned):
        notes.append(f"{count(infinite, 'infinite value')} left out")
    if log and (low := sum(int((clean <= 0).sum()) for clean, _ in cleaned)):
        notes.append(f"{count(low, 'value')} of zero or less left out")
    return notes


def picked_period(selection: Mapping[str, Any]) -> tuple[np.datetime64, np.datetime64] | None:
    """Return the period of the box somebody drew, its start first; None without a box.

    Parameters
    ----------
    selection : mapping
        The `selection` of the event of `st.plotly_chart`.

    Returns
    -------
    pair of datetime64[us], UTC, or None
    """
    boxes = selection.get("box") or []
    edges = [str(edge) for edge in boxes[-1]["x"]] if boxes else []
    if len(edges) != 2:
        return None
    first, last = sorted(np.datetime64(edge.replace(" ", "T"), "us") for edge in edges)
    return first, last


def _unit(times: Times) -> int:
    """Return the place in `_UNITS` of the coarsest unit that loses nothing."""
    exact = times.astype("datetime64[ms]")
    return next(
        (at for at, (unit, _) in enumerate(_UNITS) if (exact == exact.astype(f"datetime64[{unit}]")).all()),
        len(_UNITS) - 1,
    )


def _label_room(drawn: Sequence[TimeLine]) -> int:
    """Return the pixels that the names need: on a narrow screen the plot needs them more."""
    return min(LABEL_WIDTH, 28 + 7 * max(len(one.label) for one in drawn))


def _titled(axis: ValueAxis) -> str:
    if not axis.log:
        return axis.title
    return f"{axis.title}, log" if axis.title.endswith(")") else f"{axis.title} (log)"


def _end(one: TimeLine, log: bool) -> LineEnd:
    last = float(one.values[~np.isnan(one.values)][-1])
    return LineEnd(one.label, one.colour, float(np.log10(last)) if log else last, one.dash)

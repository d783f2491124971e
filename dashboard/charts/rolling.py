"""A measure over a moving window: Sharpe, volatility, beta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import plotly.graph_objects as go

from dashboard.charts.theme import empty_figure
from dashboard.charts.time_series import (
    MAX_POINTS,
    TimeLine,
    ValueAxis,
    add_lines,
    finish_over_time,
    left_out_notes,
    lines_to_draw,
    points_per_line,
)

HEIGHT = 280

_LOOKS = {
    "number": (".6~g", {"tickformat": ",~g", "exponentformat": "none"}),
    "percent": (".3~%", {"tickformat": ",~%", "exponentformat": "none"}),
}


def rolling_figure(
    lines: Sequence[TimeLine],
    measure: str,
    window: str,
    *,
    reference: float | None = None,
    unit: Literal["number", "percent"] = "number",
    benchmark: TimeLine | None = None,
    max_points: int = MAX_POINTS,
) -> go.Figure:
    """Draw a measure over a moving window.

    Parameters
    ----------
    lines : sequence of TimeLine
        Over the whole period, NaN until the first window is full, so that the time axis is that of the
        equity chart.
    measure, window : str
        For the title and the axis: "Sharpe ratio", "126 business days".
    reference : float, optional
        A value that splits good from bad, such as 0 for Sharpe and 1 for beta; a thin line marks it.
    unit : "number" or "percent"
        With "percent", values are fractions.
    """
    title = f"Rolling {measure}, {window}"
    drawn = lines_to_draw(lines, benchmark)
    if not drawn:
        return empty_figure(title, f"No window of {window} is full: choose a shorter one.", HEIGHT)
    hover, settings = _LOOKS[unit]
    axis = ValueAxis(measure[:1].upper() + measure[1:], hover, settings)
    limit = points_per_line(len(drawn), max_points)
    figure = go.Figure()
    add_lines(figure, drawn, axis, limit)
    notes = left_out_notes(lines, drawn, limit, log=False)
    finish_over_time(figure, drawn, axis, title=title, notes=notes, height=HEIGHT, reference=reference)
    return figure

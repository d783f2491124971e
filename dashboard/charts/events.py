"""Upright lines at what happened over time, such as promotions, on a finished figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from dashboard.charts.theme import TEXT_GREY, plain
from dashboard.charts.time_series import hover_format, iso_times
from dashboard.formats import count

MAX_EVENTS = 30

Event = tuple[np.datetime64, str]
"""A UTC time and what happened then."""


def events_within(
    events: Sequence[Event], first: np.datetime64, last: np.datetime64
) -> tuple[list[Event], str]:
    """Return the last thirty events of a period, in order, and a note on the others."""
    marked = sorted(event for event in events if first <= event[0] <= last)[-MAX_EVENTS:]
    missing = len(events) - len(marked)
    return marked, f"{count(missing, 'event')} not marked" if missing else ""


def add_events(figure: go.Figure, events: Sequence[Event], bottom: float) -> None:
    """Draw upright lines on a finished figure, a mark to hover over below, and names where there is room."""
    if not events:
        return
    first, last = (np.datetime64(edge) for edge in figure.layout.xaxis.range)
    times = np.array([time for time, _ in events])
    named = first
    for x, (time, label) in zip(iso_times(times).tolist(), events, strict=True):
        figure.add_vline(x=x, line={"color": TEXT_GREY, "width": 1, "dash": "dot"})
        if time - named >= (last - first) / 25:
            named = time
            figure.add_annotation(
                x=x,
                y=1,
                yref="paper",
                text=plain(label, 24),
                textangle=-90,
                xanchor="right",
                yanchor="top",
                showarrow=False,
                font={"size": 11, "color": TEXT_GREY},
            )
    figure.add_trace(
        go.Scatter(
            x=iso_times(times),
            y=np.full(len(times), bottom),
            mode="markers",
            marker={"symbol": "diamond", "size": 8, "color": TEXT_GREY},
            hovertext=[plain(label) for _, label in events],
            hovertemplate=f"<b>%{{hovertext}}</b><br>%{{x|{hover_format(times)}}} UTC<extra></extra>",
            showlegend=False,
            cliponaxis=False,
        )
    )

"""Drawdown: how far each run stands below its last peak."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.backtests.types import Drawdown
from dashboard.charts.theme import GREY, OKABE_ITO, empty_figure, faded
from dashboard.charts.time_series import (
    MAX_POINTS,
    TimeLine,
    ValueAxis,
    add_lines,
    finish_over_time,
    iso_times,
    left_out_notes,
    lines_to_draw,
    points_per_line,
)
from dashboard.formats import percent

HEIGHT = 260
MAX_EPISODES = 10

_AXIS = ValueAxis(
    "Drawdown", hover=".2%", settings={"tickformat": ",~%", "zeroline": True, "exponentformat": "none"}
)


def underwater_figure(
    lines: Sequence[TimeLine],
    *,
    title: str = "Drawdown from the last peak",
    benchmark: TimeLine | None = None,
    episodes: Sequence[Drawdown] = (),
    max_points: int = MAX_POINTS,
) -> go.Figure:
    """Draw drawdowns; a single run is filled and has its worst episodes shaded.

    Parameters
    ----------
    lines : sequence of TimeLine
        Fractions of the last peak, zero or less: -0.25 is a fall by 25 %.
    episodes : sequence of Drawdown
        Worst first; the first ten are shaded from peak to recovery, or to the end of the line, and marked
        at their lowest point. Not drawn when there are several runs.
    """
    drawn = lines_to_draw(lines, benchmark)
    if not drawn:
        return empty_figure(title, "No drawdown to show: the curve has no finite value.", HEIGHT)
    limit = points_per_line(len(drawn), max_points)
    alone = len(lines) == 1
    figure = go.Figure()
    add_lines(figure, drawn, _AXIS, limit, fill=alone)
    notes = left_out_notes(lines, drawn, limit, log=False)
    shaded = list(episodes[:MAX_EPISODES]) if alone else []
    if shaded:
        _add_episodes(figure, drawn[0], shaded)
        which = "the deepest fall" if len(shaded) == 1 else f"the {len(shaded)} deepest falls"
        notes.insert(0, f"shaded: {which}, from peak to recovery")
    # Room under the deepest point for its number, and an axis of 1 % where nothing fell.
    deepest = 1.1 * min(float(np.nanmin(one.values)) for one in drawn)
    finish_over_time(
        figure,
        drawn,
        _AXIS,
        title=title,
        notes=notes,
        height=HEIGHT,
        reference=0.0,
        include=[min(deepest, -0.01)],
    )
    return figure


def _add_episodes(figure: go.Figure, line: TimeLine, episodes: Sequence[Drawdown]) -> None:
    last = line.times[-1]
    ends = [last if one.recovery is None else one.recovery for one in episodes]
    shading = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    figure.update_layout(
        shapes=[
            {**shading, "x0": x0, "x1": x1, "line": {"width": 0}, "fillcolor": faded(GREY, 0.16)}
            for x0, x1 in (
                iso_times(np.array([one.peak, end])).tolist() for one, end in zip(episodes, ends, strict=True)
            )
        ]
    )
    troughs = np.array([one.trough for one in episodes])
    figure.add_trace(
        go.Scatter(
            x=iso_times(troughs),
            y=np.array([one.depth for one in episodes]),
            mode="markers+text",
            text=[str(rank) for rank in range(1, len(episodes) + 1)],
            textposition="bottom center",
            marker={"color": OKABE_ITO[1], "size": 6, "symbol": "diamond"},
            hovertext=[_hover(rank, one) for rank, one in enumerate(episodes, start=1)],
            hovertemplate="%{hovertext}<extra></extra>",
            showlegend=False,
            cliponaxis=False,
        )
    )


def _hover(rank: int, one: Drawdown) -> str:
    known = [one.peak, one.trough] + ([] if one.recovery is None else [one.recovery])
    peak, trough, *recovery = (text.replace("T", " ") for text in iso_times(np.array(known)).tolist())
    recovered = f"recovered {recovery[0]} UTC" if recovery else "not recovered yet"
    return (
        f"<b>Fall {rank}: {percent(one.depth)}</b><br>peak {peak} UTC<br>lowest {trough} UTC<br>{recovered}"
    )

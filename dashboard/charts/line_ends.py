"""Names beside the ends of lines, moved apart where they would overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from dashboard.charts.theme import plain

LABEL_WIDTH = 134

_LABEL_LENGTH = 17
_GAP = 15.0
_SIGNS = {"solid": "━", "dash": "╍", "dot": "┅", "dashdot": "╍"}


@dataclass(frozen=True, slots=True)
class LineEnd:
    """A line's name and looks, and the height of its last value in axis units: log10 on a log axis."""

    label: str
    colour: str
    y: float
    dash: str = "solid"


def can_be_told_apart(labels: Sequence[str]) -> bool:
    """Whether names still differ when they are as short as beside a line; else a legend has to name them."""
    return len({plain(label, _LABEL_LENGTH) for label in labels}) == len(labels)


def label_ends(figure: go.Figure, ends: Sequence[LineEnd], low: float, high: float) -> None:
    """Write each line's name right of the plot, whose y axis runs from `low` to `high`.

    The figure must have its height and margins, with `LABEL_WIDTH` pixels kept free on the right.
    """
    height = float(figure.layout.height - figure.layout.margin.t - figure.layout.margin.b)
    ordered = sorted(ends, key=lambda end: end.y)
    heights = [(end.y - low) / (high - low) * height for end in ordered]
    for end, own, place in zip(ordered, heights, spread(heights, height), strict=True):
        figure.add_annotation(
            x=1,
            xref="paper",
            xanchor="left",
            xshift=6,
            y=end.y,
            yref="y",
            yanchor="middle",
            yshift=place - own,
            showarrow=False,
            text=f'<span style="color:{end.colour}">{_SIGNS[end.dash]}</span> {plain(end.label, _LABEL_LENGTH)}',
            hovertext=plain(end.label),
        )


def spread(places: Sequence[float], top: float) -> list[float]:
    """Move ascending places at least a line of text apart, none above `top`."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + _GAP) if moved else place)
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], top - _GAP * (len(moved) - 1 - index))
    return moved

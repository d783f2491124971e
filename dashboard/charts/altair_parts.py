"""What the Altair charts share: title, label axis, and the chart that says why there is nothing to see."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import altair as alt
import polars as pl

from dashboard.charts.theme import TEXT_GREY
from dashboard.formats import shortened

HEIGHT = 360
LABEL_AXIS = alt.Axis(
    labelLimit=170, ticks=False, domain=False, grid=False, labelOverlap=False, labelFlush=False
)

_TITLE_WIDTH = 46
_NOTE_WIDTH = 58


def titled(layers: Sequence[alt.Chart], title: str, note: str, height: int = HEIGHT) -> alt.LayerChart:
    """Lay charts over each other and give them a title, the note under it and the common height.

    Nothing is escaped: Vega shows texts as they are.
    """
    lines = textwrap.wrap(shortened(title, 2 * _TITLE_WIDTH), _TITLE_WIDTH)
    text = alt.TitleParams(
        lines,
        subtitle=textwrap.wrap(note, _NOTE_WIDTH),
        anchor="start",
        subtitleColor=TEXT_GREY,
        subtitlePadding=4,
    )
    chart = alt.LayerChart(layer=list(layers), data=alt.Undefined)
    return chart.properties(title=text, height=height, width="container", background="transparent")


def empty_chart(title: str, message: str, height: int = HEIGHT) -> alt.LayerChart:
    """Return a chart that says why there is nothing to see."""
    text = alt.Chart(pl.DataFrame({"nothing": [0]})).mark_text(
        text=textwrap.wrap(message, 40), fontSize=13, color=TEXT_GREY
    )
    return titled([text], title, "", height)

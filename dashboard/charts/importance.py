"""Which params move a metric: horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import altair as alt
import polars as pl

from dashboard.charts.altair_parts import LABEL_AXIS, empty_chart, titled
from dashboard.charts.columns import distinct
from dashboard.charts.theme import GREY, OKABE_ITO, TEXT_GREY
from dashboard.formats import MISSING

MAX_BARS = 20

_DIRECTIONS = ("rises", "falls", "unknown")
_COLOURS = (OKABE_ITO[0], OKABE_ITO[1], GREY)


class ImportanceRow(NamedTuple):
    """How much of a metric's variation a param explains, and its rank correlation if it is a number."""

    param: str
    importance: float
    correlation: float | None = None


def importance_chart(
    rows: Iterable[ImportanceRow | tuple[str, float, float | None]], metric: str
) -> alt.LayerChart:
    """Draw the twenty most important params of a metric; the payload stays under 20 kB.

    The number beside a bar is the rank correlation; its sign and the colour say whether the metric rises or
    falls with the param. Rows without a finite importance are left out.
    """
    found = [ImportanceRow(*row) for row in rows]
    usable = sorted((row for row in found if math.isfinite(row.importance)), key=lambda row: -row.importance)
    title = f"What moves {metric}"
    if not usable:
        return empty_chart(title, "Too few finished runs differ in their params to tell.")
    shown = usable[:MAX_BARS]
    labels = distinct([row.param for row in shown])
    values = [
        {
            "param": label,
            "importance": row.importance,
            "direction": _direction(row.correlation),
            "correlation": _signed(row.correlation),
        }
        for label, row in zip(labels, shown, strict=True)
    ]
    # Room for the number beside the longest bar.
    scale = alt.Scale(domain=[0, 1.15 * shown[0].importance or 1])
    base = alt.Chart(pl.DataFrame(values)).encode(
        y=alt.Y(field="param", type="nominal", sort=None, title=None, axis=LABEL_AXIS),
        x=alt.X(field="importance", type="quantitative", title="Importance (share)", scale=scale),
        tooltip=[
            alt.Tooltip(field="param", type="nominal", title="param"),
            alt.Tooltip(field="importance", type="quantitative", format=".6~g", title="importance"),
            alt.Tooltip(field="correlation", type="nominal", title="rank correlation"),
        ],
    )
    bars = base.mark_bar(size=11).encode(
        color=alt.Color(
            field="direction",
            type="nominal",
            title=None,
            scale=alt.Scale(domain=list(_DIRECTIONS), range=list(_COLOURS)),
            legend=None,
        )
    )
    texts = base.mark_text(align="left", dx=5, color=TEXT_GREY).encode(
        text=alt.Text(field="correlation", type="nominal")
    )
    note = "blue, +: it rises with the param; orange, -: it falls; grey: the param is not a number"
    if len(shown) < len(usable):
        note = f"{len(shown)} of {len(usable)} params; {note}"
    return titled([bars, texts], title, note)


def _direction(correlation: float | None) -> str:
    if correlation is None or not math.isfinite(correlation) or correlation == 0:
        return _DIRECTIONS[2]
    return _DIRECTIONS[0] if correlation > 0 else _DIRECTIONS[1]


def _signed(correlation: float | None) -> str:
    return MISSING if correlation is None or not math.isfinite(correlation) else f"{correlation:+.2f}"

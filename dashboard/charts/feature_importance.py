"""Which features a forecast rests on: horizontal bars."""

from __future__ import annotations

import math
from collections.abc import Sequence

import altair as alt
import polars as pl

from dashboard.charts.altair_parts import LABEL_AXIS, empty_chart, titled
from dashboard.charts.columns import distinct
from dashboard.charts.theme import OKABE_ITO, TEXT_GREY
from dashboard.charts.thinning import LARGEST_DRAWN
from dashboard.formats import count, percent

MAX_BARS = 20
HEIGHT = 420

_ROOM = 1.22


def feature_importance_chart(rows: Sequence[tuple[str, float]], what: str) -> alt.LayerChart:
    """Draw the twenty most important features, each as a share of all; the payload stays under 15 kB.

    Parameters
    ----------
    rows : sequence of (feature, importance)
        In any unit. Infinite and missing importances are left out. Negative ones, which permutation gives
        to features that mislead, are drawn to the left; shares are then of the sum of absolute values.
    what : str
        What the importances are of, for the title: "store 12".
    """
    title = f"Feature importance, {what}"
    finite = [(name, value) for name, value in rows if math.isfinite(value) and abs(value) <= LARGEST_DRAWN]
    largest = max((abs(value) for _, value in finite), default=0.0)
    if not largest:
        return empty_chart(title, "No feature has an importance.", HEIGHT)
    # Divided twice, for the sum of huge numbers would be infinite.
    total = math.fsum(abs(value) / largest for _, value in finite)
    ordered = sorted(
        ((name, value / largest / total) for name, value in finite), key=lambda row: -abs(row[1])
    )
    shown = ordered[:MAX_BARS]
    table = pl.DataFrame(
        {
            "feature": distinct([name for name, _ in shown]),
            "name": [name[:200] for name, _ in shown],
            "share": [100 * share for _, share in shown],
            "end": [max(0.0, 100 * share) for _, share in shown],
            "text": [percent(share) for _, share in shown],
        }
    )
    least, greatest = min(0.0, *table["share"]), max(*table["end"], 0.0)
    scale = alt.Scale(domain=[least, greatest + (_ROOM - 1) * (greatest - least)], nice=False)
    base = alt.Chart(table).encode(
        y=alt.Y(field="feature", type="nominal", sort=None, title=None, axis=LABEL_AXIS),
        tooltip=[
            alt.Tooltip(field="name", type="nominal", title="feature"),
            alt.Tooltip(field="share", type="quantitative", format=".6~g", title="share (%)"),
        ],
    )
    x_title = "Share of all features (%)"
    axis = alt.Axis(tickCount=4, format=".6~g")
    bars = base.mark_bar(size=11, color=OKABE_ITO[0]).encode(
        x=alt.X(field="share", type="quantitative", title=x_title, scale=scale, axis=axis)
    )
    texts = base.mark_text(align="left", dx=5, color=TEXT_GREY).encode(
        x=alt.X(field="end", type="quantitative", title=x_title, scale=scale, axis=axis),
        text=alt.Text(field="text", type="nominal"),
    )
    notes = []
    if len(shown) < len(ordered):
        together = percent(math.fsum(abs(share) for _, share in shown))
        notes.append(f"{len(shown)} of {count(len(ordered), 'feature')}, together {together}")
    if least < 0:
        notes.append("bars to the left: the forecast is better without the feature")
    return titled([bars, texts], title, "; ".join(notes), HEIGHT)

"""Which version was in Production when: a bar for each time it was there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import altair as alt
import polars as pl

from core.registry.history import Reign
from dashboard.charts.altair_parts import LABEL_AXIS, empty_chart, titled
from dashboard.charts.theme import ACCENT, GREY
from dashboard.formats import count, exact_time

MAX_REIGNS = 60
# Title, note, legend and axis take their part of the height.
_ROW, _AROUND, _MOST = 26, 168, 560
_NOW, _BEFORE = "★ in Production now", "□ before"


def reigns_chart(reigns: Sequence[Reign], now: datetime) -> alt.LayerChart:
    """Draw a row a version, the newest on top, and in it a bar for each time in Production.

    Parameters
    ----------
    reigns : sequence of Reign
        By start; the last sixty are drawn.
    now : datetime
        Where the bar of what is in Production ends.
    """
    title = "In Production over time"
    if not reigns:
        return empty_chart(title, "No version has been in Production, as far as is known.", _AROUND)
    drawn = list(reigns)[-MAX_REIGNS:]
    first = min(one.start for one in drawn)
    # A reign of seconds has to be seen beside one of months.
    least = max((now - first) / 200, timedelta(seconds=1))
    versions = sorted({one.version for one in drawn}, reverse=True)
    rows = pl.DataFrame(
        [
            {
                "version": f"v{one.version}",
                "start": one.start.replace(tzinfo=None),
                "end": max(one.end or now, one.start + least).replace(tzinfo=None),
                "state": _NOW if one.end is None else _BEFORE,
                "from": exact_time(one.start) + ("" if one.exact else ", at the latest"),
                "to": exact_time(one.end) if one.end else "now",
                "how": one.how,
                "by": one.by or "not recorded",
            }
            for one in drawn
        ]
    )
    bars = (
        alt.Chart(rows)
        .mark_bar(size=14, cornerRadius=2)
        .encode(
            y=alt.Y(
                field="version",
                type="nominal",
                sort=[f"v{one}" for one in versions],
                title=None,
                axis=LABEL_AXIS,
            ),
            x=alt.X(
                field="start",
                type="temporal",
                title="Time (UTC)",
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(labelOverlap=True, tickCount=alt.ExprRef("width < 480 ? 3 : 7")),
            ),
            x2="end",
            color=alt.Color(
                field="state",
                type="nominal",
                scale=alt.Scale(domain=[_NOW, _BEFORE], range=[ACCENT, GREY]),
                legend=alt.Legend(title=None, orient="top"),
            ),
            tooltip=[
                alt.Tooltip(field=name, type="nominal") for name in ("version", "from", "to", "how", "by")
            ],
        )
    )
    left_out = len(reigns) - len(drawn)
    notes = [
        "one bar for each time" + (f"; the last {MAX_REIGNS} of {len(reigns):,}" if left_out else ""),
        f"{count(sum(not one.exact for one in drawn), 'start')} known by MLflow's last change only"
        if any(not one.exact for one in drawn)
        else "",
    ]
    height = min(_MOST, _AROUND + _ROW * len(versions))
    return titled([bars], title, "; ".join(note for note in notes if note), height)

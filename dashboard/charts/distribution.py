"""How a metric is spread within groups of runs."""

from __future__ import annotations

import altair as alt
import polars as pl

from dashboard.charts.altair_parts import HEIGHT, LABEL_AXIS, empty_chart, titled
from dashboard.charts.columns import as_categories, as_numbers
from dashboard.charts.theme import GREY, OKABE_ITO
from dashboard.formats import count

MAX_GROUPS = 20
MIN_FOR_BOX = 5

_STATISTICS = {
    "low": pl.col("value").quantile(0.05, "linear"),
    "q1": pl.col("value").quantile(0.25, "linear"),
    "median": pl.col("value").median(),
    "q3": pl.col("value").quantile(0.75, "linear"),
    "high": pl.col("value").quantile(0.95, "linear"),
    "least": pl.col("value").min(),
    "greatest": pl.col("value").max(),
    "runs": pl.len(),
}


def distribution_chart(frame: pl.DataFrame, metric: str, group: str) -> alt.LayerChart:
    """Draw a metric's spread within each group of runs; under 30 kB whatever the number of runs.

    Groups of five runs and more are a box of the middle half with a line from the 5th to the 95th
    percentile and dots at the extremes; smaller groups show each run. At most twenty groups are drawn, the
    smallest of more together as "other"; runs without a group are "–". With more than ten groups the chart
    is twice as high. Quantiles interpolate linearly.

    Parameters
    ----------
    frame : DataFrame
        One row a run, with the columns `metric` and `group`.
    """
    title = f"{metric} by {group}"
    values = as_numbers(frame[metric])
    if values is None or values.is_null().all():
        return empty_chart(title, f"No run has a value of {metric}.")
    known = values.is_not_null()
    categories = as_categories(frame[group].filter(known), MAX_GROUPS)
    labels = pl.Series(categories.labels, dtype=pl.String).gather(categories.codes)
    runs = pl.DataFrame({"code": categories.codes, "group": labels, "value": values.filter(known)})
    groups = runs.group_by("code", "group").agg(**_STATISTICS).sort("code").drop("code")
    boxes = groups.filter(pl.col("runs") >= MIN_FOR_BOX)
    single = runs.join(groups.filter(pl.col("runs") < MIN_FOR_BOX), on="group", how="semi")

    note = f"{count(runs.height, 'run')}; box: middle half, line: 5th to 95th percentile, dots: extremes"
    if left_out := frame.height - runs.height:
        note = f"{note}; {left_out:,} without a value left out"
    y = alt.Y(field="group", type="nominal", sort=groups["group"].to_list(), title=group, axis=LABEL_AXIS)
    box = alt.Chart(boxes).encode(
        y=y,
        tooltip=[
            alt.Tooltip(field="group", type="nominal", title=group),
            *(
                alt.Tooltip(field=name, type="quantitative", format=".6~g", title=label)
                for name, label in _TOOLTIP.items()
            ),
        ],
    )
    each = (
        alt.Chart(single.select("group", "value"))
        .mark_circle(size=34, color=OKABE_ITO[0], opacity=0.8)
        .encode(
            y=y,
            x=_x("value", metric),
            tooltip=[
                alt.Tooltip(field="group", type="nominal", title=group),
                alt.Tooltip(field="value", type="quantitative", format=".12~g", title=metric),
            ],
        )
    )
    boxed = [
        box.mark_rule(color=GREY).encode(x=_x("low", metric), x2=alt.X2(field="high")),
        box.mark_bar(size=12, color=OKABE_ITO[0], opacity=0.55).encode(
            x=_x("q1", metric), x2=alt.X2(field="q3")
        ),
        box.mark_tick(size=16, thickness=2, color=OKABE_ITO[1]).encode(x=_x("median", metric)),
        box.mark_circle(size=14, color=GREY).encode(x=_x("least", metric)),
        box.mark_circle(size=14, color=GREY).encode(x=_x("greatest", metric)),
    ]
    # A layer without rows makes Vega warn of an infinite extent.
    layers = [*(boxed if boxes.height else []), *([each] if single.height else [])]
    return titled(layers, title, note, height=HEIGHT if groups.height <= 10 else 2 * HEIGHT)


_TOOLTIP = {
    "runs": "runs",
    "least": "least",
    "low": "5th percentile",
    "q1": "25th percentile",
    "median": "median",
    "q3": "75th percentile",
    "high": "95th percentile",
    "greatest": "greatest",
}


def _x(field: str, metric: str) -> alt.X:
    return alt.X(field=field, type="quantitative", title=metric, scale=alt.Scale(zero=False))

"""What changed for each store between two pipelines, and which stores moved the mean."""

from __future__ import annotations

import math

import altair as alt
import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.altair_parts import LABEL_AXIS, empty_chart, titled
from dashboard.charts.clipping import Floats, Window, window
from dashboard.charts.columns import distinct
from dashboard.charts.store_marks import (
    MarkGroup,
    StoreMarks,
    add_group,
    after_number,
    diameters,
    exact,
    floats,
    names,
)
from dashboard.charts.theme import (
    GREY,
    OKABE_ITO,
    TEXT_GREY,
    empty_figure,
    finish,
    number_axis,
    plain,
)
from dashboard.formats import count, delta, number

HEIGHT = 440
BARS_HEIGHT = 400
MAX_BARS = 40

# Verdict: colour and symbol; the last are drawn on top.
_LOOKS = {
    "same": (GREY, "square"),
    "unknown": (GREY, "x"),
    "improved": (OKABE_ITO[0], "circle"),
    "worse": (OKABE_ITO[1], "diamond"),
}


def changes_figure(changes: pl.DataFrame, measure: str, unit: str, lower_is_better: bool) -> go.Figure:
    """Draw the new value of each store against its old one; both axes have the same range.

    Where changes have been tested, those not found significant are hollow. Stores far out stand at the edge,
    as triangles that point outwards. About 170 kB for 1,115 stores.

    Parameters
    ----------
    changes : DataFrame
        Columns store, old, new, change, volume, verdict ("improved", "worse", "same", "lost", "gained" or
        "unknown") and significant (Boolean, null where it is not known). Stores without both values are
        counted in the note. `store` comes back as the first item of a selected point's `customdata`.
    measure, unit : str
        "sMAPE" and "%"; the unit may be empty.
    lower_is_better : bool
        Which side of the line of no change is named worse.
    """
    title = f"{measure}, new against old"
    old, new = floats(changes["old"]), floats(changes["new"])
    there = ~(np.isnan(old) | np.isnan(new))
    if not there.any():
        return empty_figure(title, f"No store has {measure} in both pipelines.", HEIGHT)
    rows, old, new = changes.filter(pl.Series(there)), old[there], new[there]
    shown = window(np.concatenate([old, new]))
    verdicts = [verdict if verdict in _LOOKS else "unknown" for verdict in rows["verdict"]]
    significant = rows["significant"].cast(pl.Boolean)
    tested = significant.is_not_null().any()
    volume = floats(rows["volume"])
    marks = StoreMarks(old, new, diameters(volume), _texts(rows, unit))
    figure = go.Figure()
    # Nobody asks whether a store that stayed the same did so by chance.
    judged = np.array([verdict in ("improved", "worse") for verdict in verdicts])
    hollow = judged & ~significant.fill_null(not tested).to_numpy()
    for verdict, (colour, symbol) in _LOOKS.items():
        members = np.array([one == verdict for one in verdicts])
        name = f"{verdict.capitalize()} ({members.sum():,})"
        for part, ending in ((members & hollow, "-open"), (members & ~hollow, "")):
            if part.any():
                # One entry in the legend for both.
                listed = not ending or not (members & ~hollow).any()
                group = MarkGroup(name, colour, symbol + ending, _hover(verdict), listed)
                add_group(figure, marks, part, group, shown, shown)
    notes = [
        "area: sales" if (volume > 0).any() else "",
        "dotted: no change",
        "hollow: not found significant" if hollow.any() else "",
        _beyond(old, new, shown, unit),
        _left_out(changes.filter(pl.Series(~there))),
    ]
    suffix = f" ({unit})" if unit else ""
    finish(
        figure,
        title=f"{title}: {count(rows.height, 'store')}",
        x_title=f"Old {measure}{suffix}",
        y_title=f"New {measure}{suffix}",
        note="; ".join(note for note in notes if note),
        height=HEIGHT,
        legend="",
    )
    figure.update_layout(legend_itemsizing="constant")
    axis = {**number_axis(list(shown.limits)), "range": shown.limits}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    _add_diagonal(figure, shown, lower_is_better)
    return figure


def harm_chart(changes: pl.DataFrame, measure: str, most: int = 15, *, unit: str = "") -> alt.LayerChart:
    """Draw which stores contribute most to the change of the volume-weighted mean, worst first.

    Parameters
    ----------
    changes : DataFrame
        Columns store and harm, and optionally old, new and volume for hover. `harm` is in the unit of the
        measure, above zero where the store makes the mean worse.
    most : int
        Bars, 40 at most: those with the largest contribution, whichever its sign.
    """
    title = f"Stores that moved mean {measure} most"
    harm = floats(changes["harm"])
    places = np.flatnonzero(~np.isnan(harm) & (harm != 0))
    if not len(places):
        return empty_chart(title, f"No store changed the mean of {measure}.", BARS_HEIGHT)
    largest = places[np.argsort(-np.abs(harm[places]), kind="stable")[: min(most, MAX_BARS)]]
    shown = largest[np.argsort(-harm[largest], kind="stable")]
    rows = changes[shown.tolist()]
    stores = rows["store"].cast(pl.String).fill_null("").to_list()
    table = pl.DataFrame(
        {
            "store": distinct(stores),
            "name": [store[:200] for store in stores],
            "harm": harm[shown],
            "direction": np.where(harm[shown] > 0, "worse", "better").tolist(),
            "text": [delta(value) for value in harm[shown].tolist()],
        }
    )
    details = {name: exact(floats(rows[name])) for name in ("old", "new", "volume") if name in rows.columns}
    table = table.with_columns(pl.Series(name, values) for name, values in details.items())
    difference = _difference(unit)
    suffix = f" ({difference})" if difference else ""
    low, high = min(0.0, float(harm[shown].min())), max(0.0, float(harm[shown].max()))
    x_title = f"Contribution to the mean{suffix}"
    base = alt.Chart(table).encode(
        y=alt.Y(field="store", type="nominal", sort=None, title=None, axis=LABEL_AXIS),
        x=alt.X(
            field="harm",
            type="quantitative",
            title=x_title,
            scale=alt.Scale(
                domain=[low, high],
                range=[
                    alt.ExprRef(f"{52 if low else 0}"),
                    alt.ExprRef(f"max(60, width - {52 if high else 0})"),
                ],
                nice=False,
            ),
            axis=alt.Axis(tickCount=4, format=".6~g"),
        ),
        tooltip=[
            alt.Tooltip(field="name", type="nominal", title="store"),
            alt.Tooltip(field="harm", type="quantitative", format="+,.6~g", title=f"contribution{suffix}"),
            alt.Tooltip(field="direction", type="nominal", title="mean gets"),
            *(alt.Tooltip(field=name, type="nominal", title=_HARM_TITLES[name]) for name in details),
        ],
    )
    colours = alt.Scale(domain=["worse", "better"], range=[OKABE_ITO[1], OKABE_ITO[0]])
    layers = [
        base.mark_bar(size=12).encode(
            color=alt.Color(field="direction", type="nominal", scale=colours, legend=None)
        )
    ]
    for direction in ("worse", "better"):
        right = direction == "worse"
        part = base.transform_filter(alt.FieldEqualPredicate(field="direction", equal=direction))
        texts = part.mark_text(align="left" if right else "right", dx=5 if right else -5, color=TEXT_GREY)
        layers.append(texts.encode(text=alt.Text(field="text", type="nominal")))
    zero = alt.Chart(pl.DataFrame({"harm": [0.0]})).mark_rule(color=GREY)
    layers.append(zero.encode(x=alt.X(field="harm", type="quantitative", title=x_title)))
    note = "orange, +: made it worse; blue, -: made it better"
    if len(places) > len(shown):
        rest = math.fsum(harm[places]) - math.fsum(harm[shown])
        others = count(len(places) - len(shown), "store")
        note = f"{note}; the other {others} together {delta(rest)}{after_number(difference)}"
    return titled(layers, title, note, BARS_HEIGHT)


_HARM_TITLES = {"old": "old value", "new": "new value", "volume": "sales"}
_SIGNIFICANCE = {True: "significant", False: "not significant", None: "not tested"}


def _difference(unit: str) -> str:
    """Return the unit of a difference: percentages differ by points."""
    return "points" if unit == "%" else unit


def _texts(rows: pl.DataFrame, unit: str) -> list[list[str]]:
    columns = (
        rows["store"].cast(pl.String).fill_null("").to_list(),
        names(rows["store"]),
        exact(floats(rows["old"]), plain(unit)),
        exact(floats(rows["new"]), plain(unit)),
        exact(floats(rows["change"]), plain(_difference(unit)), "+"),
        exact(floats(rows["volume"])),
        [_SIGNIFICANCE[surely] for surely in rows["significant"].cast(pl.Boolean)],
    )
    return [list(texts) for texts in zip(*columns, strict=True)]


def _hover(verdict: str) -> str:
    labels = ("old", "new", "change", "sales")
    lines = [f"{label}: %{{customdata[{place}]}}" for place, label in enumerate(labels, start=2)]
    return "<br>".join([*lines, f"{verdict}, %{{customdata[6]}}"])


def _beyond(old: Floats, new: Floats, shown: Window, unit: str) -> str:
    beyond = int(((shown.sides(old) != 0) | (shown.sides(new) != 0)).sum())
    if not beyond:
        return ""
    ends = {"below": shown.low, "above": shown.high}
    sides = {"below": -1, "above": 1}
    both = np.concatenate([shown.sides(old), shown.sides(new)])
    where = [
        f"{word} {number(end)}{after_number(unit)}"
        for word, end in ends.items()
        if (both == sides[word]).any()
    ]
    return f"triangles: {count(beyond, 'store')} {' or '.join(where)}"


def _left_out(rows: pl.DataFrame) -> str:
    """Say how many stores have no mark, and why."""
    counted = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in ("lost", "gained")}
    counted["without a value"] = rows.height - sum(counted.values())
    parts = [f"{stores:,} {reason}" for reason, stores in counted.items() if stores]
    return f"not drawn: {', '.join(parts)}" if parts else ""


def _add_diagonal(figure: go.Figure, shown: Window, lower_is_better: bool) -> None:
    low, high = shown.limits
    figure.add_shape(
        type="line",
        x0=low,
        y0=low,
        x1=high,
        y1=high,
        line={"color": TEXT_GREY, "width": 1, "dash": "dot"},
        layer="below",
    )
    above, below = ("worse", "better") if lower_is_better else ("better", "worse")
    for text, x, y, xanchor, yanchor in (
        (f"◤ {above}", 0.01, 0.99, "left", "top"),
        (f"{below} ◢", 0.99, 0.01, "right", "bottom"),
    ):
        figure.add_annotation(
            text=text,
            x=x,
            y=y,
            xref="paper",
            yref="paper",
            xanchor=xanchor,
            yanchor=yanchor,
            showarrow=False,
            font={"size": 12, "color": TEXT_GREY},
        )

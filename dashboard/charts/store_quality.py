"""How well each store is forecast: R² against sMAPE, one mark a store."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from core.forecasts.bands import BANDS, Band
from dashboard.charts.bands import BAND_COLOURS, BAND_SYMBOLS
from dashboard.charts.clipping import Floats, Window, window
from dashboard.charts.store_marks import (
    MarkGroup,
    StoreMarks,
    add_group,
    beyond_notes,
    diameters,
    exact,
    floats,
    names,
)
from dashboard.charts.theme import TEXT_GREY, empty_figure, finish, plain
from dashboard.formats import count, number

HEIGHT = 440

# R² is 1 at best, and 0 for a forecast that is always the mean: both are in view.
_BEST_R2, _MEAN_R2 = 1.0, 0.0
# Where R² falls far below zero, the axis reaches at least down to this.
_LOW_R2 = -1.0
# sMAPE ends here by definition; the axis shows at least the first tenth.
_MOST_SMAPE, _LEAST_SMAPE = 200.0, 20.0

# Pixels: the plot on a phone, a letter, a line of text.
_NARROW_PLOT, _LETTER, _LINE = 290, 6.5, 13


def quality_figure(stores: pl.DataFrame, thresholds: Sequence[tuple[str, float, float]] = ()) -> go.Figure:
    """Draw the R² of each store against its sMAPE, its area by sales, colour and symbol by quality.

    Stores far out do not squeeze the others: they stand at the edge, as triangles that point outwards, and
    hover tells their values. About 150 kB for 1,115 stores.

    Parameters
    ----------
    stores : DataFrame
        With the columns of `core.forecasts.types.STORES` that hover shows: store, partner, quality, r2,
        smape, wape, volume. `store` comes back as the first item of a selected point's `customdata`.
    thresholds : sequence of (name, least R², greatest sMAPE)
        Drawn as dotted corners with their names: stores above and left of one fulfil it.
    """
    title = "R² against sMAPE"
    r2, smape = floats(stores["r2"]), floats(stores["smape"])
    there = ~(np.isnan(r2) | np.isnan(smape))
    if not there.any():
        return empty_figure(title, "No store has both R² and sMAPE.", HEIGHT)
    rows, r2, smape = stores.filter(pl.Series(there)), r2[there], smape[there]
    corners = [one for one in thresholds if math.isfinite(one[1]) and math.isfinite(one[2])]
    x_window, y_window = _smape_window(smape, corners), _r2_window(r2, corners)
    volume = floats(rows["volume"])
    bands = [Band(name) if name in BANDS else Band.UNKNOWN for name in rows["quality"]]
    marks = StoreMarks(
        smape,
        r2,
        diameters(volume),
        _texts(rows, r2, smape, volume),
    )
    figure = go.Figure()
    for band in BANDS:
        members = np.array([one == band for one in bands])
        if members.any():
            group = MarkGroup(
                f"{band.capitalize()} ({members.sum():,})",
                BAND_COLOURS[band],
                BAND_SYMBOLS[band],
                _hover(band),
            )
            add_group(figure, marks, members, group, x_window, y_window)
    notes = [
        "area: sales" if (volume > 0).any() else "",
        *beyond_notes(r2, y_window, "R²", "", ("▼", "▲")),
        *beyond_notes(smape, x_window, "sMAPE", "%", ("◀", "▶")),
        f"{count(stores.height - rows.height, 'store')} without both values left out"
        if rows.height < stores.height
        else "",
    ]
    finish(
        figure,
        title=f"{title}: {count(rows.height, 'store')}",
        x_title="sMAPE (%)",
        y_title="R²",
        note="; ".join(note for note in notes if note),
        height=HEIGHT,
        legend="",
    )
    figure.update_layout(legend_itemsizing="constant")
    figure.update_xaxes(range=x_window.limits)
    figure.update_yaxes(range=y_window.limits, zeroline=True)
    _add_corners(figure, corners)
    return figure


def _r2_window(r2: Floats, corners: Sequence[tuple[str, float, float]]) -> Window:
    """Return the part of R² in view: far below zero it matters little how far."""
    low, least = window(r2).low, float(r2.min())
    if least < low:
        low = max(least, min(low, _LOW_R2))
    return Window(min([low, _MEAN_R2, *(least for _, least, _ in corners)]), _BEST_R2)


def _smape_window(smape: Floats, corners: Sequence[tuple[str, float, float]]) -> Window:
    high = max([window(smape).high, _LEAST_SMAPE, *(1.05 * greatest for *_, greatest in corners)])
    return Window(0.0, min(high, _MOST_SMAPE))


def _texts(rows: pl.DataFrame, r2: Floats, smape: Floats, volume: Floats) -> list[list[str]]:
    columns = (
        rows["store"].cast(pl.String).fill_null("").to_list(),
        names(rows["store"]),
        names(rows["partner"]),
        exact(r2),
        exact(smape, "%"),
        exact(floats(rows["wape"]), "%"),
        exact(volume),
    )
    return [list(texts) for texts in zip(*columns, strict=True)]


def _hover(band: Band) -> str:
    labels = ("partner", "R²", "sMAPE", "WAPE", "sales")
    lines = [f"{label}: %{{customdata[{place}]}}" for place, label in enumerate(labels, start=2)]
    return "<br>".join([*lines, f"quality: {band}"])


def _add_corners(figure: go.Figure, corners: Sequence[tuple[str, float, float]]) -> None:
    """Draw two dotted lines that meet where both limits of a quality are just kept, its name above them.

    Names that would touch on a narrow screen stand on two lines.
    """
    (left, right), (_, top) = figure.layout.xaxis.range, figure.layout.yaxis.range
    pixel = (right - left) / _NARROW_PLOT
    ends, raised = [left - 40 * pixel] * 2, 0
    for name, least, greatest in sorted(corners, key=lambda corner: corner[2]):
        text = plain(name, 16)
        start = greatest - _LETTER * len(name[:16]) * pixel
        line = 0 if start >= ends[0] else 1
        ends[line], raised = greatest, max(raised, line)
        figure.add_shape(
            type="path",
            path=f"M {left},{least} L {greatest},{least} L {greatest},{top}",
            line={"color": TEXT_GREY, "width": 1, "dash": "dot"},
            layer="below",
        )
        figure.add_annotation(
            x=greatest,
            y=1,
            yref="paper",
            xanchor="right",
            yanchor="bottom",
            yshift=_LINE * line,
            showarrow=False,
            text=text,
            hovertext=plain(f"{name}: R² from {number(least)}, sMAPE up to {number(greatest)}%", 80),
            font={"size": 11, "color": TEXT_GREY},
            borderpad=0,
        )
    if corners:
        figure.update_layout(margin_t=figure.layout.margin.t + _LINE * (1 + raised))

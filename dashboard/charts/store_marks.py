"""The marks of a chart with one mark a store: their area, their texts, those beyond the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.clipping import Floats, Window, arrows
from dashboard.charts.theme import faded, plain
from dashboard.charts.thinning import finite
from dashboard.formats import MISSING, count, number

# Diameters in pixels of the store with the median volume: fewer stores have larger marks.
_DIAMETERS = ((200, 10.0), (2_000, 7.0), (5_000, 5.0))
_SMALLEST, _LARGEST = 0.45, 3.0
_ARROW_DIAMETERS = (8.0, 12.0)


@dataclass(frozen=True, slots=True, eq=False)
class StoreMarks:
    """The marks of a chart, one item a store in every array.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        Finite values.
    diameters : ndarray of float64, shape (n,)
        See `diameters`.
    texts : sequence of list of str
        `customdata` of each mark: first the store as it is, then what hover shows, safe for Plotly.
    """

    x: Floats
    y: Floats
    diameters: Floats
    texts: Sequence[list[str]]


@dataclass(frozen=True, slots=True)
class MarkGroup:
    """One trace: its name, colour and Plotly symbol, how hover texts read, and whether the legend lists it.

    Groups of one name are shown and hidden together.
    """

    name: str
    colour: str
    symbol: str
    hover: str
    listed: bool = True


def add_group(
    figure: go.Figure,
    marks: StoreMarks,
    members: npt.NDArray[np.bool_],
    group: MarkGroup,
    x_window: Window,
    y_window: Window,
) -> None:
    """Add the marks of a group, large ones below small ones.

    They are SVG: up to 5,000 are drawn as fast as with WebGL, of which a page can have few contexts only.
    """
    x, y, sizes = marks.x[members], marks.y[members], marks.diameters[members]
    x_sides, y_sides = x_window.sides(x), y_window.sides(y)
    beyond = (x_sides != 0) | (y_sides != 0)
    # What is cut off at the edge, or too small to be a triangle, points nowhere.
    sizes = np.where(beyond, np.clip(sizes, *_ARROW_DIAMETERS), sizes)
    # The legend shows the first mark: no arrow there, if there is a choice.
    order = np.lexsort((-sizes, beyond))
    symbols = arrows(x_sides[order], y_sides[order], group.symbol)
    texts = [marks.texts[place] for place in np.flatnonzero(members)[order].tolist()]
    hollow = group.symbol.endswith("-open")
    figure.add_trace(
        go.Scatter(
            x=x_window.placed(x)[order],
            y=y_window.placed(y)[order],
            customdata=texts,
            mode="markers",
            name=plain(group.name),
            legendgroup=group.name,
            showlegend=group.listed,
            marker={
                "color": group.colour if hollow else faded(group.colour, 0.6),
                "size": np.round(sizes[order], 1).astype(np.float32),
                "symbol": symbols if beyond.any() else group.symbol,
                "opacity": 1,
                "line": {"width": 1 if hollow else 0.8, "color": group.colour},
            },
            hovertemplate=f"<b>%{{customdata[1]}}</b><br>{group.hover}<extra></extra>",
        )
    )


def diameters(volume: Floats) -> Floats:
    """Return diameters in pixels whose squares are as the volumes; unknown volumes have the median's.

    The smallest and the largest stores stay visible and do not hide others: below a fifth and above nine
    times the median volume the area changes no more.
    """
    usual = next((pixels for stores, pixels in _DIAMETERS if len(volume) <= stores), 4.0)
    known = volume[volume > 0]
    if not len(known):
        return np.full(len(volume), usual)
    scale = np.sqrt(np.maximum(volume, 0) / np.median(known))
    return usual * np.clip(np.where(np.isnan(scale), 1.0, scale), _SMALLEST, _LARGEST)


def floats(column: pl.Series) -> Floats:
    """Return a column as floats, with NaN for null, infinite and as good as infinite."""
    return finite(column.cast(pl.Float64).to_numpy())


def exact(values: Floats, unit: str = "", sign: str = "") -> list[str]:
    """Write values for hover texts, with ten significant digits."""
    end = after_number(unit)
    return [MISSING if np.isnan(value) else f"{value:{sign},.10g}{end}" for value in values.tolist()]


def after_number(unit: str) -> str:
    """Return a unit as it stands after a number: 12%, 12 EUR."""
    return unit if unit in ("", "%", plain("%")) else f" {unit}"


def names(column: pl.Series) -> list[str]:
    """Return names safe for Plotly; a missing one is a dash."""
    return [MISSING if name is None else plain(name) for name in column.cast(pl.String)]


def beyond_notes(values: Floats, shown: Window, measure: str, unit: str, arrow: tuple[str, str]) -> list[str]:
    """Say how many stores lie below and above a window, and which of two arrows stands for them."""
    sides = shown.sides(values)
    ends = ((-1, arrow[0], "below", shown.low), (1, arrow[1], "above", shown.high))
    return [
        f"{sign} {count(int((sides == side).sum()), 'store')} with {measure} {where} {number(limit)}{unit}"
        for side, sign, where, limit in ends
        if (sides == side).any()
    ]

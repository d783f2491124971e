"""Many params of many runs at once, coloured by a metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.columns import as_categories, as_numbers
from dashboard.charts.theme import GREY, HEIGHT, OKABE_ITO, empty_figure, finish, plain
from dashboard.formats import count, number, shortened

MAX_DIMENSIONS = 12
MAX_LINES = 5_000
MAX_CATEGORIES = 16

_TICKS = 6
_LABEL_LENGTH = 16
_MISSING = "missing"
_COLOURS = (
    (0, GREY),
    (0.5, GREY),
    (0.5, OKABE_ITO[0]),
    (0.9, OKABE_ITO[0]),
    (0.9, "#E69F00"),
    (1, "#E69F00"),
)
_DECADES_FOR_LOG = 2


def parallel_coordinates_figure(
    frame: pl.DataFrame, columns: Sequence[str], metric: str, *, higher_is_better: bool = True
) -> go.Figure:
    """Draw each run as a line across its params, coloured by `metric`, which is the last axis.

    The best tenth of the runs lies on top in orange, the rest of the better half in blue, the others in
    grey: where the orange lines meet is where the good values are.

    At most 12 axes (the metric is one) and 5,000 lines are drawn, under 1 MB as JSON: above that every n-th
    run by the metric, its best and worst included. Numbers over two decades and more have a logarithmic
    axis; other columns have at most 16 categories. Missing values stand below the axis, at "missing".

    Parameters
    ----------
    frame : DataFrame
        One row a run, with all of `columns` and `metric`.
    columns : sequence of str
        Params or metrics to show, most interesting first.
    metric : str
        A numeric column; runs without it are left out and counted.
    higher_is_better : bool
        Which end of the metric is the best one.
    """
    title = f"{metric} by params"
    shown = [column for column in dict.fromkeys(columns) if column != metric]
    axes = shown[: MAX_DIMENSIONS - 1]
    values = as_numbers(frame[metric])
    known = None if values is None else values.is_not_null()
    if values is None or known is None or not known.any() or not axes:
        return empty_figure(title, f"No run has a value of {metric} and a param to show.")
    order = values.filter(known).arg_sort()
    kept = order.gather(np.unique(np.linspace(0, len(order) - 1, min(len(order), MAX_LINES)).astype(int)))
    rows = frame.filter(known)[kept]
    # plotly.js draws the greatest colour last: the best runs have to have it.
    places = np.linspace(0, 1, rows.height) if higher_is_better else np.linspace(1, 0, rows.height)
    figure = go.Figure(
        go.Parcoords(
            dimensions=[_dimension(rows[column], column) for column in (*axes, metric)],
            line={"color": places, "colorscale": _COLOURS, "cmin": 0, "cmax": 1, "showscale": False},
            labelangle=30,
            labelside="top",
            unselected={"line": {"opacity": 0.06}},
        )
    )
    end = "highest" if higher_is_better else "lowest"
    notes = [f"orange: {end} tenth of {metric}; blue: rest of that half"]
    if len(order) < frame.height:
        notes.append(f"{count(frame.height - len(order), 'run')} without {metric} left out")
    if len(axes) < len(shown):
        notes.append(f"{len(axes)} of {len(shown)} columns")
    drawn = f"{len(kept):,} of " if len(kept) < len(order) else ""
    finish(
        figure, title=f"{title}: {drawn}{count(len(order), 'run')}", note="; ".join(notes), height=HEIGHT + 80
    )
    top = figure.layout.margin.t
    return figure.update_layout(margin={"t": top + 72, "b": 24, "l": 64, "r": 24})


def _dimension(column: pl.Series, name: str) -> dict[str, Any]:
    numbers = as_numbers(column)
    if numbers is None:
        categories = as_categories(column, MAX_CATEGORIES)
        # Tick texts are drawn as they are: escaping them would show the escapes.
        texts = [shortened(label, _LABEL_LENGTH) for label in categories.labels]
        positions = list(range(len(texts)))
        return {
            "label": plain(name, 20),
            "values": categories.codes.to_numpy(),
            "tickvals": positions,
            "ticktext": texts,
        }
    return _numeric_axis(numbers, name)


def _numeric_axis(numbers: pl.Series, name: str) -> dict[str, Any]:
    """Return values, ticks and range of a numeric axis, with a place for missing values under it."""
    label = plain(name, 20)
    values: npt.NDArray[np.float64] = numbers.to_numpy().astype(np.float64)
    missing = np.isnan(values)
    known = values[~missing]
    if not len(known):
        return {"label": label, "values": np.zeros(len(values)), "tickvals": [0], "ticktext": [_MISSING]}
    log = known.min() > 0 and np.log10(known.max()) - np.log10(known.min()) >= _DECADES_FOR_LOG
    if log:
        values, known, label = np.log10(values), np.log10(known), f"{label} (log)"
    low, high = float(known.min()), float(known.max())
    ticks = np.unique(known)
    if len(ticks) > _TICKS:
        ticks = _round_ticks(low, high, log)
    texts = [number(float(10**tick if log else tick)) for tick in ticks]
    if not missing.any():
        return {"label": label, "values": values, "tickvals": ticks, "ticktext": texts}
    below = low - 0.15 * (high - low or abs(low) or 1.0)
    values[missing] = below
    return {
        "label": label,
        "values": values,
        "tickvals": [below, *ticks],
        "ticktext": [_MISSING, *texts],
        "range": [below, high],
    }


def _round_ticks(low: float, high: float, log: bool) -> npt.NDArray[np.float64]:
    """Return round numbers between two: decades on a logarithmic axis, else steps of 1, 2 or 5."""
    step = (high - low) / _TICKS
    power = 10.0 ** np.floor(np.log10(step))
    sizes = (power * factor for factor in (1, 2, 5, 10))
    step = max(1.0, np.ceil(step)) if log else next(size for size in sizes if size >= step)
    ticks: npt.NDArray[np.float64] = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return ticks

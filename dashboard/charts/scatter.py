"""One value of the runs against another."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.columns import as_axis
from dashboard.charts.marks import marks, marks_figure
from dashboard.charts.theme import DENSITY, colour_bar, empty_figure, finish, number_axis, plain
from dashboard.formats import count

MAX_POINTS = 20_000
MAX_CATEGORIES = 20
CELLS = (60, 40)


def scatter_figure(
    frame: pl.DataFrame,
    x: str,
    y: str,
    colour_by: str | None = None,
    ids: str = "run_id",
    names: str | None = None,
    *,
    log_x: bool = False,
    log_y: bool = False,
) -> go.Figure:
    """Draw one column of a run table against another, one mark a run.

    A column of numbers, or of texts that all read as numbers, has a numeric axis; times have a time axis;
    anything else has at most 20 categories, the rarest summed up as "other". Above 20,000 runs two numeric
    columns without `colour_by` become a density of 60 x 40 cells; otherwise every n-th run is drawn, and
    always the runs with the extreme values. The payload stays under 3 MB, or 5 MB where names are
    nothing but markup.

    Parameters
    ----------
    frame : DataFrame
        One row a run.
    x, y, colour_by, ids, names : str
        Names of columns. `ids` comes back as the first item of a selected point's `customdata`; `names`,
        if given, shows on hover.
    log_x, log_y : bool
        Logarithmic axes, for numbers; zero and less are left out.

    Returns
    -------
    Figure
        Its title counts the runs; a note counts those left out for a missing or infinite value.
    """
    title = f"{y} against {x}"
    xs, ys = as_axis(frame[x], MAX_CATEGORIES, log_x), as_axis(frame[y], MAX_CATEGORIES, log_y)
    there = xs.is_not_null() & ys.is_not_null()
    rows, xs, ys = frame.filter(there), xs.filter(there), ys.filter(there)
    if rows.is_empty():
        return empty_figure(title, f"No run has both {x} and {y}.")
    left_out = frame.height - rows.height
    numeric = xs.dtype.is_numeric() and ys.dtype.is_numeric()
    if rows.height > MAX_POINTS and colour_by is None and numeric:
        figure = _density(xs.to_numpy(), ys.to_numpy(), log_x, log_y)
        title = f"{title}: {count(rows.height, 'run')}, counted by cell"
    else:
        kept = _thinned(xs, ys)
        drawn = f"{len(kept):,} of " if len(kept) < rows.height else ""
        title = f"{title}: {drawn}{count(rows.height, 'run')}"
        rows = rows[kept]
        colours = None if colour_by is None else rows[colour_by]
        figure = marks_figure(marks(rows, xs[kept], ys[kept], ids, names), x, y, colours)
    note = f"{count(left_out, 'run')} without both values left out" if left_out else ""
    legend = colour_by if any(trace.name for trace in figure.data) else None
    finish(figure, title=title, x_title=x, y_title=y, note=note, legend=legend)
    figure.update_xaxes(**_axis_kind(xs, log_x))
    return figure.update_yaxes(**_axis_kind(ys, log_y))


def _axis_kind(values: pl.Series, log: bool) -> dict[str, Any]:
    if isinstance(values.dtype, pl.Enum):
        order = [plain(label) for label in values.dtype.categories if (values == label).any()]
        return {"type": "category", "categoryorder": "array", "categoryarray": order}
    if values.dtype.is_temporal():
        return {"type": "date"}
    return number_axis(values.to_numpy(), log)


def _thinned(xs: pl.Series, ys: pl.Series) -> list[int]:
    """Return the rows to draw: all, or every n-th and the four with the extreme values."""
    if len(xs) <= MAX_POINTS:
        return list(range(len(xs)))
    kept = set(np.linspace(0, len(xs) - 1, MAX_POINTS - 4).astype(int).tolist())
    for values in (xs.to_physical(), ys.to_physical()):
        kept |= {values.arg_min() or 0, values.arg_max() or 0}
    return sorted(kept)


def _density(xs: np.ndarray[Any, Any], ys: np.ndarray[Any, Any], log_x: bool, log_y: bool) -> go.Figure:
    """Count runs by cell; empty cells stay empty."""
    counts, x_edges, y_edges = np.histogram2d(
        np.log10(xs) if log_x else xs, np.log10(ys) if log_y else ys, bins=CELLS
    )
    counts[counts == 0] = np.nan
    return go.Figure(
        go.Heatmap(
            x=10**x_edges if log_x else x_edges,
            y=10**y_edges if log_y else y_edges,
            z=counts.T,
            colorscale=DENSITY,
            colorbar=colour_bar("runs"),
            hovertemplate="x: %{x:.4~g}<br>y: %{y:.4~g}<br>%{z:,} runs<extra></extra>",
        )
    )

"""One value of the runs against another."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.columns import as_categories, as_numbers
from dashboard.charts.theme import CONTINUOUS, DENSITY, GREY, OKABE_ITO, empty_figure, finish, plain
from dashboard.formats import count, short_id

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
) -> go.Figure:
    """Draw one column of a run table against another, one mark a run.

    A column of numbers, or of texts that all read as numbers, has a numeric axis; times have a time axis;
    anything else has at most 20 categories, the rarest summed up as "other". Above 20,000 runs two numeric
    columns without `colour_by` become a density of 60 x 40 cells; otherwise every n-th run is drawn, the
    runs with the extreme values always. The payload stays under 4 MB.

    Parameters
    ----------
    frame : DataFrame
        One row a run.
    x, y, colour_by, ids, names : str
        Names of columns. `ids` comes back as the first item of a selected point's `customdata`; `names`,
        if given, shows on hover.

    Returns
    -------
    Figure
        Its title counts the runs drawn; a note counts those left out for a missing or infinite value.
    """
    title = f"{y} against {x}"
    xs, ys = _axis_values(frame[x]), _axis_values(frame[y])
    there = xs.is_not_null() & ys.is_not_null()
    rows = frame.filter(there)
    left_out = frame.height - rows.height
    note = f"{count(left_out, 'run')} without both values left out" if left_out else ""
    if rows.is_empty():
        return empty_figure(title, f"No run has both {x} and {y}.")
    xs, ys = xs.filter(there), ys.filter(there)
    if rows.height > MAX_POINTS and colour_by is None and xs.dtype.is_numeric() and ys.dtype.is_numeric():
        figure = _density(xs.to_numpy(), ys.to_numpy())
        title = f"{title}: {count(rows.height, 'run')}, counted by cell"
    else:
        kept = _thinned(xs, ys)
        if len(kept) < rows.height:
            title = f"{title}: {len(kept):,} of {count(rows.height, 'run')} drawn"
        else:
            title = f"{title}: {count(rows.height, 'run')}"
        rows, xs, ys = rows[kept], xs[kept], ys[kept]
        figure = _points(rows, xs, ys, colour_by, ids, names, x, y)
    finish(figure, title=title, x_title=x, y_title=y, note=note)
    for values, update in ((xs, figure.update_xaxes), (ys, figure.update_yaxes)):
        update(**_axis_kind(values))
    return figure


def _axis_values(column: pl.Series) -> pl.Series:
    """Return a column as floats, ISO texts of times, or an enumeration of category labels."""
    if (numbers := as_numbers(column)) is not None:
        return numbers
    if column.dtype.is_temporal():
        return column.cast(pl.Datetime("ms"))
    categories = as_categories(column.drop_nulls(), MAX_CATEGORIES)
    labels = pl.Series(categories.labels, dtype=pl.String)[categories.codes]
    filled = pl.Series([None] * len(column), dtype=pl.String).scatter(column.is_not_null().arg_true(), labels)
    return filled.cast(pl.Enum(categories.labels))


def _axis_kind(values: pl.Series) -> dict[str, Any]:
    if isinstance(values.dtype, pl.Enum):
        order = [plain(label) for label in values.dtype.categories]
        return {"type": "category", "categoryorder": "array", "categoryarray": order}
    return {"type": "date" if values.dtype.is_temporal() else "linear"}


def _drawable(values: pl.Series) -> Any:
    """Return what Plotly gets for a column."""
    if isinstance(values.dtype, pl.Enum):
        return [plain(label) for label in values.to_list()]
    if values.dtype.is_temporal():
        return values.dt.strftime("%Y-%m-%dT%H:%M:%S").to_list()
    return values.to_numpy()


def _thinned(xs: pl.Series, ys: pl.Series) -> list[int]:
    """Return the rows to draw: all, or every n-th and the four with the extreme values."""
    if len(xs) <= MAX_POINTS:
        return list(range(len(xs)))
    kept = set(np.linspace(0, len(xs) - 1, MAX_POINTS - 4).astype(int).tolist())
    for values in (xs, ys):
        ranks = values.to_physical()
        kept |= {position for position in (ranks.arg_min(), ranks.arg_max()) if position is not None}
    return sorted(kept)


def _points(
    rows: pl.DataFrame,
    xs: pl.Series,
    ys: pl.Series,
    colour_by: str | None,
    ids: str,
    names: str | None,
    x: str,
    y: str,
) -> go.Figure:
    figure = go.Figure()
    run_ids = rows[ids].cast(pl.String).to_list()
    labels = run_ids if names is None else rows[names].cast(pl.String).fill_null("").to_list()
    custom = [
        [run_id, plain(short_id(run_id) if names is None else f"{label} · {short_id(run_id)}", 40)]
        for run_id, label in zip(run_ids, labels, strict=True)
    ]
    hover = f"<b>%{{customdata[1]}}</b><br>{plain(x)}: {_hover(xs, 'x')}<br>{plain(y)}: {_hover(ys, 'y')}"
    for name, positions, marker in _groups(None if colour_by is None else rows[colour_by]):
        extra = f"<br>{plain(colour_by)}: {_colour_hover(name)}" if colour_by else ""
        figure.add_trace(
            go.Scattergl(
                x=_drawable(xs[positions]),
                y=_drawable(ys[positions]),
                customdata=[custom[position] for position in positions],
                mode="markers",
                name=plain(name),
                marker={"size": 6 if rows.height < 2_000 else 4, "opacity": 0.75, **marker},
                hovertemplate=f"{hover}{extra}<extra></extra>",
            )
        )
    if colour_by is not None:
        figure.update_layout(
            showlegend=len(figure.data) > 1,
            legend={"title": {"text": plain(colour_by)}, "orientation": "h", "y": -0.2, "yanchor": "top"},
        )
        figure.update_traces(marker_colorbar_title_text=plain(colour_by, 16), selector=_has_colour_bar)
    return figure


def _groups(column: pl.Series | None) -> list[tuple[str, list[int], dict[str, Any]]]:
    """Return name, rows and marker of each trace: one, one by one scale, or one a category."""
    if column is None:
        return [("", [], {})]
    return []


def _hover(values: pl.Series, axis: str) -> str:
    return f"%{{{axis}:.12~g}}" if values.dtype.is_numeric() else f"%{{{axis}}}"

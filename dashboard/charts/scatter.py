"""One value of the runs against another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.columns import as_axis, as_categories, as_numbers
from dashboard.charts.theme import (
    CONTINUOUS,
    DENSITY,
    GREY,
    OKABE_ITO,
    colour_bar,
    empty_figure,
    finish,
    plain,
)
from dashboard.formats import MISSING, count, short_id

MAX_POINTS = 20_000
MAX_CATEGORIES = 20
CELLS = (60, 40)

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")


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
    always the runs with the extreme values. The payload stays under 4 MB.

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
        hover = _hover({x: ("x", xs), y: ("y", ys)})
        figure = _points(_marks(rows, xs, ys, ids, names)[kept], hover, colour_by, rows)
    note = f"{count(left_out, 'run')} without both values left out" if left_out else ""
    finish(figure, title=title, x_title=x, y_title=y, note=note)
    figure.update_xaxes(**_axis_kind(xs, log_x))
    return figure.update_yaxes(**_axis_kind(ys, log_y))


def _axis_kind(values: pl.Series, log: bool) -> dict[str, Any]:
    if isinstance(values.dtype, pl.Enum):
        order = [plain(label) for label in values.dtype.categories if (values == label).any()]
        return {"type": "category", "categoryorder": "array", "categoryarray": order}
    if values.dtype.is_temporal():
        return {"type": "date"}
    return {"type": "log" if log else "linear"}


def _thinned(xs: pl.Series, ys: pl.Series) -> list[int]:
    """Return the rows to draw: all, or every n-th and the four with the extreme values."""
    if len(xs) <= MAX_POINTS:
        return list(range(len(xs)))
    kept = set(np.linspace(0, len(xs) - 1, MAX_POINTS - 4).astype(int).tolist())
    for values in (xs.to_physical(), ys.to_physical()):
        kept |= {values.arg_min() or 0, values.arg_max() or 0}
    return sorted(kept)


def _marks(rows: pl.DataFrame, xs: pl.Series, ys: pl.Series, ids: str, names: str | None) -> pl.DataFrame:
    """Return the marks as Plotly gets them: x, y, id and the name shown on hover."""
    run_ids = rows[ids].cast(pl.String)
    texts = run_ids.to_list() if names is None else rows[names].cast(pl.String).fill_null("").to_list()
    labels = [
        plain(short_id(run_id) if names is None else f"{text} · {short_id(run_id)}", 40)
        for run_id, text in zip(run_ids, texts, strict=True)
    ]
    columns = {"x": _drawable(xs), "y": _drawable(ys), "id": run_ids, "label": pl.Series(labels)}
    return pl.DataFrame(columns).with_row_index("row")


def _drawable(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Enum):
        return values.cast(pl.String).replace({label: plain(label) for label in values.dtype.categories})
    return values.dt.strftime("%Y-%m-%dT%H:%M:%S") if values.dtype.is_temporal() else values


def _hover(axes: dict[str, tuple[str, pl.Series]]) -> str:
    lines = [
        f"{plain(name)}: %{{{axis}{':.12~g' if values.dtype.is_numeric() else ''}}}"
        for name, (axis, values) in axes.items()
    ]
    return "<br>".join(["<b>%{customdata[1]}</b>", *lines])


def _points(marks: pl.DataFrame, hover: str, colour_by: str | None, rows: pl.DataFrame) -> go.Figure:
    figure = go.Figure()
    look = {"size": 7 if marks.height < 2_000 else 4, "opacity": 0.75}
    colours = None if colour_by is None else rows[colour_by].gather(marks["row"])
    for group in (
        [_Group("", marks["row"].is_not_null())] if colours is None else _groups(colours, colour_by or "")
    ):
        shown = marks.filter(group.members)
        figure.add_trace(
            go.Scattergl(
                x=_plotly(shown["x"]),
                y=_plotly(shown["y"]),
                customdata=[list(pair) for pair in shown.select("id", "label").iter_rows()],
                mode="markers",
                name=plain(group.name, 32),
                marker={**look, **group.marker},
                hovertemplate=f"{hover}{group.hover}<extra></extra>",
            )
        )
    legend = {"title": {"text": plain(colour_by or "")}, "orientation": "h", "y": -0.2, "yanchor": "top"}
    return figure.update_layout(showlegend=len(figure.data) > 1, legend={**legend, "maxheight": 84})


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The marks of one trace: which, how they look, what hover says of their colour."""

    name: str
    members: pl.Series
    marker: dict[str, Any] = field(default_factory=lambda: {"color": OKABE_ITO[0]})
    hover: str = ""


def _groups(column: pl.Series, name: str) -> list[_Group]:
    """Split marks by colour: numbers on one scale with a bar, categories by colour and symbol."""
    hover = f"<br>{plain(name)}: "
    numbers = as_numbers(column)
    if numbers is not None:
        known = numbers.is_not_null()
        scale = {"colorscale": CONTINUOUS, "showscale": True, "colorbar": colour_bar(name)}
        groups = [
            _Group(
                name,
                known,
                {"color": numbers.filter(known).to_numpy(), **scale},
                f"{hover}%{{marker.color:.12~g}}",
            ),
            _Group(f"{name} {MISSING}", ~known, {"color": GREY}, f"{hover}{MISSING}"),
        ]
        return [group for group in groups if group.members.any()]
    categories = as_categories(column, len(OKABE_ITO) + 2)
    groups = []
    for code, label in enumerate(categories.labels):
        coloured = code < len(OKABE_ITO)
        look = (
            {"color": OKABE_ITO[code], "symbol": _SYMBOLS[code]}
            if coloured
            else {"color": GREY, "symbol": "circle-open"}
        )
        groups.append(_Group(label, categories.codes == code, look, f"{hover}{plain(label)}"))
    return groups


def _plotly(values: pl.Series) -> Any:
    return values.to_numpy() if values.dtype.is_numeric() else values.to_list()


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

"""The marks of a scatter plot: one a run, coloured by a number or a category."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import plotly.graph_objects as go
import polars as pl

from dashboard.charts.columns import as_categories, as_numbers
from dashboard.charts.theme import CONTINUOUS, GREY, OKABE_ITO, colour_bar, plain
from dashboard.formats import MISSING, short_id

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")


def marks(rows: pl.DataFrame, xs: pl.Series, ys: pl.Series, ids: str, names: str | None) -> pl.DataFrame:
    """Return the marks of the rows as Plotly gets them: columns x, y, id, and label for the hover text."""
    run_ids = rows[ids].cast(pl.String)
    texts = run_ids if names is None else rows[names].cast(pl.String).fill_null("")
    labels = [
        plain(short_id(run_id) if names is None else f"{text} · {short_id(run_id)}", 40)
        for run_id, text in zip(run_ids, texts, strict=True)
    ]
    return pl.DataFrame({"x": _drawable(xs), "y": _drawable(ys), "id": run_ids, "label": labels})


def marks_figure(drawn: pl.DataFrame, x: str, y: str, colours: pl.Series | None) -> go.Figure:
    """Draw `marks`; `colours` is the column, a value a mark, that colours them."""
    figure = go.Figure()
    look = {"size": 7 if drawn.height < 2_000 else 4, "opacity": 0.75}
    hover = f"<b>%{{customdata[1]}}</b>{_hover(x, 'x', drawn['x'])}{_hover(y, 'y', drawn['y'])}"
    for group in [_Group("", drawn["x"].is_not_null())] if colours is None else _groups(colours):
        members = drawn.filter(group.members)
        figure.add_trace(
            go.Scattergl(
                x=_plotly(members["x"]),
                y=_plotly(members["y"]),
                customdata=[list(pair) for pair in members.select("id", "label").iter_rows()],
                mode="markers",
                name=plain(group.name, 32),
                showlegend=bool(group.name),
                marker={**look, **group.marker},
                hovertemplate=f"{hover}{group.hover}<extra></extra>",
            )
        )
    return figure


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """The marks of one trace: the name in the legend, which, how they look, what hover says of their colour."""

    name: str
    members: pl.Series
    marker: dict[str, Any] = field(default_factory=lambda: {"color": OKABE_ITO[0]})
    hover: str = ""


def _groups(column: pl.Series) -> list[_Group]:
    """Split marks by colour: numbers on one scale with a bar, categories by colour and symbol."""
    hover = f"<br>{plain(column.name)}: "
    unknown = {"color": GREY, "symbol": "circle-open"}
    if (numbers := as_numbers(column)) is not None:
        known = numbers.is_not_null()
        bar = {"colorscale": CONTINUOUS, "showscale": True, "colorbar": colour_bar(column.name)}
        scale = {"color": numbers.filter(known).to_numpy(), **bar}
        groups = [
            _Group("", known, scale, f"{hover}%{{marker.color:.12~g}}"),
            _Group(MISSING, ~known, unknown, f"{hover}{MISSING}"),
        ]
        return [group for group in groups if group.members.any()]
    categories = as_categories(column, len(OKABE_ITO) + 2)
    looks = [{"color": colour, "symbol": symbol} for colour, symbol in zip(OKABE_ITO, _SYMBOLS, strict=True)]
    return [
        _Group(label, categories.codes == code, look, f"{hover}{plain(label)}")
        for code, (label, look) in enumerate(zip(categories.labels, [*looks, unknown, unknown], strict=False))
    ]


def _drawable(values: pl.Series) -> pl.Series:
    if isinstance(values.dtype, pl.Enum):
        return values.cast(pl.String).replace({label: plain(label) for label in values.dtype.categories})
    return values.dt.strftime("%Y-%m-%dT%H:%M:%S") if values.dtype.is_temporal() else values


def _hover(name: str, axis: str, values: pl.Series) -> str:
    return f"<br>{plain(name)}: %{{{axis}{':.12~g' if values.dtype.is_numeric() else ''}}}"


def _plotly(values: pl.Series) -> Any:
    return values.to_numpy() if values.dtype.is_numeric() else values.to_list()

"""Returns by month and by year."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from dashboard.charts.altair_parts import empty_chart, titled
from dashboard.charts.columns import distinct
from dashboard.charts.theme import GREY, OKABE_ITO, TEXT_GREY
from dashboard.charts.thinning import finite

MAX_YEARS = 60
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
TOTAL = "Year"
BARS_HEIGHT = 240

# Light enough for almost black numbers on every one, on a white page and on a black one: 5.5 to 1 and more.
_DIVERGING = ("#DE7D22", "#E8B47C", "#D3D7D5", "#93C3E6", "#3F97D3")
_INK = "#101814"
_ROW = 24
# Title, note, names of the months: Streamlit counts them in.
_HEAD = 84
_NARROW = "width < 560"


def monthly_heatmap(
    years: Sequence[int],
    returns: npt.ArrayLike,
    *,
    totals: npt.ArrayLike | None = None,
    title: str = "Monthly returns",
) -> alt.LayerChart:
    """Draw a table of monthly returns in percent, coloured from loss to gain; a row is 24 pixels high.

    Colours are symmetric around zero and strongest for the strongest twentieth of the months. Where the
    page is narrow, numbers lose their decimal.

    Parameters
    ----------
    years : sequence of int, length y
        Ascending; the last sixty are drawn.
    returns : float array, shape (y, 12)
        Fractions; NaN for a month without a return.
    totals : float array, shape (y,), optional
        Returns of the years; by default their months compounded.
    """
    months = finite(returns).reshape(len(years), 12)[-MAX_YEARS:]
    if np.isnan(months).all():
        return empty_chart(title, "No month has a return yet.", _HEAD + _ROW)
    sums = _compounded(months) if totals is None else finite(totals)[-MAX_YEARS:]
    labels = [str(year) for year in years[-MAX_YEARS:]]
    cells = pl.DataFrame(
        {
            "year": np.repeat(labels, 13),
            "month": np.tile([*MONTHS, TOTAL], len(labels)),
            "value": np.column_stack([months, sums]).ravel(),
        }
    ).filter(pl.col("value").is_not_nan())
    limit = float(np.nanquantile(np.abs(months), 0.95)) or 0.01
    base = alt.Chart(cells.filter(pl.col("month") != TOTAL)).encode(
        x=_column(), y=_row(labels), tooltip=_tooltip()
    )
    squares = base.mark_rect(cornerRadius=2).encode(
        color=alt.Color(
            field="value",
            type="quantitative",
            scale=alt.Scale(
                domain=[-limit, -limit / 2, 0, limit / 2, limit],
                range=list(_DIVERGING),
                clamp=True,
                interpolate="rgb",
            ),
            legend=None,
        )
    )
    written = f"format(100 * datum.value, {_NARROW} ? '.0f' : '.1f')"
    size = alt.expr(f"{_NARROW} ? 10 : 12")
    text = alt.Text(field="written", type="nominal")
    numbers = base.transform_calculate(written=written).mark_text(color=_INK, fontSize=size).encode(text=text)
    year = (
        alt.Chart(cells.filter(pl.col("month") == TOTAL))
        .transform_calculate(written=written)
        .mark_text(color=TEXT_GREY, fontWeight="bold", fontSize=size)
        .encode(x=_column(), y=_row(labels), tooltip=_tooltip(), text=text)
    )
    note = "; ".join(part for part in ("in percent", _dropped(len(years))) if part)
    return titled([squares, numbers, year], title, note, height=_HEAD + _ROW * len(labels))


def yearly_bars(
    years: Sequence[int],
    returns: npt.ArrayLike,
    benchmark: npt.ArrayLike | None = None,
    *,
    label: str = "run",
    benchmark_label: str = "benchmark",
    colour: str = OKABE_ITO[0],
    title: str = "Yearly returns",
) -> alt.LayerChart:
    """Draw a bar a year, and a grey one beside it for the benchmark; the last sixty years.

    Parameters
    ----------
    years : sequence of int, length y
        Ascending.
    returns, benchmark : float array, shape (y,)
        Fractions; NaN for a year without a return.
    """
    names = distinct([label] if benchmark is None else [label, benchmark_label])
    columns = [finite(values)[-MAX_YEARS:] for values in (returns, benchmark) if values is not None]
    labels = [str(year) for year in years[-MAX_YEARS:]]
    bars = pl.concat(
        pl.DataFrame({"year": labels, "who": [name] * len(labels), "value": values})
        for name, values in zip(names, columns, strict=True)
    ).filter(pl.col("value").is_not_nan())
    if bars.is_empty():
        return empty_chart(title, "No year has a return yet.", BARS_HEIGHT)
    who = alt.Scale(domain=names, range=[colour, GREY])
    drawn = (
        alt.Chart(bars)
        .mark_bar(size=28 if len(labels) <= 4 else alt.Undefined)
        .encode(
            x=alt.X(
                field="year",
                type="nominal",
                sort=labels,
                title=None,
                scale=alt.Scale(domain=labels),
                axis=alt.Axis(labelAngle=0, labelOverlap=True, labelFlush=False, ticks=False, grid=False),
            ),
            xOffset=alt.XOffset(field="who", type="nominal", sort=names),
            y=alt.Y(
                field="value",
                type="quantitative",
                title="Return",
                axis=alt.Axis(format=",~%", labelFlush=False, tickCount=5),
            ),
            color=alt.Color(field="who", type="nominal", scale=who, legend=None),
            tooltip=[
                alt.Tooltip(field="year", type="nominal", title="year"),
                alt.Tooltip(field="who", type="nominal", title="of"),
                alt.Tooltip(field="value", type="quantitative", format="+,.4~%", title="return"),
            ],
        )
    )
    zero = alt.Chart(pl.DataFrame({"value": [0.0]})).mark_rule(color=GREY).encode(y=_zero())
    note = "" if benchmark is None else f"grey: {names[1]}"
    note = "; ".join(part for part in (note, _dropped(len(years))) if part)
    return titled([drawn, zero], title, note, height=BARS_HEIGHT)


def _compounded(months: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what months make a year, shape (y,); NaN where a year has none."""
    growth = np.prod(1 + np.nan_to_num(months), axis=1) - 1
    return np.where(np.isnan(months).all(axis=1), np.nan, growth)


def _column() -> alt.X:
    axis = alt.Axis(
        orient="top",
        labelAngle=0,
        ticks=False,
        domain=False,
        grid=False,
        labelOverlap=False,
        labelFlush=False,
        labelPadding=4,
    )
    scale = alt.Scale(domain=[*MONTHS, TOTAL], paddingInner=0.05, paddingOuter=0)
    return alt.X(field="month", type="nominal", sort=None, title=None, axis=axis, scale=scale)


def _row(labels: Sequence[str]) -> alt.Y:
    axis = alt.Axis(ticks=False, domain=False, grid=False, labelOverlap=False, labelFlush=False)
    scale = alt.Scale(domain=list(labels), paddingInner=0.08, paddingOuter=0)
    return alt.Y(field="year", type="nominal", sort=None, title=None, axis=axis, scale=scale)


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip(field="year", type="nominal", title="year"),
        alt.Tooltip(field="month", type="nominal", title="month"),
        alt.Tooltip(field="value", type="quantitative", format="+,.4~%", title="return"),
    ]


def _zero() -> alt.Y:
    return alt.Y(field="value", type="quantitative")


def _dropped(years: int) -> str:
    return f"the last {MAX_YEARS} of {years} years" if years > MAX_YEARS else ""

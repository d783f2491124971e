"""How the returns of backtests are spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from dashboard.charts.altair_parts import empty_chart, titled
from dashboard.charts.columns import distinct
from dashboard.charts.theme import GREY, OKABE_ITO, TEXT_GREY
from dashboard.charts.thinning import finite
from dashboard.formats import count, percent

MAX_SAMPLES = 10
MAX_BINS = 200
HEIGHT = 300

# Returns farther out than this many standard deviations would leave all others in two bins.
_REACH = 6.0
_CURVE_POINTS = 121

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ReturnSample:
    """Returns of one run, as fractions a period; `colour` is the run's. NaN is left out."""

    label: str
    colour: str
    returns: npt.NDArray[Any]


def return_distribution(
    samples: Sequence[ReturnSample],
    *,
    var: float | None = None,
    expected_shortfall: float | None = None,
    bins: int = 60,
    title: str = "Returns a period",
) -> alt.LayerChart:
    """Draw how often which return occurred; the payload grows with the bins, not with the returns.

    One run is a histogram with the normal curve of the same mean and standard deviation; several are an
    outline each, over the same bins. Heights are shares of the periods of a run. Returns more than six
    standard deviations out are counted in the outermost bins.

    Parameters
    ----------
    samples : sequence of ReturnSample
        At most the first ten.
    var, expected_shortfall : float, optional
        As returns, so a loss of 2 % is -0.02; drawn for one run only.
    bins : int
        At most 200.
    """
    known = [finite(one.returns) for one in samples[:MAX_SAMPLES]]
    known = [values[~np.isnan(values)] for values in known]
    shown = [(one, values) for one, values in zip(samples, known, strict=False) if len(values)]
    if not shown:
        return empty_chart(title, "No return yet: a curve needs two points.", HEIGHT)
    edges, beyond = _edges([values for _, values in shown], min(bins, MAX_BINS))
    names = distinct([one.label for one, _ in shown])
    counted = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] for _, values in shown]
    table = pl.concat(
        pl.DataFrame(
            {
                "run": [name] * len(numbers),
                "from": edges[:-1],
                "to": edges[1:],
                "share": numbers / numbers.sum(),
                "periods": numbers,
            }
        )
        for name, numbers in zip(names, counted, strict=True)
    )
    notes = [f"{count(beyond, 'return')} beyond the ends counted in the outermost bins"] if beyond else []
    if len(samples) > len(shown):
        notes.append(f"{count(len(samples) - len(shown), 'run')} not drawn")
    zero = _rule(0.0, GREY, [1, 0], "zero")
    if len(shown) > 1:
        layers = [zero, _outlines(table, names, [one.colour for one, _ in shown])]
    else:
        layers = [_bars(table, shown[0][0].colour), zero]
        if (curve := _normal(shown[0][1], edges)) is not None:
            layers.append(curve)
            notes.insert(0, "grey: normal curve of the same mean and deviation")
        layers += _tail(var, expected_shortfall)
    legend = 18 * -(-len(shown) // 2) if len(shown) > 1 else 0
    return titled(layers, title, "; ".join(notes), height=HEIGHT + legend)


def _edges(samples: Sequence[Floats], bins: int) -> tuple[Floats, int]:
    """Return bins that all samples share, and how many returns lie beyond them."""
    lows, highs = [], []
    for values in samples:
        reach = _REACH * float(values.std())
        lows.append(max(float(values.min()), float(values.mean()) - reach))
        highs.append(min(float(values.max()), float(values.mean()) + reach))
    low, high = min(lows), max(highs)
    if high - low <= 1e-12 * max(1.0, abs(low)):
        low, high = low - 0.005, high + 0.005
    beyond = sum(int(((values < low) | (values > high)).sum()) for values in samples)
    return np.linspace(low, high, max(2, bins) + 1), beyond


def _normal(values: Floats, edges: Floats) -> alt.Chart | None:
    """Draw the share of a bin that a normal distribution would have; None for a single value or equal ones."""
    mean, deviation = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0
    if deviation <= 1e-12 * max(1.0, abs(mean)):
        return None
    x = np.linspace(edges[0], edges[-1], _CURVE_POINTS)
    density = np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    curve = pl.DataFrame({"from": x, "share": density * (edges[1] - edges[0])})
    line: alt.Chart = alt.Chart(curve).mark_line(color=GREY, strokeWidth=2)
    return line.encode(x=_x(), y=_y())


def _bars(table: pl.DataFrame, colour: str) -> alt.Chart:
    bars: alt.Chart = alt.Chart(table).mark_bar(color=colour, opacity=0.75, binSpacing=0.5)
    return bars.encode(x=_x(), x2=alt.X2(field="to"), y=_y(), y2=alt.Y2Datum(0), tooltip=_tooltip())


def _outlines(table: pl.DataFrame, names: Sequence[str], colours: Sequence[str]) -> alt.Chart:
    scale = alt.Scale(domain=list(names), range=list(colours))
    columns = alt.expr("width < 560 ? 2 : 5")
    legend = alt.Legend(orient="bottom", title=None, columns=columns, labelLimit=104)
    lines: alt.Chart = alt.Chart(table).mark_line(interpolate="step-after", strokeWidth=1.6)
    return lines.encode(
        x=_x(),
        y=_y(),
        color=alt.Color(field="run", type="nominal", scale=scale, legend=legend),
        tooltip=[alt.Tooltip(field="run", type="nominal", title="run"), *_tooltip()],
    )


def _tail(var: float | None, shortfall: float | None) -> list[alt.Chart]:
    """Draw upright lines, and their names left of the leftmost, where no line crosses them."""
    values = {"VaR": var, "ES": shortfall}
    known = {name: value for name, value in values.items() if value is not None and np.isfinite(value)}
    layers = []
    for name, value in known.items():
        meaning, dash, sign, top = _TAIL[name]
        label = alt.Chart(pl.DataFrame({"from": [min(known.values())]})).mark_text(
            text=f"{name} {percent(value)} {sign}", align="right", dx=-5, color=TEXT_GREY, fontWeight="bold"
        )
        layers += [_rule(value, OKABE_ITO[1], dash, meaning), label.encode(x=_x(), y=alt.value(top))]
    return layers


_TAIL = {"VaR": ("value at risk", [4, 3], "- -", 8), "ES": ("expected shortfall", [1, 0], "──", 24)}


def _rule(value: float, colour: str, dash: list[int], meaning: str) -> alt.Chart:
    place = pl.DataFrame({"from": [value], "what": [meaning]})
    rule: alt.Chart = alt.Chart(place).mark_rule(color=colour, strokeDash=dash, strokeWidth=1.5)
    tooltip = [
        alt.Tooltip(field="what", type="nominal", title="line"),
        alt.Tooltip(field="from", type="quantitative", format="+,.4~%", title="return"),
    ]
    return rule.encode(x=_x(), tooltip=tooltip)


def _x() -> alt.X:
    scale = alt.Scale(zero=False, nice=False)
    axis = alt.Axis(format=",~%", grid=False, labelOverlap=True, labelFlush=False)
    return alt.X(field="from", type="quantitative", title="Return", scale=scale, axis=axis)


def _y() -> alt.Y:
    axis = alt.Axis(format=",~%", tickCount=5, labelFlush=False)
    return alt.Y(field="share", type="quantitative", title="Share of periods", axis=axis)


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip(field="from", type="quantitative", format="+,.4~%", title="from"),
        alt.Tooltip(field="to", type="quantitative", format="+,.4~%", title="to"),
        alt.Tooltip(field="periods", type="quantitative", format=",", title="periods"),
        alt.Tooltip(field="share", type="quantitative", format=".3~%", title="share"),
    ]

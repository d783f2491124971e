"""What a store sold and what was predicted: by one pipeline, by two, and what is left between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.events import Event
from dashboard.charts.forecast_lines import (
    ACTUAL,
    HEIGHT,
    LineLook,
    add_line,
    finish_forecast,
    forecast_rows,
    intervals,
    mark_start,
    thinned,
)
from dashboard.charts.theme import (
    ACCENT,
    OKABE_ITO,
    TEXT_GREY,
    add_gapped_band,
    empty_figure,
    finish,
    number_axis,
)
from dashboard.charts.thinning import extremes
from dashboard.charts.time_series import hover_format, iso_times
from dashboard.formats import count, shortened

MAX_BARS = 400
RESIDUALS_HEIGHT = 300

_FIT = LineLook("Fit to training", ACCENT, 1.4, "dot")
_FORECAST = LineLook("Predicted", ACCENT, 2.2)
_OLD = LineLook("old", OKABE_ITO[1], 1.8, "dash")
_NEW = LineLook("new", ACCENT, 2.2)


def forecast_figure(
    rows: pl.DataFrame, *, store: str, y_title: str, events: Sequence[Event] = ()
) -> go.Figure:
    """Draw actual and predicted values of a store over time.

    The fit to the training rows is dotted, the forecast of the test rows solid with its interval; an upright
    line marks where they meet. Missing times stay gaps, but for those that are missing regularly, such as
    Sundays. At most 2,000 points a line, extremes kept: under 400 kB.

    Parameters
    ----------
    rows : DataFrame
        Of this store alone, with the columns of `core.forecasts.types.PREDICTIONS`, in any order.
    store : str
        For the title.
    y_title : str
        What was sold and its unit, "Sales (EUR)".
    events : sequence of (datetime64, str)
        UTC; upright lines, such as promotions. At most the last thirty in the period.
    """
    title = f"Store {shortened(store, 40)}: actual and predicted"
    known = forecast_rows(rows)
    if not len(known.times):
        return empty_figure(title, "This store has no actual and no predicted value.", HEIGHT)
    drawn = thinned(known)
    figure = go.Figure()
    add_gapped_band(figure, iso_times(drawn.times), drawn.lower, drawn.upper, ACCENT, "Interval")
    add_line(figure, drawn.times, drawn.actual, ACTUAL)
    for look, members in ((_FIT, ~drawn.test), (_FORECAST, drawn.test)):
        add_line(figure, drawn.times, np.where(members, drawn.predicted, np.nan), look, intervals(drawn))
    sold = np.flatnonzero(~np.isnan(known.actual))
    ahead = int((~np.isnan(known.predicted[sold[-1] + 1 :])).sum()) if len(sold) else 0
    notes = [
        f"{count(ahead, 'prediction')} after the last actual value" if ahead else "",
        f"thinned to {len(drawn.times):,} of {len(known.times):,} times, extremes kept"
        if len(drawn.times) < len(known.times)
        else "",
    ]
    finish_forecast(figure, drawn.times, title=title, y_title=y_title, notes=notes, events=events)
    if known.test.any() and not known.test.all():
        mark_start(figure, known.times[known.test][0], "test")
    return figure


def compared_figure(
    old_rows: pl.DataFrame,
    new_rows: pl.DataFrame,
    store: str,
    *,
    y_title: str,
    old: str = "old",
    new: str = "new",
    events: Sequence[Event] = (),
) -> go.Figure:
    """Draw what two pipelines predicted for one store, over its actual values.

    Only predictions of test rows, for a fit to training rows says nothing of a forecast; actual values begin
    as long before the test as it lasts. Columns and bounds as in `forecast_figure`.

    Parameters
    ----------
    old, new : str
        Names of the pipelines.
    """
    title = f"Store {shortened(store, 40)}: predictions of two pipelines"
    tested = [
        rows.filter((pl.col("split") == "test") & pl.col("predicted").cast(pl.Float64).is_finite())
        for rows in (old_rows, new_rows)
    ]
    predictions = [thinned(forecast_rows(rows)) for rows in tested]
    if not any(len(one.times) for one in predictions):
        return empty_figure(title, "Neither pipeline predicted a test row of this store.", HEIGHT)
    times = np.concatenate([one.times for one in predictions])
    first, last = times.min(), times.max()
    # One may know more actual values than the other; where both do, they are the same.
    sold = pl.concat([_sold(rows) for rows in (new_rows, old_rows)])
    actual = thinned(forecast_rows(sold.filter(pl.col("time").is_between(first - (last - first), last))))
    figure = go.Figure()
    add_line(figure, actual.times, actual.actual, ACTUAL)
    for one, name, look in zip(predictions, (old, new), (_OLD, _NEW), strict=True):
        add_line(figure, one.times, one.predicted, replace(look, name=name), intervals(one))
    sides = list(zip(predictions, (old, new), strict=True))
    finish_forecast(
        figure,
        np.concatenate([times, actual.times]),
        title=title,
        y_title=y_title,
        notes=[f"no prediction by {name}" for one, name in sides if not len(one.times)],
        events=events,
    )
    starts = {name: one.times[0] for one, name in sides if len(one.times)}
    if len(set(starts.values())) == 1:
        mark_start(figure, first, "test")
    else:
        for name, start in starts.items():
            mark_start(figure, start, f"test, {name}")
    return figure


def residuals_figure(rows: pl.DataFrame, *, y_title: str = "") -> go.Figure:
    """Draw actual minus predicted of the test rows, a bar a time; of more than 400 those with the extremes.

    Parameters
    ----------
    rows : DataFrame
        Of one store, with the columns of `core.forecasts.types.PREDICTIONS`, in any order.
    y_title : str
        What was sold and its unit, as for `forecast_figure`.
    """
    title = "Residuals: actual minus predicted"
    known = forecast_rows(rows)
    known = known.at(known.test & ~np.isnan(known.actual - known.predicted))
    if not len(known.times):
        return empty_figure(title, "No test row has both an actual and a predicted value.", RESIDUALS_HEIGHT)
    residuals = known.actual - known.predicted
    kept = extremes(residuals, MAX_BARS)
    drawn = residuals[kept]
    figure = go.Figure(
        go.Bar(
            x=iso_times(known.times[kept]),
            y=drawn,
            marker={
                "color": np.where(drawn >= 0, OKABE_ITO[0], OKABE_ITO[1]).tolist(),
                "line": {"width": 0},
            },
            customdata=np.select(
                [drawn > 0, drawn < 0], ["more than predicted", "less than predicted"], "as predicted"
            ).tolist(),
            hovertemplate="<b>%{y:+,.10~g}</b> %{customdata}<br>"
            f"%{{x|{hover_format(known.times)}}} UTC<extra></extra>",
        )
    )
    above = int((residuals > 0).sum())
    notes = [
        f"above zero: more than predicted, {above:,} of {count(len(residuals), 'time')}",
        f"mean {residuals.mean():+,.4g}",
        f"{len(kept):,} bars drawn, extremes kept" if len(kept) < len(residuals) else "",
    ]
    finish(
        figure,
        title=title,
        x_title="Time (UTC)",
        y_title=y_title or "Actual minus predicted",
        note="; ".join(note for note in notes if note),
        height=RESIDUALS_HEIGHT,
    )
    figure.update_layout(margin_l=72, bargap=0.15)
    figure.update_xaxes(type="date")
    figure.update_yaxes(**number_axis(residuals))
    return figure.add_hline(y=0, line={"color": TEXT_GREY, "width": 1})


def _sold(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with an actual value, without predictions."""
    nothing = [pl.lit(None, pl.Float64).alias(name) for name in ("predicted", "lower", "upper")]
    actual = pl.col("actual").cast(pl.Float64)
    columns = rows.select(pl.col("time").cast(pl.Datetime("us")), "split", actual, *nothing)
    return columns.filter(actual.is_finite())

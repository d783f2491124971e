"""One store's measure over the pipelines that forecast it."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl

from dashboard.charts.store_marks import after_number, floats
from dashboard.charts.theme import ACCENT, TEXT_GREY, empty_figure, finish, number_axis, plain, value_range
from dashboard.charts.time_series import hover_format, iso_times
from dashboard.formats import count

MAX_PIPELINES = 500
HEIGHT = 300


def store_history_figure(points: pl.DataFrame, measure: str, unit: str, current: str | None) -> go.Figure:
    """Draw a measure of one store, a mark a pipeline, in order of time.

    Parameters
    ----------
    points : DataFrame
        Columns time (UTC), name, run_id, value; one row a pipeline, at most the last 500 are drawn. `run_id`
        comes back as the first item of a selected point's `customdata`.
    measure, unit : str
        "sMAPE" and "%"; the unit may be empty.
    current : str, optional
        The run id of the pipeline that is emphasised.
    """
    title = f"{measure} of this store by pipeline"
    values = floats(points["value"])
    there = ~np.isnan(values) & points["time"].is_not_null().to_numpy()
    known = points.filter(pl.Series(there)).sort("time", maintain_order=True)
    rows = known.tail(MAX_PIPELINES)
    if rows.is_empty():
        return empty_figure(title, f"No pipeline has {measure} of this store.", HEIGHT)
    values = floats(rows["value"])
    times = rows["time"].dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
    run_ids = rows["run_id"].cast(pl.String).to_list()
    names = [plain(name or run_id[:8]) for name, run_id in zip(rows["name"], run_ids, strict=True)]
    emphasised = np.array([run_id == current for run_id in run_ids])
    figure = go.Figure(
        go.Scatter(
            x=iso_times(times),
            y=values,
            customdata=[list(pair) for pair in zip(run_ids, names, strict=True)],
            mode="lines+markers",
            line={"color": TEXT_GREY, "width": 1.4},
            marker={
                "color": np.where(emphasised, ACCENT, TEXT_GREY).tolist(),
                "size": np.where(emphasised, 13, 7).tolist(),
                "symbol": np.where(emphasised, "diamond", "circle").tolist(),
                "opacity": 1,
            },
            hovertemplate=f"<b>%{{customdata[1]}}</b><br>%{{x|{hover_format(times)}}} UTC<br>"
            f"{plain(measure)}: %{{y:,.10~g}}{after_number(plain(unit))}<extra></extra>",
            cliponaxis=False,
        )
    )
    notes = [
        "diamond: the pipeline shown" if emphasised.any() else "",
        f"the last {MAX_PIPELINES} of {known.height:,} pipelines" if known.height > rows.height else "",
        f"{count(points.height - known.height, 'pipeline')} without a value"
        if points.height > known.height
        else "",
    ]
    finish(
        figure,
        title=title,
        x_title="Time (UTC)",
        y_title=f"{measure} ({unit})" if unit else measure,
        note="; ".join(note for note in notes if note),
        height=HEIGHT,
    )
    low, high = value_range(figure, log=False)
    figure.update_layout(margin_l=72)
    figure.update_yaxes(**number_axis([low, high]), range=[low, high])
    room = max((times[-1] - times[0]) // 30, np.timedelta64(1, "h"))
    figure.update_xaxes(type="date", range=iso_times(np.array([times[0] - room, times[-1] + room])).tolist())
    return figure

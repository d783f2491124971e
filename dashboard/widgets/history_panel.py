"""Histories of metrics for one or many runs: axis, smoothing, log scale, seeds as mean and band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
import polars as pl
import streamlit as st

from core.errors import GreenroomError
from core.runs.comparison.seed_groups import seed_groups
from core.runs.downsampling import downsample, mean_and_band, smooth
from core.runs.types import MetricHistory, Run
from dashboard import data
from dashboard.charts.histories import HistorySeries, history_figure
from dashboard.charts.theme import line_styles
from dashboard.formats import short_id
from dashboard.widgets import choices, states, tables

Axis = Literal["step", "time", "relative"]

# All lines of a chart together: more points than pixels are of no use and slow to send.
_POINTS_A_CHART = 20_000
_POINTS_A_LINE = 2_000
_METRICS_TRIED = 12
_LARGEST = 1.7976931348623157e308


def draw(runs: Sequence[Run], metrics: Sequence[str], key: str) -> None:
    """Draw the chooser and the chart of one metric over runs."""
    if not metrics:
        states.empty("These runs logged no metrics.")
        return
    columns = st.columns([3, 3, 3, 3], vertical_alignment="bottom")
    first = _first_with_history(runs[0], metrics)
    metric = columns[0].selectbox("Metric", metrics, index=first, key=f"{key}_metric", bind="query-params")
    with columns[1]:
        axis = choices.choose(
            "X axis",
            ["step", "time", "relative"],
            f"{key}_axis",
            label_shown=True,
            format_func=str.capitalize,
        )
    weight = columns[2].slider(
        "Smoothing",
        0.0,
        0.99,
        0.0,
        0.01,
        key=f"{key}_smooth",
        bind="query-params",
        help="Exponential moving average, debiased; the unsmoothed line stays visible behind it.",
    )
    with columns[3].container(horizontal=True, vertical_alignment="bottom"):
        log_y = st.toggle("Log", key=f"{key}_log", bind="query-params")
        groups = seed_groups(runs)
        banded = bool(groups) and st.toggle(
            "Seeds as band",
            key=f"{key}_band",
            bind="query-params",
            help="Runs that differ in their seed only become one line: their mean, and a band from lowest to highest.",
        )
    try:
        found = data.histories(tuple(run.run_id for run in runs), metric)
    except GreenroomError as error:
        states.failed(error)
        return
    histories = [_infinite(one) for one in found if len(one)]
    if not histories:
        states.empty(f"None of these runs has a history of {metric}.")
        return
    chosen_axis = cast(Axis, axis)
    series = (
        _grouped(runs, histories, chosen_axis, weight)
        if banded
        else _lines(runs, histories, chosen_axis, weight)
    )
    title = f"{metric} by {'step' if chosen_axis == 'step' else 'time'}"
    figure = history_figure(series, chosen_axis, log_y, title, metric)
    st.plotly_chart(figure, key=f"{key}_chart", alt=title)
    _table(runs, histories, key)


def _first_with_history(run: Run, metrics: Sequence[str]) -> int:
    """Return the place of the first metric that is a curve rather than a point."""
    for at, metric in enumerate(metrics[:_METRICS_TRIED]):
        try:
            found = data.histories((run.run_id,), metric)
        except GreenroomError:
            return 0
        if found and len(found[0]) > 1:
            return at
    return 0


def _infinite(history: MetricHistory) -> MetricHistory:
    """Give back the infinity that MLflow's databases keep as the largest float."""
    values = np.where(np.abs(history.values) >= _LARGEST, np.copysign(np.inf, history.values), history.values)
    return MetricHistory(history.run_id, history.key, history.steps, history.times, values)


def _x(history: MetricHistory, axis: Axis) -> npt.NDArray[np.generic]:
    if axis == "step":
        return history.steps
    if axis == "time":
        return history.times
    seconds: npt.NDArray[np.float64] = (history.times - history.times.min()) / np.timedelta64(1, "s")
    return seconds


def _lines(
    runs: Sequence[Run], histories: Sequence[MetricHistory], axis: Axis, weight: float
) -> list[HistorySeries]:
    styles = line_styles([run.run_id for run in runs])
    names = {run.run_id: run.name or short_id(run.run_id) for run in runs}
    repeated = len(set(names.values())) < len(names)
    budget = max(100, min(_POINTS_A_LINE, _POINTS_A_CHART // len(histories)))
    series = []
    for one in histories:
        x = _x(one, axis)
        order = np.argsort(x, kind="stable")
        x, values = x[order], one.values[order]
        smoothed = smooth(values, weight) if weight else values
        at = downsample(x.astype(np.float64), smoothed, budget)
        label = names[one.run_id] + (f" · {short_id(one.run_id)}" if repeated else "")
        style = styles[one.run_id]
        series.append(
            HistorySeries(
                label, style.colour, x[at], smoothed[at], values[at] if weight else None, dash=style.dash
            )
        )
    return series


def _grouped(
    runs: Sequence[Run], histories: Sequence[MetricHistory], axis: Axis, weight: float
) -> list[HistorySeries]:
    """One line a group of seeds by step; runs of no group stay lines of their own."""
    groups = seed_groups(runs)
    grouped = {runs[at].run_id for group in groups for at in group.indexes}
    by_run = {one.run_id: one for one in histories}
    series = []
    for group in groups:
        members = [by_run[runs[at].run_id] for at in group.indexes if runs[at].run_id in by_run]
        if not members:
            continue
        band = mean_and_band(members, _POINTS_A_LINE)
        style = line_styles([members[0].run_id])[members[0].run_id]
        mean = smooth(band.mean, weight) if weight else band.mean
        label = f"{group.label} (mean of {len(members)})"
        series.append(
            HistorySeries(label, style.colour, band.steps, mean, None, band.low, band.high, style.dash)
        )
    alone = [one for one in histories if one.run_id not in grouped]
    return series + _lines(runs, alone, axis, weight) if alone else series


def _table(runs: Sequence[Run], histories: Sequence[MetricHistory], key: str) -> None:
    names = {run.run_id: run.name or short_id(run.run_id) for run in runs}
    with st.expander("Data"):
        frame = pl.concat(
            [
                pl.DataFrame(
                    {
                        "Run": [names[one.run_id]] * len(one),
                        "Step": one.steps,
                        "Time": one.times,
                        "Value": one.values,
                    }
                )
                for one in histories
            ]
        )
        tables.with_download(frame, key, "points")

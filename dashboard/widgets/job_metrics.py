"""The metrics of a job's run as they come: the last values, and its learning curves as small charts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl
import streamlit as st

from core.errors import GreenroomError, NotFoundError
from core.runs.comparison.metric_direction import is_clockwork
from core.runs.downsampling import downsample
from core.runs.types import MetricHistory, Run
from core.training.types import Job, JobState
from core.workspace import Workspace
from dashboard import data
from dashboard.charts.histories import HistorySeries, history_figure
from dashboard.charts.theme import run_colour
from dashboard.formats import escape_markdown, number, short_id
from dashboard.widgets import rereading, states, tables

_REDRAWN_SECONDS: Final = 5.0
_CURVES: Final = 4
_TRIED: Final = 24
_HEADLINE: Final = 6
_POINTS: Final = 500
_PIXELS: Final = 230


def draw(workspace: Workspace, job: Job) -> None:
    """Draw them, and again every few seconds while the job is not over."""

    @st.fragment(run_every=None if job.state.is_over else _REDRAWN_SECONDS)
    def metrics() -> None:
        st.markdown("**Metrics**")
        try:
            run = _run(workspace, job)
        except GreenroomError as error:
            states.failed(error)
            return
        if run is None or not run.metrics:
            waits = "It has not started yet." if job.state is JobState.QUEUED else "None is logged yet."
            st.caption("It logged none." if job.state.is_over and run is not None else waits)
            return
        _draw(run)

    metrics()


def _run(workspace: Workspace, job: Job) -> Run | None:
    """Return the run, or None where it is too young to be known."""
    if not job.run_id or job.state is JobState.QUEUED:
        return None
    rereading.reread(workspace.runs, job.run_id)
    try:
        return workspace.runs.run(job.run_id)
    except NotFoundError:
        return None


def _draw(run: Run) -> None:
    keys = sorted(run.metrics, key=lambda key: (is_clockwork(key), key))
    with st.container(horizontal=True, gap="medium"):
        for key in keys[:_HEADLINE]:
            st.metric(
                escape_markdown(key), number(run.metrics[key]), width="content", help=repr(run.metrics[key])
            )
    for at, curve in enumerate(_curves(run, keys)):
        st.plotly_chart(_figure(run, curve), key=f"job_curve_{at}", alt=f"{curve.key} by step")
    with st.expander("Metrics as a table", key="job_metrics_table"):
        st.dataframe(
            tables.arrow(
                pl.DataFrame({"Metric": keys, "Last value": [number(run.metrics[key]) for key in keys]})
            ),
            hide_index=True,
            key="job_metrics",
            height=tables.height(len(keys), 12),
            column_config={"Last value": st.column_config.TextColumn(alignment="right")},
        )


def _curves(run: Run, keys: Sequence[str]) -> list[MetricHistory]:
    """Return the first metrics that were logged more than once."""
    found: list[MetricHistory] = []
    for key in keys[:_TRIED]:
        if len(found) == _CURVES:
            break
        history = data.histories((run.run_id,), key)
        if history and len(history[0]) > 1:
            found.append(history[0])
    return found


def _figure(run: Run, curve: MetricHistory) -> object:
    x, values = curve.steps, curve.values
    at = downsample(x.astype(np.float64), values, _POINTS)
    line = HistorySeries(run.name or short_id(run.run_id), run_colour(run.run_id), x[at], values[at])
    figure = history_figure([line], "step", False, curve.key, curve.key)
    return figure.update_layout(height=_PIXELS)

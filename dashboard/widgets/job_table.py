"""Jobs as a table: state, progress and time left; a tick opens one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import polars as pl
import streamlit as st

from core.training.types import BUILT_IN, Job, JobState
from dashboard.formats import MISSING, done_of, duration, job_label, time_left
from dashboard.widgets import tables, training_parts

_ROWS_IN_SIGHT = 25


def draw(jobs: Sequence[Job], now: datetime, *, queued: bool = False) -> None:
    """Draw the table.

    Parameters
    ----------
    queued : bool
        They are in the order in which they will run: their priority is shown.
    """
    numbers = [str(one.id) for one in jobs]
    identity = hashlib.sha1("\n".join(numbers).encode(), usedforsecurity=False).hexdigest()[:12]
    key = f"jobs:{identity}:{st.session_state.get('jobs_turn', 0)}"
    frame = table_of(jobs, now)
    st.dataframe(
        tables.arrow(frame if queued else frame.drop("Priority")),
        key=key,
        hide_index=True,
        height=tables.height(len(jobs), _ROWS_IN_SIGHT),
        on_select=lambda: _from_table(key, numbers),
        selection_mode="single-row",
        placeholder=MISSING,
        column_config={
            "Job": st.column_config.NumberColumn(format="%d", width=60),
            "State": st.column_config.TextColumn(width=105),
            "Name": st.column_config.TextColumn(width="medium"),
            "Progress": st.column_config.ProgressColumn(
                min_value=0.0, max_value=1.0, format="percent", width=110
            ),
            "At": st.column_config.TextColumn(width=190),
            "Asked": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Took": st.column_config.TextColumn(alignment="right"),
        },
        alt="Jobs",
    )


def table_of(jobs: Sequence[Job], now: datetime) -> pl.DataFrame:
    """Return jobs as the table shows them."""
    return pl.DataFrame(
        [
            (
                one.id,
                state_label(one),
                one.name,
                entry_of(one),
                one.progress.share if one.progress is not None else None,
                at_of(one, now) or None,
                one.priority,
                one.asked_by,
                one.asked_at,
                duration(seconds) if (seconds := seconds_of(one, now)) is not None else None,
            )
            for one in jobs
        ],
        schema={
            "Job": pl.Int64,
            "State": pl.String,
            "Name": pl.String,
            "Entry point": pl.String,
            "Progress": pl.Float64,
            "At": pl.String,
            "Priority": pl.Int64,
            "Asked by": pl.String,
            "Asked": pl.Datetime("us", "UTC"),
            "Took": pl.String,
        },
        orient="row",
    )


def state_label(job: Job) -> str:
    """Name where a job stands, that somebody wants it stopped included."""
    return job_label("stopping" if job.is_stopping else str(job.state))


def entry_of(job: Job) -> str:
    """Name its entry point, with the project where it is not the built-in one."""
    return job.entry_point if job.project == BUILT_IN else f"{job.project} · {job.entry_point}"


def at_of(job: Job, now: datetime) -> str:
    """Say how far a job is and how long it will take yet: "3 of 45 stores · 2 min left"."""
    if job.progress is None:
        return ""
    said = job.progress
    left = time_left(job.seconds_left(now))
    return " · ".join(part for part in (done_of(said.done, said.total, said.what), left) if part)


def seconds_of(job: Job, now: datetime) -> float | None:
    """Return how long a job has run, or ran."""
    if job.started_at is None:
        return None
    end = now if job.state is JobState.RUNNING else job.ended_at
    return (end - job.started_at).total_seconds() if end is not None else None


def open_job(number: str | None) -> None:
    """Show a job, or the list, at the next rerun."""
    training_parts.put(training_parts.JOB, number)
    st.session_state["jobs_turn"] = st.session_state.get("jobs_turn", 0) + 1


def _from_table(key: str, numbers: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(numbers):
        open_job(numbers[rows[0]])

"""One job: where it stands, its log and metrics as they come, its parameters, and what can be done with it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl
import streamlit as st

from core import clock
from core.access import Actor
from core.training.desk import TrainingDesk
from core.training.types import EngineKind, Job, JobState
from core.workspace import Workspace
from dashboard.formats import MISSING, ago, count, duration, escape_markdown, exact_time
from dashboard.widgets import (
    job_actions,
    job_list,
    job_live,
    job_metrics,
    job_table,
    links,
    tables,
    training_parts,
    url_choice,
)

_COLOURS: Final = {
    JobState.QUEUED: "gray",
    JobState.RUNNING: "blue",
    JobState.FINISHED: "green",
    JobState.FAILED: "red",
    JobState.STOPPED: "gray",
    JobState.LOST: "orange",
}
_MOST_AHEAD: Final = 100


def draw(workspace: Workspace, job: Job, actor: Actor) -> None:
    """Draw the job."""
    desk = workspace.training
    _choose(desk, job)
    _head(job, clock.now())
    if job.state is JobState.QUEUED:
        _waiting(desk, job)
    elif job.state is JobState.RUNNING and not desk.worker().alive:
        job_list.worker_line(desk, waiting=0)
    _ways(job)
    job_actions.draw(desk, job, actor)
    left, right = st.columns([3, 2])
    with left:
        job_live.draw(workspace, job)
    with right:
        metrics = st.container()
        _parameters(job)
    # Last, for its run is read from the tracking store first.
    with metrics:
        job_metrics.draw(workspace, job)


def mark(job: Job) -> str:
    """Return where a job stands in its colour, with sign and word."""
    return f":{_COLOURS[job.state]}-badge[{job_table.state_label(job)}]"


def _choose(desk: TrainingDesk, job: Job) -> None:
    known = {str(one.id): one for one in (job, *desk.jobs(limit=50))}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        url_choice.choose(
            "Job",
            training_parts.JOB,
            sorted(known, key=int, reverse=True),
            str(job.id),
            lambda number: job_table.open_job(number or str(job.id)),
            format_func=lambda number: f"{number} · {known[number].name}",
            width=420,
        )
        st.button(
            "All jobs",
            key="all_jobs",
            icon=":material/arrow_back:",
            on_click=lambda: job_table.open_job(None),
        )


def _head(job: Job, now: datetime) -> None:
    st.subheader(f"Job {job.id}: {escape_markdown(job.name)}", anchor=False)
    seconds = job_table.seconds_of(job, now)
    verb = "running for" if job.state is JobState.RUNNING else "took"
    facts = [
        mark(job),
        escape_markdown(job_table.entry_of(job)),
        f"in {escape_markdown(job.experiment)}",
        f"asked by {escape_markdown(job.asked_by)} {ago(job.asked_at, now)}",
        # While it runs the line below counts on.
        f"{verb} {duration(seconds)}" if seconds is not None and job.state.is_over else "",
        _where(job),
        f"priority {job.priority:+d}" if job.priority else "",
        f"exit code {job.exit_code}" if job.exit_code else "",
    ]
    st.markdown(
        " · ".join(fact for fact in facts if fact),
        help=f"Asked {exact_time(job.asked_at)}, started {exact_time(job.started_at)}, "
        f"ended {exact_time(job.ended_at)}.",
    )
    if job.is_stopping:
        st.info(f"{escape_markdown(str(job.stop_asked_by))} stops it.", icon=":material/stop_circle:")
    elif job.reason and job.state in (JobState.FAILED, JobState.LOST):
        st.error(escape_markdown(job.reason), icon=":material/error:")
    elif job.reason:
        st.caption(escape_markdown(job.reason))


def _where(job: Job) -> str:
    host = f"on {escape_markdown(job.host)}" if job.host else ""
    if job.engine is EngineKind.LOCAL:
        return host
    asked = [
        f"{amount:g} {unit}"
        for amount, unit in ((job.resources.cpus, "CPU"), (job.resources.gpus, "GPU"))
        if amount
    ]
    return " ".join((f"through {job.engine}", *([f"({', '.join(asked)})"] if asked else [])))


def _waiting(desk: TrainingDesk, job: Job) -> None:
    """Say how many jobs are run before it."""
    job_list.worker_line(desk, waiting=0)
    ahead = [one.id for one in desk.jobs(states=(JobState.QUEUED,), limit=_MOST_AHEAD)]
    running = desk.counts().get(JobState.RUNNING, 0)
    place = f"{count(ahead.index(job.id), 'job')}" if job.id in ahead else f"more than {_MOST_AHEAD} jobs"
    st.caption(f"{place} before it in the queue, {count(running, 'job')} running.")


def _ways(job: Job) -> None:
    """Draw the ways to the jobs that it belongs to."""
    if not (job.sweep_id or job.made_from or job.resumes):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if job.sweep_id:
            training_parts.way(
                f"Sweep {job.sweep_id}",
                "to_sweep",
                ":material/grid_view:",
                training_parts.JOBS,
                **{training_parts.SWEEP: str(job.sweep_id)},
            )
        for number, words in ((job.made_from, "Made from job"), (job.resumes, "Goes on with job")):
            if number:
                training_parts.way(
                    f"{words} {number}",
                    f"to_job_{number}_{words[:4].lower()}",
                    ":material/history:",
                    training_parts.JOBS,
                    **links.job_query(number),
                )


def _parameters(job: Job) -> None:
    st.markdown("**Parameters**")
    if not job.parameters:
        st.caption("It takes none.")
        return
    values = [value or None for value in job.parameters.values()]
    frame = pl.DataFrame(
        {"Parameter": list(job.parameters), "Value": values},
        schema={"Parameter": pl.String, "Value": pl.String},
    )
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        placeholder=MISSING,
        key="job_parameters",
        height=tables.height(len(job.parameters), 12),
        alt=f"Parameters of job {job.id}",
    )

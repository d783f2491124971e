"""What can be done with a job: look at its run, stop, retry, resume, duplicate it, and move it in the queue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from core.access import Actor, Permission
from core.training.desk import TrainingDesk
from core.training.types import MOST_PRIORITY, Job, JobState
from dashboard.formats import escape_markdown
from dashboard.widgets import acting, deeds, links, training_parts, writes
from dashboard.widgets.deeds import Deed
from dashboard.widgets.writes import Said

_KEY = "job_deed"


def draw(desk: TrainingDesk, job: Job, actor: Actor) -> None:
    """Draw the buttons that fit where the job stands."""
    # A field has its label above it, which buttons have not.
    aligned: Literal["bottom", "center"] = "bottom" if job.state is JobState.QUEUED else "center"
    with st.container(horizontal=True, vertical_alignment=aligned):
        if job.run_id:
            st.page_link(
                links.RUN_PAGE,
                label="Open its run",
                query_params={"run": job.run_id},
                icon=":material/description:",
            )
        if job.state is JobState.QUEUED:
            _priority(desk, job, actor)
        if job.state.is_over:
            _once_more(desk, job, actor)
        _again(job, actor)
        if not job.state.is_over and not job.is_stopping:
            _stop(desk, job, actor)
    writes.refusal(_KEY)


def _once_more(desk: TrainingDesk, job: Job, actor: Actor) -> None:
    if job.state is not JobState.FINISHED:
        _resume(desk, job, actor)
    _at_once(
        "retry",
        "Run it once more" if job.state is JobState.FINISHED else "Retry",
        ":material/replay:",
        actor,
        "The same parameters, as a new job with a run of its own.",
        lambda: _opened(desk.retry(job.id, actor), f"takes up job {job.id} from the beginning"),
    )


def _stop(desk: TrainingDesk, job: Job, actor: Actor) -> None:
    queued = job.state is JobState.QUEUED
    deed = Deed(
        "stop_job",
        f"Take job {job.id} out of the queue" if queued else f"Stop job {job.id} ({job.name})",
        "Yes, take it out" if queued else "Yes, stop it",
        Permission.STOP,
        "",
        "Stopping",
        more="It never runs; it can be retried."
        if queued
        else "All its processes end, and its run is marked as killed. What it logged stays.",
        icon=":material/stop_circle:",
    )

    def do(_: str, __: str | None) -> Said:
        stopped = desk.stop(job.id, actor)
        if stopped.state.is_over:
            return Said(f"Job {job.id} is stopped.", "It can be retried.")
        return Said(f"Job {job.id} is being stopped.", "Its last process is gone within seconds.")

    deeds.draw([(deed, do)], actor)


def _resume(desk: TrainingDesk, job: Job, actor: Actor) -> None:
    forbidden = _cannot_resume(desk, job)
    _at_once(
        "resume",
        "Resume",
        ":material/play_arrow:",
        actor,
        "Goes on with the same run where it stopped.",
        lambda: _opened(desk.resume(job.id, actor), f"goes on with the run of job {job.id}"),
        forbidden,
    )


def _cannot_resume(desk: TrainingDesk, job: Job) -> str:
    if not job.run_id:
        return "It has no run to go on with; retry it."
    if not desk.can_resume(job):
        return f"{job.entry_point} does not say that it can go on where it stopped; retry it."
    return ""


def _again(job: Job, actor: Actor) -> None:
    forbidden = acting.why_not(actor, Permission.LAUNCH)
    st.button(
        "Duplicate with changes",
        key="duplicate",
        icon=":material/content_copy:",
        disabled=bool(forbidden),
        help=escape_markdown(forbidden) or "Opens the form with these parameters.",
        on_click=lambda: training_parts.go(training_parts.LAUNCH, **{training_parts.FROM: str(job.id)}),
    )


def _priority(desk: TrainingDesk, job: Job, actor: Actor) -> None:
    forbidden = acting.why_not(actor, Permission.LAUNCH)
    wanted = st.number_input(
        "Priority",
        -MOST_PRIORITY,
        MOST_PRIORITY,
        job.priority,
        1,
        key=f"priority:{job.id}:{job.priority}",
        disabled=bool(forbidden),
        help=escape_markdown(forbidden) or "The higher is run first; of equal ones the older.",
        width=150,
    )
    unchanged = wanted is None or wanted == job.priority
    if st.button("Set priority", key="set_priority", disabled=bool(forbidden) or unchanged):
        writes.attempt(_KEY, lambda: _moved(desk.set_priority(job.id, int(wanted or 0), actor)), "Moving it")


def _moved(job: Job) -> Said:
    return Said(f"Job {job.id} has priority {job.priority:+d} now.")


def _at_once(
    key: str,
    label: str,
    icon: str,
    actor: Actor,
    help: str,
    do: Callable[[], Said],
    forbidden: str = "",
) -> None:
    """Draw a button for what costs nothing to undo: a new job can be stopped."""
    against = acting.why_not(actor, Permission.LAUNCH) or forbidden
    if st.button(
        label,
        key=key,
        icon=icon,
        disabled=bool(against),
        help=escape_markdown(against or help),
    ):
        writes.attempt(_KEY, do, "Asking for it")


def _opened(job: Job, does: str) -> Said:
    training_parts.go(training_parts.JOBS, **links.job_query(job.id))
    return Said(f"Job {job.id} {does}.", "It runs as soon as there is room.")

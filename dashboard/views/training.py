"""Training: jobs and their live logs, the form that launches one, schedules of retraining, and retention."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from core.access import Actor
from core.errors import GreenroomError
from core.workspace import Workspace
from dashboard import data
from dashboard.widgets import (
    acting,
    choices,
    job_list,
    job_panel,
    launch_form,
    retention_panel,
    schedule_list,
    states,
    training_parts,
    writes,
)


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    actor = workspace.actor()
    training_parts.arrive()
    with st.container(horizontal=True, vertical_alignment="center"):
        part = choices.choose("Section", training_parts.PARTS, training_parts.PART)
        st.space("stretch")
        acting.line(actor)
    writes.show()
    draw = {
        training_parts.JOBS: _jobs,
        training_parts.LAUNCH: launch_form.draw,
        training_parts.SCHEDULES: schedule_list.draw,
        training_parts.RETENTION: retention_panel.draw,
    }[part]
    _guarded(draw, workspace, actor)


def _jobs(workspace: Workspace, actor: Actor) -> None:
    asked = training_parts.number_in_address(training_parts.JOB, "job")
    if asked is not None:
        try:
            job = workspace.training.job(asked)
        except GreenroomError as error:
            states.failed(error)
        else:
            job_panel.draw(workspace, job, actor)
            return
    job_list.draw(workspace)


def _guarded(draw: Callable[[Workspace, Actor], None], workspace: Workspace, actor: Actor) -> None:
    """Keep the choice of the section usable where one of them cannot be read."""
    try:
        draw(workspace, actor)
    except GreenroomError as error:
        states.failed(error)


render()

"""Which project and entry point: both in the address."""

from __future__ import annotations

import streamlit as st

from core.errors import GreenroomError
from core.training.desk import TrainingDesk
from core.training.projects.types import BrokenProject, EntryPoint, Project
from core.training.types import BUILT_IN
from dashboard.formats import escape_markdown
from dashboard.widgets import states, training_parts, url_choice


def choose(desk: TrainingDesk) -> EntryPoint | None:
    """Draw the choices, and say what is wrong with a project; None where nothing can be launched."""
    projects = {one.name: one for one in desk.projects.list()}
    asked = st.query_params.get(training_parts.PROJECT, "")
    project = projects.get(asked or BUILT_IN) or next(iter(projects.values()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if len(projects) > 1:
            url_choice.choose(
                "Project",
                training_parts.PROJECT,
                list(projects),
                project.name,
                _to_project,
                width=240,
            )
        entry = _entry(project)
        if isinstance(project, Project) and project.commit:
            st.caption(f"at {project.commit[:12]}", help=escape_markdown(project.place), width="content")
        if project.name != BUILT_IN and st.button(
            "Refresh", key="refresh_project", icon=":material/refresh:", help="Reads the project anew."
        ):
            _refresh(desk, project.name)
    if asked and asked not in projects:
        st.warning(
            f"There is no project {escape_markdown(asked)}; {escape_markdown(project.name)} is shown.",
            icon=":material/warning:",
        )
    if isinstance(project, BrokenProject):
        st.error(escape_markdown(project.reason), icon=":material/error:")
        return None
    if project.note:
        st.info(escape_markdown(project.note), icon=":material/info:")
    return entry


def _entry(project: Project | BrokenProject) -> EntryPoint | None:
    known = {one.name: one for one in project.entry_points} if isinstance(project, Project) else {}
    if not known:
        return None
    asked = st.query_params.get(training_parts.ENTRY, "")
    entry = known.get(asked) or next(iter(known.values()))
    url_choice.choose(
        "Entry point",
        training_parts.ENTRY,
        list(known),
        entry.name,
        lambda name: _to_entry(name or entry.name),
        width=320,
    )
    if asked and asked not in known:
        st.warning(
            f"{escape_markdown(project.name)} has no entry point {escape_markdown(asked)}.",
            icon=":material/warning:",
        )
    return entry


def _to_project(name: str | None) -> None:
    training_parts.put(training_parts.PROJECT, name)
    for each in (training_parts.ENTRY, training_parts.FROM):
        training_parts.put(each, None)


def _to_entry(name: str) -> None:
    training_parts.put(training_parts.ENTRY, name)
    training_parts.put(training_parts.FROM, None)


def _refresh(desk: TrainingDesk, name: str) -> None:
    try:
        with st.spinner("Fetching the project", show_time=True):
            desk.projects.refresh(name)
    except GreenroomError as error:
        states.failed(error)
        return
    st.rerun()

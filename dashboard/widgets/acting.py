"""Who acts, what their role allows, and what a look at the registry found; drawn at the top of its pages."""

from __future__ import annotations

import streamlit as st

from core.access import Actor, Permission
from core.errors import GreenroomError, RefusedError
from core.registry.promotion import Fate
from core.workspace import Workspace
from dashboard.formats import escape_markdown
from dashboard.widgets import writes


def begin(workspace: Workspace) -> Actor:
    """Let the desk look at the registry, draw what it found and what was done last, and return who acts.

    Changes made outside are recorded, interrupted promotions finished or given up, stale requests ended.
    """
    actor = workspace.actor()
    try:
        outcomes = workspace.registry.look()
    except GreenroomError as error:
        st.warning(
            f"What was changed outside is not recorded right now. {escape_markdown(str(error))}",
            icon=":material/warning:",
        )
        outcomes = ()
    for outcome in outcomes:
        icon = ":material/task_alt:" if outcome.fate is Fate.FINISHED_LATER else ":material/undo:"
        st.info(escape_markdown(outcome.sentence), icon=icon)
    writes.show()
    _keep_fresh(workspace)
    return actor


def _keep_fresh(workspace: Workspace) -> None:
    """Mount the fragment that draws the page anew when somebody else changed the registry or asked for something."""
    shown = _state(workspace)

    @st.fragment(run_every=workspace.settings.refresh_seconds)
    def look() -> None:
        now = _state(workspace)
        if now is not None and now != shown:
            st.rerun()

    look()


def _state(workspace: Workspace) -> tuple[int, int] | None:
    """Tell the registry's state from its others; None where it cannot be read, which the page says."""
    try:
        workspace.registry.watch.models()
        return workspace.registry.watch.generation, workspace.registry.trail.count()
    except GreenroomError:
        return None


def line(actor: Actor) -> None:
    """Say in one short line who acts."""
    st.caption(
        f"Acting as {escape_markdown(actor.name)} ({actor.role})",
        help="Set by GREENROOM_USER and GREENROOM_ROLE, or user and role in greenroom.toml.",
        width="content",
    )


def why_not(actor: Actor, permission: Permission) -> str:
    """Return why this role may not do it, and which one may; nothing where it may."""
    try:
        actor.require(permission)
    except RefusedError as refused:
        return str(refused)
    return ""

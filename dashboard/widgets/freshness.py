"""Keep the page fresh: wait for the first sync, redraw when runs change, say when the store is down."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import streamlit as st

from core.workspace import Workspace
from dashboard.formats import escape_markdown, local_time
from dashboard.widgets import states

_SHOWN = "shown_generation"
_FIRST_LOOK_SECONDS = 3.0


def ready(workspace: Workspace, *, needed: bool) -> bool:
    """Start the keeper and say whether the page can be drawn; draws progress or the reason if it cannot."""
    workspace.keeper.touch()
    snapshot = workspace.runs.index.snapshot()
    if snapshot is None:
        workspace.keeper.wait_for_look(_FIRST_LOOK_SECONDS)
        snapshot = workspace.runs.index.snapshot()
    st.session_state[_SHOWN] = snapshot.generation if snapshot is not None else None
    if snapshot is not None or not needed:
        return True
    error = workspace.keeper.state.error
    if error is None:
        _first_sync(workspace)
    elif workspace.settings.is_embedded:
        states.empty("There are no runs yet. Build a demo workspace, or point Greenroom at your own store.")
        st.code("greenroom demo\ngreenroom up --tracking-uri URI", language="bash")
    else:
        st.error(escape_markdown(error), icon=":material/error:")
        st.caption("This page looks again every few seconds. `greenroom doctor` says more.")
    return False


def _first_sync(workspace: Workspace) -> None:
    """Show how far the first sync has come, until it is done."""
    with st.status("Reading the tracking store for the first time", expanded=True) as box:
        line = st.empty()
        began = time.monotonic()
        while workspace.runs.index.snapshot() is None and workspace.keeper.state.error is None:
            workspace.keeper.touch()
            progress = workspace.keeper.state.progress
            what = f"{progress.what}: {progress.done:,} read" if progress else "connecting"
            line.markdown(f"{what} · {time.monotonic() - began:.0f} s")
            time.sleep(0.2)
        box.update(label="The runs are read", state="complete")
    st.rerun()


def watch(workspace: Workspace) -> None:
    """Mount the fragment that keeps watch while the page is open. It draws nothing when all is well."""

    @st.fragment(run_every=workspace.settings.refresh_seconds)
    def look() -> None:
        workspace.keeper.touch()
        snapshot = workspace.runs.index.snapshot()
        if (snapshot.generation if snapshot is not None else None) != st.session_state.get(_SHOWN):
            st.rerun()
        state = workspace.runs.index.state()
        if snapshot is not None and state.failed_since is not None:
            since = local_time(datetime.fromtimestamp(state.failed_since, UTC))
            st.warning(
                f"**Stale since {since}.** {escape_markdown(state.error or '')} "
                "Shown is the last state that was read; this page catches up by itself.",
                icon=":material/cloud_off:",
            )

    look()


def refresh(workspace: Workspace) -> None:
    """Read everything again, at the person's wish."""
    with st.spinner("Reading every run again"):
        workspace.runs.sync(thorough=True)

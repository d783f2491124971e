"""Read one run from the store again while a page shows it, every few seconds, so that no edit is missed."""

from __future__ import annotations

import time
from typing import Final

import streamlit as st

from core.errors import GreenroomError
from core.runs.explorer import RunExplorer

_EVERY_SECONDS: Final = 5.0


def reread(runs: RunExplorer, run_id: str) -> None:
    """Read this run anew, unless that was done just now."""
    last_id, last_time = st.session_state.get("reread", ("", 0.0))
    if last_id == run_id and time.monotonic() - last_time < _EVERY_SECONDS:
        return
    try:
        runs.refresh_run(run_id)
    except GreenroomError:
        return  # the banner says that the store is down; the index still knows the run
    st.session_state["reread"] = (run_id, time.monotonic())
    shown(runs)


def shown(runs: RunExplorer) -> None:
    """Say that what changed in the index just now needs no new page: what is shown of it is drawn anew by itself."""
    snapshot = runs.index.snapshot()
    if snapshot is not None:
        st.session_state["shown_generation"] = snapshot.generation

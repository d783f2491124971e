"""Health: what Greenroom is connected to, how fresh the index is, and how to mend what does not work."""

from __future__ import annotations

import polars as pl
import streamlit as st

from core.doctor import Verdict, examine
from dashboard import data
from dashboard.formats import escape_markdown, file_size, local_time
from dashboard.widgets import freshness, states, tables

_SIGNS = {Verdict.OK: "✓ ok", Verdict.NOTE: "· note", Verdict.PROBLEM: "✕ problem"}


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    st.subheader("Health", anchor=False)
    status = workspace.runs.index.status()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.metric("Runs in the index", f"{status.runs:,}", width="content")
        st.metric("On disk", file_size(status.bytes), width="content")
        st.metric("Last looked", local_time(status.state.checked_at), width="content")
        st.space("stretch")
        if st.button(
            "Refresh", key="refresh", icon=":material/refresh:", help="Read every run again, edits included."
        ):
            freshness.refresh(workspace)
            st.rerun()
        if st.button("Rebuild index", key="rebuild", help="Throws the index away and reads everything anew."):
            with st.spinner("Rebuilding"):
                workspace.runs.sync(rebuild=True)
            st.rerun()
    checks = examine(workspace)
    problems = [check for check in checks if check.verdict is Verdict.PROBLEM]
    if not problems:
        st.badge("Everything works", icon=":material/check:", color="green")
    st.dataframe(
        tables.arrow(
            pl.DataFrame(
                {
                    "Check": [check.name for check in checks],
                    "State": [_SIGNS[check.verdict] for check in checks],
                    "Finding": [check.finding for check in checks],
                }
            )
        ),
        hide_index=True,
        key="checks",
        column_config={"Finding": st.column_config.TextColumn(width="large")},
    )
    for check in checks:
        if check.verdict is Verdict.OK:
            continue
        draw = st.error if check.verdict is Verdict.PROBLEM else st.info
        draw(f"**{check.name}**: {escape_markdown(check.finding)}")
        if check.advice:
            st.code(check.advice, language=None, wrap_lines=True)
    if workspace.runs.index.rebuilt_because:
        states.empty(
            f"The index was rebuilt since this server started: {workspace.runs.index.rebuilt_because}."
        )


render()

"""Save a page's choices under a name, open them again, delete them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.workspace import Workspace
from dashboard.formats import escape_markdown, local_time
from dashboard.widgets import links


def popover(workspace: Workspace, page: str, left_out: Sequence[str]) -> None:
    """Draw the popover of saved views.

    Parameters
    ----------
    left_out : sequence of str
        URL parameters that are no part of a view, such as the selection.
    """
    with st.popover("Saved views", icon=":material/bookmark:"):
        views = workspace.saved_views(page)
        known = {view.name: view for view in views.all()}
        if known:
            name = st.selectbox("View", list(known), key=f"{page}_view")
            view = known[name]
            st.caption(f"Saved by {escape_markdown(view.saved_by)}, {local_time(view.saved_at)}")
            with st.container(horizontal=True):
                if st.button("Open", key=f"{page}_view_open", type="primary"):
                    _clear()
                    st.switch_page(links.RUNS_PAGE, query_params=list(view.choices))
                if st.button("Delete", key=f"{page}_view_delete"):
                    views.delete(name)
                    st.rerun()
        else:
            st.caption("No view is saved yet. Filter, sort, choose columns, and keep it here for everybody.")
        new = st.text_input("Name", key=f"{page}_view_name", max_chars=200)
        if st.button("Save this view", key=f"{page}_view_save", disabled=not (new or "").strip()):
            pairs = [
                (key, value)
                for key in st.query_params
                if key not in left_out
                for value in st.query_params.get_all(key)
            ]
            views.save(new, pairs, workspace.user)
            st.rerun()


def _clear() -> None:
    """Forget the page's present choices, which would win over those of the view."""
    for key in list(st.session_state):
        if isinstance(key, str) and not key.startswith(("shown_", "_")):
            del st.session_state[key]

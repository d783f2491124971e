"""Save a page's choices under a name, open them again, delete them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import GreenroomError
from core.runs.saved_views import Choices
from core.workspace import Workspace
from dashboard.formats import escape_markdown, local_time
from dashboard.widgets import states


def popover(workspace: Workspace, page: str, widgets: Sequence[str], in_address: Sequence[str]) -> None:
    """Draw the popover of saved views.

    Parameters
    ----------
    widgets : sequence of str
        Keys of the widgets whose choices make a view.
    in_address : sequence of str
        URL parameters that make a view too and belong to no widget.
    """
    with st.popover("Saved views", icon=":material/bookmark:"):
        try:
            views = workspace.saved_views(page)
            known = {view.name: view for view in views.all()}
        except GreenroomError as error:
            states.failed(error)
            return
        if known:
            name = st.selectbox("View", list(known), key=f"{page}_view")
            view = known[name]
            st.caption(f"Saved by {escape_markdown(view.saved_by)}, {local_time(view.saved_at)}")
            with st.container(horizontal=True):
                st.button(
                    "Open",
                    key=f"{page}_view_open",
                    type="primary",
                    on_click=_restore,
                    args=(view.choices, in_address),
                )
                if st.button("Delete", key=f"{page}_view_delete"):
                    views.delete(name)
                    st.rerun()
        else:
            st.caption("No view is saved yet. Filter, sort, choose columns, and keep it here for everybody.")
        new = st.text_input("Name", key=f"{page}_view_name", max_chars=200)
        if st.button("Save this view", key=f"{page}_view_save", disabled=not (new or "").strip()):
            views.save(new or "", _choices(widgets, in_address), workspace.user)
            st.rerun()


def _choices(widgets: Sequence[str], in_address: Sequence[str]) -> Choices:
    chosen = {key: st.session_state[key] for key in widgets if key in st.session_state}
    return chosen | {key: st.query_params[key] for key in in_address if key in st.query_params}


def _restore(choices: Choices, in_address: Sequence[str]) -> None:
    """Set every choice before the page is drawn; what the view does not know stays as it is."""
    for key in in_address:
        if key in choices:
            st.query_params[key] = str(choices[key])
        elif key in st.query_params:
            del st.query_params[key]
    for key, value in choices.items():
        if key not in in_address:
            st.session_state[key] = value

"""The model versions that were registered from a run, and the form that registers one more."""

from __future__ import annotations

import polars as pl
import streamlit as st

from core.access import Permission
from core.errors import GreenroomError
from core.runs.types import Run
from dashboard import data
from dashboard.formats import escape_markdown, stage_label
from dashboard.widgets import acting, links, states, tables, writes
from dashboard.widgets.writes import Said

_OTHER = "Another folder"


def draw(run: Run) -> None:
    """Draw the table and the form."""
    writes.show()
    try:
        models = data.workspace().registry.watch.models()
    except GreenroomError as error:
        states.failed(error)
        return
    versions = [one for model in models.values() for one in model.versions if one.run_id == run.run_id]
    if versions:
        st.dataframe(
            tables.arrow(
                pl.DataFrame(
                    {
                        "Registered model": [one.model for one in versions],
                        "Version": [one.version for one in versions],
                        "Stage": [stage_label(one.stage) for one in versions],
                        "Page": [links.model_url(one.model, one.version) for one in versions],
                    }
                )
            ),
            hide_index=True,
            key="versions_table",
            column_config={
                "Page": st.column_config.LinkColumn(
                    display_text="Open", help="Opens the version in a new tab.", width="small"
                )
            },
            alt="Versions registered from this run",
        )
    else:
        st.caption("No model version was registered from this run.")
    with st.expander(
        "Register this model", icon=":material/add_box:", expanded=writes.was_refused("register")
    ):
        _form(run)


def _form(run: Run) -> None:
    actor = data.workspace().actor()
    try:
        folders = data.folders_with_models(run.run_id)
    except GreenroomError as error:
        st.caption(f"Its artifacts cannot be listed: {escape_markdown(str(error))}")
        folders = ()
    if not folders:
        st.caption(
            "No folder with an MLmodel file is among the artifacts; name the folder that holds the model."
        )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        folder: str | None = _OTHER
        if folders:
            folder = st.selectbox("Model folder", [*folders, _OTHER], key="register_folder", width=220)
        if folder == _OTHER:
            folder = st.text_input("Folder", key="register_path", placeholder="model", width=220)
        name = st.text_input("Register as", key="register_name", placeholder="Model name", width=260)
        forbidden = acting.why_not(actor, Permission.REGISTER)
        pressed = st.button(
            "Register",
            key="register",
            type="primary",
            disabled=bool(forbidden),
            help=escape_markdown(forbidden) or "A name that exists gets one more version.",
        )
    acting.line(actor)
    if pressed:
        writes.attempt("register", lambda: _registered(run, name or "", folder or ""), "Registering")
    writes.refusal("register")


def _registered(run: Run, name: str, folder: str) -> Said:
    workspace = data.workspace()
    made = workspace.registry.register(run.run_id, name.strip(), folder.strip(), workspace.actor())
    return Said(
        f"{made.model} v{made.version} is registered.",
        "Next: move it to Staging.",
        links.REGISTRY_PAGE,
        links.model_query(made.model, made.version),
        f"Open {made.model} v{made.version}",
    )

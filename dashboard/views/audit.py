"""Audit: every event of the registry, whether the chain holds, and the evidence behind a decision."""

from __future__ import annotations

import streamlit as st

from core.audit import AuditTrail
from core.errors import GreenroomError
from core.registry.desk import RegistryDesk
from dashboard import data
from dashboard.formats import count, escape_markdown
from dashboard.widgets import acting, audit_table, dossier_view, states
from dashboard.widgets.audit_table import DOSSIER


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    desk = workspace.registry
    actor = acting.begin(workspace)
    asked = st.query_params.get(DOSSIER, "").strip()
    with st.container(horizontal=True, vertical_alignment="center"):
        if asked:
            st.button("All events", key="all_events", icon=":material/arrow_back:", on_click=_leave)
        else:
            checked = st.button("Check the chain", key="verify", icon=":material/link:")
            st.download_button(
                "Everything as JSON Lines",
                lambda: "".join(f"{line}\n" for line in audit_table.exported(desk.trail)),
                "audit.jsonl",
                "application/jsonl",
                key="audit_jsonl",
                icon=":material/download:",
                on_click="ignore",
                help="The whole chain, all tracking stores of this database, oldest first.",
            )
        st.space("stretch")
        acting.line(actor)
    if asked:
        _dossier(desk, asked)
        return
    if checked:
        _verify(desk.trail)
    if not desk.trail.count():
        states.empty(
            "Nothing is recorded yet. Registrations, requests, decisions, promotions and rollbacks appear here, and "
            "what is changed in MLflow outside Greenroom:",
            "greenroom register RUN --name MODEL",
        )
        return
    audit_table.draw(desk.trail)


def _verify(trail: AuditTrail) -> None:
    with st.spinner("Reading every event", show_time=True):
        found = trail.verify()
    if found.whole:
        st.success(f"**The chain holds.** {escape_markdown(found.reason)}", icon=":material/verified:")
    else:
        st.error(
            f"**The chain is broken at event {found.broken_at:,}.** {escape_markdown(found.reason)} "
            f"{count(found.events, 'event')} before it hold. Compare with a copy kept elsewhere.",
            icon=":material/link_off:",
        )
    st.caption("Hash of the last whole event; keep it elsewhere to be able to prove the chain later:")
    st.code(found.head, language=None, wrap_lines=True)


def _dossier(desk: RegistryDesk, name: str) -> None:
    try:
        dossier = desk.frozen(name)
    except GreenroomError as error:
        states.failed(error)
        return
    content = dossier.content
    st.subheader(
        escape_markdown(f"Evidence: {content['model']} v{content['version']} to {content['to_stage']}"),
        anchor=False,
    )
    dossier_view.frozen_line(dossier)
    dossier_view.decision(content)
    dossier_view.draw(dossier)


def _leave() -> None:
    if DOSSIER in st.query_params:
        del st.query_params[DOSSIER]


render()

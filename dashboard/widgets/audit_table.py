"""The audit trail as a table: filtered, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC
from math import ceil

import polars as pl
import streamlit as st

from core.audit import AuditEvent, AuditTrail
from core.errors import GreenroomError
from dashboard.formats import MISSING, action_label, count, exact_time
from dashboard.widgets import choices, states, tables
from dashboard.widgets.registry_timeline import move_of, why_of

PAGE_ROWS = 100
DOSSIER = "dossier"
_EVERY = "All"


def draw(trail: AuditTrail) -> None:
    """Draw filters, one page of events, and the evidence that an event names."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = _filter("Model", "audit_model", trail.values("model"))
        action = _filter("Action", "audit_action", trail.values("action"))
        actor = _filter("Person", "audit_actor", trail.values("actor"))
        total = trail.count(model, action=action, actor=actor)
        pages = max(1, ceil(total / PAGE_ROWS))
        page = 1
        if pages > 1:
            page = int(
                st.number_input(f"Page of {pages:,}", 1, pages, 1, key=f"audit_page:{pages}", width=120)
            )
        st.markdown(f"**{count(total, 'event')}**", width="content")
    events = trail.events(model, action=action, actor=actor, limit=PAGE_ROWS, offset=(page - 1) * PAGE_ROWS)
    if not events:
        states.empty("No event is like that. Take a filter away.")
        return
    frame = table_of(events)
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="audit",
        height=tables.height(frame.height, 22),
        placeholder=MISSING,
        column_config={
            "When": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Who": st.column_config.TextColumn(width=140),
            "What": st.column_config.TextColumn(width=150),
            "Model": st.column_config.TextColumn(width=150),
            "Reason": st.column_config.TextColumn(width="large"),
            "Evidence": st.column_config.LinkColumn(
                display_text=r"dossier=(.{12})", help="Opens the frozen evidence in a new tab."
            ),
            "Details": st.column_config.TextColumn(width="medium"),
        },
        alt="Events, newest first",
    )


def exported(trail: AuditTrail) -> Iterator[str]:
    """Yield the chain, a line of JSON an event; where it cannot be read on, the last line says why."""
    try:
        yield from trail.export()
    except GreenroomError as error:
        yield json.dumps({"error": str(error)}, ensure_ascii=False)


def table_of(events: Sequence[AuditEvent]) -> pl.DataFrame:
    """Return events as the table shows them."""
    return pl.DataFrame(
        [
            (
                one.seq,
                one.at,
                f"{one.actor} ({one.role})",
                action_label(one.action),
                one.model,
                None if one.version is None else f"v{one.version}",
                move_of(one),
                one.reason or why_of(one) or None,
                f"audit?{DOSSIER}={one.evidence_hash}" if one.evidence_hash else None,
                one.hash[:12],
                exact_time(one.at, UTC),
                json.dumps(dict(one.details), ensure_ascii=False) if one.details else None,
            )
            for one in events
        ],
        schema={
            "No.": pl.Int64,
            "When": pl.Datetime("us", "UTC"),
            "Who": pl.String,
            "What": pl.String,
            "Model": pl.String,
            "Version": pl.String,
            "From and to": pl.String,
            "Reason": pl.String,
            "Evidence": pl.String,
            "Hash": pl.String,
            "Exactly": pl.String,
            "Details": pl.String,
        },
        orient="row",
    )


def _filter(label: str, key: str, values: Sequence[str]) -> str | None:
    options = [_EVERY, *values]
    choices.keep_valid(key, options)
    chosen = st.selectbox(label, options, key=key, bind="query-params", width=220)
    return None if chosen in (None, _EVERY) else chosen

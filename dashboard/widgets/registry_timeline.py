"""The history of a model: what was in Production on a date, the reigns as a chart and table, every event."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

import polars as pl
import streamlit as st

from core.audit import AuditEvent
from core.errors import GreenroomError
from core.registry import history
from core.registry.board import ModelCard
from core.registry.history import Reign
from dashboard import data
from dashboard.charts.reigns import reigns_chart
from dashboard.formats import MISSING, action_label, count, duration, escape_markdown, exact_time, stage_label
from dashboard.widgets import states, tables


def draw(card: ModelCard) -> None:
    """Draw the history."""
    _on_a_date(card.model.name)
    now = datetime.now(UTC)
    reigns = history.reigns(tuple(reversed(card.events)))
    st.altair_chart(reigns_chart(reigns, now), key="reigns")
    if reigns:
        with st.expander("Data"):
            _reigns_table(reigns, now)
    st.markdown(f"**{count(len(card.events), 'event')}**")
    if not card.events:
        states.empty("Nothing is recorded of this model yet.")
        return
    frame = events_table(card.events)
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="timeline",
        height=tables.height(frame.height, 20),
        placeholder=MISSING,
        column_config=EVENT_COLUMNS,
        alt="Events of this model, newest first",
    )
    st.caption("⚑ marks what was changed outside Greenroom; ⚠ what went up although gates did not pass.")


EVENT_COLUMNS = {
    "When": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
    "Reason": st.column_config.TextColumn(width="large"),
}


def events_table(events: Sequence[AuditEvent]) -> pl.DataFrame:
    """Return events as the timeline shows them."""
    rows = [
        (
            one.at,
            action_label(one.action),
            None if one.version is None else f"v{one.version}",
            move_of(one),
            one.actor,
            one.reason or why_of(one) or None,
            f"⚠ {', '.join(one.details.get('overridden', ()))}: {one.details['override']}"
            if one.details.get("override")
            else None,
            exact_time(one.at, UTC),
        )
        for one in events
    ]
    return pl.DataFrame(
        rows,
        schema={
            "When": pl.Datetime("us", "UTC"),
            "What": pl.String,
            "Version": pl.String,
            "From and to": pl.String,
            "By": pl.String,
            "Reason": pl.String,
            "Gates overridden": pl.String,
            "Exactly": pl.String,
        },
        orient="row",
    )


def move_of(event: AuditEvent) -> str | None:
    """Write from which stage to which a version went."""
    if event.to_stage is None and event.from_stage is None:
        return None
    if event.from_stage is None:
        return f"→ {stage_label(event.to_stage)}"
    return f"{stage_label(event.from_stage)} → {stage_label(event.to_stage) if event.to_stage else 'gone'}"


def why_of(event: AuditEvent) -> str:
    """Return what the details say where nobody gave a reason."""
    if event.action == history.FIRST_SEEN:
        stages = event.details.get("stages", {})
        return ", ".join(f"v{version} in {stage}" for version, (stage, _) in stages.items())
    if "happened" in event.details:
        return f"happened {event.details['happened'][:16].replace('T', ' ')} UTC"
    return str(event.details.get("why", ""))


def _on_a_date(name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        day = st.date_input(
            "What was in Production on",
            datetime.now(UTC).date(),
            key="on",
            bind="query-params",
            format="YYYY-MM-DD",
            width=220,
        )
        clock = st.time_input("at (UTC)", time(23, 59), key="at", bind="query-params", width=120)
    if not isinstance(day, datetime) and day and clock is not None:
        at = datetime.combine(day, clock, tzinfo=UTC)
        try:
            found = data.workspace().registry.in_production_at(name, at)
        except GreenroomError as error:
            states.failed(error)
            return
        sign = "★" if found.versions else "○" if found.known else "?"
        st.markdown(f"**{sign} {escape_markdown(found.sentence)}**")


def _reigns_table(reigns: Sequence[Reign], now: datetime) -> None:
    frame = pl.DataFrame(
        [
            (
                f"v{one.version}",
                one.start,
                one.end,
                duration(((one.end or now) - one.start).total_seconds()),
                one.how,
                one.by or None,
                "exactly" if one.exact else "at the latest",
                one.reason or None,
            )
            for one in reversed(reigns)
        ],
        schema={
            "Version": pl.String,
            "From (UTC)": pl.Datetime("us", "UTC"),
            "To (UTC)": pl.Datetime("us", "UTC"),
            "For": pl.String,
            "How": pl.String,
            "By": pl.String,
            "Start known": pl.String,
            "Reason": pl.String,
        },
        orient="row",
    )
    tables.with_download(frame, "reigns", "reigns", placeholder=MISSING)

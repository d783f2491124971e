"""The board: a column a stage, a card a version, newest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import streamlit as st

from core.registry.board import ModelCard, VersionCard
from core.registry.gates.wording import next_minute
from core.registry.types import Stage
from dashboard import data
from dashboard.formats import (
    MISSING,
    ago,
    escape_markdown,
    exact_time,
    short_id,
    stage_label,
    weekday_time,
)
from dashboard.widgets import links, tables
from dashboard.widgets.registry_parts import show_version

STAGES = (Stage.NONE, Stage.STAGING, Stage.PRODUCTION, Stage.ARCHIVED)
_CARDS = 6


def draw(card: ModelCard) -> None:
    """Draw the board, and all versions as a table under it."""
    runs = [one.version.run_id for one in card.versions if one.version.run_id]
    names = data.workspace().runs.names(runs)
    soak = data.workspace().registry.rules.gates.of(card.model.name).soak_hours
    for column, stage in zip(st.columns(len(STAGES)), STAGES, strict=True):
        with column:
            _column(card, stage, names, soak)
    with st.expander(f"All {len(card.versions):,} versions as a table"):
        _table(card, names)


def stage_mark(stage: Stage) -> str:
    """Return a stage in its colour, with its sign and word."""
    label = stage_label(str(stage))
    return {
        Stage.NONE: f":gray[{label}]",
        Stage.STAGING: f":orange-badge[{label}]",
        Stage.PRODUCTION: f":green-badge[{label}]",
        Stage.ARCHIVED: f":gray-badge[{label}]",
    }[stage]


def eligible(one: VersionCard, soak_hours: float) -> datetime | None:
    """Return when a version in Staging has been there for long enough; None where that is not counted or known."""
    if one.version.stage is not Stage.STAGING or one.since is None or not soak_hours:
        return None
    return eligible_from(one.since, soak_hours)


def eligible_from(since: datetime, soak_hours: float) -> datetime:
    """Return the first whole minute at which a time in Staging is over."""
    return next_minute(since + timedelta(hours=soak_hours))


def soak_sentence(one: VersionCard, soak_hours: float) -> str:
    """Say when a version in Staging may go on; nothing where no time is asked for."""
    at = eligible(one, soak_hours)
    if at is None:
        return ""
    if at <= datetime.now(UTC):
        return f"✓ soaked {soak_hours:g} h"
    when = (
        weekday_time(at)
        if at - datetime.now(UTC) < timedelta(days=6)
        else f"{at.astimezone():%Y-%m-%d %H:%M}"
    )
    return f"◷ eligible {when}"


def _column(card: ModelCard, stage: Stage, names: dict[str, str], soak: float) -> None:
    cards = card.in_stage(stage)
    st.markdown(f"**{stage_mark(stage)}** {len(cards):,}")
    for one in cards[:_CARDS]:
        _card(one, names, soak)
    if len(cards) > _CARDS:
        st.caption(f"and {len(cards) - _CARDS:,} more in the table below")
    if not cards:
        st.caption("No version")
    removed = sum(one.is_gone for one in card.versions)
    if removed and stage is Stage.ARCHIVED:
        st.caption(f"{removed:,} removed; the page Training brings back", help="Training, Retention")


def _card(one: VersionCard, names: dict[str, str], soak: float) -> None:
    version = one.version
    with st.container(border=True, gap="xxsmall", key=f"card_{version.version}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                f"v{version.version}",
                key=f"open_{version.version}",
                on_click=show_version,
                args=(version.version,),
                help="Lineage, gates, and what can be done",
            )
            for alias in version.aliases:
                st.markdown(f"`@{alias.replace('`', '')}`", width="content")
        when = ago(one.since, datetime.now(UTC)) if one.since else "at a time not known"
        late = "" if one.exact or one.since is None else ", at the latest"
        by = f" by {escape_markdown(one.by)}" if one.by else ""
        st.caption(f"{when}{late}{by}", help=exact_time(one.since))
        if version.run_id:
            st.page_link(
                links.RUN_PAGE,
                label=escape_markdown(names.get(version.run_id) or short_id(version.run_id)),
                query_params={"run": version.run_id},
                icon=":material/description:",
            )
        if version.status != "READY":
            st.markdown(f":red-badge[✕ {escape_markdown(version.status)}]")
        soaked = soak_sentence(one, soak)
        if soaked:
            st.markdown(soaked, help=exact_time(eligible(one, soak)))
        if one.override is not None:
            gates = escape_markdown(", ".join(one.overridden))
            st.markdown(f":orange-badge[⚠ Gates overridden: {gates}] {escape_markdown(one.override)}")


def _table(card: ModelCard, names: dict[str, str]) -> None:
    rows = [
        (
            f"v{one.version.version}",
            "✕ Removed" if one.is_gone else stage_label(str(one.version.stage)),
            one.since,
            one.by,
            ", ".join(one.version.aliases) or None,
            names.get(one.version.run_id or "") or None,
            links.run_url(one.version.run_id) if one.version.run_id else None,
            one.version.created,
            _overridden(one),
        )
        for one in card.versions
    ]
    frame = pl.DataFrame(
        rows,
        schema={
            "Version": pl.String,
            "Stage": pl.String,
            "Since": pl.Datetime("us", "UTC"),
            "By": pl.String,
            "Aliases": pl.String,
            "Run name": pl.String,
            "Run": pl.String,
            "Registered": pl.Datetime("us", "UTC"),
            "Gates overridden": pl.String,
        },
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="versions",
        height=tables.height(frame.height, 16),
        placeholder=MISSING,
        column_config={
            "Since": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Registered": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Run": st.column_config.LinkColumn(display_text=r"run=(.{8})", width="small"),
        },
        alt="Every version of this model",
    )


def _overridden(one: VersionCard) -> str | None:
    return None if one.override is None else f"⚠ {', '.join(one.overridden)}: {one.override}"

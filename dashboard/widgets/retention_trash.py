"""What was removed and can be brought back, until when, and by whom it was removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
import streamlit as st

from core import clock
from core.access import Actor, Permission
from core.registry.retention.trash import TrashEntry, TrashState
from core.workspace import Workspace
from dashboard.formats import MISSING, ago, count, file_size
from dashboard.widgets import deeds, retention_plan, tables
from dashboard.widgets.deeds import Deed
from dashboard.widgets.writes import Said

_PICKED: Final = "trash_picked"
_ROWS_IN_SIGHT: Final = 12


def draw(workspace: Workspace, actor: Actor) -> None:
    """Draw the table, and the way back."""
    entries = workspace.retention.trash()
    st.markdown("**Trash**")
    if not entries:
        st.caption("Nothing was removed that could be brought back.")
        return
    _table(entries)
    back = {one.id: one for one in entries if one.state is TrashState.DELETED}
    if not back:
        return
    picked = st.multiselect(
        "Bring back",
        list(back),
        key=_PICKED,
        format_func=lambda number: f"{number} · {back[number].subject.name}",
        placeholder="Choose what to bring back",
        label_visibility="collapsed",
    )
    if picked:
        deeds.draw([_undo(workspace, [back[one] for one in picked], actor)], actor)


def _undo(workspace: Workspace, picked: Sequence[TrashEntry], actor: Actor) -> deeds.Offer:
    names = ", ".join(one.subject.name for one in picked)
    deed = Deed(
        "undo_retention",
        f"Bring back {names}" if len(picked) <= 3 else f"Bring back {count(len(picked), 'entry')}",
        "Yes, bring back",
        Permission.RETAIN,
        "Why",
        "Bringing back",
        icon=":material/restore_from_trash:",
    )

    def do(reason: str, _: str | None) -> Said:
        workspace.retention.undo([one.id for one in picked], actor, reason)
        retention_plan.forget()
        st.session_state.pop(_PICKED, None)
        return Said(
            f"Back again: {names}.", "They go again when they are old enough, unless something keeps them."
        )

    return deed, do


def _table(entries: Sequence[TrashEntry]) -> None:
    frame = pl.DataFrame(
        [
            (
                one.id,
                one.subject.name,
                str(one.subject.kind),
                file_size(one.bytes) if one.bytes is not None else None,
                one.deleted_at,
                one.deleted_by,
                one.reason,
                _until(one),
            )
            for one in entries
        ],
        schema={
            "Entry": pl.Int64,
            "What": pl.String,
            "Kind": pl.String,
            "Comes free": pl.String,
            "Removed": pl.Datetime("us", "UTC"),
            "By": pl.String,
            "Why": pl.String,
            "Gone for good": pl.String,
        },
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame),
        key="trash_table",
        hide_index=True,
        height=tables.height(frame.height, _ROWS_IN_SIGHT),
        placeholder=MISSING,
        column_config={
            "Entry": st.column_config.NumberColumn(format="%d", width=60),
            "Removed": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Comes free": st.column_config.TextColumn(alignment="right"),
        },
        alt="Removed versions and runs",
    )


def _until(one: TrashEntry) -> str:
    if one.state is not TrashState.DELETED:
        return f"{one.state}{': ' if one.note else ''}{one.note}"
    return ago(one.purge_after, clock.now()) if one.purge_after > clock.now() else "at the next round"

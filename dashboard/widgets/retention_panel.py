"""Retention: what would go and why, what stays and why, how many bytes come free; then the removal, and the trash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
import streamlit as st

from core import clock
from core.access import Actor, Permission
from core.registry.retention.configuration import RetentionSettings
from core.registry.retention.plan import Going, Kind, RetentionPlan, Staying
from core.workspace import Workspace
from dashboard.formats import MISSING, ago, count, exact_time, file_size
from dashboard.widgets import (
    deeds,
    retention_plan,
    retention_trash,
    states,
    tables,
    training_parts,
    url_choice,
    writes,
)
from dashboard.widgets.deeds import Deed
from dashboard.widgets.writes import Said

_APPLY: Final = "apply_retention"
_ROWS_IN_SIGHT: Final = 15
_NAMED: Final = 6


def draw(workspace: Workspace, actor: Actor) -> None:
    """Draw the section."""
    desk = workspace.retention
    model = _choose(workspace)
    plan = retention_plan.plan_of(workspace, model)
    _headline(plan)
    _rules(desk.settings)
    if plan.goes:
        st.markdown("**Would go**")
        _going(plan.goes)
        _apply(workspace, plan, actor)
    elif plan.stays:
        st.success("Nothing is old enough to go.", icon=":material/check_circle:")
    else:
        states.empty("There is nothing here that could go: no model has a version, and no rule names runs.")
    if plan.stays:
        st.markdown("**Stays**")
        _staying(plan.stays)
    retention_trash.draw(workspace, actor)


def _choose(workspace: Workspace) -> str | None:
    models = sorted(workspace.registry.watch.models())
    asked = st.query_params.get(training_parts.MODEL, "")
    chosen = asked if asked in models else None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        url_choice.choose(
            "Model",
            training_parts.MODEL,
            models,
            chosen,
            lambda name: training_parts.put(training_parts.MODEL, name),
            placeholder="All models, and runs by rule",
            width=320,
        )
        st.button("Look again", key="look_again", icon=":material/refresh:", on_click=_anew)
    return chosen


def _anew() -> None:
    retention_plan.forget()
    writes.forget(_APPLY)


def _headline(plan: RetentionPlan) -> None:
    versions = sum(one.subject.kind is Kind.VERSION for one in plan.goes)
    with st.container(horizontal=True, gap="large"):
        st.metric("Versions would go", f"{versions:,}", width="content")
        st.metric("Runs would go", f"{len(plan.goes) - versions:,}", width="content")
        st.metric(
            "Would come free",
            f"{'at least ' if plan.uncounted else ''}{file_size(plan.bytes)}",
            width="content",
            help=f"Of {count(plan.uncounted, 'entry')} the bytes cannot be counted."
            if plan.uncounted
            else None,
        )
        st.metric("Stay", f"{len(plan.stays):,}", width="content")
    st.caption(
        f"A dry run of {ago(plan.made_at, clock.now())}: nothing was changed.", help=exact_time(plan.made_at)
    )


def _rules(settings: RetentionSettings) -> None:
    own = f"; {count(len(settings.models), 'model has its own rule', 'models have their own rules')}"
    runs = f"; {count(len(settings.runs), 'rule')} for runs" if settings.runs else "; no rule for runs"
    st.caption(
        f"Archived versions go after {settings.days:g} days; the last {settings.min_versions} of a model stay, and so "
        "do the champion, what a rollback would bring back, baselines, and what has a legal hold or an alias"
        f"{own if settings.models else ''}{runs}. What goes can be brought back for {settings.undo_days:g} days."
    )


def counted(goes: Sequence[Going]) -> str:
    """Count what goes: 3 versions and 2 runs; a single one by its name."""
    if len(goes) == 1:
        return goes[0].subject.name
    kinds = [one.subject.kind for one in goes]
    parts = [count(kinds.count(kind), str(kind)) for kind in Kind if kind in kinds]
    return " and ".join(parts)


def _going(goes: Sequence[Going]) -> None:
    frame = pl.DataFrame(
        [
            (
                one.subject.name,
                str(one.subject.kind),
                one.reason,
                file_size(one.bytes) if one.bytes is not None else None,
                one.files,
                one.note or None,
            )
            for one in goes
        ],
        schema={
            "What": pl.String,
            "Kind": pl.String,
            "Why it goes": pl.String,
            "Comes free": pl.String,
            "Files": pl.Int64,
            "Note": pl.String,
        },
        orient="row",
    )
    if not frame["Note"].count():
        frame = frame.drop("Note")
    st.dataframe(
        tables.arrow(frame),
        key="retention_goes",
        hide_index=True,
        height=tables.height(frame.height, _ROWS_IN_SIGHT),
        placeholder=MISSING,
        column_config={"Comes free": st.column_config.TextColumn(alignment="right")},
        alt="What would go",
    )


def grouped(stays: Sequence[Staying]) -> list[tuple[str, list[str]]]:
    """Return each reason with the names of what it keeps, the commonest first.

    What keeps several things counts under each of its reasons; ages and names in a reason do not make another one.
    """
    groups: dict[str, list[str]] = {}
    for one in stays:
        for reason in dict.fromkeys(each.split(" for ")[0].split(": ")[0] for each in one.reasons):
            groups.setdefault(reason, []).append(one.subject.name)
    return sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0]))


def _staying(stays: Sequence[Staying]) -> None:
    groups = grouped(stays)
    frame = pl.DataFrame(
        [(f"{reason[:1].upper()}{reason[1:]}", len(names), _listed(names)) for reason, names in groups],
        schema={"Why it stays": pl.String, "How many": pl.Int64, "Which": pl.String},
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame),
        key="retention_stays",
        hide_index=True,
        height=tables.height(frame.height, _ROWS_IN_SIGHT),
        alt="Why the rest stays",
    )
    with st.expander(f"All {len(stays):,} that stay", key="retention_all_stays"):
        every = pl.DataFrame(
            [(one.subject.name, str(one.subject.kind), one.reason) for one in stays],
            schema={"What": pl.String, "Kind": pl.String, "Why": pl.String},
            orient="row",
        )
        tables.with_download(every, "retention_stay", "entries", height=tables.height(every.height, 15))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _apply(workspace: Workspace, plan: RetentionPlan, actor: Actor) -> None:
    days = workspace.retention.settings.undo_days
    deed = Deed(
        _APPLY,
        f"Remove {counted(plan.goes)}",
        "Yes, remove",
        Permission.RETAIN,
        "Why",
        "Removing",
        more=f"Exactly these go, or nothing. They can be brought back for {days:g} days; then their files go for good.",
        given="older than the settings keep",
        icon=":material/delete:",
    )

    def do(reason: str, _: str | None) -> Said:
        gone = workspace.retention.apply(plan, actor, reason)
        retention_plan.forget()
        return Said(
            f"{counted(plan.goes)} removed." if gone else "Nothing was removed.",
            f"They are in the trash below and can be brought back for {days:g} days.",
        )

    deeds.draw([(deed, do)], actor)

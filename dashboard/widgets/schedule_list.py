"""Which models are retrained, how often, when next, and how it went last; one model is opened by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import streamlit as st

from core import clock
from core.access import Actor
from core.errors import GreenroomError
from core.training.schedule.types import Retraining, Schedule
from core.workspace import Workspace
from dashboard.formats import MISSING, ago, escape_markdown, outcome_label
from dashboard.widgets import (
    job_list,
    schedule_form,
    schedule_panel,
    schedule_words,
    states,
    tables,
    training_parts,
    url_choice,
)

_COMMAND = "greenroom schedule set MODEL -e stores -P data=sales.csv --every 7 --at 02:00"


def draw(workspace: Workspace, actor: Actor) -> None:
    """Draw the section."""
    desk = workspace.training.schedules
    schedules = {one.model: one for one in desk.all()}
    models = _models(workspace)
    asked = st.query_params.get(training_parts.MODEL, "").strip()
    known = list(dict.fromkeys([*schedules, *models, *([asked] if asked else [])]))
    if known:
        _choose(known, asked or None, schedules)
    if asked:
        schedule_panel.draw(workspace, asked, schedules.get(asked), actor)
        return
    if any(one.enabled for one in schedules.values()) and not workspace.training.worker().alive:
        job_list.worker_line(workspace.training, waiting=0)
    if schedules:
        _table(list(schedules.values()), _last(workspace, schedules))
    else:
        states.empty("No model is retrained by itself yet. Set one here, or:", _COMMAND)
    with st.expander("New schedule", icon=":material/add:", expanded=not schedules, key="new_schedule"):
        model = st.selectbox(
            "Model",
            [one for one in models if one not in schedules],
            index=None,
            key="new_schedule_model",
            accept_new_options=True,
            placeholder="A registered model, or a new name",
            width=320,
        )
        if model:
            schedule_form.draw(workspace, model.strip(), schedules.get(model.strip()), actor)


def _models(workspace: Workspace) -> list[str]:
    try:
        return sorted(workspace.registry.watch.models())
    except GreenroomError as error:
        st.caption(f"The registered models cannot be read: {escape_markdown(str(error))}")
        return []


def _choose(known: list[str], chosen: str | None, schedules: Mapping[str, Schedule]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        url_choice.choose(
            "Model",
            training_parts.MODEL,
            known,
            chosen,
            _open,
            format_func=lambda name: name if name in schedules else f"{name} · no schedule",
            placeholder="Open a model",
            width=320,
        )
        if chosen is not None:
            st.button(
                "All schedules",
                key="all_schedules",
                icon=":material/arrow_back:",
                on_click=lambda: _open(None),
            )


def _open(model: str | None) -> None:
    training_parts.put(training_parts.MODEL, model)
    training_parts.put(training_parts.RETRAINING, None)


def _last(workspace: Workspace, models: Mapping[str, object]) -> dict[str, Retraining]:
    found = {}
    for model in models:
        latest = workspace.training.schedules.retrainings(model, limit=1)
        if latest:
            found[model] = latest[0]
    return found


def _table(schedules: Sequence[Schedule], last: Mapping[str, Retraining]) -> None:
    names = [one.model for one in schedules]
    frame = pl.DataFrame(
        [
            (
                one.model,
                "● On" if one.enabled else "○ Off",
                schedule_words.rhythm(one),
                schedule_words.due(one) if one.enabled else None,
                _told(last.get(one.model)) if one.model in last else None,
                f"{one.entry_point}, {one.mode}",
                one.set_by,
            )
            for one in schedules
        ],
        schema=["Model", "Schedule", "When", "Next", "Last retraining", "How", "Set by"],
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame.cast(pl.String)),
        key=f"schedules:{len(names)}:{st.session_state.get('schedules_turn', 0)}",
        hide_index=True,
        height=tables.height(len(names), 20),
        placeholder=MISSING,
        on_select=lambda: _from_table(names),
        selection_mode="single-row",
        alt="Schedules of retraining",
    )


def _told(one: Retraining | None) -> str | None:
    if one is None:
        return None
    return f"{outcome_label(one.outcome)} {ago(one.ended_at or one.started_at, clock.now())}"


def _from_table(names: list[str]) -> None:
    key = f"schedules:{len(names)}:{st.session_state.get('schedules_turn', 0)}"
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(names):
        st.session_state["schedules_turn"] = st.session_state.get("schedules_turn", 0) + 1
        _open(names[rows[0]])

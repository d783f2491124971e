"""Registry: every model; one model's stages, versions and history; and what can be done with them."""

from __future__ import annotations

import streamlit as st

from core.access import Actor
from core.errors import GreenroomError
from core.registry.desk import RegistryDesk
from core.registry.requests import OPEN
from core.workspace import Workspace
from dashboard import data
from dashboard.widgets import (
    acting,
    model_headline,
    model_table,
    registry_parts,
    registry_timeline,
    stage_board,
    states,
    url_choice,
    version_panel,
)

_COMMAND = "greenroom register RUN --name MODEL"


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    desk = workspace.registry
    actor = acting.begin(workspace)
    try:
        names = list(desk.watch.models())
    except GreenroomError as error:
        acting.line(actor)
        states.failed(error)
        return
    if not names:
        acting.line(actor)
        states.empty("No model is registered yet. Register one from a run's page, or with:", _COMMAND)
        return
    asked = st.query_params.get(model_table.MODEL, "")
    chosen = asked if asked in names else None
    _choose(names, chosen, actor)
    if asked and chosen is None:
        _not_there(desk, asked)
    if chosen is None:
        _all(workspace)
    else:
        _one(desk, chosen, actor)


def _choose(names: list[str], chosen: str | None, actor: Actor) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        url_choice.choose(
            "Model",
            model_table.MODEL,
            names,
            chosen,
            lambda name: model_table.open_model(name) if name else _leave(),
            placeholder="Open a model",
            width=320,
        )
        if chosen is not None:
            st.button("All models", key="all_models", icon=":material/arrow_back:", on_click=_leave)
        st.space("stretch")
        acting.line(actor)


def _leave() -> None:
    for name in (model_table.MODEL, model_table.VERSION, registry_parts.PART):
        if name in st.query_params:
            del st.query_params[name]
    st.session_state.pop(registry_parts.PART, None)


def _not_there(desk: RegistryDesk, name: str) -> None:
    """Say that there is no such model, with names close to it."""
    try:
        desk.model(name)
    except GreenroomError as error:
        states.failed(error)


def _all(workspace: Workspace) -> None:
    desk = workspace.registry
    try:
        seen, requests = desk.watch.seen(), desk.requests(states=OPEN)
    except GreenroomError as error:
        states.failed(error)
        seen, requests = {}, ()
    model_table.draw(desk.watch.models(), seen, requests)


def _one(desk: RegistryDesk, name: str, actor: Actor) -> None:
    try:
        card = desk.model(name)
    except GreenroomError as error:
        states.failed(error)
        return
    model_headline.draw(card, actor)
    part = registry_parts.choose()
    if part == registry_parts.HISTORY:
        registry_timeline.draw(card)
    elif part == registry_parts.ONE and card.versions:
        version_panel.draw(card, actor)
    else:
        stage_board.draw(card)


render()

"""Approvals: who asks for what, one page of evidence for each request, and the decision."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from core.access import Actor
from core.errors import GreenroomError
from core.registry.desk import RegistryDesk, Trials
from core.registry.dossier import Dossier
from core.registry.requests import OPEN, Request, RequestState
from dashboard import data
from dashboard.formats import ago, escape_markdown, exact_time, request_label
from dashboard.widgets import acting, choices, decision_forms, dossier_view, links, request_list, states

_COMMAND = 'greenroom request MODEL VERSION --to Production --reason "..."'
_MOST = 500
_WAITING, _DECIDED, _ALL = "Waiting", "Decided", "All"


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    desk = workspace.registry
    actor = acting.begin(workspace)
    requests = _latest(desk)
    if not requests:
        acting.line(actor)
        states.empty(
            "Nobody has asked for a promotion yet. Open a version in Staging on the page Registry and ask for "
            "Production, or:",
            _COMMAND,
        )
        return
    chosen = _asked(desk)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        request_list.choose(requests, chosen)
        if chosen is not None:
            st.button(
                "All requests",
                key="all_requests",
                icon=":material/arrow_back:",
                on_click=lambda: request_list.show(None),
            )
        st.space("stretch")
        acting.line(actor)
    if chosen is None:
        _list(requests)
    else:
        _one(desk, chosen, actor)


def _latest(desk: RegistryDesk) -> list[Request]:
    """Return the open requests and the latest others: those that wait first, then those to be promoted."""
    found = {one.id: one for one in (*desk.requests(states=OPEN), *desk.requests(limit=_MOST))}
    return sorted(
        found.values(), key=lambda one: (one.state is not RequestState.WAITING, not one.is_open, -one.id)
    )


def _asked(desk: RegistryDesk) -> Request | None:
    """Return the request that the address names."""
    text = st.query_params.get(request_list.REQUEST, "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 15:
        st.error(f"{escape_markdown(text)} is no number of a request.", icon=":material/error:")
        return None
    try:
        return desk.request(int(text))
    except GreenroomError as error:
        states.failed(error)
        return None


def _list(requests: list[Request]) -> None:
    shown = choices.choose("Requests", [_WAITING, _DECIDED, _ALL], "requests_shown")
    found = [
        one for one in requests if shown == _ALL or (one.state is RequestState.WAITING) == (shown == _WAITING)
    ]
    if found:
        request_list.draw(found)
    elif shown == _WAITING:
        states.empty("No request waits for a decision. Decided ones are under Decided.")
    else:
        states.empty("No request is like that.")


def _one(desk: RegistryDesk, request: Request, actor: Actor) -> None:
    _head(request)
    again = _links(request)
    dossier = _evidence(desk, request, again)
    decision_forms.draw(desk, request, dossier, actor)
    if dossier is not None:
        dossier_view.decision(dossier.content)
        dossier_view.frozen_line(dossier)
        dossier_view.draw(dossier)


def _head(request: Request) -> None:
    st.subheader(f"{request_label(str(request.state))}: {escape_markdown(request.sentence())}", anchor=False)
    st.markdown(
        f"Asked by **{escape_markdown(request.asked_by)}** {ago(request.asked_at, datetime.now(UTC))}: "
        f"{escape_markdown(request.reason)}",
        help=exact_time(request.asked_at),
    )


def _links(request: Request) -> bool:
    """Draw the way to the version, and the button that judges again; say whether that was pressed."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            links.REGISTRY_PAGE,
            label=f"{escape_markdown(request.model)} v{request.version} in the registry",
            query_params=links.model_query(request.model, request.version),
            icon=":material/inventory_2:",
        )
        return request.state is RequestState.WAITING and st.button(
            "Judge the gates again",
            key="judge",
            icon=":material/gavel:",
            help="Loads the model in a process of its own and gathers the evidence anew.",
        )


def _evidence(desk: RegistryDesk, request: Request, again: bool) -> Dossier | None:
    """Return the evidence: frozen where it was decided, else as it is now."""
    try:
        if request.state is not RequestState.WAITING:
            return desk.frozen(request.dossier_hash)
        card = desk.model(request.model)
        if again:
            with st.spinner("Loading the model in a process of its own", show_time=True):
                desk.evidence(request.id, Trials.FRESH)
            card = desk.model(request.model)
        return data.evidence(card, request.id)
    except GreenroomError as error:
        states.failed(error)
        return None


render()

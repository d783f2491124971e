"""What can be done with a version: move to Staging, ask for Production, promote, archive; each asks once more."""

from __future__ import annotations

import streamlit as st

from core.access import Actor, Permission
from core.errors import GreenroomError
from core.registry.board import ModelCard, VersionCard
from core.registry.gates.types import GateReport
from core.registry.requests import RequestState
from core.registry.types import Stage
from dashboard import data
from dashboard.formats import escape_markdown
from dashboard.widgets import deeds, links
from dashboard.widgets.deeds import Deed, Offer
from dashboard.widgets.model_headline import said
from dashboard.widgets.writes import Said


def draw(card: ModelCard, one: VersionCard, actor: Actor, report: GateReport | None) -> None:
    """Draw the buttons that fit the version's stage."""
    stage = one.version.stage
    failed = () if report is None else tuple(str(gate.name) for gate in report.failed)
    offers = []
    if stage in (Stage.NONE, Stage.ARCHIVED):
        offers.append(_move(card, one, actor, Stage.STAGING, failed))
    if stage is Stage.STAGING:
        offers.append(_asking(card, one, actor))
        offers.append(_move(card, one, actor, Stage.PRODUCTION, failed))
    if stage is not Stage.ARCHIVED:
        offers.append(_move(card, one, actor, Stage.ARCHIVED, ()))
    deeds.draw([offer for offer in offers if offer is not None], actor)


def _move(
    card: ModelCard, one: VersionCard, actor: Actor, to_stage: Stage, failed: tuple[str, ...]
) -> Offer | None:
    name, number = card.model.name, one.version.version
    try:
        effect = data.workspace().registry.plan(name, number, to_stage).sentence()
    except GreenroomError as error:
        st.caption(escape_markdown(str(error)))
        return None
    approved = any(
        request.state is RequestState.APPROVED and request.version == number and request.to_stage is to_stage
        for request in card.requests
    )
    key, permission, then = {
        Stage.STAGING: (
            "stage",
            Permission.STAGE,
            "Next: ask for Production once its time in Staging is over.",
        ),
        Stage.PRODUCTION: (
            "promote",
            Permission.PROMOTE,
            "Watch it; the button Roll back brings the last one back.",
        ),
        Stage.ARCHIVED: ("archive", Permission.ARCHIVE, "It can come back through Staging."),
    }[to_stage]
    deed = Deed(
        key,
        effect,
        {"stage": "Yes, move to Staging", "promote": "Yes, promote", "archive": "Yes, archive"}[key],
        permission,
        "Why",
        "Judging the gates" if to_stage is not Stage.ARCHIVED else "Archiving",
        forbidden=_two_persons(to_stage, approved),
        more="It fulfils the approved request." if approved else "",
        failed=None if approved or to_stage is Stage.ARCHIVED else failed,
        icon={"stage": ":material/arrow_upward:", "promote": ":material/star:"}.get(
            key, ":material/archive:"
        ),
        primary=to_stage is Stage.PRODUCTION,
    )

    def do(reason: str, override: str | None) -> Said:
        desk = data.workspace().registry
        return said(desk.promote(name, number, to_stage, reason, actor, override=override), then)

    return deed, do


def _two_persons(to_stage: Stage, approved: bool) -> str:
    if to_stage is not Stage.PRODUCTION or approved or not data.workspace().registry.rules.two_person_rule:
        return ""
    return "The two-person rule is on: ask for Production, and somebody else approves."


def _asking(card: ModelCard, one: VersionCard, actor: Actor) -> Offer:
    name, number = card.model.name, one.version.version
    there = next((each for each in card.requests if each.version == number), None)
    deed = Deed(
        "ask",
        f"Ask for {name} v{number} to go to Production",
        "Yes, ask",
        Permission.REQUEST,
        "What is better about this version?",
        "Judging the gates",
        forbidden=""
        if there is None
        else f"{there.asked_by} has asked already: request {there.id} is {there.state}.",
        more="The gates are judged now, but need not pass yet. A lead decides.",
        icon=":material/front_hand:",
    )
    return deed, lambda reason, _: _asked(card, number, reason, actor)


def _asked(card: ModelCard, number: int, reason: str, actor: Actor) -> Said:
    request = data.workspace().registry.ask(card.model.name, number, Stage.PRODUCTION, reason, actor)
    return Said(
        f"Request {request.id} asks for {request.sentence()}.",
        "A lead decides on the page Approvals.",
        links.APPROVALS_PAGE,
        {"request": str(request.id)},
        f"Open request {request.id}",
    )

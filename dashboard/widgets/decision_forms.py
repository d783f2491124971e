"""What can be done about a request: approve, reject, withdraw, and promote what was approved."""

from __future__ import annotations

import streamlit as st

from core.access import Actor, Permission
from core.registry.desk import RegistryDesk
from core.registry.dossier import Dossier
from core.registry.requests import Request, RequestState
from core.registry.types import Stage
from dashboard.widgets import deeds, links
from dashboard.widgets.deeds import Deed, Offer
from dashboard.widgets.model_headline import said
from dashboard.widgets.writes import Said


def draw(desk: RegistryDesk, request: Request, dossier: Dossier | None, actor: Actor) -> None:
    """Draw the buttons that fit where the request stands."""
    offers: list[Offer] = []
    if request.state is RequestState.WAITING:
        reason = _two_persons(desk, request, actor)
        if reason:
            st.info(reason, icon=":material/group:")
        if dossier is not None:
            offers.append(_approve(desk, request, dossier, actor, reason))
        offers.append(_reject(desk, request, actor, reason))
    if request.state is RequestState.APPROVED:
        offers.append(_promote(desk, request, actor))
    if request.is_open and (actor.name == request.asked_by or actor.may(Permission.DECIDE)):
        offers.append(_withdraw(desk, request, actor))
    deeds.draw(offers, actor)


def _two_persons(desk: RegistryDesk, request: Request, actor: Actor) -> str:
    if not desk.rules.two_person_rule or actor.name != request.asked_by:
        return ""
    return "The two-person rule is on: who asked does not decide. Somebody else has to."


def _approve(desk: RegistryDesk, request: Request, dossier: Dossier, actor: Actor, forbidden: str) -> Offer:
    deed = Deed(
        "approve",
        f"Approve {request.sentence()}",
        "Yes, approve",
        Permission.DECIDE,
        "Comment",
        "Judging the gates once more and freezing the evidence",
        forbidden=forbidden,
        more="The evidence is frozen with the decision. Nothing moves yet: promote it afterwards.",
        failed=dossier.failed_names,
        icon=":material/check:",
        primary=True,
    )

    def do(comment: str, override: str | None) -> Said:
        made = desk.approve(request.id, comment, actor, override=override, seen=dossier.verdict_key)
        return Said(f"Request {made.id} ({made.sentence()}) is approved.", "Next: promote it, below.")

    return deed, do


def _reject(desk: RegistryDesk, request: Request, actor: Actor, forbidden: str) -> Offer:
    deed = Deed(
        "reject",
        f"Reject {request.sentence()}",
        "Yes, reject",
        Permission.DECIDE,
        "What would have to be better?",
        "Freezing the evidence",
        forbidden=forbidden,
        icon=":material/close:",
    )

    def do(comment: str, _: str | None) -> Said:
        made = desk.reject(request.id, comment, actor)
        return Said(f"Request {made.id} ({made.sentence()}) is rejected.", f"{made.asked_by} can ask again.")

    return deed, do


def _withdraw(desk: RegistryDesk, request: Request, actor: Actor) -> Offer:
    deed = Deed(
        "withdraw",
        f"Withdraw {request.sentence()}",
        "Yes, withdraw",
        Permission.REQUEST,
        "",
        "Withdrawing",
        icon=":material/delete_sweep:",
    )

    def do(_: str, __: str | None) -> Said:
        made = desk.withdraw(request.id, actor)
        return Said(f"Request {made.id} ({made.sentence()}) is withdrawn.", "Nothing was moved.")

    return deed, do


def _promote(desk: RegistryDesk, request: Request, actor: Actor) -> Offer:
    permission = Permission.PROMOTE if request.to_stage is Stage.PRODUCTION else Permission.STAGE
    deed = Deed(
        "promote",
        desk.plan(request.model, request.version, request.to_stage).sentence(),
        "Yes, promote now",
        permission,
        "Why",
        "Promoting",
        given=f"Request {request.id}: {request.reason}",
        icon=":material/star:",
        primary=True,
    )

    def do(reason: str, _: str | None) -> Said:
        outcome = desk.promote(request.model, request.version, request.to_stage, reason, actor)
        done = said(outcome, "Watch it; the model's page has the button that rolls back.")
        query = links.model_query(request.model)
        return Said(done.sentence, done.then, links.REGISTRY_PAGE, query, f"Open {request.model}", done.notes)

    return deed, do

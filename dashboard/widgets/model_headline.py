"""The first lines of a model: its champion, whether a rollback is ready, and what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from core.access import Actor, Permission
from core.registry.board import ModelCard
from core.registry.promotion import Outcome
from core.registry.types import Stage
from dashboard import data
from dashboard.formats import ago, escape_markdown, exact_time, local_time
from dashboard.widgets import deeds, links, writes
from dashboard.widgets.deeds import Deed, Offer
from dashboard.widgets.writes import Said


def draw(card: ModelCard, actor: Actor) -> None:
    """Draw figures, warnings with their way out, and the rollback."""
    _figures(card)
    if card.model.description:
        st.caption(escape_markdown(card.model.description[:1000]))
    if card.conflict:
        st.warning(escape_markdown(card.conflict), icon=":material/call_split:")
        _settle(card, actor)
    for sentence in card.drift:
        st.warning(escape_markdown(sentence), icon=":material/link_off:")
    for request in card.requests:
        st.page_link(
            links.APPROVALS_PAGE,
            label=f"Request {request.id}: {escape_markdown(request.sentence())}, {request.state}",
            query_params={"request": str(request.id)},
            icon=":material/fact_check:",
        )
    _rollback(card, actor)


def _figures(card: ModelCard) -> None:
    inside = sorted(one.version.version for one in card.in_stage(Stage.PRODUCTION))
    with st.container(horizontal=True, gap="large"):
        champion = " and ".join(f"v{one}" for one in inside)
        sign = "⚠" if len(inside) > 1 else "★"
        st.metric("In Production", f"{sign} {champion}" if inside else "Nothing", width="content")
        if card.champion is not None:
            one = card.champion
            since = ago(one.since, datetime.now(UTC)) if one.since else "not known"
            st.metric(
                "Since" if one.exact else "Since, at the latest",
                since,
                width="content",
                help=exact_time(one.since) + ("" if one.exact else ": MLflow's time of the last change."),
            )
            st.metric("By", escape_markdown(one.by or "not recorded"), width="content")
        st.metric("In Staging", f"{len(card.in_stage(Stage.STAGING)):,}", width="content")
        st.metric("Versions", f"{len(card.versions):,}", width="content")


def _settle(card: ModelCard, actor: Actor) -> None:
    inside = sorted(one.version.version for one in card.in_stage(Stage.PRODUCTION))
    deeds.draw([_keeping(card.model.name, keep, inside, actor) for keep in inside], actor)


def _keeping(name: str, keep: int, inside: list[int], actor: Actor) -> Offer:
    deed = Deed(
        f"settle_{keep}",
        f"Keep {name} v{keep}, archive {' and '.join(f'v{one}' for one in inside if one != keep)}",
        f"Yes, keep v{keep}",
        Permission.PROMOTE,
        "Why this version",
        "Archiving the others",
        icon=":material/call_merge:",
    )

    def do(reason: str, _: str | None) -> Said:
        outcome = data.workspace().registry.settle(name, keep, reason, actor)
        return said(outcome, "The conflict is over, and the alias follows.")

    return deed, do


def _rollback(card: ModelCard, actor: Actor) -> None:
    """Say what a rollback would bring back and whether that was tried, and offer both."""
    target = card.target
    if target is None:
        st.markdown("○ Nothing to roll back to")
        return
    name, to = card.model.name, target.version
    with st.container(horizontal=True, vertical_alignment="center"):
        _badge(card, to)
        st.caption(escape_markdown(f"v{to}: {target.why}."), width="content")
        tested = card.target_test
        if (tested is None or not tested.passed) and st.button(
            f"Load-test v{to}",
            key="load_test",
            icon=":material/science:",
            help="Loads it in a process of its own and asks it to predict.",
        ):
            doing = f"Loading v{to} in a process of its own"
            writes.attempt("load_test", lambda: _load_tested(name, to), doing)
    writes.refusal("load_test")
    deeds.draw([_rolling_back(card, to, actor)], actor)


def _rolling_back(card: ModelCard, to: int, actor: Actor) -> Offer:
    name = card.model.name
    leaving = sorted(
        one.version.version for one in card.in_stage(Stage.PRODUCTION) if one.version.version != to
    )
    champion = card.champion.version.version if card.champion is not None else None
    deed = Deed(
        "rollback",
        f"Roll back {name} from {' and '.join(f'v{one}' for one in leaving)} to v{to}"
        if leaving
        else f"Bring {name} v{to} back into Production",
        "Yes, roll back",
        Permission.ROLL_BACK,
        "Why",
        "Rolling back",
        icon=":material/undo:",
        primary=bool(leaving),
        more="No gate stands in the way of a rollback.",
    )

    def do(reason: str, _: str | None) -> Said:
        # Without one champion nothing says whether somebody else was faster, but the version that is named.
        named = None if champion is not None else to
        outcome = data.workspace().registry.rollback(
            name, reason, actor, from_version=champion, to_version=named
        )
        then = (
            f"Who loads models:/{name}/Production gets it from now on; restart what keeps a model in memory."
        )
        return said(outcome, then)

    return deed, do


def _badge(card: ModelCard, to: int) -> None:
    tested = card.target_test
    if tested is None:
        st.markdown(f":orange-badge[○ v{to} was never load-tested]", width="content")
    elif tested.passed:
        when = ago(tested.at, datetime.now(UTC))
        st.markdown(
            f":green-badge[✓ Rollback-ready: v{to}, load-tested {when}]",
            width="content",
            help=exact_time(tested.at),
        )
    else:
        st.markdown(
            f":red-badge[✕ v{to} failed its load test {local_time(tested.at)}] {escape_markdown(tested.reason)}",
            width="content",
        )


def _load_tested(name: str, version: int) -> Said:
    tested = data.workspace().registry.load_test(name, version)
    verdict = "passed" if tested.passed else "failed"
    return Said(f"{name} v{version} {verdict} its load test.", tested.reason)


def said(outcome: Outcome, then: str) -> Said:
    """Return what to say of an outcome; `then` only where something was done."""
    return Said(outcome.sentence, then if outcome.event is not None else "", notes=outcome.notes)

"""One version: where it comes from, what the gates say, and what can be done with it."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import streamlit as st

from core.access import Actor
from core.errors import GreenroomError
from core.registry.board import ModelCard, VersionCard
from core.registry.desk import Trials
from core.registry.gates.types import GateReport
from core.registry.types import Stage
from core.runs.artifacts.uris import redacted
from core.runs.reproducibility import check_hashes, commit_of
from core.runs.types import Run
from dashboard import data
from dashboard.formats import (
    MISSING,
    ago,
    escape_markdown,
    exact_time,
    hash_verdict,
    local_time,
    short_id,
    shortened,
)
from dashboard.widgets import gate_table, links, promotion_forms, states, tables, url_choice
from dashboard.widgets.model_table import VERSION, open_model
from dashboard.widgets.stage_board import soak_sentence, stage_mark

_LONGEST_WORD = 36


def draw(card: ModelCard, actor: Actor) -> None:
    """Draw the version that the address names, else the newest in Staging or at all."""
    one = _choose(card)
    _head(card, one)
    left, right = st.columns([3, 2])
    with left:
        report = _gates(card, one)
        promotion_forms.draw(card, one, actor, report)
    with right:
        _lineage(one)
        _load_test(card, one)


def _choose(card: ModelCard) -> VersionCard:
    known = {str(one.version.version): one for one in card.versions}
    asked = st.query_params.get(VERSION, "").strip().removeprefix("v")
    if asked and asked not in known:
        st.warning(
            f"{escape_markdown(card.model.name)} has no version {escape_markdown(asked)}; another is shown.",
            icon=":material/warning:",
        )
    staged = card.in_stage(Stage.STAGING)
    chosen = asked if asked in known else str((staged or card.versions)[0].version.version)
    url_choice.choose(
        "Version",
        VERSION,
        list(known),
        chosen,
        lambda number: open_model(card.model.name, int(number or chosen)),
        format_func=lambda number: f"v{number} · {known[number].version.stage}",
        width=280,
    )
    return known[chosen]


def _head(card: ModelCard, one: VersionCard) -> None:
    soak = data.workspace().registry.rules.gates.of(card.model.name).soak_hours
    late = "" if one.exact or one.since is None else ", at the latest"
    facts = [
        f"**{escape_markdown(card.model.name)} v{one.version.version}**",
        stage_mark(one.version.stage),
        f"since {ago(one.since, datetime.now(UTC))}{late}",
        f"by {escape_markdown(one.by)}" if one.by else "",
        soak_sentence(one, soak),
        f"not ready: {escape_markdown(one.version.status)}" if one.version.status != "READY" else "",
    ]
    st.markdown(" · ".join(fact for fact in facts if fact), help=exact_time(one.since))
    if one.is_gone:
        st.warning(
            "Removed because it was old. Until it is removed for good, the page Training brings it back, under "
            "Retention.",
            icon=":material/delete:",
        )
    if one.reason:
        st.caption(f"Reason: {escape_markdown(one.reason)}")
    if one.override is not None:
        gates = escape_markdown(", ".join(one.overridden))
        st.warning(
            f"Gates overridden: {gates}. {escape_markdown(one.override)}",
            icon=":material/warning:",
        )


def next_stage(one: VersionCard) -> Stage:
    """Return the stage that a version would go to next, or is in at the top."""
    up = one.version.stage in (Stage.STAGING, Stage.PRODUCTION)
    return Stage.PRODUCTION if up else Stage.STAGING


def _gates(card: ModelCard, one: VersionCard) -> GateReport | None:
    """Draw what the gates say, recorded or judged just now."""
    to_stage, number = next_stage(one), one.version.version
    judged = st.session_state.get("judged")
    about = (card.model.name, number, to_stage, data.workspace().registry.watch.generation)
    report: GateReport | None = judged[1] if judged is not None and judged[0] == about else None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**Gates on the way to {to_stage}**", width="content")
        if st.button(
            "Judge the gates",
            key="judge",
            icon=":material/gavel:",
            help="Loads the model in a process of its own, asks it to predict, and judges every gate.",
        ):
            report = _judge(card, number, to_stage, about)
    if report is None:
        try:
            report = data.recorded_gates(card, number, to_stage)
        except GreenroomError as error:
            states.failed(error)
            return None
    gate_table.draw(report, "gates")
    st.caption(f"Judged {ago(report.at, datetime.now(UTC))}", help=exact_time(report.at))
    return report


def _judge(card: ModelCard, number: int, to_stage: Stage, about: tuple[object, ...]) -> GateReport | None:
    try:
        with st.spinner("Loading the model in a process of its own", show_time=True):
            report = data.workspace().registry.gates(card.model.name, number, to_stage, Trials.FRESH)
    except GreenroomError as error:
        states.failed(error)
        return None
    st.session_state["judged"] = (about, report)
    return report


def _lineage(one: VersionCard) -> None:
    version = one.version
    runs = data.workspace().runs
    run: Run | None = None
    if version.run_id:
        try:
            run = runs.run(version.run_id)
        except GreenroomError as error:
            states.failed(error)
    facts: list[tuple[str, str]] = []
    if run is not None:
        st.page_link(
            links.RUN_PAGE,
            label=f"Run {escape_markdown(run.name or short_id(run.run_id))}",
            query_params={"run": run.run_id},
            icon=":material/description:",
        )
        names = {each.experiment_id: each.name for each in runs.experiments()}
        facts += [
            ("Experiment", names.get(run.experiment_id, run.experiment_id)),
            ("Trained by", run.user or MISSING),
            ("Git commit", short_hash(commit_of(run) or MISSING)),
            ("Data sets", ", ".join(f"{each.name} ({each.digest})" for each in run.datasets) or MISSING),
        ]
    facts += [
        ("Registered", local_time(version.created) + (f" by {version.user}" if version.user else "")),
        ("Aliases", ", ".join(version.aliases) or MISSING),
    ]
    if version.description:
        facts.append(("Description", version.description[:500]))
    if run is not None:
        for check in check_hashes(run):
            value = f"{short_hash(check.full or check.short)} {hash_verdict(check.verdict)}".strip()
            facts.append((f"Hash: {check.subject}", value))
    facts_table(facts, "Where this version comes from")
    if version.source:
        st.caption("Source")
        st.code(redacted(version.source), language=None, wrap_lines=True)


def short_hash(text: str | None) -> str:
    """Shorten a hash: whole ones are too long for a table, and runs and downloads have them."""
    return "" if not text else text if len(text) <= 20 else f"{text[:16]}…"


def _short_words(text: str) -> str:
    return " ".join(shortened(word, _LONGEST_WORD) for word in text.split())


def facts_table(facts: list[tuple[str, str]], alt: str) -> None:
    """Draw names and values; long words lose their middle, for a table breaks none."""
    st.table(
        tables.arrow(
            pl.DataFrame(
                {
                    "What": [name for name, _ in facts],
                    "Value": [escape_markdown(_short_words(value)) for _, value in facts],
                }
            )
        ),
        hide_index=True,
        hide_header=True,
        border="horizontal",
        alt=alt,
    )


def _load_test(card: ModelCard, one: VersionCard) -> None:
    tested = card.load_tests.get(one.version.version)
    if tested is None:
        st.caption("○ Never load-tested")
        return
    said = "✓ Load-tested" if tested.passed else "✕ Failed its load test"
    signed = tested.evidence.get("has_signature")
    signature = "" if signed is None else "; it has a signature" if signed else "; it has no signature"
    st.caption(
        f"{said} {ago(tested.at, datetime.now(UTC))}: {escape_markdown(tested.reason.rstrip('.'))}{signature}.",
        help=exact_time(tested.at),
    )

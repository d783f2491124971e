"""What came of a model's retrainings: one in full with its verdict and its log, all of them as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl
import streamlit as st

from core import clock
from core.access import Actor, Permission
from core.errors import GreenroomError
from core.training.schedule.types import (
    Retraining,
    RetrainingOutcome,
    Step,
    Trigger,
)
from core.workspace import Workspace
from dashboard.formats import (
    MISSING,
    ago,
    duration,
    escape_markdown,
    exact_time,
    local_time,
    outcome_label,
    verdict_label,
)
from dashboard.widgets import (
    deeds,
    job_table,
    links,
    states,
    tables,
    training_parts,
    url_choice,
    verdict_card,
)
from dashboard.widgets.deeds import Deed, Offer
from dashboard.widgets.writes import Said

_REDRAWN_SECONDS: Final = 2.0
_STEPS: Final = {
    Step.PREPARING: "Prepare the data",
    Step.TRAINING: "Train",
    Step.VALIDATING: "Validate",
    Step.REGISTERING: "Move to Staging",
}
_TRIGGERS: Final = {
    Trigger.SCHEDULE: "on schedule",
    Trigger.MISSED: "for a time that was missed",
    Trigger.MANUAL: "asked for",
    Trigger.API: "asked for by a program",
    Trigger.WATCH: "begun by the watch of its live figures",
}
_COLOURS: Final = {
    None: "blue",
    RetrainingOutcome.STAGED: "green",
    RetrainingOutcome.REFUSED: "orange",
    RetrainingOutcome.FAILED: "red",
    RetrainingOutcome.STOPPED: "gray",
}


def draw(workspace: Workspace, model: str, history: Sequence[Retraining], actor: Actor) -> None:
    """Draw the section.

    Parameters
    ----------
    history : sequence of Retraining
        Newest first.
    """
    st.markdown("**Retrainings**")
    if not history:
        st.caption(f"{escape_markdown(model)} was not retrained here yet.")
        return
    chosen = _choose(history)
    _one(workspace, chosen)
    if chosen.is_open:
        deeds.draw([_stopping(workspace, chosen, actor)], actor)
    with st.expander(f"All {len(history):,} as a table", key="all_retrainings"):
        _table(history)


def _choose(history: Sequence[Retraining]) -> Retraining:
    known = {str(one.id): one for one in history}
    asked = st.query_params.get(training_parts.RETRAINING, "")
    chosen = known.get(asked) or history[0]
    if len(known) > 1:
        url_choice.choose(
            "Retraining",
            training_parts.RETRAINING,
            list(known),
            str(chosen.id),
            lambda number: training_parts.put(training_parts.RETRAINING, number),
            format_func=lambda number: (
                f"{local_time(known[number].started_at)} · {outcome_label(known[number].outcome)}"
            ),
            width=320,
        )
    return chosen


def _one(workspace: Workspace, shown: Retraining) -> None:
    """Draw one; while it is under way, again every few seconds."""

    @st.fragment(run_every=_REDRAWN_SECONDS if shown.is_open else None)
    def live() -> None:
        training_parts.leave_fragment()
        try:
            one = workspace.training.schedules.retraining(shown.id) if shown.is_open else shown
            if one.is_open != shown.is_open:
                st.rerun()
            _card(workspace, one)
        except GreenroomError as error:
            states.failed(error)

    live()


def _stopping(workspace: Workspace, one: Retraining, actor: Actor) -> Offer:
    deed = Deed(
        "stop_retraining",
        f"Stop the retraining of {one.model}",
        "Yes, stop it",
        Permission.STOP,
        "",
        "Stopping",
        more="Its job ends, and what is in Production stays there.",
        icon=":material/stop_circle:",
    )

    def do(_: str, __: str | None) -> Said:
        workspace.training.schedules.stop(one.id, actor)
        return Said(f"The retraining of {one.model} is being stopped.")

    return deed, do


def _card(workspace: Workspace, one: Retraining) -> None:
    with st.container(border=True, key="retraining"):
        end = one.ended_at or clock.now()
        missed = one.trigger is Trigger.MISSED and one.due_at is not None
        was_due = f", due {local_time(one.due_at)}" if missed else ""
        facts = [
            f":{_COLOURS[one.outcome]}-badge[{outcome_label(one.outcome)}]",
            f"{_TRIGGERS.get(one.trigger, str(one.trigger))}{was_due}",
            f"by {escape_markdown(one.asked_by)}",
            f"began {ago(one.started_at, clock.now())}",
            f"{'for' if one.is_open else 'took'} {duration((end - one.started_at).total_seconds())}",
        ]
        st.markdown(" · ".join(facts), help=exact_time(one.started_at))
        if missed:
            st.info(
                f"No worker ran when it was due ({exact_time(one.due_at)}); it was begun once, at the next start.",
                icon=":material/schedule:",
            )
        st.markdown(_steps(one))
        if one.reason:
            _reason(one)
        _ways(workspace, one)
        if one.verdict is not None:
            verdict_card.draw(one.verdict, f"retraining_{one.id}")
        if one.log:
            with st.expander("Log", expanded=one.is_open, key="retraining_log"):
                # Reasons of a trainer stand in it: text, and never Markdown.
                st.code(
                    "\n".join(f"{local_time(at)} {level:<7} {text}" for at, level, text in one.log),
                    language=None,
                    wrap_lines=True,
                )


def _steps(one: Retraining) -> str:
    """Write the steps: what is done, what it is at or failed at, what is to come."""
    order = list(Step)
    at = order.index(one.step)
    parts = []
    for step, words in _STEPS.items():
        place = order.index(step)
        if place < at or one.step is Step.DONE:
            parts.append(f":green[✓ {words}]")
        elif place == at and one.is_open:
            parts.append(f":blue[● {words}]")
        elif place == at:
            sign = {RetrainingOutcome.STAGED: "✓", RetrainingOutcome.STOPPED: "■"}.get(
                one.outcome or RetrainingOutcome.FAILED, "✕"
            )
            parts.append(f":red[{sign} {words}]")
        else:
            parts.append(f":gray[○ {words}]")
    return " → ".join(parts)


def _reason(one: Retraining) -> None:
    if one.outcome is RetrainingOutcome.FAILED:
        st.error(escape_markdown(one.reason), icon=":material/error:")
    elif one.outcome is RetrainingOutcome.REFUSED:
        st.warning(escape_markdown(one.reason), icon=":material/block:")
    else:
        st.markdown(escape_markdown(one.reason))


def _ways(workspace: Workspace, one: Retraining) -> None:
    if one.job_id is None and one.version is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if one.job_id is not None:
            training_parts.way(
                f"Job {one.job_id}{_progress(workspace, one)}",
                "to_job",
                ":material/model_training:",
                training_parts.JOBS,
                **links.job_query(one.job_id),
            )
        if one.version is not None:
            st.page_link(
                links.REGISTRY_PAGE,
                label=f"{escape_markdown(one.model)} v{one.version}",
                query_params=links.model_query(one.model, one.version),
                icon=":material/inventory_2:",
            )


def _progress(workspace: Workspace, one: Retraining) -> str:
    if one.job_id is None or one.step is not Step.TRAINING or not one.is_open:
        return ""
    line = job_table.at_of(workspace.training.job(one.job_id), clock.now())
    return f": {escape_markdown(line)}" if line else ""


def _table(history: Sequence[Retraining]) -> None:
    frame = pl.DataFrame(
        [
            (
                one.started_at,
                outcome_label(one.outcome),
                _TRIGGERS.get(one.trigger, str(one.trigger)),
                f"v{one.version}" if one.version else None,
                verdict_label(str(one.verdict.word)) if one.verdict else None,
                one.reason or None,
                one.asked_by,
                duration((one.ended_at - one.started_at).total_seconds()) if one.ended_at else None,
            )
            for one in history
        ],
        schema={
            "Began": pl.Datetime("us", "UTC"),
            "Outcome": pl.String,
            "Why": pl.String,
            "Version": pl.String,
            "Against the champion": pl.String,
            "Reason": pl.String,
            "By": pl.String,
            "Took": pl.String,
        },
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame),
        key="retrainings_table",
        hide_index=True,
        height=tables.height(frame.height, 12),
        placeholder=MISSING,
        column_config={
            "Began": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Reason": st.column_config.TextColumn(width="large"),
        },
        alt="Retrainings",
    )

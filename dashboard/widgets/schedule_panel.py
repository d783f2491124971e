"""One model's schedule: when it is retrained, on and off, now, the form that changes it, and what came of it."""

from __future__ import annotations

import streamlit as st

from core import clock
from core.access import Actor, Permission
from core.training.schedule.types import Schedule
from core.workspace import Workspace
from dashboard.formats import ago, escape_markdown, exact_time
from dashboard.widgets import (
    deeds,
    job_list,
    retrainings,
    schedule_form,
    schedule_words,
    states,
    training_parts,
)
from dashboard.widgets.deeds import Deed, Offer
from dashboard.widgets.writes import Said


def draw(workspace: Workspace, model: str, schedule: Schedule | None, actor: Actor) -> None:
    """Draw the model."""
    desk = workspace.training.schedules
    history = desk.retrainings(model)
    if schedule is None:
        if not history:
            states.empty(f"{model} is not retrained by itself. Fill this in, or leave it so.")
        with st.expander(f"Schedule {escape_markdown(model)}", expanded=not history, key="set_schedule"):
            schedule_form.draw(workspace, model, None, actor)
    else:
        _head(schedule)
        if schedule.enabled and not workspace.training.worker().alive:
            job_list.worker_line(workspace.training, waiting=0)
        under_way = next((one for one in history if one.is_open), None)
        offers = [
            _now(workspace, schedule, actor, under_way is not None),
            _switch(workspace, schedule, actor),
        ]
        deeds.draw([*offers, _remove(workspace, schedule, actor)], actor)
        with st.expander("Change it", icon=":material/edit:", key="set_schedule"):
            schedule_form.draw(workspace, model, schedule, actor)
    retrainings.draw(workspace, model, history, actor)


def _head(schedule: Schedule) -> None:
    with st.container(horizontal=True, gap="large"):
        st.metric("Schedule", "● On" if schedule.enabled else "○ Off", width="content")
        if schedule.next_due is not None:
            now = clock.now()
            soon = ago(schedule.next_due, now) if schedule.next_due > now else "due now"
            st.metric("Next", soon, width="content", help=exact_time(schedule.next_due))
        if schedule.mode == "incremental":
            st.metric("Trained on", f"last {schedule.last_days:,} days", width="content")
            st.metric("Epochs", f"{schedule.epochs:,}", width="content")
        else:
            st.metric("Trained on", "everything", width="content")
    words = schedule_words.rhythm(schedule)
    due = f", next {schedule_words.due(schedule)}" if schedule.next_due else ""
    st.markdown(f"**{escape_markdown(schedule.entry_point)}** {escape_markdown(words)}{escape_markdown(due)}")
    given = ", ".join(f"{key}={value}" for key, value in schedule.parameters.items())
    st.caption(
        f"Set by {escape_markdown(schedule.set_by)} {ago(schedule.set_at, clock.now())}"
        + (f" with {escape_markdown(given)}" if given else "")
    )


def _now(workspace: Workspace, schedule: Schedule, actor: Actor, under_way: bool) -> Offer:
    model = schedule.model
    deed = Deed(
        "retrain",
        f"Retrain {model} now",
        "Yes, retrain",
        Permission.LAUNCH,
        "",
        "Beginning",
        forbidden="It is being retrained already." if under_way else "",
        more="Whatever comes of it, what is in Production stays there; a new version goes to Staging at most.",
        icon=":material/play_arrow:",
        primary=True,
    )

    def do(_: str, __: str | None) -> Said:
        begun = workspace.training.schedules.retrain(model, actor)
        training_parts.go(
            training_parts.SCHEDULES,
            **{training_parts.MODEL: model, training_parts.RETRAINING: str(begun.id)},
        )
        return Said(f"{model} is being retrained.", "Its steps show below as they are taken.")

    return deed, do


def _switch(workspace: Workspace, schedule: Schedule, actor: Actor) -> Offer:
    word = "off" if schedule.enabled else "on"
    deed = Deed(
        "switch_schedule",
        f"Switch the schedule {word}",
        f"Yes, switch it {word}",
        Permission.SCHEDULE,
        "",
        "Switching",
        more="What is under way is finished." if schedule.enabled else "",
        icon=":material/pause:" if schedule.enabled else ":material/schedule:",
    )

    def do(_: str, __: str | None) -> Said:
        set_now = workspace.training.schedules.switch(schedule.model, not schedule.enabled, actor)
        then = f"Next: {schedule_words.due(set_now)}." if set_now.next_due else ""
        return Said(f"The schedule of {schedule.model} is {word}.", then)

    return deed, do


def _remove(workspace: Workspace, schedule: Schedule, actor: Actor) -> Offer:
    deed = Deed(
        "remove_schedule",
        "Remove the schedule",
        "Yes, remove it",
        Permission.SCHEDULE,
        "",
        "Removing",
        more="Versions, runs and the history of retrainings stay.",
        icon=":material/delete:",
    )

    def do(_: str, __: str | None) -> Said:
        workspace.training.schedules.remove(schedule.model, actor)
        return Said(
            f"{schedule.model} is not retrained by itself any more.", "It can be scheduled again below."
        )

    return deed, do

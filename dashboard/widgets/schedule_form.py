"""The form that sets how a model is retrained: what trains it, on what, how often, at what time and where."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time
from functools import cache
from typing import Final
from zoneinfo import available_timezones

import streamlit as st

from core.access import Actor, Permission
from core.training.projects.types import EntryPoint, Project
from core.training.schedule.types import (
    EPOCHS,
    LAST_DAYS,
    WARM_START,
    Mode,
    Schedule,
    ScheduleRequest,
)
from core.training.types import BUILT_IN, EngineKind
from core.workspace import Workspace
from dashboard.formats import escape_markdown
from dashboard.widgets import acting, parameter_form, schedule_words, states, writes
from dashboard.widgets.writes import Said

_KEY: Final = "set_the_schedule"
_MODES: Final = {
    Mode.INCREMENTAL: "Incremental: goes on from the champion",
    Mode.FULL: "Full: from the beginning, on everything",
}


def draw(workspace: Workspace, model: str, schedule: Schedule | None, actor: Actor) -> None:
    """Draw the form, filled in with the schedule there is."""
    prefix = f"s:{model}"
    entry = _entry(workspace, schedule, prefix)
    if entry is None:
        return
    mode, last_days, epochs = _mode(entry, schedule, prefix)
    set_here = _set_by(mode)
    shown = EntryPoint(
        entry.project,
        entry.name,
        entry.help,
        tuple(one for one in entry.parameters if one.name not in set_here),
        entry.command,
        entry.resumes,
    )
    filled = parameter_form.draw(shown, _given(schedule, entry), f"{prefix}:{entry.project}:{entry.name}")
    request = _timing(workspace, entry, filled.values, schedule, (mode, last_days, epochs), prefix)
    forbidden = acting.why_not(actor, Permission.SCHEDULE)
    if st.button(
        "Change the schedule" if schedule else escape_markdown(f"Schedule {model}"),
        key=_KEY,
        type="primary",
        icon=":material/schedule:",
        disabled=bool(forbidden),
        help=escape_markdown(forbidden) or None,
    ):
        writes.attempt(_KEY, lambda: _set(workspace, model, request, actor), "Setting the schedule")
    writes.refusal(_KEY)


def _entry(workspace: Workspace, schedule: Schedule | None, prefix: str) -> EntryPoint | None:
    known = {
        (project.name, entry.name): entry
        for project in workspace.training.projects.list()
        if isinstance(project, Project)
        for entry in project.entry_points
    }
    if not known:
        states.empty("No project has an entry point that could be scheduled.")
        return None
    labels = {_named(*pair): pair for pair in known}
    before = _named(schedule.project, schedule.entry_point) if schedule is not None else next(iter(labels))
    options = list(labels)
    chosen = st.selectbox(
        "What trains it",
        options,
        options.index(before) if before in options else 0,
        key=f"{prefix}:entry",
        width=320,
    )
    return known[labels[chosen or options[0]]]


def _named(project: str, entry: str) -> str:
    return entry if project == BUILT_IN else f"{project} · {entry}"


def _given(schedule: Schedule | None, entry: EntryPoint) -> Mapping[str, str]:
    if schedule is None or (schedule.project, schedule.entry_point) != (entry.project, entry.name):
        return {}
    return schedule.parameters


def _set_by(mode: Mode) -> tuple[str, ...]:
    """Return the parameters that an incremental retraining sets by itself."""
    return (LAST_DAYS, EPOCHS, WARM_START) if mode is Mode.INCREMENTAL else ()


def _mode(entry: EntryPoint, schedule: Schedule | None, prefix: str) -> tuple[Mode, int, int]:
    first, second, third = st.columns([2, 1, 1], vertical_alignment="bottom")
    modes = list(_MODES)
    mode = first.selectbox(
        "Mode",
        modes,
        modes.index(schedule.mode) if schedule else 0,
        format_func=lambda one: _MODES[one],
        key=f"{prefix}:mode",
    )
    takes = {one for one in _set_by(Mode.INCREMENTAL) if entry.parameter(one) is not None}
    full = mode is Mode.FULL
    days = second.number_input(
        "Last days",
        1,
        36_500,
        schedule.last_days if schedule else 30,
        1,
        key=f"{prefix}:last_days",
        disabled=full or LAST_DAYS not in takes,
    )
    epochs = third.number_input(
        "Epochs",
        1,
        1_000_000,
        schedule.epochs if schedule else 5,
        1,
        key=f"{prefix}:epochs",
        disabled=full or EPOCHS not in takes,
    )
    if not full and not takes:
        names = f"{LAST_DAYS}, {EPOCHS} or {WARM_START}"
        st.caption(
            escape_markdown(
                f"{entry.name} has no parameter {names}: incremental trains it on all of its data, as full does."
            )
        )
    return mode or Mode.INCREMENTAL, int(days or 30), int(epochs or 5)


def _timing(
    workspace: Workspace,
    entry: EntryPoint,
    parameters: Mapping[str, str],
    schedule: Schedule | None,
    how: tuple[Mode, int, int],
    prefix: str,
) -> ScheduleRequest:
    every, at, zone, first = st.columns([1, 1, 2, 1])
    interval = every.number_input(
        "Every so many days", 1, 3_650, schedule.interval_days if schedule else 7, 1, key=f"{prefix}:every"
    )
    time_of_day = at.time_input(
        "At", time.fromisoformat(schedule.time_of_day if schedule else "02:00"), key=f"{prefix}:at", step=60
    )
    zones = _zones(schedule.zone if schedule else "UTC")
    named = schedule.zone if schedule else "UTC"
    chosen = zone.selectbox(
        "By the clocks of",
        zones,
        zones.index(named),
        key=f"{prefix}:zone",
        help="The time stays the same when these clocks change to summer time and back.",
    )
    day: date | None = first.date_input(
        "Counted from",
        schedule.first_day if schedule else None,
        key=f"{prefix}:first",
        format="YYYY-MM-DD",
        help="The first day. Empty: the next one.",
    )
    more = st.expander("More", key=f"{prefix}:more")
    artifact_path = more.text_input(
        "Folder of the model among the run's artifacts",
        schedule.artifact_path if schedule else "model",
        key=f"{prefix}:path",
    )
    engines = workspace.training.engines()
    before = schedule.engine if schedule and schedule.engine in engines else engines[0]
    engine = before
    if len(engines) > 1:
        engine = EngineKind(
            more.radio(
                "Where it runs",
                [str(one) for one in engines],
                engines.index(before),
                key=f"{prefix}:engine",
                horizontal=True,
            )
            or before
        )
    mode, last_days, epochs = how
    return ScheduleRequest(
        entry_point=entry.name,
        parameters=dict(parameters),
        project=entry.project,
        engine=engine,
        artifact_path=(artifact_path or "model").strip(),
        mode=mode,
        last_days=last_days,
        epochs=epochs,
        interval_days=int(interval or 7),
        time_of_day=f"{time_of_day:%H:%M}" if time_of_day else "02:00",
        zone=chosen or named,
        first_day=day,
        enabled=schedule.enabled if schedule else True,
    )


def _zones(named: str) -> list[str]:
    known = _all_zones()
    return known if named in known else [named, *known]


@cache
def _all_zones() -> list[str]:
    return sorted(available_timezones())


def _set(workspace: Workspace, model: str, request: ScheduleRequest, actor: Actor) -> Said:
    made = workspace.training.schedules.set(model, request, actor)
    return Said(
        f"{model} is retrained {schedule_words.rhythm(made)}.",
        f"Next: {schedule_words.due(made)}." if made.next_due else "It is off.",
    )

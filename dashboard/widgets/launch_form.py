"""Launch a training, or a sweep of them: a form made from the entry point's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import streamlit as st

from core.access import Actor, Permission
from core.errors import GreenroomError
from core.training.desk import TrainingDesk
from core.training.projects.types import EntryPoint
from core.training.types import MOST_PRIORITY, EngineKind, Job, LaunchRequest, Resources
from core.workspace import Workspace
from dashboard.formats import count, escape_markdown
from dashboard.widgets import (
    acting,
    entry_choice,
    job_list,
    links,
    parameter_form,
    states,
    sweep_form,
    training_parts,
    writes,
)
from dashboard.widgets.writes import Said

_KEY: Final = "launch"
_LEAVES_IT: Final = "0 leaves it to the cluster."


@dataclass(frozen=True, slots=True)
class _More:
    """Everything besides the parameters."""

    engine: EngineKind
    resources: Resources
    experiment: str | None
    name: str | None
    priority: int


def draw(workspace: Workspace, actor: Actor) -> None:
    """Draw the form."""
    desk = workspace.training
    source = _source(desk)
    if source is not None:
        # A duplicate opens with what it is made from.
        st.query_params.setdefault(training_parts.PROJECT, source.project)
        st.query_params.setdefault(training_parts.ENTRY, source.entry_point)
    entry = entry_choice.choose(desk)
    if entry is None:
        return
    if source is not None and (source.project, source.entry_point) != (entry.project, entry.name):
        source = None
    _about(desk, entry, source)
    prefix = f"p:{entry.project}:{entry.name}:{source.id if source is not None else ''}"
    given = source.parameters if source is not None else {}
    filled = parameter_form.draw(entry, given, prefix, varied=sweep_form.varied_of(prefix))
    grid = sweep_form.draw(entry, prefix)
    more = _more(desk, source, prefix)
    if not desk.worker().alive:
        job_list.worker_line(desk, waiting=0)
    _button(desk, entry, filled, grid, more, source, actor)


def _source(desk: TrainingDesk) -> Job | None:
    """Return the job that the form begins with."""
    asked = training_parts.number_in_address(training_parts.FROM, "job")
    if asked is None:
        return None
    try:
        return desk.job(asked)
    except GreenroomError as error:
        states.failed(error)
        return None


def _about(desk: TrainingDesk, entry: EntryPoint, source: Job | None) -> None:
    told = [escape_markdown(entry.help.strip())] if entry.help.strip() else []
    if source is not None:
        told.append(f"The fields begin with what job {source.id} was given.")
    if told:
        st.caption(" ".join(told))
    command = desk.missing_for(entry.project, entry.name)
    if command:
        st.warning(
            "Packages that this entry point needs are not installed here. One command mends it:",
            icon=":material/warning:",
        )
        st.code(command, language="bash")


def _more(desk: TrainingDesk, source: Job | None, prefix: str) -> _More:
    engines = desk.engines()
    engine, resources = engines[0], Resources()
    if len(engines) > 1:
        before = source.engine if source is not None and source.engine in engines else engines[0]
        engine = EngineKind(
            st.radio(
                "Where it runs",
                [str(one) for one in engines],
                engines.index(before),
                key=f"{prefix}:engine",
                horizontal=True,
                format_func=_engine_named,
            )
            or before
        )
    if engine is not EngineKind.LOCAL:
        resources = _resources(source, prefix)
    with st.expander("More", key=f"{prefix}:more"):
        first, second, third = st.columns([2, 2, 1])
        name = first.text_input("Name of the run", source.name if source else "", key=f"{prefix}:name")
        experiment = second.text_input(
            "Experiment",
            source.experiment if source else "",
            key=f"{prefix}:experiment",
            placeholder="The entry point's own",
        )
        priority = third.number_input(
            "Priority",
            -MOST_PRIORITY,
            MOST_PRIORITY,
            source.priority if source else 0,
            1,
            key=f"{prefix}:priority",
            help="The higher is run first; of equal ones the older.",
        )
    return _More(
        engine,
        resources,
        (experiment or "").strip() or None,
        (name or "").strip() or None,
        int(priority or 0),
    )


def _engine_named(engine: str) -> str:
    return {"local": "The worker's machine", "ray": "Ray cluster", "kubernetes": "Kubernetes"}.get(
        engine, engine
    )


def _resources(source: Job | None, prefix: str) -> Resources:
    before = source.resources if source is not None else Resources()
    with st.container(horizontal=True):
        cpus, gpus = (
            st.number_input(
                label, 0.0, None, amount, 1.0, "%g", key=f"{prefix}:{label}", width=160, help=_LEAVES_IT
            )
            for label, amount in (("CPUs", before.cpus), ("GPUs", before.gpus))
        )
    return Resources(float(cpus or 0), float(gpus or 0))


def _button(
    desk: TrainingDesk,
    entry: EntryPoint,
    filled: parameter_form.Filled,
    grid: Mapping[str, tuple[str, ...]],
    more: _More,
    source: Job | None,
    actor: Actor,
) -> None:
    forbidden = acting.why_not(actor, Permission.LAUNCH)
    runs = sweep_form.runs_of(grid)
    what = f"Launch {count(runs, 'run')} of {entry.name}" if grid else f"Launch {entry.name}"
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            escape_markdown(what),
            key=_KEY,
            type="primary",
            icon=":material/rocket_launch:",
            disabled=bool(forbidden),
            help=escape_markdown(forbidden) or None,
        )
        if forbidden:
            st.caption(escape_markdown(forbidden), width="content")
        elif filled.values:
            changed = ", ".join(filled.values)
            st.caption(f"Not the default: {escape_markdown(changed)}", width="content")
    if pressed:
        request = LaunchRequest(
            entry_point=entry.name,
            parameters=dict(filled.values),
            project=entry.project,
            engine=more.engine,
            resources=more.resources,
            experiment=more.experiment,
            name=more.name,
            priority=more.priority,
            made_from=source.id if source is not None else None,
        )
        writes.attempt(_KEY, lambda: _launched(desk, request, grid, actor), "Launching")
    writes.refusal(_KEY)


def _launched(
    desk: TrainingDesk, request: LaunchRequest, grid: Mapping[str, tuple[str, ...]], actor: Actor
) -> Said:
    if grid:
        sweep = desk.sweep(request, grid, actor)
        training_parts.go(training_parts.JOBS, **{training_parts.SWEEP: str(sweep.id)})
        return Said(
            f"Sweep {sweep.id} is launched: {count(sum(sweep.states.values()), 'run')}.",
            "They run as soon as there is room.",
        )
    job = desk.launch(request, actor)
    training_parts.go(training_parts.JOBS, **links.job_query(job.id))
    return Said(f"Job {job.id} is launched: {job.name}.", "It runs as soon as there is room.")

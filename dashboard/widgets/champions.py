"""What is in Production, for the first page: each model's champion and what it changed, challengers, requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite

import polars as pl
import streamlit as st

from core.audit import AuditEvent
from core.errors import GreenroomError
from core.registry import history
from core.registry.desk import RegistryDesk
from core.registry.requests import OPEN, Request, RequestState
from core.registry.seen import SeenVersions
from core.registry.types import Model, Stage, Version
from core.runs.comparison.metric_direction import is_clockwork, known_direction
from core.runs.types import Run
from core.workspace import Workspace
from dashboard.formats import MISSING, ago, count, delta, escape_markdown, number, weekday_time
from dashboard.widgets import links, tables
from dashboard.widgets.stage_board import eligible_from

_MODELS, _METRICS, _REQUESTS = 12, 3, 5


def draw(workspace: Workspace) -> None:
    """Draw the section; one quiet line where there is nothing, or the registry cannot be read."""
    desk = workspace.registry
    try:
        models, seen = desk.watch.models(), desk.watch.seen()
        requests = desk.requests(states=OPEN)
        with_champion = sorted(
            (one for one in models.values() if one.in_stage(Stage.PRODUCTION)), key=_latest, reverse=True
        )
        shown = with_champion[:_MODELS]
        events = {one.name: desk.events(one.name) for one in shown}
    except GreenroomError as error:
        st.caption(f"What is in Production cannot be read: {escape_markdown(str(error))}")
        return
    if not models:
        st.caption(
            "No model is registered yet: `greenroom register RUN --name MODEL` makes the first version."
        )
        return
    _waiting(requests)
    if not shown:
        st.caption(f"{count(len(models), 'model')}, none of them in Production.")
        return
    st.markdown("**In Production**")
    _table(workspace, shown, seen, events)
    if len(with_champion) > len(shown):
        st.page_link(
            links.REGISTRY_PAGE,
            label=f"All {len(with_champion):,} models in Production",
            query_params={"models_shown": "Has Production"},
            icon=":material/inventory_2:",
        )


def _waiting(requests: Sequence[Request]) -> None:
    waiting = [one for one in requests if one.state is RequestState.WAITING]
    if not waiting:
        return
    st.markdown(f"**{count(len(waiting), 'request waits', 'requests wait')} for a decision**")
    now = datetime.now(UTC)
    for one in waiting[:_REQUESTS]:
        st.page_link(
            links.APPROVALS_PAGE,
            label=f"{escape_markdown(one.sentence())}, asked by {escape_markdown(one.asked_by)} "
            f"{ago(one.asked_at, now)}",
            query_params={"request": str(one.id)},
            icon=":material/fact_check:",
        )
    if len(waiting) > _REQUESTS:
        st.page_link(links.APPROVALS_PAGE, label=f"All {len(waiting):,}", icon=":material/fact_check:")


def _table(
    workspace: Workspace,
    models: Sequence[Model],
    seen: Mapping[str, SeenVersions],
    events: Mapping[str, Sequence[AuditEvent]],
) -> None:
    rows = [_row(workspace, one, seen.get(one.name, {}), events[one.name]) for one in models]
    frame = pl.DataFrame(
        rows,
        schema={
            "Model": pl.String,
            "Champion": pl.String,
            "Since": pl.Datetime("us", "UTC"),
            "By": pl.String,
            "Metrics of its run, change against the champion before": pl.String,
            "In Staging": pl.String,
            "Page": pl.String,
        },
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame),
        hide_index=True,
        key="champions",
        height=tables.height(frame.height, _MODELS),
        placeholder=MISSING,
        column_config={
            "Model": st.column_config.TextColumn(pinned=True),
            "Since": st.column_config.DatetimeColumn(
                format="YYYY-MM-DD HH:mm", help="At the latest, where nobody recorded it."
            ),
            "Champion": st.column_config.TextColumn(width=130),
            "Metrics of its run, change against the champion before": st.column_config.TextColumn(width=520),
            "In Staging": st.column_config.TextColumn(width="medium"),
            "Page": st.column_config.LinkColumn(display_text="Open", help="Opens the model in a new tab."),
        },
        alt="Every model in Production",
    )
    chosen = st.selectbox(
        "Open a model",
        [one.name for one in models],
        index=None,
        key="open_model",
        placeholder="Choose a model",
    )
    if chosen:
        st.switch_page(links.REGISTRY_PAGE, query_params=links.model_query(chosen))


def _row(
    workspace: Workspace, model: Model, seen: SeenVersions, events: Sequence[AuditEvent]
) -> tuple[object, ...]:
    inside = model.in_stage(Stage.PRODUCTION)
    staged = [
        _challenger(workspace.registry, model, one, seen) for one in reversed(model.in_stage(Stage.STAGING))
    ]
    in_staging = ", ".join(staged) or None
    page = links.model_url(model.name)
    if len(inside) > 1:
        names = " and ".join(f"v{one.version}" for one in inside)
        return (model.name, f"⚠ conflict: {names}", None, None, None, in_staging, page)
    champion = inside[0]
    reigns = history.reigns(events)
    current = next(
        (one for one in reversed(reigns) if one.version == champion.version and one.end is None), None
    )
    known = seen.get(champion.version)
    since = known.since if known is not None and known.stage is Stage.PRODUCTION else None
    before = next(
        (one for one in reversed(reigns) if one.version != champion.version and one.end is not None), None
    )
    previous = _version(model, before.version) if before is not None else None
    return (
        model.name,
        f"★ v{champion.version}",
        since,
        (current.by if current is not None else "") or ("not recorded" if since else None),
        _metrics(workspace, champion, previous),
        in_staging,
        page,
    )


def _challenger(desk: RegistryDesk, model: Model, one: Version, seen: SeenVersions) -> str:
    """Name a version in Staging and say whether it has been there for long enough."""
    known = seen.get(one.version)
    hours = desk.rules.gates.of(model.name).soak_hours
    if not hours or known is None or known.stage is not Stage.STAGING:
        return f"v{one.version}"
    at = eligible_from(known.since, hours)
    return f"v{one.version} " + ("✓ soaked" if at <= datetime.now(UTC) else f"◷ eligible {weekday_time(at)}")


def _metrics(workspace: Workspace, champion: Version, previous: Version | None) -> str | None:
    """Write up to three metrics of the champion's run, those with a known direction first."""
    run = _run(workspace, champion)
    if run is None:
        return None
    old = _run(workspace, previous) if previous is not None else None
    told = workspace.runs.directions([run.experiment_id])
    better = {key: told.get(key, known_direction(key, (value,))) for key, value in run.metrics.items()}
    keys = sorted(run.metrics, key=lambda key: (is_clockwork(key), better[key] is None, key))[:_METRICS]
    parts = []
    for key in keys:
        value, before = run.metrics[key], old.metrics.get(key) if old is not None else None
        change = None if before is None else value - before
        written = f" ({delta(change, better[key])})" if change is not None and isfinite(change) else ""
        parts.append(f"{key} {number(value)}{written}")
    return " · ".join(parts) or None


def _run(workspace: Workspace, version: Version) -> Run | None:
    try:
        return workspace.runs.run(version.run_id) if version.run_id else None
    except GreenroomError:
        return None


def _version(model: Model, number_of: int) -> Version | None:
    return next((one for one in model.versions if one.version == number_of), None)


def _latest(model: Model) -> datetime:
    return max((model.updated, *(one.updated for one in model.versions)))

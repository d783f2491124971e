"""Training on the first page: what runs, waits or failed, what is retrained when, and live figures that got worse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import polars as pl
import streamlit as st

from core import clock
from core.errors import GreenroomError
from core.registry.monitoring.findings import Finding
from core.registry.types import Stage
from core.training.desk import TrainingDesk
from core.training.schedule.types import Retraining, Schedule
from core.training.types import Job, JobState
from core.workspace import Workspace
from dashboard.formats import MISSING, ago, escape_markdown, exact_time, outcome_label, verdict_label
from dashboard.widgets import job_list, job_panel, job_table, links, schedule_words, tables, training_parts

_JOBS: Final = 4
_MODELS: Final = 12
_LATELY: Final = timedelta(days=7)
_REDRAWN_SECONDS: Final = 5.0


def draw(workspace: Workspace) -> None:
    """Draw the section; nothing where nothing is launched, scheduled or watched."""
    try:
        _degraded(workspace)
        _jobs(workspace.training)
        _retraining(workspace.training)
    except GreenroomError as error:
        st.caption(f"What is trained cannot be read: {escape_markdown(str(error))}")


def _jobs(desk: TrainingDesk) -> None:
    if not any(desk.counts().values()):
        return

    @st.fragment(run_every=_REDRAWN_SECONDS)
    def jobs() -> None:
        try:
            _listed(desk)
        except GreenroomError as error:
            st.caption(escape_markdown(str(error)))

    jobs()


def _listed(desk: TrainingDesk) -> None:
    counts, now = desk.counts(), clock.now()
    running, queued = counts.get(JobState.RUNNING, 0), counts.get(JobState.QUEUED, 0)
    failed = [
        one
        for one in desk.jobs(states=(JobState.FAILED, JobState.LOST), limit=_JOBS)
        if one.ended_at is not None and now - one.ended_at < _LATELY
    ]
    if not (running or queued or failed):
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Jobs**", width="content")
        st.page_link(
            links.TRAINING_PAGE,
            label=f"{running:,} running, {queued:,} queued",
            icon=":material/model_training:",
        )
    if not desk.worker().alive and (running or queued):
        job_list.worker_line(desk, waiting=queued)
    for one in desk.jobs(states=(JobState.RUNNING,), limit=_JOBS) if running else ():
        _job(one, job_table.at_of(one, now) or f"since {ago(one.started_at, now)}")
    for one in desk.jobs(states=(JobState.QUEUED,), limit=_JOBS) if queued and not running else ():
        _job(one, f"asked {ago(one.asked_at, now)}")
    for one in failed:
        _job(one, f"{ago(one.ended_at, now)}: {one.reason}" if one.reason else ago(one.ended_at, now))


def _job(one: Job, told: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(job_panel.mark(one), width="content")
        st.page_link(
            links.TRAINING_PAGE,
            label=f"{escape_markdown(one.name)} · {escape_markdown(told)}",
            query_params=links.job_query(one.id),
        )


def _retraining(training: TrainingDesk) -> None:
    desk = training.schedules
    schedules = {one.model: one for one in desk.all()}
    if not schedules:
        return
    st.markdown("**Retraining**")
    shown = sorted(schedules.values(), key=lambda one: (one.next_due is None, one.next_due or one.set_at))
    rows = [_row(one, desk.retrainings(one.model, limit=1)) for one in shown[:_MODELS]]
    frame = pl.DataFrame(
        rows,
        schema=["Model", "Next", "When", "Last retraining", "Against the champion"],
        orient="row",
    )
    st.dataframe(
        tables.arrow(frame.cast(pl.String)),
        key="retraining_overview",
        hide_index=True,
        height=tables.height(frame.height, _MODELS),
        placeholder=MISSING,
        alt="Schedules of retraining",
    )
    more = f"All {len(schedules):,} schedules" if len(schedules) > _MODELS else "Schedules"
    st.page_link(
        links.TRAINING_PAGE,
        label=more,
        query_params={training_parts.PART: training_parts.SCHEDULES},
        icon=":material/schedule:",
    )


def _row(one: Schedule, last: Sequence[Retraining]) -> tuple[str | None, ...]:
    latest, now = (last[0] if last else None), clock.now()
    soon = ago(one.next_due, now) if one.next_due is not None and one.next_due > now else "due now"
    return (
        one.model,
        soon if one.next_due is not None else "○ Off",
        schedule_words.rhythm(one),
        None
        if latest is None
        else f"{outcome_label(latest.outcome)} {ago(latest.ended_at or latest.started_at, now)}",
        verdict_label(str(latest.verdict.word)) if latest is not None and latest.verdict else None,
    )


def _degraded(workspace: Workspace) -> None:
    """Say which versions in Production do not keep their thresholds, judged by their latest live figures."""
    latest: dict[tuple[str, int], Finding] = {}
    for one in workspace.live.findings.find():
        latest[one.model, one.version] = one
    broken = [one for one in latest.values() if not one.passed]
    if not broken:
        return
    models = workspace.registry.watch.models()
    for one in broken:
        model = models.get(one.model)
        if model is None or one.version not in {each.version for each in model.in_stage(Stage.PRODUCTION)}:
            continue
        done = f" {escape_markdown(one.act[:1].upper() + one.act[1:])}." if one.act else ""
        st.warning(
            f"**Live figures of {escape_markdown(one.model)} v{one.version} got worse** "
            f"{ago(one.at, clock.now())}. {escape_markdown(one.sentence)}{done}",
            icon=":material/trending_down:",
        )
        st.page_link(
            links.RUN_PAGE,
            label=f"The run with its figures, of {exact_time(one.at)}",
            query_params={"run": one.run_id},
            icon=":material/description:",
        )

"""All jobs: how many are in which state, whether a worker lives, and one page of them, kept fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final

import streamlit as st

from core import clock
from core.errors import GreenroomError
from core.training.desk import TrainingDesk
from core.training.types import Job, JobState
from core.workspace import Workspace
from dashboard.formats import ago, count, escape_markdown, exact_time
from dashboard.widgets import choices, job_table, rereading, states, sweep_panel, training_parts, url_choice

_PAGE_ROWS: Final = 50
_REDRAWN_SECONDS: Final = 2.0
_LATELY: Final = timedelta(days=1)
_MOST_LATELY: Final = 100
_ALL: Final = "All"
_STATE: Final = "state"
_PAGE: Final = "jobs_page"
_STATES: Final = {_ALL: None, **{str(one).capitalize(): one for one in JobState}}
WORKER_COMMAND: Final = "greenroom worker"


def draw(workspace: Workspace) -> None:
    """Draw the section."""

    @st.fragment(run_every=_REDRAWN_SECONDS)
    def jobs() -> None:
        training_parts.leave_fragment()
        rereading.shown(workspace.runs)
        try:
            _draw(workspace.training)
        except GreenroomError as error:
            states.failed(error)

    jobs()


def _draw(desk: TrainingDesk) -> None:
    counts = desk.counts()
    if not any(counts.values()):
        worker_line(desk, waiting=0)
        states.empty(
            "Nothing was launched yet. Choose an entry point under Launch, or from the command line:",
            "greenroom train stores -P data=sales.csv",
        )
        st.button(
            "Launch a training",
            key="first_launch",
            type="primary",
            icon=":material/rocket_launch:",
            on_click=lambda: training_parts.go(training_parts.LAUNCH),
        )
        return
    _headline(desk, counts)
    worker_line(desk, waiting=counts.get(JobState.QUEUED, 0))
    sweep = training_parts.number_in_address(training_parts.SWEEP, "sweep")
    if sweep is not None:
        sweep_panel.head(desk, sweep)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = choices.choose("State", list(_STATES), _STATE)
        st.space("stretch")
        opener = st.container(width=420)
    state = _STATES[chosen]
    table = st.container()
    # Before what it pages: only then is its choice known, which may come from the address.
    page = _paged(_total(desk, counts, state, sweep), (state, sweep))
    jobs = desk.jobs(
        states=() if state is None else (state,),
        sweep=sweep,
        limit=_PAGE_ROWS,
        offset=(page - 1) * _PAGE_ROWS,
    )
    with opener:
        _open(jobs)
    with table:
        if jobs:
            job_table.draw(jobs, clock.now(), queued=state is JobState.QUEUED)
        else:
            states.empty(f"No job is {chosen.lower()}." if state else "This sweep has no jobs.")
    if sweep is None:
        sweep_panel.choose(desk)


def _total(
    desk: TrainingDesk, counts: Mapping[JobState, int], state: JobState | None, sweep: int | None
) -> int:
    if sweep is not None:
        counts = desk.sweep_of(sweep).states
    return sum(counts.values()) if state is None else counts.get(state, 0)


def _paged(total: int, asked: object) -> int:
    """Draw the choice of the page, where there are several, and return it; other jobs begin at the first."""
    pages = max(ceil(total / _PAGE_ROWS), 1)
    if st.session_state.get("jobs_page_of", asked) != asked or st.session_state.get(_PAGE, 1) > pages:
        st.session_state[_PAGE] = 1
    st.session_state["jobs_page_of"] = asked
    if pages == 1:
        return 1
    with st.container(horizontal=True, horizontal_alignment="center"):
        return min(st.pagination(pages, key=_PAGE, bind="query-params"), pages)


def _headline(desk: TrainingDesk, counts: Mapping[JobState, int]) -> None:
    with st.container(horizontal=True, gap="large"):
        st.metric("Running", f"{counts.get(JobState.RUNNING, 0):,}", width="content")
        st.metric("Queued", f"{counts.get(JobState.QUEUED, 0):,}", width="content")
        failed, more = _failed_lately(desk, clock.now())
        st.metric(
            "Failed in a day",
            f"{failed:,}{'+' if more else ''}",
            width="content",
            help="Failed or lost within the last 24 hours.",
        )
        st.metric("Finished", f"{counts.get(JobState.FINISHED, 0):,}", width="content")


def _failed_lately(desk: TrainingDesk, now: datetime) -> tuple[int, bool]:
    latest = desk.jobs(states=(JobState.FAILED, JobState.LOST), limit=_MOST_LATELY)
    late = [one for one in latest if one.ended_at is not None and now - one.ended_at < _LATELY]
    return len(late), len(late) == _MOST_LATELY


def worker_line(desk: TrainingDesk, *, waiting: int) -> None:
    """Say whether a worker lives, and what to do where none does."""
    worker = desk.worker()
    if not worker.alive:
        waits = f"{count(waiting, 'job waits', 'jobs wait')} for one. " if waiting else ""
        st.warning(
            f"**No worker is alive.** {waits}"
            f"`greenroom up` starts one, and so does `{WORKER_COMMAND}` on any machine of the team.",
            icon=":material/power_off:",
        )
        return
    host = escape_markdown(worker.host or "unknown machine")
    since = f", since {ago(worker.since, clock.now())}" if worker.since else ""
    st.caption(
        f"● Worker on {host}, {count(worker.slots, 'job')} at once{since}",
        help=exact_time(worker.since),
    )


def _open(jobs: Sequence[Job]) -> None:
    known = {str(one.id): one for one in jobs}
    url_choice.choose(
        "Open a job",
        training_parts.JOB,
        list(known),
        None,
        job_table.open_job,
        format_func=lambda number: f"{number} · {known[number].name} · {known[number].state}",
        placeholder="Open a job",
        width=420,
    )

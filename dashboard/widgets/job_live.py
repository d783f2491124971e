"""A job's progress and log, drawn anew every second while it is not over."""

from __future__ import annotations

from typing import Final, Literal

import streamlit as st

from core import clock
from core.errors import GreenroomError
from core.training.desk import TrainingDesk
from core.training.types import Job, JobState, LogPart
from core.workspace import Workspace
from dashboard.formats import ago, duration, escape_markdown, file_size
from dashboard.widgets import job_table, rereading, states

_REDRAWN_SECONDS: Final = 1.0
_READ_BYTES: Final = 65_536
_LOG_PIXELS: Final = 460
_FEW_LINES: Final = 20
_START: Final = "job_log_start"


def draw(workspace: Workspace, job: Job) -> None:
    """Draw both; the whole page begins anew when the job comes to another state."""
    desk, shown = workspace.training, _state(job)

    @st.fragment(run_every=None if job.state.is_over else _REDRAWN_SECONDS)
    def live() -> None:
        rereading.shown(workspace.runs)
        try:
            now = desk.job(job.id)
            if _state(now) != shown:
                st.rerun()
            _progress(now)
            _log(desk, now)
        except GreenroomError as error:
            states.failed(error)

    live()


def _state(job: Job) -> tuple[object, ...]:
    """Tell what the rest of the page shows of a job."""
    return job.state, job.stop_asked_by, job.run_id, job.reason, job.priority


def _progress(job: Job) -> None:
    now = clock.now()
    line = job_table.at_of(job, now)
    if job.state is JobState.RUNNING:
        seconds = duration(job_table.seconds_of(job, now))
        said = f" · said {ago(job.progress.at, now)}" if job.progress and job.progress.share is None else ""
        text = f"{line or 'Under way'} · running for {seconds}{said}"
    elif line and job.state is not JobState.FINISHED:
        text = f"It came to {line}"
    else:
        return
    share = job.progress.share if job.progress is not None else None
    if share is None:
        st.caption(escape_markdown(text))
    else:
        st.progress(share, escape_markdown(text))


def _log(desk: TrainingDesk, job: Job) -> None:
    start = _start_of(job.id)
    part = desk.log(job.id, start=start, most=_READ_BYTES)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("**Log**", width="content")
        st.caption(_where(part, follows=start is None and not job.state.is_over), width="content")
        st.space("stretch")
        _pages(job.id, part, start)
    if not part.size:
        waits = "It has not started yet." if job.state is JobState.QUEUED else "Nothing is written yet."
        st.caption(waits if not job.state.is_over else "It wrote nothing.")
        return
    # Written by whatever was trained: shown as text and never as Markdown.
    short = job.state.is_over and part.text.count("\n") < _FEW_LINES and len(part.text) < _FEW_LINES * 80
    height: int | Literal["content"] = "content" if short else _LOG_PIXELS
    with st.container(height=height, border=False, autoscroll=start is None, key="job_log"):
        st.code(part.text, language=None, wrap_lines=True)


def _pages(number: int, part: LogPart, start: int | None) -> None:
    if part.start > 0:
        st.button("Earlier", key="log_earlier", on_click=_go, args=(number, max(part.start - _READ_BYTES, 0)))
    if start is not None:
        if part.end < part.size:
            st.button("Later", key="log_later", on_click=_go, args=(number, part.end))
        st.button("To the end", key="log_end", on_click=_go, args=(number, None))


def _where(part: LogPart, *, follows: bool) -> str:
    if not part.size:
        return ""
    following = ", follows" if follows else ""
    if part.start == 0 and part.end >= part.size:
        return f"{file_size(part.size)}{following}"
    return f"bytes {part.start:,} to {part.end:,} of {file_size(part.size)}{following}"


def _start_of(number: int) -> int | None:
    """Return where the log is read from; None is its end."""
    about, start = st.session_state.get(_START, (number, None))
    return start if about == number else None


def _go(number: int, start: int | None) -> None:
    st.session_state[_START] = (number, start)

"""A sweep: which values it tries, how its jobs stand, and the way to their comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import streamlit as st

from core import clock
from core.training.desk import TrainingDesk
from core.training.types import JobState, Sweep
from dashboard.formats import ago, escape_markdown, exact_time, job_label
from dashboard.widgets import links, training_parts, url_choice

# A comparison takes no more.
_MOST_RUNS: Final = 200
_LATEST: Final = 20


def head(desk: TrainingDesk, number: int) -> None:
    """Draw what the sweep is, above the list of its jobs."""
    sweep = desk.sweep_of(number)
    st.markdown(f"**Sweep {sweep.id}: {escape_markdown(sweep.name)}**")
    tried = " · ".join(f"{key} = {', '.join(values)}" for key, values in sweep.grid.items())
    st.markdown(escape_markdown(tried))
    st.caption(
        f"{standing(sweep.states)} · asked by {escape_markdown(sweep.asked_by)} "
        f"{ago(sweep.asked_at, clock.now())}",
        help=exact_time(sweep.asked_at),
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "All jobs",
            key="leave_sweep",
            icon=":material/arrow_back:",
            on_click=lambda: training_parts.put(training_parts.SWEEP, None),
        )
        if sweep.run_id:
            st.page_link(
                links.RUN_PAGE,
                label="Parent run",
                query_params={"run": sweep.run_id},
                icon=":material/description:",
            )
        runs = [one.run_id for one in desk.jobs(sweep=number, limit=_MOST_RUNS) if one.run_id]
        if len(runs) > 1:
            st.page_link(
                links.COMPARE_PAGE,
                label=f"Compare its {len(runs):,} runs",
                query_params={"runs": ",".join(reversed(runs))},
                icon=":material/compare_arrows:",
            )


def choose(desk: TrainingDesk) -> None:
    """Draw the choice of a sweep, where there are any."""
    known = {str(one.id): one for one in desk.sweeps(_LATEST)}
    if not known:
        return
    url_choice.choose(
        "Open a sweep",
        training_parts.SWEEP,
        list(known),
        None,
        lambda number: training_parts.put(training_parts.SWEEP, number),
        format_func=lambda number: _named(known[number]),
        placeholder="Open a sweep",
        width=420,
    )


def standing(states: Mapping[JobState, int]) -> str:
    """Say how many jobs are in which state: "3 ✓ Finished · 1 ● Running"."""
    parts = [f"{states[one]:,} {job_label(str(one))}" for one in JobState if states.get(one)]
    return " · ".join(parts) or "no jobs"


def _named(sweep: Sweep) -> str:
    return f"{sweep.id} · {sweep.name} · {', '.join(sweep.grid)}"

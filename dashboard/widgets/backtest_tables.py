"""Which of a run's tables is the curve, and which of its columns is what; a person's answer is remembered."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.backtests.logged.columns import ColumnChoice, Recognition
from core.backtests.logged.reading import BacktestReading
from core.errors import GreenroomError
from core.runs.types import Run
from dashboard import data
from dashboard.formats import escape_markdown
from dashboard.widgets import states

_TABLE = "table"
_NONE = "–"


def chosen(run: Run) -> str | None:
    """Return the table that the URL asks for; the reader finds one itself where it asks for none."""
    return st.query_params.get(_TABLE, "").strip() or None


def table(run: Run, reading: BacktestReading) -> None:
    """Draw the choice of the table, where there are several."""
    paths = [one.path for one in reading.tables]
    if len(paths) > 1 and reading.table in paths:
        key = f"{_TABLE}:{run.run_id}"
        st.selectbox(
            "Table",
            paths,
            index=paths.index(reading.table),
            key=key,
            on_change=lambda: st.query_params.update({_TABLE: st.session_state[key]}),
            width=320,
        )


def columns(run: Run, reading: BacktestReading) -> None:
    """Draw the choice of the columns."""
    found = reading.recognition
    if found is None:
        st.caption("This curve has no columns to choose from.")
        return
    now = reading.choice or found.suggestion()
    if now is None:
        return
    if found.problem:
        st.caption(escape_markdown(found.problem))
    with st.form(f"columns:{run.run_id}:{reading.table}", border=False):
        time = st.selectbox("Time", found.columns, index=_at(found.columns, now.time), key="column_time")
        kinds = ("Value", "Returns")
        kind = st.selectbox(
            "The next column holds",
            kinds,
            index=0 if now.value is not None else 1,
            key="column_kind",
        )
        numeric = list(found.numeric)
        values = st.selectbox(
            "Portfolio", numeric, index=_at(numeric, now.value or now.returns), key="column_values"
        )
        optional = [_NONE, *numeric]
        benchmark = st.selectbox(
            "Benchmark", optional, index=_at(optional, now.benchmark), key="column_benchmark"
        )
        position = st.selectbox(
            "Position", optional, index=_at(optional, now.position), key="column_position"
        )
        as_returns = st.checkbox(
            "The benchmark holds returns", value=now.benchmark_is_returns, key="column_benchmark_kind"
        )
        saved = st.form_submit_button(
            "Use and remember",
            help="For all tables of this experiment that have these columns.",
        )
    if saved and time is not None and values is not None:
        _remember(
            run,
            found,
            ColumnChoice(
                time,
                values if kind == "Value" else None,
                values if kind == "Returns" else None,
                None if benchmark == _NONE else benchmark,
                as_returns,
                None if position == _NONE else position,
                now.cash,
            ),
        )


def _remember(run: Run, found: Recognition, choice: ColumnChoice) -> None:
    try:
        data.remember_columns(run.run_id, found.columns, choice)
    except GreenroomError as error:
        states.failed(error)
    else:
        st.rerun()


def _at(options: Sequence[str], wanted: str | None) -> int:
    return options.index(wanted) if wanted in options else 0

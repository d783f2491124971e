"""Backtests: a tear sheet of one run, or up to twenty runs overlaid."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from core.backtests.logged.reading import BacktestReading
from core.backtests.tear_sheet import TearSheetOptions, with_benchmark
from core.backtests.types import EquityCurve
from core.errors import GreenroomError
from core.runs.types import Run
from dashboard import data
from dashboard.charts.theme import line_styles
from dashboard.formats import count, escape_markdown, number, short_id
from dashboard.widgets import (
    backtest_curves,
    backtest_export,
    backtest_headline,
    backtest_options,
    backtest_overlay,
    backtest_picker,
    backtest_sections,
    backtest_tables,
    links,
    states,
)
from dashboard.widgets.backtest_curves import NamedSheet

_HEADLINE_METRICS = 8
_COMMAND = """from core.tracking import MLflowLogger
logger = MLflowLogger("my-strategy")
logger.log_backtest_results({"portfolio_values": values, "trades": trades})"""


def render() -> None:
    """Draw the page."""
    runs = data.workspace().runs
    ids = backtest_picker.choose(runs)
    if not ids:
        states.empty(
            "Choose a run here, or tick runs on the Runs page and press Backtest. A run has a backtest when it "
            "logged a table of portfolio values:",
        )
        st.code(_COMMAND, language="python")
        return
    chosen = runs.runs(ids)
    readings = [_read(run, len(chosen) == 1) for run in chosen]
    drawn = [
        (run, reading, reading.curve)
        for run, reading in zip(chosen, readings, strict=True)
        if reading is not None and reading.curve is not None
    ]
    if not drawn:
        return
    if len(drawn) == 1:
        _one(*drawn[0])
    else:
        _several(drawn)


def _read(run: Run, alone: bool) -> BacktestReading | None:
    """Read a run's backtest; say what could not be read, and let a person choose where it is ambiguous."""
    name = run.name or short_id(run.run_id)
    try:
        reading = data.backtest(run.run_id, backtest_tables.chosen(run) if alone else None)
    except GreenroomError as error:
        st.error(escape_markdown(f"{name}: {error}"), icon=":material/error:")
        return None
    for problem in reading.problems:
        st.warning(escape_markdown(problem if alone else f"{name}: {problem}"), icon=":material/warning:")
    if reading.needs_choice and alone:
        backtest_tables.table(run, reading)
        st.markdown("**Which column is the value?**")
        backtest_tables.columns(run, reading)
    elif reading.needs_choice:
        st.info(
            escape_markdown(f"{name}: open it alone and say which of its columns is the value."),
            icon=":material/info:",
        )
    if reading.curve is None and not reading.needs_choice:
        _what_it_has(run, name, alone)
    return reading


def _what_it_has(run: Run, name: str, alone: bool) -> None:
    """Show what a run without a curve did log."""
    if alone and run.metrics:
        with st.container(horizontal=True, gap="large"):
            for key, value in sorted(run.metrics.items())[:_HEADLINE_METRICS]:
                st.metric(escape_markdown(key), number(value), width="content", help=repr(value))
    if alone and run.params:
        st.caption(
            escape_markdown(", ".join(f"{key} = {value}" for key, value in sorted(run.params.items())))
        )
    st.page_link(
        links.RUN_PAGE,
        label=f"All that {escape_markdown(name)} did log",
        query_params={"run": run.run_id},
        icon=":material/description:",
    )


def _identity(run: Run, reading: BacktestReading, benchmark: str = "") -> str:
    """Tell a reading from all others by what is in it: a table may be logged again under its old name."""
    curve, trades = reading.curve, reading.trades
    parts = [] if curve is None else [curve.times, curve.values, curve.benchmark, curve.position]
    parts += [] if trades is None else [trades.entry_time, trades.exit_time, trades.pnl]
    content = 0
    for part in parts:
        if part is not None:
            content = zlib.crc32(part.tobytes(), content)
    return f"{run.run_id}:{content:08x}:{reading.table}:{reading.choice}:{benchmark}"


def _one(run: Run, reading: BacktestReading, curve: EquityCurve) -> None:
    options = backtest_options.draw([curve], lambda: _beside_the_period(run, reading))
    curve, benchmark = _with_chosen_benchmark(run, curve)
    identity = _identity(run, reading, benchmark)
    try:
        sheet = data.measured(reading, curve, identity, options)
    except GreenroomError as error:
        states.failed(error)
        return
    style = line_styles([run.run_id])[run.run_id]
    named = NamedSheet(run.run_id, run.name or short_id(run.run_id), style, sheet, f"{identity}:{options}")
    backtest_headline.draw(named, reading)
    for note in (*reading.notes, *sheet.notes):
        st.caption(f"· {escape_markdown(note)}")
    line, benchmark_line = named.line(sheet.curve.values), backtest_curves.benchmark_line(sheet.curve)
    backtest_curves.draw([line], sheet, benchmark=benchmark_line, run_ids=[run.run_id])
    backtest_sections.draw(named, options)
    backtest_export.draw(run, reading, named, options)


def _beside_the_period(run: Run, reading: BacktestReading) -> None:
    backtest_picker.benchmark(data.workspace().runs, run)
    backtest_tables.table(run, reading)
    with st.popover("Columns", icon=":material/view_column:"):
        backtest_tables.columns(run, reading)


def _with_chosen_benchmark(run: Run, curve: EquityCurve) -> tuple[EquityCurve, str]:
    """Let a person compare with another run instead of the benchmark that was logged."""
    wanted = st.query_params.get(backtest_picker.BENCHMARK, "").strip()
    if not wanted:
        return curve, "logged"
    if wanted == backtest_picker.NO_BENCHMARK:
        return with_benchmark(curve, None), "none"
    try:
        other = data.workspace().runs.run(wanted)
        found = data.backtest(other.run_id, None)
    except GreenroomError as error:
        states.failed(error)
        return curve, "logged"
    if found.curve is None:
        st.warning(f"{escape_markdown(other.name or wanted)} has no curve to compare with.")
        return curve, "logged"
    return with_benchmark(curve, found.curve), _identity(other, found)


def _several(drawn: Sequence[tuple[Run, BacktestReading, EquityCurve]]) -> None:
    curves = [curve for _, _, curve in drawn]
    options = _common(backtest_options.draw(curves), curves)
    styles = line_styles([run.run_id for run, _, _ in drawn])
    names = [run.name or short_id(run.run_id) for run, _, _ in drawn]
    sheets: list[NamedSheet] = []
    runs: list[Run] = []
    for run, reading, curve in drawn:
        identity = _identity(run, reading)
        label = run.name or short_id(run.run_id)
        if names.count(label) > 1:
            label = f"{label} · {short_id(run.run_id)}"
        try:
            sheet = data.measured(reading, curve, identity, options)
        except GreenroomError as error:
            st.error(escape_markdown(f"{label}: {error}"), icon=":material/error:")
            continue
        sheets.append(NamedSheet(run.run_id, label, styles[run.run_id], sheet, f"{identity}:{options}"))
        runs.append(run)
    if not sheets:
        return
    noted = [
        f"{run.name or short_id(run.run_id)}: {note}" for run, reading, _ in drawn for note in reading.notes
    ]
    if noted:
        with st.expander(f"{count(len(noted), 'note')} on how the tables were read"):
            st.markdown("\n".join(f"- {escape_markdown(note)}" for note in noted))
    backtest_overlay.draw(sheets, runs, options)


def _common(options: TearSheetOptions, curves: Sequence[EquityCurve]) -> TearSheetOptions:
    """Narrow the period to what all curves cover: other measures could not be compared."""
    start, end = max(curve.times[0] for curve in curves), min(curve.times[-1] for curve in curves)
    same = all(curve.times[0] == start and curve.times[-1] == end for curve in curves)
    if same:
        return options
    if start >= end:
        st.warning("These runs share no period; each is measured over its own.", icon=":material/warning:")
        return options
    if not st.toggle("Common period only", value=True, key="common", bind="query-params"):
        st.caption("Each run is measured over its own period: the figures cannot be compared as they are.")
        return options
    begin = start if options.start is None else np.maximum(start, options.start)
    finish = end if options.end is None else np.minimum(end, options.end)
    return replace(options, start=begin, end=finish)


render()

"""Compare: 2 to 200 runs side by side; what differs, what is best, whether they can be compared at all."""

from __future__ import annotations

import polars as pl
import streamlit as st

from core.runs.comparison.comparability import Severity
from core.runs.comparison.compare import MAX_RUNS, Comparison, MetricRow
from dashboard import data
from dashboard.formats import count, escape_markdown, number, percent, short_id
from dashboard.widgets import (
    backtest_picker,
    choices,
    history_panel,
    links,
    run_picker,
    run_table,
    states,
    tables,
)

_CANDIDATES = 200


def render() -> None:
    """Draw the page."""
    runs = data.workspace().runs
    recent = runs.snapshot().frame["run_id"].head(_CANDIDATES).to_list()
    ids = run_picker.choose(runs, "Runs", "compared", recent, MAX_RUNS, "Choose runs")
    if len(ids) < 2:
        states.empty("Choose two or more runs here, or tick them on the Runs page and press Compare.")
        st.page_link(links.RUNS_PAGE, label="Find runs", icon=":material/table_rows:")
        return
    names = run_table.labels(runs, ids)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    with left:
        baseline = _baseline(ids, names)
    with right.container(horizontal=True, vertical_alignment="bottom"):
        form = choices.choose("Metrics as", ["Values", "Delta", "Delta %"], "form", label_shown=True)
        everything = st.toggle("Also what is equal", key="equal", bind="query-params")
        if st.button("Backtests", key="backtests", disabled=len(ids) > backtest_picker.MOST):
            links.open_backtests(ids)
    comparison = runs.compare(ids, baseline)
    _comparability(comparison)
    titles = _titles(comparison)
    _metrics(comparison, titles, form, everything)
    _values(comparison, titles, everything)
    st.markdown("**Histories**")
    history_panel.draw(comparison.runs, [row.key for row in comparison.metrics], "history")


def _baseline(ids: list[str], names: dict[str, str]) -> str:
    wanted = st.query_params.get("baseline", ids[0])
    at = next((place for place, run_id in enumerate(ids) if run_id.startswith(wanted)), 0)
    return st.selectbox(
        "Baseline",
        ids,
        index=at,
        key=f"baseline:{','.join(ids)}",
        format_func=lambda run_id: names[run_id],
        on_change=lambda: st.query_params.update({"baseline": st.session_state[f"baseline:{','.join(ids)}"]}),
        help="Deltas refer to this run.",
    )


def _comparability(comparison: Comparison) -> None:
    warnings = [one for one in comparison.comparability if one.severity is Severity.WARNING]
    notes = [one for one in comparison.comparability if one.severity is not Severity.WARNING]
    if warnings:
        lines = "\n".join(f"- {escape_markdown(one.message)}" for one in warnings)
        st.warning(f"**Not comparable as they are**\n\n{lines}", icon=":material/balance:")
    else:
        st.badge(
            "Comparable: same data, window and costs, as far as recorded",
            icon=":material/check:",
            color="green",
        )
    if notes:
        with st.expander(f"{count(len(notes), 'note')} on comparability"):
            st.markdown("\n".join(f"- {escape_markdown(one.message)}" for one in notes))


def _titles(comparison: Comparison) -> list[str]:
    """Name each run's column; the id tells namesakes apart."""
    names = [run.name or short_id(run.run_id) for run in comparison.runs]
    titles = [
        name if names.count(name) == 1 else f"{name} · {short_id(run.run_id)}"
        for name, run in zip(names, comparison.runs, strict=True)
    ]
    titles[comparison.baseline] = f"◆ {titles[comparison.baseline]}"
    return titles


def _metrics(comparison: Comparison, titles: list[str], form: str, everything: bool) -> None:
    rows = [row for row in comparison.metrics if row.differs or everything]
    equal = len(comparison.metrics) - len(rows)
    st.markdown("**Metrics**" + (f" · {equal:,} equal in all runs" if equal else ""))
    if not rows:
        st.caption("No metric differs.")
        return
    columns = {"Metric": [f"{row.key}{_arrow(row)}" for row in rows]}
    for at, title in enumerate(titles):
        columns[title] = [_cell(row, at, form) for row in rows]
    st.dataframe(
        tables.arrow(pl.DataFrame(columns)),
        hide_index=True,
        key="metrics",
        height=tables.height(len(rows), 18),
        column_config={
            "Metric": st.column_config.TextColumn(pinned=True, help="↑ higher is better, ↓ lower is better"),
            **{title: st.column_config.TextColumn(alignment="right") for title in titles},
        },
    )
    st.caption("★ best · ◆ baseline · ↑ higher is better · ↓ lower is better")


def _arrow(row: MetricRow) -> str:
    return "" if row.higher_is_better is None else " ↑" if row.higher_is_better else " ↓"


def _cell(row: MetricRow, at: int, form: str) -> str:
    if form == "Delta":
        text = _signed(number(row.deltas[at]), row.deltas[at])
    elif form == "Delta %":
        text = _signed(percent(row.relative_deltas[at]), row.relative_deltas[at])
    else:
        text = number(row.values[at])
    return f"{text} ★" if at in row.best else text


def _signed(text: str, value: float | None) -> str:
    return f"+{text}" if value is not None and value > 0 else text


def _values(comparison: Comparison, titles: list[str], everything: bool) -> None:
    rows: list[tuple[str, str, tuple[str | None, ...]]] = []
    rows += [("param", row.key, row.values) for row in comparison.params if row.differs or everything]
    rows += [
        (
            "data set",
            row.name + (f" ({row.context})" if row.context else ""),
            tuple(", ".join(one) or None for one in row.digests),
        )
        for row in comparison.datasets
        if row.differs or everything
    ]
    rows += [("tag", row.key, row.values) for row in comparison.tags if row.differs or everything]
    st.markdown("**Params, data sets and tags**" + ("" if everything else " that differ"))
    if not rows:
        st.caption("None differs.")
        return
    columns: dict[str, list[str]] = {"Kind": [row[0] for row in rows], "Key": [row[1] for row in rows]}
    for at, title in enumerate(titles):
        columns[title] = [value if (value := row[2][at]) is not None else "–" for row in rows]
    st.dataframe(
        tables.arrow(pl.DataFrame(columns)),
        hide_index=True,
        key="values",
        column_config={"Key": st.column_config.TextColumn(pinned=True)},
    )


render()

"""Measures as tables: one backtest with its benchmark and intervals, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from core.backtests.catalogue import CATALOGUE, MeasureDefinition
from core.backtests.measures import Measures
from core.backtests.significance.bootstrap import BootstrapIntervals
from dashboard.formats import MISSING, number, percent
from dashboard.widgets import tables

Interval = tuple[float, float]


def known_intervals(found: BootstrapIntervals) -> dict[str, Interval]:
    """Return the intervals that are defined, by measure."""
    return {
        one.measure: (one.low, one.high) for one in found.intervals if np.isfinite([one.low, one.high]).all()
    }


def written(definition: MeasureDefinition, value: Any) -> str:
    """Write the value of a measure in its unit."""
    if value is None or (isinstance(value, np.datetime64) and np.isnat(value)):
        return MISSING
    if definition.unit == "date":
        return str(value.astype("datetime64[D]"))
    if definition.unit == "percent":
        return percent(float(value))
    if definition.unit == "days":
        return f"{number(float(value))} d"
    if definition.unit == "count":
        return f"{value:,.0f}"
    return number(float(value))


def one(
    measures: Measures, benchmark: Measures | None, intervals: Mapping[str, Interval], confidence: float
) -> None:
    """Draw all measures of one backtest with what they mean."""
    rows = [each for each in CATALOGUE if getattr(measures, each.key) is not None]
    left_out = [each.title for each in CATALOGUE if getattr(measures, each.key) is None]
    columns: dict[str, list[str]] = {
        "Group": [each.group for each in rows],
        "Measure": [each.title for each in rows],
        "Value": [written(each, getattr(measures, each.key)) for each in rows],
    }
    if intervals:
        columns[f"{confidence:.0%} interval"] = [between(each, intervals) for each in rows]
    if benchmark is not None:
        columns["Benchmark"] = [written(each, getattr(benchmark, each.key)) for each in rows]
    columns["What it is"] = [each.formula for each in rows]
    right = [name for name in columns if name not in ("Group", "Measure", "What it is")]
    st.dataframe(
        tables.arrow(pl.DataFrame(columns)),
        hide_index=True,
        key="measures",
        height=tables.height(len(rows), 24),
        column_config={
            "Measure": st.column_config.TextColumn(pinned=True, width=200),
            **{name: st.column_config.TextColumn(alignment="right") for name in right},
            "What it is": st.column_config.TextColumn(width="large"),
        },
    )
    if left_out:
        st.caption(f"Not defined for this backtest: {', '.join(left_out)}.")


def several(titles: Sequence[str], measures: Sequence[Measures]) -> None:
    """Draw the measures of several backtests, a column each; the best value is starred."""
    rows = [each for each in CATALOGUE if any(getattr(found, each.key) is not None for found in measures)]
    columns: dict[str, list[str]] = {"Measure": [f"{each.title}{_arrow(each)}" for each in rows]}
    best = {each.key: _best(each, measures) for each in rows}
    for at, (title, found) in enumerate(zip(titles, measures, strict=True)):
        columns[title] = [
            written(each, getattr(found, each.key)) + (" ★" if at in best[each.key] else "") for each in rows
        ]
    st.dataframe(
        tables.arrow(pl.DataFrame(columns)),
        hide_index=True,
        key="measures",
        height=tables.height(len(rows), 24),
        column_config={
            "Measure": st.column_config.TextColumn(pinned=True, width=200),
            **{title: st.column_config.TextColumn(alignment="right") for title in titles},
        },
    )
    st.caption("★ best · ↑ higher is better · ↓ lower is better")


def between(definition: MeasureDefinition, intervals: Mapping[str, Interval]) -> str:
    """Write the interval of a measure in its unit; empty where there is none."""
    found = intervals.get(definition.key)
    if found is None:
        return ""
    return f"{written(definition, found[0])} to {written(definition, found[1])}"


def _arrow(definition: MeasureDefinition) -> str:
    return {None: "", True: " ↑", False: " ↓"}[definition.higher_is_better]


def _best(definition: MeasureDefinition, measures: Sequence[Measures]) -> frozenset[int]:
    values = [getattr(found, definition.key) for found in measures]
    known = [value for value in values if value is not None]
    if definition.higher_is_better is None or len(known) < 2 or min(known) == max(known):
        return frozenset()
    best = max(known) if definition.higher_is_better else min(known)
    return frozenset(at for at, value in enumerate(values) if value == best)

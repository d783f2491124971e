"""The table of runs: paged, with selection that survives paging and new runs, a pinned baseline, a tree."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from core.runs.explorer import Matches, RunExplorer
from core.runs.search import Tree
from core.runs.types import MetricView
from dashboard.formats import duration, short_id, status_label
from dashboard.widgets import links, tables

PAGE_ROWS = 100
SELECTED, BASELINE, OPENED = "sel", "base", "open"
_LARGEST = 1.7976931348623157e308


@dataclass(frozen=True, slots=True, eq=False)
class TablePage:
    """The rows of one page: rows of the snapshot, and for a tree their depths and child counts."""

    places: list[int]
    depths: list[int] | None = None
    children: list[int] | None = None


def page_of(matches: Matches, tree: Tree | None, number_of_page: int) -> TablePage:
    """Cut out one page."""
    start = (number_of_page - 1) * PAGE_ROWS
    end = start + PAGE_ROWS
    if tree is None:
        return TablePage(matches.places[start:end].tolist())
    return TablePage(
        tree.places[start:end].tolist(), tree.depths[start:end].tolist(), tree.children[start:end].tolist()
    )


def selected() -> list[str]:
    """Return the ids of the selected runs, those on other pages included."""
    return [one for one in st.query_params.get(SELECTED, "").split(",") if one]


def select(run_ids: Sequence[str]) -> None:
    """Make these the selected runs."""
    if run_ids:
        st.query_params[SELECTED] = ",".join(dict.fromkeys(run_ids))
    elif SELECTED in st.query_params:
        del st.query_params[SELECTED]
    st.session_state["selection_turn"] = st.session_state.get("selection_turn", 0) + 1


def draw(
    runs: RunExplorer,
    matches: Matches,
    page: TablePage,
    columns: Sequence[str],
    metric_view: MetricView,
    baseline: str | None,
) -> None:
    """Draw one page of the table."""
    places = page.places
    base_row = None
    if baseline is not None:
        base_place = matches.snapshot.place(baseline)
        places = [base_place, *(place for place in places if place != base_place)]
        base_row = 0
    frame = runs.table(matches, columns, places, metric_view)
    shown = _shown(frame, columns, base_row, page)
    ids = frame["run_id"].to_list()
    picked = set(selected())
    rows = [row for row, run_id in enumerate(ids) if run_id in picked]
    # A new key for new rows: a selection is a set of row numbers, which must never outlive its rows.
    turn = st.session_state.get("selection_turn", 0)
    key = f"runs:{hashlib.sha1(''.join(ids).encode(), usedforsecurity=False).hexdigest()[:12]}:{turn}"
    st.dataframe(
        tables.arrow(shown),
        key=key,
        hide_index=True,
        height=tables.height(len(ids), 20),
        column_config=_config(columns, base_row is not None, shown),
        on_select=lambda: _on_select(key, ids),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": rows, "columns": [], "cells": []}},
        placeholder="–",
        alt="Runs that match the filter",
    )


def _on_select(key: str, ids: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    here = [ids[row] for row in rows if row < len(ids)]
    elsewhere = [one for one in selected() if one not in set(ids)]
    kept = [*elsewhere, *here]
    if kept:
        st.query_params[SELECTED] = ",".join(kept)
    elif SELECTED in st.query_params:
        del st.query_params[SELECTED]


def _shown(
    frame: pl.DataFrame, columns: Sequence[str], base_row: int | None, page: TablePage
) -> pl.DataFrame:
    names = [name or short_id(run_id) for name, run_id in frame.select("name", "run_id").iter_rows()]
    if base_row is not None:
        names[base_row] = f"◆ {names[base_row]}"
    elif page.depths is not None and page.children is not None:
        names = _tree_names(names, page, frame["run_id"].to_list())
    shown = frame.select(
        pl.Series("Name", names, dtype=pl.String),
        pl.col("run_id").map_elements(links.run_url, return_dtype=pl.String).alias("Run"),
        pl.col("status").map_elements(status_label, return_dtype=pl.String).alias("Status"),
        pl.col("start_time").alias("Started"),
        pl.Series("Duration", [duration(value) for value in frame["duration"]], dtype=pl.String),
        pl.col("user").alias("User"),
        pl.col("experiment").alias("Experiment"),
        *[_finite(column) for column in columns],
    )
    if base_row is not None:
        shown = shown.with_columns(
            [
                (pl.col(column) - pl.col(column).first()).alias(f"Δ {column}")
                for column in columns
                if column.startswith("metrics.")
            ]
        )
        ordered = []
        for column in shown.columns:
            if not column.startswith("Δ "):
                ordered += [column, f"Δ {column}"] if f"Δ {column}" in shown.columns else [column]
        shown = shown.select(ordered)
    if frame["experiment"].n_unique() < 2:
        shown = shown.drop("Experiment")
    return shown


def _finite(column: str) -> pl.Expr:
    """Show infinity as MLflow's databases keep it (the largest float) as infinity."""
    if not column.startswith("metrics."):
        return pl.col(column)
    value = pl.col(column)
    return pl.when(value.abs() >= _LARGEST).then(value.sign() * float("inf")).otherwise(value).alias(column)


def _tree_names(names: list[str], page: TablePage, ids: list[str]) -> list[str]:
    opened = expanded()
    drawn = []
    for name, run_id, depth, children in zip(names, ids, page.depths or [], page.children or [], strict=True):
        sign = ("▾ " if run_id in opened else "▸ ") if children else "   " if not depth else ""
        indent = "      " * depth + ("└ " if depth else "")
        count = f"  ({children:,})" if children else ""
        drawn.append(f"{indent}{sign}{name}{count}")
    return drawn


def expanded() -> frozenset[str]:
    """Return the ids of the parents that show their children."""
    return frozenset(one for one in st.query_params.get(OPENED, "").split(",") if one)


def expand(run_ids: frozenset[str]) -> None:
    """Make these the opened parents."""
    if run_ids:
        st.query_params[OPENED] = ",".join(sorted(run_ids))
    elif OPENED in st.query_params:
        del st.query_params[OPENED]


def _config(columns: Sequence[str], deltas: bool, shown: pl.DataFrame) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Name": st.column_config.TextColumn(pinned=True, width="medium"),
        "Run": st.column_config.LinkColumn(
            display_text=r"run=(.{8})", width="small", help="Opens the run in a new tab."
        ),
        "Started": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", width=130),
        "Status": st.column_config.TextColumn(width="small"),
        "Duration": st.column_config.TextColumn(width="small", alignment="right"),
        "User": st.column_config.TextColumn(width="small"),
    }
    for column in columns:
        label = column.partition(".")[2]
        if column.startswith("metrics."):
            config[column] = st.column_config.NumberColumn(label, format="%.4g", help=f"Metric {label}")
            config[f"Δ {column}"] = st.column_config.NumberColumn(
                f"Δ {label}", format="%+.3g", help=f"{label} minus that of the baseline"
            )
        else:
            config[column] = st.column_config.TextColumn(
                label, help=f"{column.partition('.')[0][:-1].capitalize()} {label}"
            )
    return {name: one for name, one in config.items() if name in shown.columns}


def labels(runs: RunExplorer, run_ids: Sequence[str]) -> dict[str, str]:
    """Return a short label for each run: its name and the start of its id."""
    names = runs.names(run_ids)
    return {run_id: f"{name or 'unnamed'} · {short_id(run_id)}" for run_id, name in names.items()}

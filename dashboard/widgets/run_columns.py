"""The column chooser of the Runs page, by group."""

from __future__ import annotations

import streamlit as st

from core.runs.comparison.metric_direction import is_clockwork
from core.runs.explorer import RunExplorer
from dashboard.widgets import choices, run_filters

_DEFAULTS = {"metrics": 6, "params": 4, "tags": 0}
# A table of thousands of columns is of no use to anybody and slow to send.
MAX_COLUMNS = 120


def chooser(runs: RunExplorer, experiments: tuple[str, ...] | None) -> tuple[str, ...]:
    """Draw the popover and return the chosen columns as `metrics.NAME`, `params.NAME`, `tags.NAME`."""
    chosen: list[str] = []
    with st.popover("Columns", icon=":material/view_column:"):
        run_filters.view_choices()
        for table, count in _DEFAULTS.items():
            keys = [key for key, _ in runs.keys(table, experiments)]
            if table == "tags":
                keys.sort(key=lambda key: key.startswith("mlflow."))
            elif table == "metrics":
                keys.sort(key=is_clockwork)
            else:
                keys.sort(key=lambda key: "hash" in key or "sha" in key)
            default = [key for key in keys if not key.startswith("mlflow.")][:count]
            choices.keep_valid(table, keys)
            picked = st.multiselect(
                f"{table.capitalize()} ({len(keys):,})",
                keys,
                default=default,
                key=table,
                bind="query-params",
                max_selections=MAX_COLUMNS,
            )
            chosen += [f"{table}.{key}" for key in picked]
    return tuple(chosen)

"""Overview: what is in Production, what is trained, what ran lately, what failed, how fresh the index is."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import streamlit as st

from core.runs.explorer import Matches, RunExplorer, RunsRequest
from core.runs.filters import equals
from dashboard import data
from dashboard.formats import ago, escape_markdown, short_id, status_label
from dashboard.widgets import champions, links, states, tables, training_overview

_LATEST = 8


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    runs = workspace.runs
    everything = runs.find(RunsRequest())
    st.subheader("Overview", anchor=False)
    if not len(everything):
        states.empty(
            f"The tracking store {workspace.address.shown} holds no runs yet. They appear here by themselves "
            "as soon as a training run logs to it:",
            f"MLFLOW_TRACKING_URI={workspace.address.shown} python train.py",
        )
        return
    champions.draw(workspace)
    training_overview.draw(workspace)
    _headline(runs, everything)
    left, right = st.columns([3, 2])
    with left:
        _experiments(runs)
    with right:
        _listed(runs, "Running", "RUNNING", "Nothing is running.")
        _listed(runs, "Failed lately", "FAILED", "No run has failed.")
    st.markdown("**Latest runs**")
    _runs_table(runs, everything, "latest")


def _headline(runs: RunExplorer, everything: Matches) -> None:
    counts = dict(runs.facet(everything, "attribute", "status").values)
    state = runs.index.state()
    with st.container(horizontal=True, gap="large"):
        st.metric("Runs", f"{len(everything):,}", width="content")
        st.metric("Experiments", f"{len(runs.experiment_ids(None)):,}", width="content")
        st.metric("Running", f"{counts.get('RUNNING', 0):,}", width="content")
        st.metric("Failed", f"{counts.get('FAILED', 0):,}", width="content")
        checked = ago(state.checked_at, datetime.now(UTC)) if state.checked_at else "–"
        st.metric("Index checked", checked, width="content", help="When the store was last looked at.")


def _experiments(runs: RunExplorer) -> None:
    st.markdown("**Experiments**")
    frame = runs.snapshot().frame.filter(pl.col("lifecycle_stage") == "active")
    last = frame.group_by("experiment_id").agg(
        pl.col("start_time").max().cast(pl.Datetime("ms", "UTC")).alias("last"),
        (pl.col("status") == "FAILED").sum().alias("failed"),
    )
    known = pl.DataFrame(
        [
            (one.experiment_id, one.name, one.runs)
            for one in runs.experiments()
            if one.lifecycle_stage == "active"
        ],
        schema={"experiment_id": pl.String, "Experiment": pl.String, "Runs": pl.Int64},
        orient="row",
    )
    table = known.join(last, on="experiment_id", how="left").sort("last", descending=True, nulls_last=True)
    shown = table.select(
        "Experiment",
        "Runs",
        pl.col("failed").fill_null(0).alias("Failed"),
        pl.col("last").alias("Last run"),
    )
    st.dataframe(
        tables.arrow(shown),
        hide_index=True,
        key="experiments",
        height=tables.height(shown.height, 12),
        placeholder="–",
        column_config={"Last run": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")},
    )
    chosen = st.selectbox(
        "Open an experiment", table["Experiment"].to_list(), index=None, key="open_experiment"
    )
    if chosen:
        st.switch_page(links.RUNS_PAGE, query_params={"exp": chosen})


def _listed(runs: RunExplorer, title: str, status: str, nothing: str) -> None:
    matches = runs.find(RunsRequest(filter=equals("attributes.status", status) or ""))
    st.markdown(f"**{title}**")
    if not len(matches):
        st.caption(nothing)
        return
    now = datetime.now(UTC)
    for run in matches.snapshot.runs(matches.places[:5].tolist()):
        st.page_link(
            links.RUN_PAGE,
            label=" · ".join(
                (
                    status_label(run.status),
                    escape_markdown(run.name or short_id(run.run_id)),
                    ago(run.start_time, now),
                )
            ),
            query_params={"run": run.run_id},
        )
    if len(matches) > 5:
        st.page_link(
            links.RUNS_PAGE,
            label=f"All {len(matches):,}",
            query_params={"q": f"attributes.status = '{status}'"},
        )


def _runs_table(runs: RunExplorer, matches: Matches, key: str) -> None:
    frame = runs.table(matches, places=matches.places[:_LATEST].tolist())
    st.dataframe(
        tables.arrow(
            frame.select(
                pl.col("name").alias("Name"),
                pl.col("run_id").map_elements(links.run_url, return_dtype=pl.String).alias("Run"),
                pl.col("status").map_elements(status_label, return_dtype=pl.String).alias("Status"),
                pl.col("start_time").alias("Started"),
                pl.col("experiment").alias("Experiment"),
                pl.col("user").alias("User"),
            )
        ),
        hide_index=True,
        key=key,
        column_config={
            "Run": st.column_config.LinkColumn(display_text=r"run=(.{8})", help="Opens in a new tab."),
            "Started": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
    )


render()

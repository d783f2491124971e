"""Two pipelines side by side: which stores got better or worse, and how much that weighs."""

from __future__ import annotations

import polars as pl
import streamlit as st

from core.errors import GreenroomError
from core.forecasts.changes import StoreMeasure, Verdict
from core.forecasts.desk import Pipeline, PipelineChanges
from dashboard import data
from dashboard.charts.store_changes import changes_figure, harm_chart
from dashboard.formats import MISSING, count, escape_markdown, number, percent, points
from dashboard.widgets import states, store_table, tables

_MEASURES = {
    "WAPE": (StoreMeasure.WAPE, "%"),
    "sMAPE": (StoreMeasure.SMAPE, "%"),
    "RMSE": (StoreMeasure.RMSE, ""),
    "MAE": (StoreMeasure.MAE, ""),
    "R²": (StoreMeasure.R2, ""),
}
_VERDICTS = {
    Verdict.IMPROVED: "▲ better",
    Verdict.WORSE: "▼ worse",
    Verdict.SAME: "= same",
    Verdict.LOST: "✕ lost",
    Verdict.GAINED: "+ new",
    Verdict.UNKNOWN: "○ unknown",
}
_SHOWN = {"Worse or lost": [Verdict.WORSE, Verdict.LOST], "Better or new": [Verdict.IMPROVED, Verdict.GAINED]}


def draw(old: Pipeline, new: Pipeline) -> None:
    """Draw what changes from the old pipeline to the new one."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        title = st.selectbox("Measure", list(_MEASURES), key="change_measure", bind="query-params", width=140)
        tolerance = st.number_input(
            "Tolerance, %",
            0.0,
            100.0,
            0.0,
            1.0,
            key="tolerance",
            bind="query-params",
            width=140,
            help="A store whose measure changes by less than this, relative to the old one, counts as the same.",
        )
    measure, unit = _MEASURES[title or "WAPE"]
    try:
        found = data.compared(old, new, measure, tolerance / 100)
    except GreenroomError as error:
        states.failed(error)
        return
    for note in found.notes:
        st.warning(escape_markdown(note), icon=":material/warning:")
    _headline(found, title or "WAPE", unit, measure)
    left, right = st.columns(2)
    name = title or "WAPE"
    with left:
        st.plotly_chart(
            changes_figure(found.changes, name, unit, not measure.higher_is_better),
            key="changes",
            on_select=_from_chart,
            selection_mode="points",
            alt=f"{name} of every store before and after",
        )
    with right:
        st.altair_chart(harm_chart(found.changes, name, unit=unit), key="harm")
    _table(found, name)


def brief(old: Pipeline, new: Pipeline) -> None:
    """Draw the figures of what changes in WAPE, and the stores that weigh most."""
    try:
        found = data.compared(old, new, StoreMeasure.WAPE, 0.0)
    except GreenroomError as error:
        states.failed(error)
        return
    for note in found.notes:
        st.warning(escape_markdown(note), icon=":material/warning:")
    _headline(found, "WAPE", "%", StoreMeasure.WAPE)
    st.altair_chart(harm_chart(found.changes, "WAPE", unit="%"), key="harm")


def _headline(found: PipelineChanges, name: str, unit: str, measure: StoreMeasure) -> None:
    one = found.summary
    write = points if unit == "%" else number
    with st.container(horizontal=True, gap="medium"):
        change = None
        if one.change is not None:
            change = f"{'+' if one.change > 0 else ''}{write(one.change)}".replace("%", " points")
        st.metric(
            f"{name}, by sales",
            write(one.new_value),
            delta=change,
            delta_color="normal" if measure.higher_is_better else "inverse",
            width="content",
            help="Mean over the stores that both pipelines have, weighted by their sales.",
        )
        st.metric("Better", f"{one.improved:,}", width="content")
        st.metric("Worse", f"{one.worse:,}", width="content")
        if one.lost:
            st.metric(
                "Lost", f"{one.lost:,}", width="content", help="Had a measure before, and have none now."
            )
        st.metric(
            "Stores regressed",
            percent(one.share_regressed),
            width="content",
            help="Worse or lost, of the stores that had a measure before. Each store counts once.",
        )
        st.metric(
            "Sales regressed",
            percent(one.volume_share_regressed),
            width="content",
            help="Share of those stores in sales.",
        )
        if one.significantly_worse is not None:
            st.metric(
                "Worse beyond chance",
                f"{one.significantly_worse:,}",
                width="content",
                help="Diebold and Mariano's test on each store's errors, 5% after Benjamini and Hochberg's "
                "correction for the number of stores. It speaks of this test period only.",
            )
            st.metric("Better beyond chance", f"{one.significantly_better or 0:,}", width="content")


def _from_chart() -> None:
    marked = st.session_state["changes"]["selection"]["points"]
    if marked:
        store_table.open_store(str(marked[0]["customdata"][0]))


def _table(found: PipelineChanges, name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        only = st.selectbox(
            "Stores", ["All", *_SHOWN, "Beyond chance"], key="change_stores", bind="query-params", width=200
        )
        changes = found.changes
        if only in _SHOWN:
            changes = changes.filter(pl.col("verdict").is_in([str(one) for one in _SHOWN[only]]))
        elif only == "Beyond chance":
            changes = changes.filter(pl.col("significant").fill_null(value=False))
        st.markdown(f"**{count(changes.height, 'store')}**", width="content")
        st.download_button(
            "CSV",
            lambda: data.as_csv(changes),
            "changes.csv",
            "text/csv",
            key="changes_csv",
            icon=":material/download:",
            on_click="ignore",
        )
    if not changes.height:
        states.empty("No store is like that.")
        return
    shown = changes.select(
        pl.col("store").alias("Store"),
        pl.col("partner").alias("Partner"),
        pl.col("verdict")
        .replace_strict({str(key): text for key, text in _VERDICTS.items()}, default=MISSING)
        .alias("Verdict"),
        pl.col("old").alias(f"{name} before"),
        pl.col("new").alias(f"{name} after"),
        pl.col("change").alias("Change"),
        (100 * pl.col("relative_change")).alias("Change %"),
        pl.col("volume").round(0).alias("Volume"),
        pl.col("harm").alias("Weighs"),
        pl.col("p_adjusted").alias("p adjusted"),
        pl.col("quality_old").alias("Band before"),
        pl.col("quality_new").alias("Band after"),
    )
    st.dataframe(
        tables.arrow(shown.drop([one for one in shown.columns if shown[one].null_count() == shown.height])),
        hide_index=True,
        key="changes_table",
        height=tables.height(shown.height, 16),
        placeholder="–",
        column_config={
            "Store": st.column_config.TextColumn(pinned=True, width="small"),
            f"{name} before": st.column_config.NumberColumn(format="%.4g"),
            f"{name} after": st.column_config.NumberColumn(format="%.4g"),
            "Change": st.column_config.NumberColumn(format="%+.3g"),
            "Change %": st.column_config.NumberColumn(format="%+.1f"),
            "Volume": st.column_config.NumberColumn(format="localized"),
            "Weighs": st.column_config.NumberColumn(
                format="%+.3g",
                help="What the store adds to the change of the mean weighted by sales; + is worse.",
            ),
            "p adjusted": st.column_config.NumberColumn(
                format="%.3f", help="Diebold and Mariano, corrected for the number of stores."
            ),
        },
        alt="Every store before and after",
    )

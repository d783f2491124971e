"""Every store of a pipeline: bands and scatter, then a table to search, filter, sort and take away."""

from __future__ import annotations

import hashlib
from typing import Any

import polars as pl
import streamlit as st

from core.forecasts.bands import BANDS
from core.forecasts.desk import Pipeline
from dashboard import data
from dashboard.charts.bands import bands_chart
from dashboard.charts.store_quality import quality_figure
from dashboard.formats import band_label, count
from dashboard.widgets import states, tables

SHOW, STORE = "show", "store"
_ROWS_IN_SIGHT = 18
_ORDERS = {
    "Worst sMAPE first": ("smape", True),
    "Best sMAPE first": ("smape", False),
    "Lowest R² first": ("r2", False),
    "Largest sales first": ("volume", True),
    "Largest bias first": ("bias_size", True),
    "Store": (None, False),
}


def draw(pipeline: Pipeline) -> None:
    """Draw charts and table of the stores that pass the filters."""
    stores = pipeline.stores
    left, right = st.columns([2, 3])
    with left:
        st.altair_chart(
            bands_chart(pipeline.headline.bands, pipeline.headline.band_volumes or None), key="bands"
        )
        st.caption(_thresholds(), help="Set them as [quality] in greenroom.toml.")
    with right:
        st.plotly_chart(
            quality_figure(
                stores,
                [(one.band.capitalize(), one.r2, one.smape) for one in data.workspace().forecasts.thresholds],
            ),
            key="quality",
            on_select=lambda: _from_chart("quality"),
            selection_mode="points",
            alt="R² against sMAPE, one mark a store",
        )
    shown = _filtered(stores)
    _table(pipeline, shown)


def open_store(store: str) -> None:
    """Show a store in detail at the next rerun."""
    st.query_params[STORE] = store
    st.session_state[SHOW] = "One store"
    st.session_state["store_turn"] = st.session_state.get("store_turn", 0) + 1


def _from_chart(key: str) -> None:
    points = st.session_state[key]["selection"]["points"]
    if points:
        open_store(str(points[0]["customdata"][0]))


def _thresholds() -> str:
    parts = [
        f"{one.band.capitalize()}: R² ≥ {one.r2:g} and sMAPE ≤ {one.smape:g}%"
        for one in data.workspace().forecasts.thresholds
    ]
    return f"{'; '.join(parts)}; else poor. A band that was logged is kept."


def _filtered(stores: pl.DataFrame) -> pl.DataFrame:
    """Draw the filters and return the stores that pass them, in the order chosen."""
    partners = stores["partner"].drop_nulls().unique().sort().to_list()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search", key="store_q", bind="query-params", placeholder="Store or partner", width=220
        )
        bands = st.multiselect(
            "Quality",
            [str(band) for band in BANDS if (stores["quality"] == band).any()],
            key="bands_shown",
            bind="query-params",
            format_func=band_label,
            placeholder="All",
            width=260,
        )
        chosen = (
            st.multiselect("Partner", partners, key="partners", placeholder="All", width=260)
            if len(partners) > 1
            else []
        )
        order = st.selectbox("Order", list(_ORDERS), key="store_order", bind="query-params", width=200)
    found = stores
    if text and text.strip():
        wanted = text.strip().lower()
        found = found.filter(
            pl.col("store").str.to_lowercase().str.contains(wanted, literal=True)
            | pl.col("partner").str.to_lowercase().str.contains(wanted, literal=True).fill_null(value=False)
        )
    if bands:
        found = found.filter(pl.col("quality").is_in(bands))
    if chosen:
        found = found.filter(pl.col("partner").is_in(chosen))
    column, descending = _ORDERS[order or "Store"]
    if column is None:
        return found
    found = found.with_columns(pl.col("bias").abs().alias("bias_size"))
    return found.sort(column, descending=descending, nulls_last=True, maintain_order=True).drop("bias_size")


def _table(pipeline: Pipeline, stores: pl.DataFrame) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{count(stores.height, 'store')}**", width="content")
        st.caption("Tick a store to open it.", width="content")
        st.space("stretch")
        st.download_button(
            "CSV",
            lambda: data.as_csv(stores),
            "stores.csv",
            "text/csv",
            key="stores_csv",
            icon=":material/download:",
            on_click="ignore",
        )
    if not stores.height:
        states.empty("No store passes these filters. Take one away.")
        return
    codes = stores["store"].to_list()
    turn = st.session_state.get("store_turn", 0)
    identity = hashlib.sha1("\n".join(codes).encode(), usedforsecurity=False).hexdigest()[:12]
    key = f"stores:{identity}:{turn}"
    shown = table_of(stores, data.sparks(pipeline))
    st.dataframe(
        tables.arrow(shown),
        key=key,
        hide_index=True,
        height=tables.height(stores.height, _ROWS_IN_SIGHT),
        on_select=lambda: _from_table(key, codes),
        selection_mode="single-row",
        placeholder="–",
        column_config=_config(),
        alt="Every store with its measures",
    )


def _from_table(key: str, codes: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(codes):
        open_store(codes[rows[0]])


def table_of(stores: pl.DataFrame, lines: dict[str, list[float]]) -> pl.DataFrame:
    """Return the stores as the table shows them; columns without any value are left out."""
    shown = stores.select(
        pl.col("store").alias("Store"),
        pl.col("partner").alias("Partner"),
        pl.col("quality")
        .replace_strict({str(band): band_label(band) for band in BANDS}, default=pl.col("quality"))
        .alias("Quality"),
        pl.Series("Sales", [lines.get(store) for store in stores["store"]], dtype=pl.List(pl.Float64)),
        pl.col("r2").alias("R²"),
        pl.col("smape").alias("sMAPE %"),
        pl.col("wape").alias("WAPE %"),
        pl.col("bias").alias("Bias %"),
        pl.col("rmse").alias("RMSE"),
        pl.col("mae").alias("MAE"),
        pl.col("mase").alias("MASE"),
        pl.col("volume").alias("Volume"),
        pl.col("test_samples").alias("Periods"),
        pl.col("failure").alias("Reason"),
        (pl.lit("run?run=") + pl.col("run_id")).alias("Run"),
    )
    # In hundreds, decimals are only in the way; the download has them.
    typical = shown.select(pl.col("RMSE", "MAE", "Volume").median().fill_null(0.0)).row(0, named=True)
    shown = shown.with_columns(pl.col([name for name, value in typical.items() if value >= 100]).round(0))
    empty = [name for name in shown.columns if shown[name].null_count() == shown.height]
    return shown.drop(empty)


def _config() -> dict[str, Any]:
    def figure(form: str, what: str) -> Any:
        return st.column_config.NumberColumn(format=form, help=what, width="small")

    return {
        "Store": st.column_config.TextColumn(pinned=True, width="small"),
        "Sales": st.column_config.LineChartColumn(
            width="medium", help="Actual sales of the last year, 32 means at most."
        ),
        "R²": figure("%.3f", "1 is perfect; 0 is as good as the mean of the test period."),
        "sMAPE %": figure("%.2f", "Mean of 200 |error| / (|actual| + |predicted|), 0 to 200."),
        "WAPE %": figure("%.2f", "Absolute errors over sales."),
        "Bias %": figure("%+.2f", "Predicted minus actual over sales: above 0 is too much."),
        "RMSE": figure("localized", "In units of sales."),
        "MAE": figure("localized", "In units of sales."),
        "MASE": figure("%.2f", "MAE over that of the seasonal naive forecast in the training period."),
        "Volume": figure("localized", "Sales of the test period."),
        "Periods": figure("localized", "Test periods with an actual and a prediction."),
        "Run": st.column_config.LinkColumn(
            display_text=r"run=(.{8})", width="small", help="Opens the run in a new tab."
        ),
    }

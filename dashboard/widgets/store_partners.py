"""The stores of a pipeline by partner."""

from __future__ import annotations

import polars as pl
import streamlit as st

from core.forecasts.desk import Pipeline
from core.forecasts.pipelines import by_partner
from dashboard import data
from dashboard.widgets import tables


def draw(pipeline: Pipeline) -> None:
    """Draw a row a partner; choosing one shows its stores."""
    partners = by_partner(pipeline.stores)
    shown = partners.select(
        pl.col("partner").alias("Partner"),
        pl.col("stores").alias("Stores"),
        pl.col("failed").alias("Failed"),
        pl.col("share").alias("Sales %"),
        pl.col("good").alias("Good or better %"),
        pl.col("wape").alias("WAPE %"),
        pl.col("smape").alias("sMAPE %"),
        pl.col("r2").alias("R²"),
    )
    st.dataframe(
        tables.arrow(shown),
        hide_index=True,
        key="partners_table",
        height=tables.height(shown.height, 20),
        placeholder="–",
        column_config={
            "Partner": st.column_config.TextColumn(pinned=True),
            "Sales %": st.column_config.ProgressColumn(
                format="%.1f", min_value=0, max_value=100, help="Share of all sales of the test period."
            ),
            "Good or better %": st.column_config.ProgressColumn(
                format="%.0f", min_value=0, max_value=100, help="Stores in the two best bands."
            ),
            "WAPE %": st.column_config.NumberColumn(
                format="%.2f", help="All errors over all sales of the partner."
            ),
            "sMAPE %": st.column_config.NumberColumn(
                format="%.2f", help="Mean over stores, weighted by sales."
            ),
            "R²": st.column_config.NumberColumn(format="%.3f", help="Mean over stores, weighted by sales."),
        },
        alt="Stores by partner",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [name for name in partners["partner"] if name != "–"]
        chosen = st.selectbox(
            "Stores of", names, index=None, key="partner_open", width=260, placeholder="A partner"
        )
        if chosen:
            st.button("Show its stores", key="partner_show", on_click=_show, args=(chosen,))
        st.download_button(
            "CSV",
            lambda: data.as_csv(partners),
            "partners.csv",
            "text/csv",
            key="partners_csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _show(partner: str) -> None:
    st.session_state["partners"] = [partner]
    st.session_state["show"] = "Every store"

"""The requests of the registry, those that wait first; one is opened by its number in the address."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from core.registry.requests import Request
from dashboard.formats import MISSING, count, request_label
from dashboard.widgets import links, tables, url_choice

REQUEST = "request"
_LONGEST = 200


def choose(requests: Sequence[Request], chosen: Request | None) -> None:
    """Draw the select box that opens a request."""
    known = {str(one.id): one for one in requests}
    if chosen is not None:
        known.setdefault(str(chosen.id), chosen)
    url_choice.choose(
        "Request",
        REQUEST,
        list(known),
        None if chosen is None else str(chosen.id),
        show,
        format_func=lambda number: f"{number} · {known[number].sentence()} · {known[number].state}",
        placeholder="Open a request",
        width=420,
    )


def show(number: str | None) -> None:
    """Show a request, or the list, at the next rerun."""
    if number:
        st.query_params[REQUEST] = number
    elif REQUEST in st.query_params:
        del st.query_params[REQUEST]
    st.session_state["requests_turn"] = st.session_state.get("requests_turn", 0) + 1


def draw(requests: Sequence[Request]) -> None:
    """Draw the list; a tick opens a request."""
    numbers = [str(one.id) for one in requests[:_LONGEST]]
    more = f"; the latest {_LONGEST} are shown" if len(requests) > _LONGEST else ""
    st.caption(f"{count(len(requests), 'request')}{more}. Tick one to open it.")
    key = f"requests:{'-'.join(numbers[:1])}:{len(numbers)}:{st.session_state.get('requests_turn', 0)}"
    st.dataframe(
        tables.arrow(table_of(requests[:_LONGEST])),
        key=key,
        hide_index=True,
        height=tables.height(len(numbers), 20),
        on_select=lambda: _from_table(key, numbers),
        selection_mode="single-row",
        placeholder=MISSING,
        column_config={
            "Asked": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Decided": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Why": st.column_config.TextColumn(width="large"),
            "Model's page": st.column_config.LinkColumn(display_text="Open", width="small"),
        },
        alt="Promotion requests",
    )


def table_of(requests: Sequence[Request]) -> pl.DataFrame:
    """Return requests as the list shows them."""
    return pl.DataFrame(
        [
            (
                one.id,
                request_label(str(one.state)),
                one.model,
                f"v{one.version}",
                str(one.to_stage),
                one.asked_by,
                one.asked_at,
                one.reason,
                one.decided_by,
                one.decided_at,
                one.comment or None,
                links.model_url(one.model, one.version),
            )
            for one in requests
        ],
        schema={
            "Request": pl.Int64,
            "State": pl.String,
            "Model": pl.String,
            "Version": pl.String,
            "To": pl.String,
            "Asked by": pl.String,
            "Asked": pl.Datetime("us", "UTC"),
            "Why": pl.String,
            "Decided by": pl.String,
            "Decided": pl.Datetime("us", "UTC"),
            "Comment": pl.String,
            "Model's page": pl.String,
        },
        orient="row",
    )


def _from_table(key: str, numbers: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(numbers):
        show(numbers[rows[0]])

"""The parts of a model's page, and which version is open: both in the address."""

from __future__ import annotations

import streamlit as st

from dashboard.widgets import choices
from dashboard.widgets.model_table import VERSION

PART = "part"
STAGES, ONE, HISTORY = "Stages", "Version", "History"


def choose() -> str:
    """Draw the choice of the part and return it; an address that names a version opens that."""
    named = st.query_params.get(VERSION, "")
    if named and PART not in st.query_params and st.session_state.get("part_opened") != named:
        st.session_state[PART] = ONE
    st.session_state["part_opened"] = named
    choices.keep_valid(PART, [STAGES, ONE, HISTORY])
    return choices.choose("Part", [STAGES, ONE, HISTORY], PART)


def show_version(number: int) -> None:
    """Show a version at the next rerun."""
    st.query_params[VERSION] = str(number)
    st.session_state[PART] = ONE

"""What a page shows when there is nothing to show: errors, empty stores, nothing found."""

from __future__ import annotations

import streamlit as st

from core.errors import FilterSyntaxError, GreenroomError
from dashboard.formats import escape_markdown


def failed(error: GreenroomError) -> None:
    """Say what went wrong; a filter is shown with a mark under its mistake."""
    if isinstance(error, FilterSyntaxError):
        st.error(
            escape_markdown(f"{error.reason} (at character {error.position + 1})."), icon=":material/error:"
        )
        st.code(f"{error.text}\n{' ' * error.position}^", language=None)
        return
    st.error(escape_markdown(str(error)), icon=":material/error:")


def empty(message: str, command: str | None = None) -> None:
    """Say what would be here, and the one command that fills it."""
    st.info(escape_markdown(message), icon=":material/info:")
    if command:
        st.code(command, language="bash")

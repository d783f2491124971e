"""A select box whose choice is a parameter of the address, for options that come and go."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st


def choose(
    label: str,
    name: str,
    options: list[str],
    chosen: str | None,
    on_choice: Callable[[str | None], None],
    *,
    format_func: Callable[[str], str] = str,
    placeholder: str | None = None,
    width: int,
) -> None:
    """Draw a select box with `chosen` picked.

    Parameters
    ----------
    name : str
        Of the parameter; the widget's key is this, a colon and what is chosen, so that a new choice in the address
        wins over what the widget remembers.
    on_choice : callable
        Puts the new choice, or None, into the address.
    """
    key = f"{name}:{chosen or ''}"

    def changed() -> None:
        # The browser answers with a label. One that reads otherwise by now, as a version that has moved on, comes
        # back as it is: that is no choice.
        # And one that a page has just left is sent once more, unchanged.
        value = st.session_state[key]
        if value != chosen and (value is None or value in options):
            on_choice(value)

    if st.session_state.get(key, chosen) not in (None, *options):
        del st.session_state[key]
    st.selectbox(
        label,
        options,
        index=None if chosen is None else options.index(chosen),
        key=key,
        format_func=format_func,
        placeholder=placeholder,
        on_change=changed,
        width=width,
    )

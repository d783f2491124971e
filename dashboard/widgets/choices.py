"""A choice among a few options, all in sight.

Streamlit's segmented control and pills write the accent on a tint of the accent, which no accent that is
also dark enough for white text can make readable on a dark page (WCAG AA): radio buttons stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st


def choose(
    label: str,
    options: Sequence[str],
    key: str,
    *,
    label_shown: bool = False,
    format_func: Callable[[str], str] = str,
    help: str | None = None,
) -> str:
    """Draw options side by side, bound to the URL; the first is the default."""
    picked = st.radio(
        label,
        options,
        key=key,
        bind="query-params",
        horizontal=True,
        format_func=format_func,
        label_visibility="visible" if label_shown else "collapsed",
        help=help,
    )
    return picked or options[0]


def keep_valid(key: str, options: Sequence[str]) -> None:
    """Drop what a widget remembers but no longer offers, such as a metric that only other runs have."""
    value = st.session_state.get(key)
    if isinstance(value, list):
        known = set(options)
        if not known.issuperset(value):
            st.session_state[key] = [one for one in value if one in known]
    elif value is not None and value not in options:
        st.session_state[key] = options[0]

"""The sections of the page Training, and how one goes from one to another: all of it is in the address."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.formats import escape_markdown
from dashboard.widgets import choices

PART: Final = "tab"
JOBS, LAUNCH, SCHEDULES, RETENTION = "Jobs", "Launch", "Schedules", "Retention"
PARTS: Final = (JOBS, LAUNCH, SCHEDULES, RETENTION)

JOB: Final = "job"
SWEEP: Final = "sweep"
FROM: Final = "from"
PROJECT: Final = "project"
ENTRY: Final = "entry"
MODEL: Final = "model"
RETRAINING: Final = "retraining"
_OPENED: Final = (JOB, SWEEP, FROM, PROJECT, ENTRY, MODEL, RETRAINING)

_GOING: Final = "training_going"
_WHOLE: Final = "training_whole"


def go(part: str, **query: str) -> None:
    """Show a section with this opened in it, and nothing else, at the next rerun.

    A widget's choice cannot be changed once it is drawn: what is wanted is kept until the page begins anew.
    """
    st.session_state[_GOING] = (part, query)


def way(label: str, key: str, icon: str, part: str, **query: str) -> None:
    """Draw the way to something on this page: a link to the page that is open already would change nothing.

    Parameters
    ----------
    label : str
        In Markdown.
    """
    st.button(label, key=key, icon=icon, type="tertiary", on_click=lambda: go(part, **query))


def arrive() -> None:
    """Go where the last run of the page wanted to; called before anything is drawn."""
    part, query = st.session_state.pop(_GOING, (None, {}))
    if part is not None:
        for name in _OPENED:
            put(name, query.get(name))
        st.session_state[PART] = part
    st.session_state.pop(_WHOLE, None)
    choices.keep_valid(PART, PARTS)


def put(name: str, value: str | None) -> None:
    """Put a choice into the address, or take it out; other choices stay there."""
    st.session_state[_WHOLE] = True
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def leave_fragment() -> None:
    """Run the whole page where a button of this fragment opened something else; called first in a fragment."""
    if _GOING in st.session_state or st.session_state.pop(_WHOLE, False):
        st.rerun()


def number_in_address(name: str, noun: str) -> int | None:
    """Return the number that the address gives, and say so where it is none."""
    text = st.query_params.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal() or len(text) > 15:
        st.error(f"{escape_markdown(text)} is no number of a {noun}.", icon=":material/error:")
        return None
    return int(text)

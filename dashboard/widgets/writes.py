"""Carry out what a button asks for: the result and what to do next, or the reasons against, kept over reruns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from core.errors import GreenroomError, RefusedError
from dashboard.formats import escape_markdown

_SAID, _REFUSED, _TOLD = "said", "refused", "told"
_SHOWN_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Said:
    """What was done and what comes next.

    Attributes
    ----------
    sentence : str
    then : str
        Next step, in plain text; "" where there is none.
    page, query : str and mapping
        Where the next step is taken; no link without a page.
    label : str
        Of the link.
    notes : sequence of str
    """

    sentence: str
    then: str = ""
    page: str = ""
    query: dict[str, str] | None = None
    label: str = ""
    notes: Sequence[str] = ()


def attempt(key: str, do: Callable[[], Said], doing: str) -> None:
    """Do it and run the page again; what came of it is shown there.

    Parameters
    ----------
    key : str
        Of the form that asks; a refusal is shown by `refusal(key)`.
    doing : str
        What the spinner says.
    """
    st.session_state.pop(_SAID, None)
    st.session_state.pop(_REFUSED, None)
    try:
        with st.spinner(doing, show_time=True):
            said = do()
    except RefusedError as error:
        st.session_state[_REFUSED] = (key, str(error), tuple(error.reasons))
    except GreenroomError as error:
        st.session_state[_REFUSED] = (key, str(error), ())
    else:
        st.session_state[_SAID] = (said, time.monotonic())
        st.session_state[_TOLD] = False
    st.rerun()


def was_refused(key: str) -> bool:
    """Say whether the form's last attempt was refused."""
    return bool(st.session_state.get(_REFUSED, ("",))[0] == key)


def refusal(key: str) -> None:
    """Draw why the form's last attempt was refused."""
    asked, sentence, reasons = st.session_state.get(_REFUSED, ("", "", ()))
    if asked != key:
        return
    listed = [one for one in reasons if one != sentence]
    lines = [escape_markdown(sentence), *(f"- {escape_markdown(one)}" for one in listed)]
    st.error("\n".join(lines), icon=":material/block:")


def forget(key: str) -> None:
    """Take the refusal away, for its form was closed."""
    if was_refused(key):
        del st.session_state[_REFUSED]


def show() -> None:
    """Draw what was done last, for some minutes or until the next attempt."""
    said, at = st.session_state.get(_SAID, (None, 0.0))
    if said is None:
        return
    if time.monotonic() - at > _SHOWN_SECONDS:
        del st.session_state[_SAID]
        return
    # Whoever pressed a button far down the page does not see its top.
    if not st.session_state.get(_TOLD, True):
        st.session_state[_TOLD] = True
        st.toast(escape_markdown(said.sentence), icon=":material/check_circle:")
    lines = [f"**{escape_markdown(said.sentence)}** {escape_markdown(said.then)}".strip()]
    lines += [f"- {escape_markdown(one)}" for one in said.notes]
    st.success("\n".join(lines), icon=":material/check_circle:")
    if said.page:
        st.page_link(
            said.page,
            label=escape_markdown(said.label),
            query_params=said.query,
            icon=":material/arrow_forward:",
        )

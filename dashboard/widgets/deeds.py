"""A button that changes something: it names its effect, asks once more with the reason, and then does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import streamlit as st

from core.access import Actor, Permission
from dashboard.formats import escape_markdown
from dashboard.widgets import acting, writes
from dashboard.widgets.writes import Said


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that can be done.

    Attributes
    ----------
    key : str
        Stable; the keys of the widgets begin with it.
    effect : str
        What it does, with names: "Roll back ppo from v7 to v5". The first button says it.
    yes : str
        The second button: "Yes, roll back".
    permission : Permission
    reason : str
        Label of the field that asks why; "" asks nothing.
    doing : str
        What is said while it is done.
    forbidden : str
        Why it cannot be done though the role allows it.
    more : str
        What else to know before the second click.
    failed : sequence of str or None
        The gates that do not pass now. Not None: they can be overridden with a reason.
    given : str
        What the reason says unless somebody writes another.
    """

    key: str
    effect: str
    yes: str
    permission: Permission
    reason: str
    doing: str
    forbidden: str = ""
    more: str = ""
    failed: Sequence[str] | None = None
    given: str = ""
    icon: str | None = None
    primary: bool = False


Offer: TypeAlias = tuple[Deed, Callable[[str, str | None], Said]]
"""A deed and what does it: it takes the reason, and why gates are overridden or None."""


def draw(offers: Sequence[Offer], actor: Actor) -> None:
    """Draw the first buttons in a row, and under them what those ask that were pressed."""
    asking = []
    with st.container(horizontal=True):
        for deed, do in offers:
            forbidden = acting.why_not(actor, deed.permission) or deed.forbidden
            # Asking is about this effect: with another version or champion it begins anew.
            if st.session_state.get(f"{deed.key}_opened") == deed.effect and not forbidden:
                asking.append((deed, do))
            else:
                _button(deed, forbidden)
    for deed, do in asking:
        _ask(deed, actor, do)


def _button(deed: Deed, forbidden: str) -> None:
    st.button(
        escape_markdown(deed.effect),
        key=deed.key,
        icon=deed.icon,
        type="primary" if deed.primary else "secondary",
        disabled=bool(forbidden),
        help=escape_markdown(forbidden) or None,
        on_click=lambda: st.session_state.update({f"{deed.key}_opened": deed.effect}),
    )


def _ask(deed: Deed, actor: Actor, do: Callable[[str, str | None], Said]) -> None:
    with st.container(border=True, key=f"{deed.key}_asks"):
        st.markdown(f"**{escape_markdown(deed.effect)}**")
        if deed.more:
            st.caption(escape_markdown(deed.more))
        reason: str | None = ""
        if deed.reason:
            reason = st.text_input(deed.reason, value=deed.given, key=f"{deed.key}_reason", max_chars=2000)
        override = _override(deed, actor) if deed.failed is not None else None
        with st.container(horizontal=True):
            sure = st.button(deed.yes, key=f"{deed.key}_yes", type="primary", icon=deed.icon)
            st.button("Cancel", key=f"{deed.key}_no", on_click=_close, args=(deed.key,))
        if sure:
            writes.attempt(deed.key, lambda: _done(deed.key, do(reason or "", override)), deed.doing)
        writes.refusal(deed.key)


def _done(key: str, said: Said) -> Said:
    st.session_state.pop(f"{key}_opened", None)
    return said


def _close(key: str) -> None:
    st.session_state.pop(f"{key}_opened", None)
    writes.forget(key)


def _override(deed: Deed, actor: Actor) -> str | None:
    """Ask whether the gates that do not pass are overridden, and why."""
    # A gate may fail only when it is judged anew, which the refusal then says.
    if not deed.failed and not writes.was_refused(deed.key):
        return None
    if deed.failed:
        st.warning(
            f"These gates do not pass: {escape_markdown(', '.join(deed.failed))}.", icon=":material/warning:"
        )
    forbidden = acting.why_not(actor, Permission.OVERRIDE)
    if not st.checkbox(
        "Override the gates",
        key=f"{deed.key}_override",
        disabled=bool(forbidden),
        help=escape_markdown(forbidden) or "The override and its reason stay visible on the version.",
    ):
        return None
    return st.text_input("Why they are overridden", key=f"{deed.key}_override_reason", max_chars=2000) or ""

"""The dry run that a person looks at: it is kept, for what was shown is what is promised."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import streamlit as st

from core import clock
from core.registry.retention.plan import RetentionPlan
from core.workspace import Workspace

_PLAN: Final = "retention_plan"
_FRESH: Final = timedelta(minutes=10)


def plan_of(workspace: Workspace, model: str | None) -> RetentionPlan:
    """Return the dry run: made once, for counting bytes takes a while, and promised as it is shown."""
    about = (workspace.address.key, model)
    known: tuple[object, RetentionPlan] | None = st.session_state.get(_PLAN)
    if known is not None and known[0] == about and clock.now() - known[1].made_at < _FRESH:
        return known[1]
    with st.spinner("Looking at versions, runs and their files", show_time=True):
        plan = workspace.retention.plan(model)
    st.session_state[_PLAN] = (about, plan)
    return plan


def forget() -> None:
    """Look anew at the next rerun."""
    st.session_state.pop(_PLAN, None)

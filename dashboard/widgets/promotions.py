"""Promotions as marks on charts over time: when versions made from the shown runs went into Production and out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

import numpy as np
import streamlit as st

from core.errors import GreenroomError
from core.registry import history
from core.workspace import Workspace
from dashboard.charts.events import Event
from dashboard.formats import escape_markdown

_MOST_MODELS = 20


def events_of(
    workspace: Workspace, run_ids: Collection[str], first: np.datetime64, last: np.datetime64
) -> list[Event]:
    """Return when the models of these runs changed in Production, within a period, by time.

    Where the registry cannot be read it is said in a quiet line, and nothing is marked.
    """
    try:
        found = [
            event
            for model in models_of(workspace, run_ids)
            for event in _of_model(workspace, model)
            if first <= event[0] <= last
        ]
    except GreenroomError as error:
        st.caption(f"Promotions cannot be marked: {escape_markdown(str(error))}")
        return []
    return sorted(found)


def models_of(workspace: Workspace, run_ids: Iterable[str]) -> list[str]:
    """Return the models that have a version made from one of these runs, at most twenty."""
    wanted = set(run_ids)
    models = workspace.registry.watch.models().values()
    return [one.name for one in models if any(each.run_id in wanted for each in one.versions)][:_MOST_MODELS]


def _of_model(workspace: Workspace, model: str) -> list[Event]:
    marked: list[Event] = []
    reigns = history.reigns(workspace.registry.events(model))
    starts = {one.start for one in reigns}
    for one in reigns:
        how = "" if one.how == "promoted" else f" ({one.how})"
        marked.append((_naive(one.start), f"{model} v{one.version} to Production{how}"))
        # One mark where the next one takes over.
        if one.end is not None and one.end not in starts:
            marked.append((_naive(one.end), f"{model} v{one.version} out of Production"))
    return marked


def _naive(time: datetime) -> np.datetime64:
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")

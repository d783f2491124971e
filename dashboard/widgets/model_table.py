"""All registered models: searched, filtered, in one table; a tick or the choice above it opens one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import polars as pl
import streamlit as st

from core.registry.requests import Request, RequestState
from core.registry.seen import How, SeenVersions
from core.registry.types import Model, Stage
from dashboard.formats import MISSING, count
from dashboard.widgets import choices, states, tables

MODEL, VERSION = "model", "version"
_ROWS = 100
_ALL, _CHAMPION, _WAITING, _CONFLICT = "All", "Has Production", "Waiting request", "Conflict"


def open_model(name: str, version: int | None = None) -> None:
    """Show a model, or one of its versions, at the next rerun."""
    st.query_params[MODEL] = name
    if version is not None:
        st.query_params[VERSION] = str(version)
    elif VERSION in st.query_params:
        del st.query_params[VERSION]
    st.session_state["models_turn"] = st.session_state.get("models_turn", 0) + 1


def draw(models: Mapping[str, Model], seen: Mapping[str, SeenVersions], requests: Sequence[Request]) -> None:
    """Draw filters and the table.

    Parameters
    ----------
    requests : sequence of Request
        All open ones.
    """
    asked = _by_model(requests)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input("Search", key="model_q", bind="query-params", placeholder="Model", width=220)
        shown = choices.choose("Models", [_ALL, _CHAMPION, _WAITING, _CONFLICT], "models_shown")
    wanted = (text or "").strip().lower()
    found = [
        one
        for one in models.values()
        if wanted in one.name.lower() and _passes(one, shown, asked.get(one.name, ()))
    ]
    if not found:
        states.empty("No model is like that. Take a filter away.")
        return
    found.sort(key=lambda one: (*_calm(one, asked), -_changed(one).timestamp(), one.name))
    if len(found) > _ROWS:
        st.caption(f"The first {_ROWS} of {count(len(found), 'model')}, what waits first; search for others.")
    else:
        st.caption(f"{count(len(found), 'model')}. Tick one to open it.")
    _table(found[:_ROWS], seen, asked)


def table_of(
    models: Iterable[Model], seen: Mapping[str, SeenVersions], asked: Mapping[str, Sequence[Request]]
) -> pl.DataFrame:
    """Return the models as the table shows them."""
    rows = [_row(one, seen.get(one.name, {}), asked.get(one.name, ())) for one in models]
    return pl.DataFrame(
        rows,
        schema={
            "Model": pl.String,
            "Champion": pl.String,
            "In Production since": pl.Datetime("us", "UTC"),
            "Known": pl.String,
            "In Staging": pl.String,
            "Open requests": pl.Int64,
            "Versions": pl.Int64,
            "Last change": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )


def _row(one: Model, seen: SeenVersions, requests: Sequence[Request]) -> tuple[object, ...]:
    champions = [each.version for each in one.in_stage(Stage.PRODUCTION)]
    known = seen.get(champions[0]) if len(champions) == 1 else None
    if known is not None and known.stage is not Stage.PRODUCTION:
        known = None
    champion = " and ".join(f"v{each}" for each in champions)
    sign = "⚠ conflict: " if len(champions) > 1 else "★ "
    return (
        one.name,
        f"{sign}{champion}" if champions else None,
        known.since if known else None,
        None if known is None else "exactly" if known.how is How.GREENROOM else "at the latest",
        ", ".join(f"v{each.version}" for each in reversed(one.in_stage(Stage.STAGING))) or None,
        len(requests) or None,
        len(one.versions),
        _changed(one),
    )


def _table(
    found: list[Model], seen: Mapping[str, SeenVersions], asked: Mapping[str, Sequence[Request]]
) -> None:
    names = [one.name for one in found]
    identity = hashlib.sha1("\n".join(names).encode(), usedforsecurity=False).hexdigest()[:12]
    key = f"models:{identity}:{st.session_state.get('models_turn', 0)}"
    frame = table_of(found, seen, asked)
    st.dataframe(
        tables.arrow(frame),
        key=key,
        hide_index=True,
        height=tables.height(len(names), 20),
        on_select=lambda: _from_table(key, names),
        selection_mode="single-row",
        placeholder=MISSING,
        column_config={
            "Model": st.column_config.TextColumn(pinned=True, width="medium"),
            "In Production since": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
            "Known": st.column_config.TextColumn(
                help="At the latest: nobody recorded the change, and MLflow keeps the last edit only."
            ),
            "Last change": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
        },
        alt="Every registered model",
    )


def _from_table(key: str, names: list[str]) -> None:
    rows = st.session_state[key]["selection"]["rows"]
    if rows and rows[0] < len(names):
        open_model(names[rows[0]])


def _passes(one: Model, shown: str, requests: Sequence[Request]) -> bool:
    inside = len(one.in_stage(Stage.PRODUCTION)) if shown in (_CHAMPION, _CONFLICT) else 0
    return {
        _ALL: True,
        _CHAMPION: inside > 0,
        _CONFLICT: inside > 1,
        _WAITING: any(each.state is RequestState.WAITING for each in requests),
    }[shown]


def _calm(one: Model, asked: Mapping[str, Sequence[Request]]) -> tuple[bool, bool]:
    """Order models: those with a conflict or an open request, then those in Production, then the rest."""
    inside = len(one.in_stage(Stage.PRODUCTION))
    return inside < 2 and one.name not in asked, not inside


def _changed(one: Model) -> datetime:
    return max((one.updated, *(each.updated for each in one.versions)))


def _by_model(requests: Sequence[Request]) -> dict[str, list[Request]]:
    found: dict[str, list[Request]] = {}
    for one in requests:
        found.setdefault(one.model, []).append(one)
    return found

"""The filters of the Runs page: experiments, MLflow's filter, order, and facets that write into the filter."""

from __future__ import annotations

import time
from dataclasses import replace

import streamlit as st

from core.errors import GreenroomError, NotFoundError
from core.runs import filters
from core.runs.explorer import RunExplorer, RunsRequest
from core.runs.types import MetricView, RunView
from dashboard.formats import escape_markdown, status_label
from dashboard.widgets import choices

FILTER, ORDER, DESCENDING, EXPERIMENTS, VIEW = "q", "sort", "desc", "exp", "view"
METRIC_VIEW, FACETS = "point", "facets"
_STARTED = "attributes.start_time"
_PERIODS = {"24 hours": 1, "7 days": 7, "30 days": 30, "90 days": 90}
_FACET_VALUES = 8
# No value that a run can have: MLflow keeps no control characters at the start of one.
_ANY = "\x00any"
_TAGS_TRIED = 6
_ATTRIBUTE_ORDERS = {
    "attributes.start_time": "Started",
    "attributes.end_time": "Ended",
    "attributes.run_name": "Name",
    "attributes.status": "Status",
    "attributes.user_id": "User",
}


def toolbar(runs: RunExplorer) -> RunsRequest:
    """Draw the bar of filters above the table and return what it asks for."""
    known = runs.experiments()
    names = [one.name for one in known if one.lifecycle_stage == "active"]
    names += [one.name for one in known if one.lifecycle_stage != "active"]
    _say_unknown(names)
    choices.keep_valid(EXPERIMENTS, names)
    columns = st.columns([3, 4, 4], vertical_alignment="bottom")
    chosen = columns[0].multiselect(
        "Experiments", names, key=EXPERIMENTS, bind="query-params", placeholder="All experiments"
    )
    text = columns[1].text_input(
        "Filter",
        key=FILTER,
        bind="query-params",
        type="search",
        placeholder="metrics.rmse < 10 AND params.model = 'ridge'",
        help="MLflow's filter syntax: metrics, params, tags, attributes, datasets, joined by AND.",
    )
    experiments = tuple(chosen) or None
    with columns[2]:
        order_by = _order(runs, experiments)
    return RunsRequest(experiments, text or "", order_by)


def _say_unknown(names: list[str]) -> None:
    unknown = [name for name in st.query_params.get_all(EXPERIMENTS) if name not in names]
    if unknown:
        raise NotFoundError(
            f"There is no experiment '{unknown[0]}', which the address of this page asks for. "
            "It may have been renamed or removed: open Runs again from the menu."
        )


def _order(runs: RunExplorer, experiments: tuple[str, ...] | None) -> tuple[str, ...]:
    options = list(_ATTRIBUTE_ORDERS)
    for table in ("metrics", "params", "tags"):
        options += [f"{table}.{filters.quote_key(key)}" for key, _ in runs.keys(table, experiments)]
    choices.keep_valid(ORDER, options)
    left, right = st.columns([3, 1], vertical_alignment="bottom", wrap=False)
    field = left.selectbox(
        "Sort by",
        options,
        key=ORDER,
        bind="query-params",
        format_func=lambda option: _ATTRIBUTE_ORDERS.get(option, option.replace("`", "")),
        help="Sorts all matching runs, not only those on this page. Missing values come last.",
    )
    descending = right.toggle("Desc", value=True, key=DESCENDING, bind="query-params")
    return (f"{field} {'DESC' if descending else 'ASC'}",)


def viewed(request: RunsRequest) -> RunsRequest:
    """Return the request with the run view and metric point that `view_choices` drew."""
    return replace(
        request,
        view=RunView(st.session_state[VIEW]),
        metric_view=MetricView(st.session_state[METRIC_VIEW]),
    )


def view_choices() -> None:
    """Draw the choices of run view and metric point; they stand in the popover of columns."""
    choices.choose("Runs", [one.value for one in RunView], VIEW, label_shown=True, format_func=str.capitalize)
    choices.choose(
        "Metric value",
        [one.value for one in MetricView],
        METRIC_VIEW,
        label_shown=True,
        format_func=str.capitalize,
        help="Which point of a metric's history is shown and sorted by. Filters compare the last.",
    )


def facets(runs: RunExplorer, request: RunsRequest) -> None:
    """Draw facets in the sidebar: how often each value occurs among the matches; a click filters by it."""
    options = [
        f"{table}.{key}" for table in ("tags", "params") for key, _ in runs.keys(table, request.experiments)
    ]
    default = [f"tags.{key}" for key in _telling_tags(runs, request)]
    with st.sidebar:
        st.subheader("Narrow down")
        _facet(runs, request, "attribute", "status", "Status")
        _facet(runs, request, "attribute", "user_id", "User")
        _period()
        choices.keep_valid(FACETS, options)
        chosen = st.session_state.get(FACETS, default)
        for field in chosen:
            table, _, key = field.partition(".")
            _facet(runs, request, "tag" if table == "tags" else "parameter", key, field)
        st.multiselect(
            "More facets",
            options,
            default=default,
            key=FACETS,
            bind="query-params",
            placeholder="Tag or param",
        )


def _telling_tags(runs: RunExplorer, request: RunsRequest) -> list[str]:
    """Return two tags of few and short values, which are worth a facet without being asked for."""
    tags = [key for key, _ in runs.keys("tags", request.experiments) if not key.startswith("mlflow.")]
    everything = runs.find(RunsRequest(request.experiments, view=request.view))
    found = []
    for key in tags[:_TAGS_TRIED]:
        facet = runs.facet(everything, "tag", key, _FACET_VALUES)
        if 2 <= facet.distinct <= _FACET_VALUES and all(len(value) <= 24 for value, _ in facet.values):
            found.append(key)
    return found[:2]


def _facet(runs: RunExplorer, request: RunsRequest, kind: str, key: str, label: str) -> None:
    prefix = {"attribute": "attributes", "tag": "tags", "parameter": "params"}[kind]
    field = f"{prefix}.{key if kind == 'attribute' else filters.quote_key(key)}"
    clauses = filters.split_clauses(request.filter)
    others = " AND ".join(one for one in clauses if not one.startswith(f"{field} = "))
    try:
        matches = runs.find(RunsRequest(request.experiments, others, (), request.view))
    except GreenroomError:
        return  # the filter itself is wrong, which the page says above the table
    found = runs.facet(matches, kind, key, _FACET_VALUES)
    if not found.values:
        return
    written = {value: clause for value, _ in found.values if (clause := filters.equals(field, value))}
    counts = dict(found.values)
    widget = f"facet:{field}"
    st.session_state[widget] = next((value for value, one in written.items() if one in clauses), _ANY)
    more = f" · {found.distinct - len(counts):,} more values" if found.distinct > len(counts) else ""
    st.radio(
        escape_markdown(label) + more,
        [_ANY, *written],
        key=widget,
        format_func=lambda value: (
            f"Any · {len(matches):,}"
            if value == _ANY
            else f"{escape_markdown(_value_label(key, value))} · {counts[value]:,}"
        ),
        on_change=_write,
        args=(widget, field, written),
    )


def _value_label(key: str, value: str) -> str:
    if key == "status":
        return status_label(value)
    text = value if len(value) <= 24 else value[:23] + "…"
    return text or "(empty)"


def _without(beginning: str) -> list[str]:
    """Return the clauses of the filter in the page, those left out that begin so."""
    clauses = filters.split_clauses(st.session_state.get(FILTER) or "")
    return [one for one in clauses if not one.startswith(beginning)]


def _write(widget: str, field: str, written: dict[str, str]) -> None:
    """Put the clicked value into the filter, or take it out."""
    clauses = _without(f"{field} = ")
    value = st.session_state.get(widget)
    if value in written:
        clauses.append(written[value])
    st.session_state[FILTER] = " AND ".join(clauses)


def _period() -> None:
    begun = f"{_STARTED} >= "
    if not any(one.startswith(begun) for one in filters.split_clauses(st.session_state.get(FILTER) or "")):
        st.session_state["facet:period"] = _ANY
    st.radio(
        "Started within",
        [_ANY, *_PERIODS],
        key="facet:period",
        format_func=lambda value: "Any time" if value == _ANY else value,
        on_change=_write_period,
    )


def _write_period() -> None:
    """Put the beginning of the chosen period into the filter."""
    clauses = _without(f"{_STARTED} >= ")
    chosen = st.session_state["facet:period"]
    if chosen in _PERIODS:
        since = int((time.time() - _PERIODS[chosen] * 86400) * 1000)
        clauses.append(f"{_STARTED} >= {since}")
    st.session_state[FILTER] = " AND ".join(clauses)

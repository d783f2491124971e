"""Runs: find runs across experiments, sort and page them, choose some to compare; charts over all matches."""

from __future__ import annotations

from math import ceil

import streamlit as st

from core.errors import GreenroomError, NotFoundError
from core.runs.explorer import Matches, RunExplorer, RunsRequest
from core.workspace import Workspace
from dashboard import data
from dashboard.formats import count
from dashboard.widgets import (
    backtest_picker,
    choices,
    freshness,
    links,
    run_charts,
    run_columns,
    run_filters,
    run_table,
    saved_views,
    states,
)

# The widgets whose choices make a saved view.
_WIDGETS = (
    *("exp", "q", "sort", "desc", "view", "point", "facets", "show", "nested", "metrics", "params", "tags"),
    *("chart", "x", "y", "colour", "log_x", "log_y", "metric", "axes", "group"),
)


def render() -> None:
    """Draw the page."""
    workspace = data.workspace()
    runs = workspace.runs
    if not len(runs.snapshot()):
        states.empty(
            f"The tracking store {workspace.address.shown} holds no runs yet. They appear here by themselves "
            "as soon as a training run logs to it:",
            f"MLFLOW_TRACKING_URI={workspace.address.shown} python train.py",
        )
        return
    asked = run_filters.toolbar(runs)
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = choices.choose("Show", ["Table", "Charts"], "show")
        total = st.container(width="content")
        st.space("stretch")
        nested = shown == "Table" and st.toggle("Nested", key="nested", bind="query-params")
        columns = run_columns.chooser(runs, asked.experiments)
        saved_views.popover(workspace, "runs", _WIDGETS, (run_table.BASELINE, run_table.OPENED))
        export = st.container(width="content")
        if st.button(
            "Refresh", icon=":material/refresh:", key="refresh", help="Reads every run again, edits included."
        ):
            freshness.refresh(workspace)
            st.rerun()
    request = run_filters.viewed(asked)
    run_filters.facets(runs, request)
    try:
        matches = runs.find(request)
    except GreenroomError as error:
        states.failed(error)
        return
    total.markdown(f"**{count(len(matches), 'run')}**", width="content")
    with export:
        _export(runs, matches)
    if shown == "Charts":
        run_charts.draw(runs, matches)
        return
    _table(workspace, request, matches, columns, nested)


def _table(
    workspace: Workspace, request: RunsRequest, matches: Matches, columns: tuple[str, ...], nested: bool
) -> None:
    runs = workspace.runs
    if not len(matches):
        states.empty("No run matches. Take a condition out of the filter, or choose other experiments.")
        return
    tree = runs.tree(matches, run_table.expanded()) if nested else None
    total = len(tree.places) if tree else len(matches)
    pages = ceil(total / run_table.PAGE_ROWS)
    _back_to_first_page(request, nested, pages)
    actions = st.container(horizontal=True, vertical_alignment="bottom")
    baseline = _baseline(runs)
    page = run_table.page_of(matches, tree, st.session_state.get("page", 1))
    try:
        run_table.draw(runs, matches, page, columns, request.metric_view, baseline)
    except GreenroomError as error:
        states.failed(error)
    if pages > 1:
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.pagination(pages, key="page", bind="query-params")
    with actions:
        _actions(runs, matches, page, baseline, nested)


def _back_to_first_page(request: RunsRequest, nested: bool, pages: int) -> None:
    asked = (request, nested)
    before = st.session_state.get("page_of", asked)
    if before != asked or st.session_state.get("page", 1) > pages:
        st.session_state["page"] = 1
    st.session_state["page_of"] = asked


def _baseline(runs: RunExplorer) -> str | None:
    wanted = st.query_params.get(run_table.BASELINE)
    if not wanted:
        return None
    try:
        return runs.run(wanted).run_id
    except NotFoundError as error:
        states.failed(error)
        return None


def _actions(
    runs: RunExplorer, matches: Matches, page: run_table.TablePage, baseline: str | None, nested: bool
) -> None:
    """Draw the selection as an ordinary widget, and what can be done with it."""
    here = matches.snapshot.frame["run_id"].gather(page.places).to_list()
    known = set(
        matches.snapshot.frame["run_id"].filter(matches.snapshot.frame["run_id"].is_in(run_table.selected()))
    )
    picked = [one for one in run_table.selected() if one in known]
    labels = run_table.labels(runs, list(dict.fromkeys([*picked, *here])))
    st.session_state["picked"] = picked
    st.multiselect(
        "Selected runs",
        list(labels),
        key="picked",
        format_func=lambda run_id: labels[run_id],
        on_change=lambda: run_table.select(st.session_state["picked"]),
        placeholder="Tick rows, or choose here",
        label_visibility="collapsed",
    )
    if st.button("Compare", key="compare", type="primary", disabled=not 2 <= len(picked) <= 200):
        links.open_comparison(picked, baseline)
    if st.button("Open", key="open_run", disabled=len(picked) != 1):
        links.open_run(picked[0])
    if st.button("Backtest", key="backtest", disabled=not 1 <= len(picked) <= backtest_picker.MOST):
        links.open_backtests(picked)
    if baseline is None:
        if st.button("Pin as baseline", key="pin", disabled=len(picked) != 1):
            st.query_params[run_table.BASELINE] = picked[0]
            st.rerun()
    elif st.button("Unpin baseline", key="unpin"):
        del st.query_params[run_table.BASELINE]
        st.rerun()
    if nested:
        _tree_actions(here, page, picked)


def _tree_actions(here: list[str], page: run_table.TablePage, picked: list[str]) -> None:
    parents = [run_id for run_id, children in zip(here, page.children or [], strict=True) if children]
    opened = run_table.expanded()
    chosen = frozenset(picked) & frozenset(parents)
    if st.button(
        "Expand or fold", key="fold", disabled=not chosen, help="Opens or closes the selected parents."
    ):
        run_table.expand(opened ^ chosen)
        st.rerun()
    if st.button("Fold all" if opened else "Expand page", key="fold_all", disabled=not (parents or opened)):
        run_table.expand(frozenset() if opened else frozenset(parents))
        st.rerun()


def _export(runs: RunExplorer, matches: Matches) -> None:
    with st.popover("Export", icon=":material/download:"):
        st.caption(f"{count(len(matches), 'run')} with every param, metric and tag")
        st.download_button(
            "CSV",
            lambda: data.as_csv(runs.export(matches)),
            "runs.csv",
            "text/csv",
            key="csv",
            on_click="ignore",
        )
        st.download_button(
            "Parquet",
            lambda: data.as_parquet(runs.export(matches)),
            "runs.parquet",
            "application/vnd.apache.parquet",
            key="parquet",
            on_click="ignore",
        )


render()

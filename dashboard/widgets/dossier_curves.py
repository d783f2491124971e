"""Champion and challenger drawn: both equity curves over each other, and what changes store by store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core.errors import GreenroomError
from dashboard import data
from dashboard.charts.equity import equity_figure
from dashboard.charts.theme import line_styles
from dashboard.charts.time_series import TimeLine
from dashboard.formats import escape_markdown
from dashboard.widgets import links, pipeline_changes, states


def draw(content: Mapping[str, Any]) -> None:
    """Draw what both runs have; runs as the tracking store has them now."""
    own = (content["lineage"] or {}).get("run_id")
    champion = content["champion"]
    other = champion["run_id"] if champion else None
    if content["backtest"] and own:
        _equity(content, own, other)
    if own and other:
        _stores(own, other)


def _equity(content: Mapping[str, Any], own: str, other: str | None) -> None:
    wanted = {own: f"v{content['version']}"}
    if other is not None and content["backtest"]["champion"]:
        wanted.setdefault(other, f"v{content['champion']['version']} (champion)")
    styles = line_styles(wanted)
    lines = []
    for run_id, label in wanted.items():
        try:
            curve = data.backtest(run_id, None).curve
        except GreenroomError as error:
            st.caption(f"The curve of {label} cannot be drawn: {escape_markdown(str(error))}")
            continue
        if curve is not None:
            lines.append(
                TimeLine(label, styles[run_id].colour, curve.times, curve.values, styles[run_id].dash)
            )
    if not lines:
        return
    figure = equity_figure(
        lines, log_y=False, rebased=True, title="Equity, each from 1", y_title="Growth of 1"
    )
    figure.update_layout(dragmode=False)
    st.plotly_chart(figure, key="dossier_equity", alt="Equity of both versions over time")
    st.page_link(
        links.BACKTESTS_PAGE,
        label="Both on the Backtests page",
        query_params={"runs": ",".join(wanted)},
        icon=":material/monitoring:",
    )


def _stores(own: str, other: str) -> None:
    """Draw what changes store by store, where both runs belong to pipelines."""
    new_id, old_id = _pipeline_of(own), _pipeline_of(other)
    if new_id is None or old_id is None or new_id == old_id:
        return
    try:
        new, old = data.pipeline(new_id), data.pipeline(old_id)
    except GreenroomError as error:
        states.failed(error)
        return
    if not new.stores.height or not old.stores.height:
        return
    st.markdown("**Store by store**")
    pipeline_changes.brief(old, new)
    st.page_link(
        links.STORES_PAGE,
        label="Every store on the Stores page",
        query_params={"run": new_id, "against": old_id, "show": "Changes"},
        icon=":material/storefront:",
    )


def _pipeline_of(run_id: str) -> str | None:
    """Return the pipeline that a run is, or belongs to as one store's; None where it is neither."""
    try:
        run = data.workspace().runs.run(run_id)
    except GreenroomError:
        return None
    if run.parent_run_id and "store_code" in run.params:
        return run.parent_run_id
    return run.run_id if "total_stores_attempted" in run.metrics else None

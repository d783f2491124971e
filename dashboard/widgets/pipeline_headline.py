"""The first figures of a pipeline, with their change against the pipeline it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from core.forecasts.desk import Pipeline
from core.forecasts.pipelines import Headline
from dashboard.formats import count, escape_markdown, local_time, number, points
from dashboard.widgets import links


class _Figure(NamedTuple):
    title: str
    read: Callable[[Headline], float | None]
    write: Callable[[float | None], str]
    higher_is_better: bool
    what: str


_FIGURES = (
    _Figure(
        "WAPE", lambda one: one.wape, points, False, "All absolute errors of the test period over all sales."
    ),
    _Figure(
        "Weighted sMAPE",
        lambda one: one.weighted_smape,
        points,
        False,
        "Mean over stores of 200 |error| / (|actual| + |predicted|), from 0 to 200%, weighted by sales.",
    ),
    _Figure("Median sMAPE", lambda one: one.median_smape, points, False, "Half of the stores are below it."),
    _Figure(
        "Mean R²",
        lambda one: one.mean_r2,
        number,
        True,
        "Mean over stores; below 0 is worse than the mean of the test period.",
    ),
    _Figure("RMSE", lambda one: one.rmse, number, False, "Over all test periods of all stores."),
)


def draw(pipeline: Pipeline, old: Pipeline | None) -> None:
    """Draw the figures, and in one line what they were measured on."""
    head = pipeline.headline
    before = old.headline if old is not None else None
    with st.container(horizontal=True, gap="medium"):
        st.metric(
            "Stores",
            f"{head.successful:,} of {head.attempted:,}",
            width="content",
            help="With a model, of those attempted.",
        )
        for figure in _FIGURES:
            _metric(figure, head, before)
        if head.bias is not None:
            st.metric(
                "Bias",
                points(head.bias),
                width="content",
                help="Sum of predicted minus actual over sales: above 0 is too much.",
            )
    facts = [
        pipeline.told("model"),
        _horizon(pipeline),
        f"trained up to {cutoff}" if (cutoff := pipeline.told("cutoff")) else None,
        count(head.running, "store still running", "stores still running") if head.running else None,
        f"started {local_time(pipeline.run.start_time)}",
    ]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(" · ".join(escape_markdown(fact) for fact in facts if fact), width="content")
        st.page_link(
            links.RUN_PAGE,
            label="Open the run",
            query_params={"run": pipeline.run.run_id},
            icon=":material/description:",
        )


def _metric(figure: _Figure, head: Headline, before: Headline | None) -> None:
    value = figure.read(head)
    if value is None:
        return
    old = figure.read(before) if before is not None else None
    written = None
    if old is not None:
        change = value - old
        written = f"{'+' if change > 0 else ''}{figure.write(change)}".replace("%", " points")
    st.metric(
        figure.title,
        figure.write(value),
        delta=written,
        delta_color="normal" if figure.higher_is_better else "inverse",
        width="content",
        help=figure.what,
    )


def _horizon(pipeline: Pipeline) -> str | None:
    horizon, frequency = (pipeline.told(name) for name in ("horizon", "frequency"))
    if horizon is None or frequency is None:
        return None
    return f"{horizon} {'days' if frequency == 'daily' else 'weeks'} ahead"

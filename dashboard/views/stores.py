"""Stores: how well a pipeline forecasts every store, one store in detail, and what a new pipeline changes."""

from __future__ import annotations

import streamlit as st

from core.errors import GreenroomError
from core.forecasts.desk import Pipeline
from dashboard import data
from dashboard.formats import escape_markdown
from dashboard.widgets import (
    choices,
    pipeline_changes,
    pipeline_headline,
    pipeline_picker,
    states,
    store_panel,
    store_partners,
    store_table,
)

_COMMAND = "python -m core.training.stores --data sales.csv"
EVERY, PARTNERS, ONE, CHANGES = "Every store", "Partners", "One store", "Changes"


def render() -> None:
    """Draw the page."""
    desk = data.workspace().forecasts
    chosen, against = pipeline_picker.choose(desk)
    if chosen is None:
        states.empty(
            "There is no forecast here yet. A pipeline appears as soon as a run has child runs with the param "
            "store_code, or logs a table of predictions. Train one on sales with a row a store and day or week:",
            _COMMAND,
        )
        return
    pipeline, old = _read(chosen), _read(against) if against else None
    if pipeline is None:
        return
    if pipeline.generated:
        st.info(escape_markdown(pipeline.generated), icon=":material/science:")
    for problem in pipeline.problems:
        st.warning(escape_markdown(problem), icon=":material/warning:")
    if not pipeline.stores.height:
        return
    pipeline_headline.draw(pipeline, old)
    for note in pipeline.notes:
        st.caption(f"· {escape_markdown(note)}")
    _section(pipeline, old)


def _read(run_id: str) -> Pipeline | None:
    try:
        return data.pipeline(run_id)
    except GreenroomError as error:
        states.failed(error)
        return None


def _section(pipeline: Pipeline, old: Pipeline | None) -> None:
    partners = pipeline.stores["partner"].n_unique() > 1
    sections = [EVERY, *([PARTNERS] if partners else []), ONE, *([CHANGES] if old is not None else [])]
    choices.keep_valid(store_table.SHOW, sections)
    shown = choices.choose("Show", sections, store_table.SHOW)
    if shown == CHANGES and old is not None:
        pipeline_changes.draw(old, pipeline)
    elif shown == ONE:
        store_panel.draw(pipeline, old)
    elif shown == PARTNERS:
        store_partners.draw(pipeline)
    else:
        store_table.draw(pipeline)


render()

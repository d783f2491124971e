"""Which pipeline a page shows, and which one it is compared with; both kept in the URL."""

from __future__ import annotations

import polars as pl
import streamlit as st

from core.errors import BadInputError
from core.forecasts.desk import ForecastDesk
from dashboard import data
from dashboard.formats import local_time, short_id
from dashboard.widgets import states

RUN, AGAINST = "run", "against"


def choose(desk: ForecastDesk) -> tuple[str | None, str | None]:
    """Draw both choices; return the ids of the pipeline and of the one to compare with.

    Without a choice it is the latest pipeline, compared with none.
    """
    known = desk.candidate_table()
    run_id, against = _asked(RUN), _asked(AGAINST)
    if run_id is None and known.height:
        run_id = known["run_id"][0]
    if run_id is None:
        return None, None
    labels = _labels(known, [run_id, *([against] if against else [])])
    left, right = st.columns(2)
    with left:
        _select("Pipeline", RUN, list(labels), labels, run_id)
    others = ["", *(one for one in labels if one != run_id)]
    with right:
        _select(
            "Compared with",
            AGAINST,
            others,
            {"": "Nothing", **labels},
            against if against in others else "",
            "An older pipeline; the section Changes then shows which stores got better or worse.",
        )
    return run_id, against if against != run_id else None


def _asked(name: str) -> str | None:
    """Return the id of the run that the URL names, in full."""
    text = st.query_params.get(name, "").strip()
    if not text:
        return None
    try:
        return data.workspace().runs.run(text).run_id
    except BadInputError as error:
        states.failed(error)
        return None


def _labels(known: pl.DataFrame, asked: list[str]) -> dict[str, str]:
    labels = {
        run_id: " · ".join(
            part for part in (name or "unnamed", model, local_time(started), short_id(run_id)) if part
        )
        for run_id, name, model, started in known.select("run_id", "name", "model", "start_time").iter_rows()
    }
    names = data.workspace().runs.names([one for one in asked if one not in labels])
    return {**{one: f"{name or 'unnamed'} · {short_id(one)}" for one, name in names.items()}, **labels}


def _select(
    label: str, name: str, options: list[str], labels: dict[str, str], chosen: str, help: str | None = None
) -> None:
    # A new key for a new choice in the address, which wins over what the widget remembers.
    key = f"pipeline_{name}:{chosen}"
    st.selectbox(
        label,
        options,
        index=options.index(chosen),
        key=key,
        format_func=lambda one: labels.get(one, short_id(one)),
        on_change=lambda: _keep(name, st.session_state[key]),
        help=help,
    )


def _keep(name: str, run_id: str) -> None:
    if run_id:
        st.query_params[name] = run_id
    elif name in st.query_params:
        del st.query_params[name]

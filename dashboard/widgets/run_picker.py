"""Several runs, chosen in a widget and kept in the URL."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.errors import BadInputError
from core.runs.explorer import RunExplorer
from dashboard.widgets import run_table, states

RUNS = "runs"


def choose(
    runs: RunExplorer, label: str, key: str, candidates: Sequence[str], most: int, placeholder: str
) -> list[str]:
    """Draw the chooser, keep it in step with the URL, and return the ids of the chosen runs.

    Parameters
    ----------
    candidates : sequence of str
        Ids that are offered after the chosen ones.
    most : int
        So many runs can be chosen; of more in the URL the first are taken, which is said.
    """
    found: list[str] = []
    for text in [one for one in st.query_params.get(RUNS, "").split(",") if one]:
        try:
            found.append(runs.run(text).run_id)
        except BadInputError as error:
            states.failed(error)
    found = list(dict.fromkeys(found))
    if len(found) > most:
        st.warning(
            f"{len(found)} runs were asked for; the first {most} are drawn.", icon=":material/warning:"
        )
        found = found[:most]
    options = list(dict.fromkeys([*found, *candidates]))
    names = run_table.labels(runs, options)
    st.session_state[key] = found
    st.multiselect(
        label,
        options,
        key=key,
        format_func=lambda run_id: names[run_id],
        max_selections=most,
        on_change=lambda: _keep(st.session_state[key]),
        placeholder=placeholder,
    )
    return found


def _keep(chosen: Sequence[str]) -> None:
    if chosen:
        st.query_params[RUNS] = ",".join(chosen)
    elif RUNS in st.query_params:
        del st.query_params[RUNS]

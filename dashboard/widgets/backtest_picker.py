"""Which backtests a page shows: up to twenty runs, kept in the URL."""

from __future__ import annotations

import streamlit as st

from core.errors import BadInputError
from core.runs.explorer import RunExplorer, RunsRequest
from core.runs.types import Run
from dashboard.widgets import run_table, states

MOST = 20
RUNS = "runs"
BENCHMARK, NO_BENCHMARK = "benchmark", "none"
_KEY = "backtests"
_CANDIDATES = 200
# MLflow's tag of logged tables; the contract's folder is offered before other tables.
_LIKELY = ("%backtest%", "%portfolio%", "%equity%", "%table%")


def choose(runs: RunExplorer) -> list[str]:
    """Draw the chooser and return the ids of the chosen runs."""
    found: list[str] = []
    for text in [one for one in st.query_params.get(RUNS, "").split(",") if one]:
        try:
            found.append(runs.run(text).run_id)
        except BadInputError as error:
            states.failed(error)
    found = list(dict.fromkeys(found))
    if len(found) > MOST:
        st.warning(
            f"{len(found)} runs were asked for; the first {MOST} are drawn.", icon=":material/warning:"
        )
        found = found[:MOST]
    options = list(dict.fromkeys([*found, *_candidates(runs)]))
    names = run_table.labels(runs, options)
    st.session_state[_KEY] = found
    st.multiselect(
        "Backtests",
        options,
        key=_KEY,
        format_func=lambda run_id: names[run_id],
        max_selections=MOST,
        on_change=_keep,
        placeholder="Choose one run, or up to twenty to overlay",
    )
    return found


def benchmark(runs: RunExplorer, run: Run) -> None:
    """Draw the choice of what a run is measured against: what it logged, nothing, or another run."""
    wanted = st.query_params.get(BENCHMARK, "")
    others = [one for one in _candidates(runs) if one != run.run_id]
    options = ["", NO_BENCHMARK, *([wanted] if wanted not in ("", NO_BENCHMARK, *others) else []), *others]
    names = {"": "As logged", NO_BENCHMARK: "None", **run_table.labels(runs, others)}
    key = f"benchmark:{run.run_id}"
    st.selectbox(
        "Benchmark",
        options,
        index=options.index(wanted),
        key=key,
        format_func=lambda one: names.get(one, one),
        on_change=lambda: _keep_benchmark(st.session_state[key]),
        width=320,
    )


def _keep_benchmark(chosen: str) -> None:
    if chosen:
        st.query_params[BENCHMARK] = chosen
    elif BENCHMARK in st.query_params:
        del st.query_params[BENCHMARK]


def _keep() -> None:
    chosen = st.session_state[_KEY]
    if chosen:
        st.query_params[RUNS] = ",".join(chosen)
    elif RUNS in st.query_params:
        del st.query_params[RUNS]


def _candidates(runs: RunExplorer) -> list[str]:
    """Return the likeliest backtests first, then runs with other tables, then the rest; latest first."""
    found: dict[str, None] = {}
    for condition in [*(f"tags.`mlflow.loggedArtifacts` LIKE '{pattern}'" for pattern in _LIKELY), ""]:
        matches = runs.find(RunsRequest(filter=condition))
        ids = matches.snapshot.frame["run_id"].gather(matches.places[:_CANDIDATES].tolist())
        found |= dict.fromkeys(ids.to_list())
        if len(found) >= _CANDIDATES:
            break
    return list(found)[:_CANDIDATES]

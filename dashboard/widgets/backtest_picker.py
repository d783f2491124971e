"""Which backtests a page shows: up to twenty runs, kept in the URL."""

from __future__ import annotations

import streamlit as st

from core.runs.explorer import RunExplorer, RunsRequest
from core.runs.types import Run
from dashboard.widgets import run_picker, run_table

MOST = 20
BENCHMARK, NO_BENCHMARK = "benchmark", "none"
_CANDIDATES = 200
# MLflow's tag of logged tables; the contract's folder is offered before other tables.
_LIKELY = ("%backtest%", "%portfolio%", "%equity%", "%table%")


def choose(runs: RunExplorer) -> list[str]:
    """Draw the chooser and return the ids of the chosen runs."""
    return run_picker.choose(
        runs, "Backtests", "backtests", _candidates(runs), MOST, "Choose one run, or up to twenty to overlay"
    )


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

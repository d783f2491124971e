"""Links between pages, each with the choices that the other page needs in its URL."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import streamlit as st

RUN_PAGE = "views/run.py"
RUNS_PAGE = "views/runs.py"
COMPARE_PAGE = "views/compare.py"
BACKTESTS_PAGE = "views/backtests.py"
STORES_PAGE = "views/stores.py"
REGISTRY_PAGE = "views/registry.py"
APPROVALS_PAGE = "views/approvals.py"
TRAINING_PAGE = "views/training.py"
AUDIT_PAGE = "views/audit.py"


def open_run(run_id: str) -> None:
    """Go to a run."""
    st.switch_page(RUN_PAGE, query_params={"run": run_id})


def open_comparison(run_ids: Sequence[str], baseline: str | None = None) -> None:
    """Go to the comparison of runs."""
    choices: dict[str, str | list[str]] = {"runs": ",".join(run_ids)}
    if baseline:
        choices["baseline"] = baseline
    st.switch_page(COMPARE_PAGE, query_params=choices)


def open_backtests(run_ids: Sequence[str]) -> None:
    """Go to the backtests of runs, overlaid."""
    st.switch_page(BACKTESTS_PAGE, query_params={"runs": ",".join(run_ids)})


def run_url(run_id: str) -> str:
    """Return the address of a run, relative to any page."""
    return f"run?run={run_id}"


def model_url(model: str, version: int | None = None) -> str:
    """Return the address of a model or one of its versions, relative to any page."""
    return f"registry?model={quote(model, safe='')}" + (f"&version={version}" if version else "")


def model_query(model: str, version: int | None = None) -> dict[str, str]:
    """Return what the Registry page needs to show a model or one of its versions."""
    return {"model": model, **({"version": str(version)} if version else {})}


def request_url(number: int) -> str:
    """Return the address of a promotion request, relative to any page."""
    return f"approvals?request={number}"


def job_query(job_id: int) -> dict[str, str]:
    """Return what the Training page needs to show a job."""
    return {"job": str(job_id)}


def again_query(job_id: int) -> dict[str, str]:
    """Return what the Training page needs to offer a job's training once more, to be changed or not."""
    return {"tab": "Launch", "from": str(job_id)}


def schedule_query(model: str) -> dict[str, str]:
    """Return what the Training page needs to show how a model is retrained."""
    return {"tab": "Schedules", "model": model}


def job_url(job_id: int) -> str:
    """Return the address of a job, relative to any page."""
    return f"training?job={job_id}"

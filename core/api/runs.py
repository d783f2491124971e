"""Routes of runs: find them, look at one."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from core.api.answers import answer
from core.api.fresh import keep_runs_fresh
from core.api.inputs import Offset, Text
from core.api.opened import Workspace
from core.cli_output import run_value
from core.errors import NotFoundError
from core.runs.explorer import RunsRequest
from core.runs.types import Run, RunView

router = APIRouter(tags=["runs"])

_MOST_RUNS: Final = 1000
_WHOLE_ID: Final = re.compile(r"[0-9a-f]{32}")


@router.get("/runs")
def find_runs(
    workspace: Workspace,
    experiment: Annotated[list[Text], Query(max_length=100, description="Name or id.")] = [],  # noqa: B006
    filter: Annotated[Text, Query(description="In MLflow's filter syntax.")] = "",
    order_by: Annotated[list[Text], Query(max_length=20, description="In MLflow's syntax.")] = [],  # noqa: B006
    view: RunView = RunView.ACTIVE,
    limit: Annotated[int, Query(ge=0, le=_MOST_RUNS)] = 50,
    offset: Offset = 0,
) -> Response:
    """Find runs. Answers {"total", "runs": [...]} as `greenroom runs --json` does."""
    keep_runs_fresh(workspace)
    request = RunsRequest(tuple(experiment) or None, filter, tuple(order_by), view)
    matches = workspace.runs.find(request)
    chosen = matches.snapshot.runs(matches.places[offset : offset + limit].tolist())
    return answer({"total": len(matches), "runs": [run_value(run) for run in chosen]})


@router.get("/runs/{run_id}")
def run(workspace: Workspace, run_id: Annotated[str, Path(pattern="^[0-9a-zA-Z]{1,64}$")]) -> Response:
    """Look at a run; its id may be shortened. Answers a run as `greenroom runs --json` has it."""
    keep_runs_fresh(workspace)
    return answer(run_value(_run(workspace, run_id)))


def _run(workspace: Any, run_id: str) -> Run:
    try:
        found: Run = workspace.runs.run(run_id)
    except NotFoundError:
        if not _WHOLE_ID.fullmatch(run_id):
            raise
        # It may be younger than the index.
        workspace.runs.refresh_run(run_id)
        found = workspace.runs.run(run_id)
    return found

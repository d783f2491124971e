"""Routes of the training desk: what can be launched, jobs and their logs, launch, stop, retry, resume."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from core.access import Permission
from core.api.answers import answer
from core.api.inputs import LARGEST_NUMBER, Launch, NumberInPath, Offset
from core.api.opened import By, Workspace
from core.api.permits import permit
from core.api.training_values import job_value, log_value
from core.cli_training_output import project_value
from core.training.types import JobState

router = APIRouter(tags=["training"])

_MOST_JOBS: Final = 500
_MOST_LOG: Final = 2**20


@router.get("/entry-points")
def entry_points(workspace: Workspace) -> Response:
    """List what can be launched. Answers [{"project", "place", "problem", "entry_points": [...]}]."""
    return answer([project_value(one) for one in workspace.training.projects.list()])


@router.get("/jobs")
def jobs(
    workspace: Workspace,
    state: Annotated[list[JobState], Query(max_length=len(JobState))] = [],  # noqa: B006
    sweep: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    run_id: Annotated[str | None, Query(pattern="^[0-9a-zA-Z]{1,64}$")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_JOBS)] = 50,
    offset: Offset = 0,
) -> Response:
    """List jobs, newest first. Answers {"counts": {state: n}, "jobs": [...]}; the counts are of all jobs."""
    desk = workspace.training
    found = desk.jobs(states=tuple(state), sweep=sweep, run_id=run_id, limit=limit, offset=offset)
    counts = desk.counts()
    return answer(
        {
            "counts": {str(one): counts.get(one, 0) for one in JobState},
            "jobs": [job_value(one) for one in found],
        }
    )


@router.post("/jobs", status_code=HTTPStatus.CREATED)
def launch(workspace: Workspace, by: By, body: Launch) -> Response:
    """Launch a training. Answers the job."""
    permit(by, Permission.LAUNCH)
    return answer(job_value(workspace.training.launch(body.request(), by)), HTTPStatus.CREATED)


@router.get("/jobs/{job_id}")
def job(workspace: Workspace, job_id: NumberInPath) -> Response:
    """Look at a job."""
    return answer(job_value(workspace.training.job(job_id)))


@router.get("/jobs/{job_id}/log")
def log(
    workspace: Workspace,
    job_id: NumberInPath,
    start: Annotated[
        int | None, Query(ge=0, le=2**62, description="First byte; without it, the end.")
    ] = None,
    most: Annotated[int, Query(ge=1, le=_MOST_LOG, description="Bytes.")] = 65_536,
) -> Response:
    """Read a piece of a job's log. Answers {"job", "over", "start", "end", "size", "text"}; ask on from `end`."""
    # The job first: what it wrote before it was over is then in the log.
    found = workspace.training.job(job_id)
    return answer(log_value(found, workspace.training.log(job_id, start=start, most=most)))


@router.post("/jobs/{job_id}/stop")
def stop(workspace: Workspace, by: By, job_id: NumberInPath) -> Response:
    """Stop a job. Answers the job, which takes a few seconds to end."""
    permit(by, Permission.STOP)
    return answer(job_value(workspace.training.stop(job_id, by)))


@router.post("/jobs/{job_id}/retry", status_code=HTTPStatus.CREATED)
def retry(workspace: Workspace, by: By, job_id: NumberInPath) -> Response:
    """Launch the same again. Answers the new job, which has a new run."""
    permit(by, Permission.LAUNCH)
    return answer(job_value(workspace.training.retry(job_id, by)), HTTPStatus.CREATED)


@router.post("/jobs/{job_id}/resume", status_code=HTTPStatus.CREATED)
def resume(workspace: Workspace, by: By, job_id: NumberInPath) -> Response:
    """Go on with the run of a job that failed, was stopped or was lost. Answers the new job."""
    permit(by, Permission.LAUNCH)
    return answer(job_value(workspace.training.resume(job_id, by)), HTTPStatus.CREATED)

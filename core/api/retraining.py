"""Routes that ask how a model stands and have it trained again, the same for the model that settings name."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

import anyio
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from core.access import Actor, Permission
from core.api.answers import answer, failure
from core.api.inputs import NameInPath, Retrain
from core.api.opened import By, Opened, Workspace
from core.api.permits import permit
from core.api.status import StatusAnswer, status_of
from core.cli_schedule_output import retraining_value
from core.training.schedule.types import Retraining, RetrainingOutcome, Trigger

router = APIRouter(tags=["retraining"])

WAIT_SECONDS: Final = 3600.0
"""How long a caller that wants to wait is kept waiting."""

_LOOK_SECONDS: Final = 0.5
_RL_AGENT: Final = "rl_agent"
"""What a `ModelManager` calls its model where nobody names one."""


@router.get("/models/{name}/status", responses={200: {"model": StatusAnswer}})
def status(workspace: Workspace, name: NameInPath) -> Response:
    """Say what is in Production, and when the model was and will be trained again."""
    return answer(status_of(workspace, name).model_dump())


@router.post("/models/{name}/retrain", status_code=HTTPStatus.ACCEPTED)
async def retrain(
    request: Request, workspace: Workspace, by: By, name: NameInPath, body: Retrain | None = None
) -> Response:
    """Train a model again, as its schedule says. Answers {"success", "message", "retraining": {...}}.

    At once with 202; with {"async": false} when it has ended: 200 if the new version is in Staging, 409 with the
    reason if not.
    """
    return await _retrained(request, workspace, by, name, body)


@router.get("/rl-agent/status", responses={200: {"model": StatusAnswer}})
def rl_agent_status(workspace: Workspace) -> Response:
    """The same as `GET /models/{name}/status`, of the model that the settings name."""
    return answer(status_of(workspace, _rl_agent(workspace), may_be_missing=True).model_dump())


@router.post("/rl-agent/retrain", status_code=HTTPStatus.ACCEPTED)
async def retrain_rl_agent(
    request: Request, workspace: Workspace, by: By, body: Retrain | None = None
) -> Response:
    """The same as `POST /models/{name}/retrain`, of the model that the settings name."""
    return await _retrained(request, workspace, by, _rl_agent(workspace), body)


def _rl_agent(workspace: Opened) -> str:
    return workspace.settings.api.rl_agent_model or _RL_AGENT


async def _retrained(
    request: Request, workspace: Opened, by: Actor, name: str, body: Retrain | None
) -> Response:
    permit(by, Permission.LAUNCH)
    begun = await run_in_threadpool(_begin, workspace, name, by)
    if body is None or body.is_async:
        return _under_way(begun)
    return await _waited(request, workspace, begun)


def _begin(workspace: Opened, name: str, by: Actor) -> Retraining:
    return workspace.training.schedules.retrain(name, by, trigger=Trigger.API)


async def _waited(request: Request, workspace: Opened, begun: Retraining) -> Response:
    """Wait without holding a thread, of which all pages share a few."""
    end = time.monotonic() + WAIT_SECONDS
    now = begun
    while now.outcome is None and time.monotonic() < end and not await request.is_disconnected():
        await anyio.sleep(_LOOK_SECONDS)
        now = await run_in_threadpool(workspace.training.schedules.retraining, begun.id)
    return _under_way(now) if now.outcome is None else _ended(now)


def _under_way(retraining: Retraining) -> Response:
    message = f"{retraining.model} is being trained again. Its status says when that is over."
    value = {"success": True, "message": message, "retraining": retraining_value(retraining)}
    return answer(value, HTTPStatus.ACCEPTED)


def _ended(retraining: Retraining) -> Response:
    value = {"retraining": retraining_value(retraining)}
    if retraining.outcome is not RetrainingOutcome.STAGED:
        kept = (
            f"The retraining of {retraining.model} ended {retraining.outcome}; what is in Production stays."
        )
        error = f"{retraining.reason} {kept}".strip()
        return failure(HTTPStatus.CONFLICT, error, more=value)
    message = f"{retraining.model} v{retraining.version} is trained and in Staging."
    return answer({"success": True, "message": message, **value})

"""Routes of the model registry: look, judge, promote, roll back."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from core.access import Permission
from core.api.answers import answer, failure
from core.api.fresh import read_runs_for_gates
from core.api.inputs import NameInPath, NumberInPath, Promote, Rollback, StageName
from core.api.opened import By, Workspace
from core.api.permits import permit
from core.api.registry_values import (
    card_value,
    gates_value,
    history_value,
    versions_value,
)
from core.cli_promotion_output import outcome_value
from core.cli_registry_output import model_value
from core.errors import BadInputError, SourceError
from core.registry.desk import Trials
from core.registry.promotion import Fate, Outcome
from core.registry.requests import OPEN
from core.registry.types import Stage

router = APIRouter(tags=["models"])

_NEEDS: Final = {Stage.PRODUCTION: Permission.PROMOTE, Stage.ARCHIVED: Permission.ARCHIVE}


@router.get("/models")
def models(workspace: Workspace) -> Response:
    """List models, each with its version in Production, as `greenroom models --json` does."""
    desk = workspace.registry
    desk.look()
    asked = [one.model for one in desk.requests(states=OPEN)]
    seen = desk.watch.seen()
    found = desk.watch.models().values()
    return answer([model_value(one, seen.get(one.name, {}), asked.count(one.name)) for one in found])


@router.get("/models/{name}")
def model(workspace: Workspace, name: NameInPath) -> Response:
    """Look at a model: what `GET /models` says of it, its aliases, what a rollback brings back, open requests."""
    desk = workspace.registry
    desk.look()
    return answer(card_value(desk.model(name), desk.watch.seen().get(name, {})))


@router.get("/models/{name}/versions")
def versions(workspace: Workspace, name: NameInPath) -> Response:
    """List the versions of a model, newest first, as `greenroom versions --json` does."""
    workspace.registry.look()
    return answer(versions_value(workspace.registry.model(name).versions))


@router.get("/models/{name}/history")
def history(workspace: Workspace, name: NameInPath) -> Response:
    """Tell what happened to a model and what was in Production when, as `greenroom history --json` does."""
    desk = workspace.registry
    # What was recorded is shown while MLflow does not answer, too.
    with suppress(SourceError):
        desk.look()
    events = desk.events(name)
    if not events:
        desk.watch.model(name)
    return answer(history_value(name, events))


@router.get("/models/{name}/gates/{version}")
def gates(
    workspace: Workspace,
    name: NameInPath,
    version: NumberInPath,
    to: Annotated[StageName, Query(description="Staging or Production.")] = Stage.PRODUCTION,
) -> Response:
    """Judge the gates by the last load test: no model is loaded. As `greenroom gates --recorded --json` does."""
    if to not in (Stage.STAGING, Stage.PRODUCTION):
        raise BadInputError(f"Gates stand before Staging and Production, not before {to}.")
    workspace.registry.watch.model(name).version(version)
    read_runs_for_gates(workspace, name, to)
    return answer(gates_value(workspace.registry.gates(name, version, to, Trials.RECORDED)))


@router.post("/models/{name}/promote")
def promote(workspace: Workspace, by: By, name: NameInPath, body: Promote) -> Response:
    """Move a version to a stage. Answers as `greenroom promote --json` does."""
    permit(by, _NEEDS.get(body.to, Permission.STAGE))
    workspace.registry.look()
    workspace.registry.watch.model(name).version(body.version)
    read_runs_for_gates(workspace, name, body.to)
    done = workspace.registry.promote(name, body.version, body.to, body.reason, by, override=body.override)
    return _carried_out(done)


@router.post("/models/{name}/rollback")
def rollback(workspace: Workspace, by: By, name: NameInPath, body: Rollback) -> Response:
    """Bring back the version that was in Production before. Answers as `greenroom rollback --json` does."""
    permit(by, Permission.ROLL_BACK)
    start, end = body.from_version, body.to_version
    done = workspace.registry.rollback(name, body.reason, by, from_version=start, to_version=end)
    return _carried_out(done)


def _carried_out(done: Outcome) -> Response:
    if done.fate in (Fate.UNDONE, Fate.ABANDONED):
        return failure(HTTPStatus.CONFLICT, done.sentence)
    return answer(outcome_value(done))

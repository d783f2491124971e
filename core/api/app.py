"""The FastAPI app of the REST API, to be mounted under /api."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from core.api import about, registry, retraining, runs, training
from core.api.answers import failed, failure
from core.api.guard import Guard
from core.api.opened import Opened
from core.errors import GreenroomError

_DESCRIPTION: Final = """
Jobs, runs and models of Greenroom. Times are ISO 8601 in UTC, missing numbers are null.

Programs on this machine ask without a token, and act as who runs Greenroom. From elsewhere send Authorization:
Bearer TOKEN. `greenroom tokens create NAME --role ROLE` makes one, and its role decides what may be done.

What was not done is answered with {"success": false, "error": a sentence, "reasons": [...]} and the status 400 (bad
input), 401 (no token, or a wrong one), 403 (the role does not allow it), 404 (not there), 409 (refused by a rule), 413
(too large), 415 (no JSON) or 503 (MLflow or the database does not answer).
"""


class Failure(BaseModel):
    """Why something was not done."""

    success: bool
    error: str
    reasons: list[str]


def create_app(open_workspace: Callable[[], Opened]) -> FastAPI:
    """Build the app.

    Parameters
    ----------
    open_workspace : callable
        Opens the workspace at the first call, and returns the same one afterwards; called from many threads.
    """
    app = FastAPI(
        title="Greenroom",
        version=version("greenroom"),
        description=_DESCRIPTION.strip(),
        # FastAPI's own page loads its scripts from elsewhere; `about` has one that needs nothing.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": Failure, "description": "Why it was not done."}},
    )
    app.state.open_workspace = open_workspace
    app.include_router(about.router)
    # The guard has checked the token already; this tells readers of the OpenAPI document of it.
    bearer = [Depends(HTTPBearer(auto_error=False))]
    for one in (registry, retraining, runs, training):
        app.include_router(one.router, dependencies=bearer)
    app.add_middleware(Guard, open_workspace=open_workspace)
    app.add_exception_handler(GreenroomError, _greenroom)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(HTTPStatus.INTERNAL_SERVER_ERROR, _unexpected)
    return app


async def _greenroom(request: Request, error: Exception) -> Response:
    assert isinstance(error, GreenroomError)  # noqa: S101
    return failed(error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    reasons = tuple(dict.fromkeys(_reason(one) for one in error.errors()))
    return failure(HTTPStatus.BAD_REQUEST, " ".join(reasons), reasons)


def _reason(problem: Any) -> str:
    """Say what is wrong with a value, without the value: it may be long, or a secret."""
    if problem["type"] == "json_invalid":
        return "The body is no valid JSON."
    where = [str(part)[:100] for part in problem["loc"]]
    place = ".".join(where[1:]) or f"The {where[0]}"
    what = str(problem["msg"]).removeprefix("Value error, ")
    return f"{place}: {what[:1].lower()}{what[1:]}."


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    sentences = {
        HTTPStatus.NOT_FOUND: "There is no such address. GET /api/docs lists all.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is nothing that this address takes. See /api/docs.",
    }
    sentence = sentences.get(HTTPStatus(error.status_code), str(error.detail))
    return failure(error.status_code, sentence, headers=error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    # What it was is in the server's log; it may tell more than who asks should know.
    return failure(
        HTTPStatus.INTERNAL_SERVER_ERROR, "This went wrong inside Greenroom; the server's log says how."
    )

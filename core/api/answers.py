"""Answers: strict JSON, and the one shape that says why something was not done."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from core.errors import (
    ArtifactError,
    BadInputError,
    DatabaseError,
    GreenroomError,
    NotFoundError,
    RefusedError,
    SourceError,
)

# The most particular first.
_STATUS: Final[Sequence[tuple[type[GreenroomError], HTTPStatus]]] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (BadInputError, HTTPStatus.BAD_REQUEST),
    (RefusedError, HTTPStatus.CONFLICT),
    (SourceError, HTTPStatus.SERVICE_UNAVAILABLE),
    (DatabaseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (ArtifactError, HTTPStatus.SERVICE_UNAVAILABLE),
    (GreenroomError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def answer(value: Any, status: int = HTTPStatus.OK) -> Response:
    """Return JSON as the command line prints it: missing numbers, NaN and infinity are null, times ISO 8601 UTC."""
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # Halves of surrogate pairs, which a damaged database may hold, become JSON's own escapes.
    content = text.encode("utf-8", "backslashreplace")
    return Response(content, status, _HEADERS, "application/json")


def failure(
    status: int,
    error: str,
    reasons: Sequence[str] = (),
    *,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """Return why something was not done.

    Parameters
    ----------
    error : str
        One sentence, or a few.
    reasons : sequence of str
        A sentence for each thing in the way; the error itself where it is the only one.
    more : mapping, optional
        What else is in the answer.
    """
    value = {"success": False, "error": error, "reasons": list(reasons) or [error], **(more or {})}
    response = answer(value, status)
    response.headers.update(headers or {})
    return response


def failed(error: GreenroomError) -> Response:
    """Return what one of Greenroom's own errors says."""
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    reasons = error.reasons if isinstance(error, RefusedError) else ()
    return failure(status, str(error), reasons)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value

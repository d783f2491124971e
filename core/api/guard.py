"""The guard before every route: who asks, and whether what they send is JSON of a bearable size."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.access import Actor
from core.api.access import Asking
from core.api.answers import failure
from core.api.opened import Opened
from core.errors import GreenroomError

MOST_BYTES: Final = 2**20
"""Largest body that is read."""

OPEN_TO_ALL: Final = frozenset({"/health", "/docs", "/openapi.json"})
"""What says nothing about anybody's models, and so is shown to everybody."""

_HOW_TO_ASK: Final = "This takes a token. Make one with: greenroom tokens create NAME --role ROLE"
_JSON: Final = "application/json"
# What curl says of `-X POST -d ''`; an empty body is nothing, whatever it is called.
_CALLED_NOTHING: Final = frozenset({"", _JSON, "application/x-www-form-urlencoded"})
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Guard:
    """ASGI middleware that lets through only who may ask; routes find the actor in ``request.state``.

    Before a route is even looked for: who has no access does not learn which routes there are, and nothing that
    they send is read.
    """

    def __init__(self, app: ASGIApp, open_workspace: Callable[[], Opened]) -> None:
        self._app = app
        self._open_workspace = open_workspace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not (scope["method"] == "GET" and _path(scope) in OPEN_TO_ALL):
            refusal = await self._refusal(scope)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        if scope["method"] in _WITH_BODY:
            body = await _body(scope, receive)
            if isinstance(body, Response):
                await body(scope, receive, send)
                return
            receive = _again(body, receive)
        await self._app(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        asking = _asking(scope)
        if not asking.has_credentials:
            if not asking.is_local:
                return _unknown(_HOW_TO_ASK)
            if asking.is_from_another_site:
                return failure(
                    HTTPStatus.FORBIDDEN,
                    "A web page of another site asks this through a browser. Only programs and pages of this "
                    "address may, or whoever sends a token.",
                )
        try:
            if not asking.has_credentials and not await run_in_threadpool(self._trusts_this_machine):
                return _unknown(f"{_HOW_TO_ASK} The settings ask this machine for one, too.")
            actor = await run_in_threadpool(self._actor, asking)
        except GreenroomError as error:
            # Settings that cannot be used, say: nothing that is wrong with the request.
            return failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        if actor is None:
            return _unknown("The token is not known, or was revoked. Send it as: Authorization: Bearer TOKEN")
        scope.setdefault("state", {})["actor"] = actor
        return None

    def _trusts_this_machine(self) -> bool:
        return self._open_workspace().settings.api.local_without_token

    def _actor(self, asking: Asking) -> Actor | None:
        workspace = self._open_workspace()
        if not asking.has_credentials:
            return workspace.actor()
        return workspace.tokens.verify(asking.bearer) if asking.bearer is not None else None


def _asking(scope: Scope) -> Asking:
    client = scope.get("client")
    return Asking.of(client[0] if client else None, scope["headers"])


def _path(scope: Scope) -> str:
    """Return the path within the API."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _unknown(sentence: str) -> Response:
    return failure(HTTPStatus.UNAUTHORIZED, sentence, headers={"www-authenticate": "Bearer"})


async def _body(scope: Scope, receive: Receive) -> bytes | Response:
    """Read the body, or say why it is not taken."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BYTES:
            return failure(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is larger than {MOST_BYTES:,} bytes, the most that is read.",
                headers={"connection": "close"},
            )
        parts.append(part)
        more = message.get("more_body", False)
    content = b"".join(parts)
    kind = _asking(scope).all("content-type")
    media_type = kind[0].partition(";")[0].strip().lower() if kind else ""
    if len(kind) > 1 or media_type not in ({_JSON} if content else _CALLED_NOTHING):
        return failure(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON. Send it with: Content-Type: application/json",
        )
    return content


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once, then waits for the end of the connection as the old one does."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

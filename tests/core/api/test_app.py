"""What all routes share: how errors are answered, addresses, and the document that lists them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from core.access import Role
from core.api.app import create_app
from core.errors import BadInputError, DatabaseError, GreenroomError, NotFoundError, SourceError
from core.settings import ApiSettings
from tests.core.api.conftest import Api
from tests.core.api.kit import FAILURE, Client, refusal, value


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SourceError("MLflow does not answer."), 503),
        (DatabaseError("The database does not answer."), 503),
        (GreenroomError("It cannot be opened."), 503),
        (NotFoundError("There is none."), 404),
    ],
)
def test_what_does_not_answer_is_said(
    api: Api, error: GreenroomError, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(api.training, "job", fail)
    assert refusal(api.client, "/api/jobs/1", status, method="GET") == str(error)


def test_a_tracking_store_that_is_down_is_said_and_history_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.champion("ppo", 1)

    def fail(*_: Any) -> Any:
        raise SourceError("The tracking store does not answer.")

    monkeypatch.setattr(api.workspace.registry.watch, "models", fail)
    for path in ("/api/models", "/api/models/ppo", "/api/models/ppo/status", "/api/models/ppo/gates/1"):
        assert "does not answer" in refusal(api.client, path, 503, method="GET")
    assert value(api.client, "/api/models/ppo/history")["reigns"][0]["version"] == 1


def test_what_nobody_thought_of_tells_nothing_of_the_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise ValueError("the password is hunter2")

    monkeypatch.setattr(api.training, "job", fail)
    seen: list[dict[str, Any]] = []
    app = api.client.app

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            seen.append(message)
            await send(message)

        await app(scope, receive, note)

    api.client.app = noting
    # Starlette raises it again after the answer, for the server's log.
    with pytest.raises(ValueError, match="hunter2"):
        api.client.ask("GET", "/api/jobs/1")
    assert seen[0]["status"] == 500
    assert list(json.loads(seen[1]["body"])) == FAILURE
    assert b"hunter2" not in seen[1]["body"]


def test_a_workspace_that_cannot_be_opened_is_said() -> None:
    def fail() -> Any:
        raise BadInputError("The key 'prot' in greenroom.toml is not known.")

    found = Client(create_app(fail)).ask("GET", "/jobs")
    assert (found.status, found.value["error"]) == (503, "The key 'prot' in greenroom.toml is not known.")


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/", "/api/jobs/", "/api/models/ppo/", "/api/models//status"]
)
def test_an_address_that_is_none_is_not_found(api: Api, path: str) -> None:
    found = api.client.ask("GET", path)
    assert (found.status, list(found.value)) == (404, FAILURE)


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/api/jobs/1"), ("PUT", "/api/jobs"), ("GET", "/api/jobs/1/stop")]
)
def test_a_method_that_is_not_taken_is_refused(api: Api, method: str, path: str) -> None:
    found = api.client.ask(method, path)
    assert (found.status, list(found.value)) == (405, FAILURE)
    assert found.headers["allow"]


def test_the_document_lists_every_route_and_takes_a_token_for_all_but_health(api: Api) -> None:
    document = value(api.client, "/api/openapi.json")
    assert document["servers"] == [{"url": "/api"}]
    operations = {
        (method.upper(), path): operation
        for path, found in document["paths"].items()
        for method, operation in found.items()
    }
    assert ("POST", "/rl-agent/retrain") in operations and ("GET", "/jobs/{job_id}/log") in operations
    assert len(operations) == 22
    for (_, path), operation in operations.items():
        assert ("security" in operation) is (path != "/health")
        assert "422" not in operation["responses"]
        assert operation["description"]


def test_the_page_shows_every_route_and_needs_nothing_from_elsewhere(api: Api) -> None:
    document = value(api.client, "/api/openapi.json")
    shown = api.client.ask("GET", "/api/docs")
    text = " ".join(shown.body.decode().split())
    assert shown.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for path in document["paths"]:
        assert f"/api{path}</h3>" in text
    assert "async" in text and "Authorization: Bearer TOKEN" in text
    assert not re.search(r"(src|href)=\"(?!/api/openapi\.json)", text)
    assert "<script" not in text and "//" not in text.replace("<!doctype html>", "")


def test_times_are_utc_and_in_the_same_shape_everywhere(api: Api) -> None:
    api.champion("ppo", 1)
    for path in ("/api/models", "/api/models/ppo/versions", "/api/jobs", "/api/runs"):
        for text in re.findall(r"\d{4}-\d\d-\d\dT[^\"]*", json.dumps(value(api.client, path))):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), (path, text)
            datetime.fromisoformat(text)


def test_this_machine_is_asked_for_a_token_where_the_settings_say_so(api: Api) -> None:
    api.workspace.settings = replace(api.workspace.settings, api=ApiSettings(local_without_token=False))
    refused = api.client.ask("GET", "/api/models")
    assert refused.status == 401
    assert "greenroom tokens create" in refused.value["error"]
    assert api.client.ask("GET", "/api/models", token=api.tokens[Role.VIEWER]).status == 200
    assert api.client.ask("GET", "/api/health").status == 200

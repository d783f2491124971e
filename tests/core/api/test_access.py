"""Who may ask: with a token from anywhere, without one from this machine alone, and no page of another site."""

from __future__ import annotations

from typing import Any

import pytest

from core.access import Role
from core.api.guard import MOST_BYTES
from tests.core.api.conftest import ADMIN, Api
from tests.core.api.kit import LOCAL_NAME

READS = (
    "/api/models",
    "/api/models/ppo",
    "/api/models/ppo/status",
    "/api/models/ppo/versions",
    "/api/models/ppo/history",
    "/api/models/ppo/gates/1",
    "/api/rl-agent/status",
    "/api/runs",
    "/api/jobs",
    "/api/jobs/1",
    "/api/jobs/1/log",
    "/api/entry-points",
)
WRITES: tuple[tuple[str, Any, Role], ...] = (
    ("/api/models/ppo/promote", {"version": 1, "to": "Staging", "reason": "better"}, Role.ANALYST),
    ("/api/models/ppo/promote", {"version": 1, "to": "Production", "reason": "better"}, Role.LEAD),
    ("/api/models/ppo/promote", {"version": 1, "to": "Archived", "reason": "old"}, Role.LEAD),
    ("/api/models/ppo/rollback", {"reason": "worse"}, Role.LEAD),
    ("/api/models/ppo/retrain", None, Role.ANALYST),
    ("/api/rl-agent/retrain", None, Role.ANALYST),
    ("/api/jobs", {"entry_point": "stores"}, Role.ANALYST),
    ("/api/jobs/1/stop", None, Role.ANALYST),
    ("/api/jobs/1/retry", None, Role.ANALYST),
    ("/api/jobs/2/resume", None, Role.ANALYST),
)
ELSEWHERE = ("203.0.113.7", 50_000)
ORDER = list(Role)


def state(api: Api) -> tuple[Any, ...]:
    """Return everything that a write could have changed."""
    models = api.workspace.registry.watch.models()
    stages = {(name, one.version): one.stage for name, model in models.items() for one in model.versions}
    desk = api.training
    trained = (tuple(desk.known), tuple(desk.asked), tuple(desk.schedules.begun))
    # That versions were first seen is recorded by whoever looks first.
    events = [one for one in api.workspace.registry.trail.events() if one.action != "first seen"]
    return stages, *trained, len(events)


# With a token


def test_every_role_reads_from_anywhere(api: Api) -> None:
    for path in READS:
        for token in api.tokens.values():
            found = api.client.ask("GET", path, token=token, client=ELSEWHERE, host="greenroom.example")
            assert found.status == 200, (path, found.body)


@pytest.mark.parametrize("token", [None, "gr_" + "A" * 43])
def test_nobody_reads_from_elsewhere_without_a_token_that_is_known(api: Api, token: str | None) -> None:
    for path in (*READS, "/api/nothing", "/api/", "/api/jobs/999"):
        found = api.client.ask("GET", path, token=token, client=ELSEWHERE, host="greenroom.example")
        assert (found.status, found.headers["www-authenticate"]) == (401, "Bearer"), path
        assert list(found.value) == ["success", "error", "reasons"]


@pytest.mark.parametrize(("path", "value", "least"), WRITES)
def test_a_write_takes_the_role_and_changes_nothing_without(
    api: Api, path: str, value: Any, least: Role
) -> None:
    before = state(api)
    for role in ORDER[: ORDER.index(least)]:
        found = api.client.ask("POST", path, value=value, token=api.tokens[role])
        assert found.status == 403, found.body
        assert f"takes the role {least}" in found.value["error"]
    for token in (None, "gr_" + "A" * 43):
        found = api.client.ask("POST", path, value=value, token=token, client=ELSEWHERE)
        assert found.status == 401, found.body
    assert state(api) == before
    found = api.client.ask("POST", path, value=value, token=api.tokens[least])
    assert found.status not in (401, 403), found.body


def test_a_revoked_token_opens_nothing(api: Api) -> None:
    token = api.tokens[Role.ADMIN]
    assert api.client.ask("GET", "/api/jobs", token=token).status == 200
    api.workspace.tokens.revoke("admin token", ADMIN)
    assert api.client.ask("GET", "/api/jobs", token=token).status == 401


@pytest.mark.parametrize(
    "credentials",
    ["Bearer gr_wrong", "Bearer", "Bearer ", "Basic cm9vdDpyb290", "", "gr_wrong", "Bearer gr_\xff"],
)
def test_wrong_credentials_open_nothing_even_on_this_machine(api: Api, credentials: str) -> None:
    found = api.client.ask("GET", "/api/jobs", headers=[("Authorization", credentials)])
    assert found.status == 401


def test_two_tokens_at_once_open_nothing(api: Api) -> None:
    both = [("Authorization", f"Bearer {api.tokens[role]}") for role in (Role.VIEWER, Role.ADMIN)]
    assert api.client.ask("GET", "/api/jobs", headers=both).status == 401


def test_a_token_acts_in_its_own_name(api: Api) -> None:
    api.client.ask("POST", "/api/jobs/1/retry", token=api.tokens[Role.ANALYST])
    assert api.training.known[-1].asked_by == "analyst token"
    moved = {"version": 1, "to": "Staging", "reason": "better"}
    api.client.ask("POST", "/api/models/ppo/promote", value=moved, token=api.tokens[Role.ANALYST])
    event = api.workspace.registry.events("ppo")[-1]
    assert (event.action, event.actor, event.role) == ("promoted", "analyst token", "analyst")


# Without one


def test_programs_on_this_machine_act_as_who_runs_greenroom(api: Api) -> None:
    for client in ("127.0.0.1", "127.3.2.1", "::1", "::ffff:127.0.0.1"):
        for host in ("localhost:8501", "LOCALHOST", "127.0.0.1:8501", "[::1]:8501"):
            found = api.client.ask("POST", "/api/jobs/1/retry", client=(client, 50_000), host=host)
            assert found.status == 201, (client, host, found.body)
            assert api.training.known[-1].asked_by == "jonas"


@pytest.mark.parametrize(
    "host",
    [
        "greenroom.example",
        "localhost.evil.example",
        "evil.example:8501",
        "127.0.0.1.evil.example",
        "192.168.1.5:8501",
        "0.0.0.0:8501",
        "user@localhost",
        "localhost:port",
        "localhost/evil",
        "[::1",
        "2130706433",
        "",
        None,
    ],
)
def test_a_host_name_that_is_not_local_takes_a_token(api: Api, host: str | None) -> None:
    """A page whose name was made to mean this machine asks with its own name."""
    assert api.client.ask("GET", "/api/jobs", host=host).status == 401
    assert api.client.ask("GET", "/api/jobs", host=host, token=api.tokens[Role.VIEWER]).status == 200


def test_two_host_names_take_a_token(api: Api) -> None:
    assert api.client.ask("GET", "/api/jobs", headers=[("Host", "evil.example")]).status == 401


@pytest.mark.parametrize(
    "client", [ELSEWHERE, ("192.168.1.5", 1), ("::", 1), ("fe80::1", 1), ("testclient", 1), None]
)
def test_who_is_not_on_this_machine_takes_a_token_whatever_host_they_name(api: Api, client: Any) -> None:
    assert api.client.ask("GET", "/api/jobs", client=client).status == 401


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-FORWARDED-PROTO",
        "X-Real-IP",
        "Via",
        "CF-Connecting-IP",
    ],
)
def test_what_a_proxy_passed_on_takes_a_token(api: Api, header: str) -> None:
    passed_on = [(header, "127.0.0.1")]
    assert api.client.ask("GET", "/api/jobs", headers=passed_on).status == 401
    assert api.client.ask("GET", "/api/jobs", headers=passed_on, token=api.tokens[Role.VIEWER]).status == 200


# Pages of other sites


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost:3000"),
        ("Origin", "http://127.0.0.1:8501"),
        ("Origin", f"http://{LOCAL_NAME}.evil.example"),
        ("Origin", ""),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "something new"),
    ],
)
def test_a_page_of_another_site_changes_nothing(api: Api, header: tuple[str, str]) -> None:
    before = state(api)
    for path, value, _ in WRITES:
        found = api.client.ask("POST", path, value=value, headers=[header])
        assert found.status == 403, path
        assert "another site" in found.value["error"]
    for path in READS:
        assert api.client.ask("GET", path, headers=[header]).status == 403, path
    assert state(api) == before


@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", f"http://{LOCAL_NAME}"), ("Sec-Fetch-Site", "same-origin")],
        [("Sec-Fetch-Site", "none")],
    ],
)
def test_pages_of_this_address_and_typed_addresses_are_answered(
    api: Api, headers: list[tuple[str, str]]
) -> None:
    assert api.client.ask("GET", "/api/jobs", headers=headers).status == 200


def test_no_other_site_is_told_that_it_may_ask(api: Api) -> None:
    asked = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST")]
    for headers in (asked, [*asked, ("Authorization", f"Bearer {api.tokens[Role.ADMIN]}")]):
        found = api.client.ask("OPTIONS", "/api/jobs", headers=headers)
        assert found.status in (403, 405)
        assert not [name for name in found.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
)
def test_what_a_form_can_send_is_no_body(api: Api, kind: str) -> None:
    """Forms need no leave of a browser; old ones do not say where they come from, either."""
    before = state(api)
    body = b'{"version": 1, "to": "Staging", "reason": "better"}'
    found = api.client.ask("POST", "/api/models/ppo/promote", body, headers=[("Content-Type", kind)])
    assert found.status == 415
    assert state(api) == before


# Bodies


@pytest.mark.parametrize("kind", [None, "application/json", "application/x-www-form-urlencoded"])
def test_an_empty_body_is_nothing_whatever_it_is_called(api: Api, kind: str | None) -> None:
    headers = [("Content-Type", kind)] if kind else []
    assert api.client.ask("POST", "/api/jobs/1/stop", headers=headers).status == 200


def test_a_body_without_a_name_is_not_taken(api: Api) -> None:
    assert api.client.ask("POST", "/api/jobs", b'{"entry_point": "stores"}').status == 415


def test_json_may_name_its_letters(api: Api) -> None:
    kind = [("Content-Type", "application/json; charset=utf-8")]
    assert api.client.ask("POST", "/api/jobs", b'{"entry_point": "stores"}', headers=kind).status == 201


def test_a_body_that_is_too_large_is_not_read_to_its_end(api: Api) -> None:
    parts = [b" " * 2**16] * 40
    found = api.client.ask("POST", "/api/jobs", parts, headers=[("Content-Type", "application/json")])
    assert found.status == 413
    assert f"{MOST_BYTES:,}" in found.value["error"]


def test_the_largest_body_is_read(api: Api) -> None:
    body = b'{"entry_point": "stores"}'
    body += b" " * (MOST_BYTES - len(body))
    found = api.client.ask("POST", "/api/jobs", body, headers=[("Content-Type", "application/json")])
    assert found.status == 201


# What everybody may see


@pytest.mark.parametrize("path", ["/api/health", "/api/docs", "/api/openapi.json"])
def test_what_says_nothing_of_models_is_open_to_all(api: Api, path: str) -> None:
    assert api.client.ask("GET", path, client=ELSEWHERE, host="greenroom.example").status == 200


def test_health_says_no_more_than_that_it_is_well(api: Api) -> None:
    assert api.client.ask("GET", "/api/health", client=ELSEWHERE).value == {"status": "ok"}

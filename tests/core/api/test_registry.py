"""Routes of the registry: what the command line prints, promotions, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from core.registry.types import Stage
from tests.core.api.conftest import Api, Printed
from tests.core.api.kit import FAILURE, refusal, value


def test_models_are_those_of_the_command_line(api: Api, printed: Printed) -> None:
    api.champion("ppo", 1, 2)
    assert value(api.client, "/api/models") == printed("models")
    (versions, shown) = (value(api.client, "/api/models/ppo/versions"), printed("versions", "ppo"))
    assert versions == [{**one, "source": one["source"].replace("hidden", "***")} for one in shown]
    assert value(api.client, "/api/models/ppo/history") == printed("history", "ppo")


def test_a_model_tells_its_champion_and_what_a_rollback_brings_back(api: Api) -> None:
    api.champion("ppo", 1, 2)
    found = value(api.client, "/api/models/ppo")
    assert (found["name"], found["version"], found["stage"], found["versions"]) == ("ppo", 2, "Production", 2)
    assert found["rollback"]["version"] == 1
    assert found["all_aliases"] == {"production": 2}
    assert found["open_requests"] == found["drift"] == []


def test_a_name_with_a_blank_is_a_name(api: Api) -> None:
    assert value(api.client, "/api/models/preis%20modell")["name"] == "preis modell"


def test_gates_are_those_of_the_command_line(api: Api, printed: Printed) -> None:
    lead = api.workspace.actor()
    api.workspace.registry.promote("slow", 1, Stage.STAGING, "ready", lead)
    found, shown = value(api.client, "/api/models/slow/gates/1"), printed("gates", "slow", "1", "--recorded")
    assert [one.pop("judged_at") is not None for one in (found, shown)] == [True, True]
    assert found["passed"] is False and [one["name"] for one in found["gates"]] == ["soak"]
    for one in (found, shown):
        for gate in one["gates"]:
            gate.pop("reason"), gate.pop("evidence")
    assert found == shown
    assert value(api.client, "/api/models/slow/gates/1?to=staging")["to_stage"] == "Staging"


@pytest.mark.parametrize("path", ["", "/versions", "/history", "/status", "/gates/1"])
def test_a_model_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert "nowhere" in refusal(api.client, f"/api/models/nowhere{path}", 404, method="GET")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/models/ppo/gates/99", 404),
        ("/api/models/ppo/gates/0", 400),
        ("/api/models/ppo/gates/99999999999999999999", 400),
        ("/api/models/ppo/gates/1?to=Archived", 400),
        ("/api/models/ppo/gates/1?to=nowhere", 400),
        ("/api/models/a%00b", 400),
        ("/api/models/" + "x" * 600, 400),
    ],
)
def test_a_question_for_models_that_cannot_be_answered_is_refused(api: Api, path: str, status: int) -> None:
    refusal(api.client, path, status, method="GET")


def test_a_promotion_and_a_rollback_answer_as_the_command_line(api: Api) -> None:
    for version in (1, 2):
        for stage in ("staging", "Production"):
            sent = {"version": version, "to": stage, "reason": "better"}
            done = api.client.ask("POST", "/api/models/ppo/promote", value=sent)
            assert done.status == 200, done.body
    shape = [
        "model",
        "version",
        "from",
        "to",
        "archived",
        "fate",
        "sentence",
        "event",
        "evidence_hash",
        "aliases",
    ]
    assert list(done.value) == shape
    assert (done.value["version"], done.value["to"], done.value["archived"]) == (2, "Production", [1])
    back = api.client.ask("POST", "/api/models/ppo/rollback", value={"reason": "worse", "from": 2})
    assert (back.status, back.value["version"], back.value["fate"]) == (200, 1, "done")
    champion = api.workspace.registry.watch.fresh("ppo").champion
    assert champion is not None and champion.version == 1
    assert [one.reason for one in api.workspace.registry.events("ppo")][-1] == "worse"


def test_a_rule_refuses_with_its_reasons(api: Api) -> None:
    sent = {"version": 1, "to": "Production", "reason": "better"}
    assert "pass through Staging" in refusal(api.client, "/api/models/ppo/promote", 409, sent)
    refusal(api.client, "/api/models/slow/promote", 409, sent)
    api.client.ask("POST", "/api/models/slow/promote", value={**sent, "to": "Staging"})
    held = api.client.ask("POST", "/api/models/slow/promote", value=sent)
    assert (held.status, len(held.value["reasons"])) == (409, 1)
    assert held.value["reasons"][0].startswith("soak")
    assert "nothing to go back to" in refusal(
        api.client, "/api/models/ppo/rollback", 409, {"reason": "worse"}
    )


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (None, "body"),
        ({}, "version"),
        ([], "body"),
        ({"version": 1, "to": "Staging", "reason": ""}, "reason"),
        ({"version": "1", "to": "Staging", "reason": "x"}, "version"),
        ({"version": True, "to": "Staging", "reason": "x"}, "version"),
        ({"version": 0, "to": "Staging", "reason": "x"}, "version"),
        ({"version": 2**31, "to": "Staging", "reason": "x"}, "version"),
        ({"version": 1, "to": "Stagin", "reason": "x"}, "to"),
        ({"version": 1, "to": "Staging", "reason": "a\0b"}, "reason"),
        ({"version": 1, "to": "Staging", "reason": "\ud800"}, "reason"),
        ({"version": 1, "to": "Staging", "reason": "x" * 10_001}, "reason"),
        ({"version": 1, "to": "Staging", "reason": "x", "resaon": "x"}, "resaon"),
    ],
)
def test_a_promotion_that_is_not_understood_is_refused(api: Api, sent: Any, reason: str) -> None:
    assert reason in refusal(api.client, "/api/models/ppo/promote", 400, sent)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"version": ' + b"9" * 5_000 + b"}",
        b'{"version": NaN}',
        b'"\\ud800"',
    ],
)
def test_a_body_that_is_no_json_is_refused(api: Api, body: bytes) -> None:
    kind = [("Content-Type", "application/json")]
    found = api.client.ask("POST", "/api/models/ppo/promote", body, headers=kind)
    assert (found.status, list(found.value)) == (400, FAILURE)


def test_a_refusal_does_not_repeat_what_was_sent(api: Api) -> None:
    found = api.client.ask("POST", "/api/jobs", value={"entry_point": {"password": "hunter2"}})
    assert found.status == 400
    assert b"hunter2" not in found.body

"""Status and retraining, in the shape of the agent's MLOps guide."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.api.status import place_of
from core.registry.types import Stage, Version
from core.training.schedule.types import (
    GateVerdict,
    LogLine,
    RetrainingOutcome,
    Verdict,
    VerdictPoint,
    VerdictWord,
)
from tests.core.api.conftest import Api
from tests.core.api.kit import NOON, refusal, schedule, value


def test_the_status_of_a_checkpoint_is_what_it_always_was(api: Api, api_template: Any) -> None:
    """The shape of the agent's own MLOps guide, whose version is the label of the checkpoint."""
    api.champion("rl_agent", 1)
    desk = api.training.schedules
    desk.known["rl_agent"] = schedule("rl_agent")
    desk.retrain("rl_agent", api.workspace.actor())
    desk.end(1)
    folder = api_template.folder / "artifacts" / "deployed" / "model"
    expected = {
        "success": True,
        "status": {
            "model_loaded": True,
            "model_info": {
                "current_version": "20251128_153000",
                "current_path": f"{folder}/checkpoint_20251128_153000.pt",
                "total_models": 1,
                "retention_days": 30.0,
            },
            "scheduler": {
                "enabled": True,
                "is_training": False,
                "last_retrain_time": "2026-03-02T12:00:00.000Z",
                "next_retrain_time": "2026-03-09T12:00:00.000Z",
                "interval_days": 7,
            },
        },
    }
    assert value(api.client, "/api/rl-agent/status") == expected
    assert value(api.client, "/api/models/rl_agent/status") == expected
    assert json.dumps(expected) == json.dumps(value(api.client, "/api/rl-agent/status"))


def test_the_status_of_other_models_gives_the_number_of_the_version(api: Api) -> None:
    api.champion("ppo", 2)
    info = value(api.client, "/api/models/ppo/status")["status"]["model_info"]
    assert info["current_version"] == "2"
    assert info["current_path"] == f"s3://bucket/{api.runs[1]}/model"


def test_the_status_of_a_model_without_champion_or_schedule_says_so(api: Api) -> None:
    status = value(api.client, "/api/models/ppo/status")["status"]
    assert status == {
        "model_loaded": False,
        "model_info": {
            "current_version": None,
            "current_path": None,
            "total_models": 2,
            "retention_days": 30.0,
        },
        "scheduler": {
            "enabled": False,
            "is_training": False,
            "last_retrain_time": None,
            "next_retrain_time": None,
            "interval_days": None,
        },
    }


def test_the_agent_is_the_model_that_the_settings_name(api: Api) -> None:
    from dataclasses import replace

    from core.settings import ApiSettings

    api.champion("ppo", 1)
    api.workspace.settings = replace(api.workspace.settings, api=ApiSettings(rl_agent_model="ppo"))
    assert value(api.client, "/api/rl-agent/status")["status"]["model_info"]["current_version"] == "1"
    api.workspace.settings = replace(api.workspace.settings, api=ApiSettings(rl_agent_model="to come"))
    assert value(api.client, "/api/rl-agent/status")["status"]["model_loaded"] is False


@pytest.mark.parametrize("sent", [None, {}, {"async": True}])
@pytest.mark.parametrize("path", ["/api/models/rl_agent/retrain", "/api/rl-agent/retrain"])
def test_a_retraining_begins_and_is_not_waited_for(api: Api, path: str, sent: Any) -> None:
    api.training.schedules.known["rl_agent"] = schedule("rl_agent")
    begun = api.client.ask("POST", path, value=sent)
    assert begun.status == 202, begun.body
    assert begun.value["success"] is True
    assert (begun.value["retraining"]["model"], begun.value["retraining"]["trigger"]) == ("rl_agent", "api")
    assert value(api.client, "/api/rl-agent/status")["status"]["scheduler"]["is_training"] is True
    assert "being trained already" in refusal(api.client, path, 409, sent)
    assert len(api.training.schedules.begun) == 1


def test_a_retraining_of_what_nothing_says_how_to_train_is_refused(api: Api) -> None:
    assert "Nothing says how" in refusal(api.client, "/api/models/ppo/retrain", 409)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.api.retraining._LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("quick_looks")
def test_a_retraining_is_waited_for_where_that_is_asked(api: Api) -> None:
    desk = api.training.schedules
    desk.known["ppo"] = schedule()
    point = VerdictPoint("sharpe", float("nan"), 1.4, None, None)
    verdict = Verdict(
        VerdictWord.BETTER, "Better than v2.", (point,), (GateVerdict("smoke", True, "It loads."),)
    )
    desk.ends = {"verdict": verdict, "log": (LogLine(NOON, "INFO", "Step 1"),)}
    done = api.client.ask("POST", "/api/models/ppo/retrain", value={"async": False})
    assert (done.status, done.value["success"], desk.looks) == (200, True, 2)
    shown = done.value["retraining"]
    assert (shown["version"], shown["verdict"]["word"], shown["verdict"]["points"][0]["champion"]) == (
        4,
        "better",
        None,
    )
    assert shown["log"] == [{"at": "2026-03-02T12:00:00.000Z", "level": "INFO", "text": "Step 1"}]
    assert shown["verdict"]["gates"] == [{"name": "smoke", "passed": True, "reason": "It loads."}]


@pytest.mark.usefixtures("quick_looks")
@pytest.mark.parametrize("outcome", [one for one in RetrainingOutcome if one is not RetrainingOutcome.STAGED])
def test_a_retraining_that_ends_badly_is_told_as_such(api: Api, outcome: RetrainingOutcome) -> None:
    desk = api.training.schedules
    desk.known["ppo"] = schedule()
    desk.ends = {"outcome": outcome, "reason": "The trainer exited with 3.", "version": None}
    done = api.client.ask("POST", "/api/models/ppo/retrain", value={"async": False})
    assert (done.status, done.value["success"]) == (409, False)
    assert done.value["error"].startswith("The trainer exited with 3.")
    assert done.value["retraining"]["outcome"] == str(outcome)


@pytest.mark.usefixtures("quick_looks")
def test_nobody_waits_for_ever(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.api.retraining.WAIT_SECONDS", 0.05)
    api.training.schedules.known["ppo"] = schedule()
    done = api.client.ask("POST", "/api/models/ppo/retrain", value={"async": False})
    assert (done.status, done.value["retraining"]["outcome"]) == (202, None)


@pytest.mark.parametrize("sent", [{"async": "yes"}, {"async": 1}, {"asynch": True}, [True]])
def test_a_retraining_that_is_not_understood_does_not_begin(api: Api, sent: Any) -> None:
    api.training.schedules.known["ppo"] = schedule()
    refusal(api.client, "/api/models/ppo/retrain", 400, sent)
    assert api.training.schedules.begun == []


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("", None),
        ("models:/m-1f2e", "models:/m-1f2e"),
        ("/srv/artifacts/1/model", "/srv/artifacts/1/model"),
        ("file:///srv/my%20models/1", "/srv/my models/1"),
        ("s3://bucket/1/model", "s3://bucket/1/model"),
        ("s3://user:hunter2@bucket/1", "s3://bucket/1"),
        ("s3://user:hun/ter2@bucket/1", "s3://bucket/1"),
        ("https://hunter2@host/1?token=hunter2#hunter2", "https://host/1"),
        ("https://host/1?X-Amz-Signature=hunter2", "https://host/1"),
    ],
)
def test_a_place_is_shown_without_secrets(source: str, shown: str | None) -> None:
    version = Version("ppo", 1, Stage.NONE, source, None, NOON, NOON)
    assert place_of(version, None) == shown

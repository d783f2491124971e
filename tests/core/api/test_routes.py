"""The routes: what each answers, and how it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from core.api.app import create_app
from core.cli import cli
from core.errors import DatabaseError, GreenroomError, NotFoundError, SourceError
from core.training.schedule.types import RetrainingOutcome, Verdict, VerdictPoint, VerdictWord
from core.training.types import EngineKind, JobState, Resources
from tests.core.api.conftest import Api
from tests.core.api.kit import NOON, schedule

FAILURE = ["success", "error", "reasons"]


def value(api: Api, path: str, status: int = 200) -> Any:
    found = api.client.ask("GET", path)
    assert found.status == status, found.body
    assert found.headers["content-type"] == "application/json"
    assert found.headers["cache-control"] == "no-store"
    return found.value


def refusal(api: Api, path: str, status: int, sent: Any = None, method: str = "POST") -> str:
    found = api.client.ask(method, path, value=sent)
    assert found.status == status, found.body
    assert list(found.value) == FAILURE
    assert found.value["success"] is False
    assert found.value["reasons"]
    return str(found.value["error"])


Printed = Callable[..., Any]


@pytest.fixture
def printed(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Printed:
    """What the command line prints of the same workspace."""
    settings = api.workspace.settings
    monkeypatch.chdir(tmp_path)
    (tmp_path / "greenroom.toml").write_text(
        '[gates."*"]\nsmoke = false\nsoak_hours = 0\n[gates.slow]\nsmoke = false\nsoak_hours = 24\n'
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.effective_tracking_uri)
    monkeypatch.setenv("GREENROOM_HOME", str(settings.home))
    monkeypatch.setenv("GREENROOM_USER", "jonas")
    monkeypatch.setenv("GREENROOM_ROLE", "lead")

    def run(*words: str) -> Any:
        result = CliRunner().invoke(cli, [*words, "--json"])
        assert result.exit_code in (0, 1), result.output
        return json.loads(result.stdout)

    return run


# Runs


def test_runs_are_those_of_the_command_line(api: Api, printed: Printed) -> None:
    found = value(api, "/api/runs?order_by=metrics.sharpe%20DESC&experiment=trading")
    assert found == printed("runs", "-e", "trading", "--order-by", "metrics.sharpe DESC")
    assert [one["run_id"] for one in found["runs"][:2]] == api.runs[::-1]


def test_runs_are_filtered_and_paged(api: Api) -> None:
    assert value(api, "/api/runs?filter=metrics.sharpe%20%3E%201.2")["runs"][0]["run_id"] == api.runs[1]
    page = value(api, "/api/runs?order_by=metrics.sharpe&limit=1&offset=1")
    assert (page["total"], [one["run_id"] for one in page["runs"]]) == (3, [api.runs[1]])
    assert value(api, "/api/runs?limit=0") == {"total": 3, "runs": []}
    assert value(api, "/api/runs?view=deleted")["total"] == 0


def test_a_number_that_is_missing_is_null(api: Api) -> None:
    (run,) = value(api, "/api/runs?filter=attributes.run_name%20%3D%20'diverged'")["runs"]
    assert run["metrics"] == {"loss": None}


def test_a_run_is_found_by_its_beginning(api: Api) -> None:
    run = value(api, f"/api/runs/{api.runs[0][:10]}")
    assert (run["run_id"], run["metrics"]) == (api.runs[0], {"sharpe": 1.0})
    assert run["start_time"].endswith("Z")


def test_a_run_that_is_younger_than_the_index_is_found(api: Api) -> None:
    from mlflow import MlflowClient

    value(api, "/api/runs")
    # So that the background look is not what finds it.
    api.workspace.keeper.stop()
    client = MlflowClient(api.workspace.settings.effective_tracking_uri)
    fresh = client.create_run("0", run_name="fresh").info.run_id
    assert value(api, f"/api/runs/{fresh}")["run_name"] == "fresh"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/runs?filter=metrics.sharpe%20%3E%3E%201", 400),
        ("/api/runs?filter=%00", 400),
        ("/api/runs?order_by=nonsense%20of%20mine", 400),
        ("/api/runs?limit=-1", 400),
        ("/api/runs?limit=1001", 400),
        ("/api/runs?offset=1e3", 400),
        ("/api/runs?view=gone", 400),
        ("/api/runs?experiment=none%20such", 404),
        ("/api/runs/ffffffffffffffffffffffffffffffff", 404),
        ("/api/runs/ffff", 404),
        ("/api/runs/..%2f..%2fetc", 404),
        ("/api/runs/a%20b", 400),
    ],
)
def test_a_question_for_runs_that_cannot_be_answered_is_refused(api: Api, path: str, status: int) -> None:
    refusal(api, path, status, method="GET")


# Models


def test_models_are_those_of_the_command_line(api: Api, printed: Printed) -> None:
    api.champion("ppo", 1, 2)
    assert value(api, "/api/models") == printed("models")
    (versions, shown) = (value(api, "/api/models/ppo/versions"), printed("versions", "ppo"))
    assert versions == [{**one, "source": one["source"].replace("hidden", "***")} for one in shown]
    assert value(api, "/api/models/ppo/history") == printed("history", "ppo")


def test_a_model_tells_its_champion_and_what_a_rollback_brings_back(api: Api) -> None:
    api.champion("ppo", 1, 2)
    found = value(api, "/api/models/ppo")
    assert (found["name"], found["version"], found["stage"], found["versions"]) == ("ppo", 2, "Production", 2)
    assert found["rollback"]["version"] == 1
    assert found["all_aliases"] == {"production": 2}
    assert found["open_requests"] == found["drift"] == []


def test_a_name_with_a_blank_is_a_name(api: Api) -> None:
    assert value(api, "/api/models/preis%20modell")["name"] == "preis modell"


def test_gates_are_those_of_the_command_line(api: Api, printed: Printed) -> None:
    lead = api.workspace.actor()
    api.workspace.registry.promote("slow", 1, _stage("Staging"), "ready", lead)
    found, shown = value(api, "/api/models/slow/gates/1"), printed("gates", "slow", "1", "--recorded")
    assert [one.pop("judged_at") is not None for one in (found, shown)] == [True, True]
    assert found["passed"] is False and [one["name"] for one in found["gates"]] == ["soak"]
    for one in (found, shown):
        for gate in one["gates"]:
            gate.pop("reason"), gate.pop("evidence")
    assert found == shown
    assert value(api, "/api/models/slow/gates/1?to=staging")["to_stage"] == "Staging"


def _stage(name: str) -> Any:
    from core.registry.types import Stage

    return Stage(name)


@pytest.mark.parametrize("path", ["", "/versions", "/history", "/status", "/gates/1"])
def test_a_model_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert "nowhere" in refusal(api, f"/api/models/nowhere{path}", 404, method="GET")


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
    refusal(api, path, status, method="GET")


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
    assert "pass through Staging" in refusal(api, "/api/models/ppo/promote", 409, sent)
    refusal(api, "/api/models/slow/promote", 409, sent)
    api.client.ask("POST", "/api/models/slow/promote", value={**sent, "to": "Staging"})
    held = api.client.ask("POST", "/api/models/slow/promote", value=sent)
    assert (held.status, len(held.value["reasons"])) == (409, 1)
    assert held.value["reasons"][0].startswith("soak")
    assert "nothing to go back to" in refusal(api, "/api/models/ppo/rollback", 409, {"reason": "worse"})


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
    assert reason in refusal(api, "/api/models/ppo/promote", 400, sent)


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


# Status and retraining


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
    assert value(api, "/api/rl-agent/status") == expected
    assert value(api, "/api/models/rl_agent/status") == expected
    assert json.dumps(expected) == json.dumps(value(api, "/api/rl-agent/status"))


def test_the_status_of_other_models_gives_the_number_of_the_version(api: Api) -> None:
    api.champion("ppo", 2)
    info = value(api, "/api/models/ppo/status")["status"]["model_info"]
    assert info["current_version"] == "2"
    assert info["current_path"] == f"s3://bucket/{api.runs[1]}/model"


def test_the_status_of_a_model_without_champion_or_schedule_says_so(api: Api) -> None:
    status = value(api, "/api/models/ppo/status")["status"]
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
    assert value(api, "/api/rl-agent/status")["status"]["model_info"]["current_version"] == "1"
    api.workspace.settings = replace(api.workspace.settings, api=ApiSettings(rl_agent_model="to come"))
    assert value(api, "/api/rl-agent/status")["status"]["model_loaded"] is False


@pytest.mark.parametrize("sent", [None, {}, {"async": True}])
@pytest.mark.parametrize("path", ["/api/models/rl_agent/retrain", "/api/rl-agent/retrain"])
def test_a_retraining_begins_and_is_not_waited_for(api: Api, path: str, sent: Any) -> None:
    api.training.schedules.known["rl_agent"] = schedule("rl_agent")
    begun = api.client.ask("POST", path, value=sent)
    assert begun.status == 202, begun.body
    assert begun.value["success"] is True
    assert (begun.value["retraining"]["model"], begun.value["retraining"]["trigger"]) == ("rl_agent", "api")
    assert value(api, "/api/rl-agent/status")["status"]["scheduler"]["is_training"] is True
    assert "being trained already" in refusal(api, path, 409, sent)
    assert len(api.training.schedules.begun) == 1


def test_a_retraining_of_what_nothing_says_how_to_train_is_refused(api: Api) -> None:
    assert "Nothing says how" in refusal(api, "/api/models/ppo/retrain", 409)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.api.retraining._LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("quick_looks")
def test_a_retraining_is_waited_for_where_that_is_asked(api: Api) -> None:
    desk = api.training.schedules
    desk.known["ppo"] = schedule()
    point = VerdictPoint("sharpe", float("nan"), 1.4, None, None)
    verdict = Verdict(VerdictWord.BETTER, "Better than v2.", (point,), (("smoke", True, "It loads."),))  # type: ignore[arg-type]
    desk.ends = {"verdict": verdict, "log": ((NOON, "INFO", "Step 1"),)}
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
    refusal(api, "/api/models/ppo/retrain", 400, sent)
    assert api.training.schedules.begun == []


# Jobs


def test_entry_points_tell_their_parameters(api: Api) -> None:
    found = value(api, "/api/entry-points")
    assert found["broken"] == []
    points = {one["entry_point"]: one for one in found["entry_points"]}
    assert "stores" in points and points["stores"]["project"] == "greenroom"
    keys = ["name", "kind", "default", "help", "choices", "minimum", "maximum", "unit", "label"]
    assert all(list(one) == keys for one in points["stores"]["parameters"])


def test_jobs_are_listed_counted_and_chosen(api: Api) -> None:
    found = value(api, "/api/jobs")
    assert [one["job"] for one in found["jobs"]] == [2, 1]
    assert found["counts"] == {**dict.fromkeys(map(str, JobState), 0), "running": 1, "failed": 1}
    assert [one["job"] for one in value(api, "/api/jobs?state=failed&state=lost")["jobs"]] == [2]
    assert [one["job"] for one in value(api, "/api/jobs?limit=1&offset=1")["jobs"]] == [1]
    assert value(api, f"/api/jobs?run_id={1:032x}")["jobs"][0]["job"] == 1
    assert value(api, "/api/jobs?sweep=3")["jobs"] == []


def test_a_job_is_shown_without_passwords(api: Api) -> None:
    one = value(api, "/api/jobs/1")
    assert one["parameters"] == {"data": "s3://reader:***@bucket/sales.csv", "weeks": "4"}
    assert (one["state"], one["run_id"], one["asked_at"]) == (
        "running",
        f"{1:032x}",
        "2026-03-02T12:00:00.000Z",
    )
    assert one["progress"] == {
        "done": 3, "total": 12, "share": 0.25, "what": "stores", "at": "2026-03-02T12:00:00.000Z"
    }  # fmt: skip


def test_a_log_is_read_piece_by_piece(api: Api) -> None:
    whole = {"job": 1, "over": False, "start": 0, "end": 14, "size": 14, "text": "step 1\nstep 2\n"}
    assert value(api, "/api/jobs/1/log") == whole
    assert value(api, "/api/jobs/1/log?start=7") == {**whole, "start": 7, "text": "step 2\n"}
    assert value(api, "/api/jobs/1/log?most=7")["text"] == "step 2\n"
    assert value(api, "/api/jobs/2/log")["over"] is True


def test_a_launch_asks_the_desk_for_what_was_sent(api: Api) -> None:
    sent = {
        "entry_point": "stores",
        "parameters": {"weeks": 4, "rate": 0.5, "fast": True, "name": "n"},
        "engine": "ray",
        "resources": {"cpus": 2},
        "experiment": "e",
        "name": "r",
        "priority": -3,
        "tags": {"team": "a"},
    }
    made = api.client.ask("POST", "/api/jobs", value=sent)
    assert (made.status, made.value["job"], made.value["state"]) == (201, 3, "queued"), made.body
    (asked,) = api.training.asked
    assert asked.parameters == {"weeks": "4", "rate": "0.5", "fast": "true", "name": "n"}
    assert (asked.engine, asked.resources, asked.priority) == (EngineKind.RAY, Resources(2.0, 0.0), -3)
    assert (asked.experiment, asked.name, asked.tags) == ("e", "r", {"team": "a"})


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        ({"entry_point": "storse"}, 404, "storse"),
        ({"entry_point": "stores", "project": "none"}, 404, "none"),
        ({"entry_point": "stores", "priority": 10}, 400, "priority"),
        ({"entry_point": "stores", "engine": "moon"}, 400, "engine"),
        ({"entry_point": "stores", "parameters": {"a": None}}, 400, "parameters.a"),
        ({"entry_point": "stores", "parameters": {"a": "\0"}}, 400, "parameters.a"),
        ({"entry_point": "stores", "resources": {"cpus": -1}}, 400, "resources.cpus"),
        ({"entry_point": "stores", "tags": {"greenroom.legal_hold": "x"}}, 400, "belongs to Greenroom"),
        ({"entry_point": "stores", "tags": {"mlflow.parentRunId": "x"}}, 400, "belongs to Greenroom"),
    ],
)
def test_a_launch_that_is_not_understood_is_refused(api: Api, sent: Any, status: int, reason: str) -> None:
    assert reason in refusal(api, "/api/jobs", status, sent)
    assert api.training.asked == []


def test_a_job_is_stopped_retried_and_resumed(api: Api) -> None:
    stopped = api.client.ask("POST", "/api/jobs/1/stop")
    assert (stopped.status, stopped.value["stop_asked_by"]) == (200, "jonas")
    again = api.client.ask("POST", "/api/jobs/2/retry")
    assert (again.status, again.value["job"], again.value["made_from"]) == (201, 3, 2)
    on = api.client.ask("POST", "/api/jobs/2/resume")
    assert (on.status, on.value["resumes"], on.value["run_id"]) == (201, 2, f"{2:032x}")
    assert "runs still" in refusal(api, "/api/jobs/1/resume", 409)
    assert "is over already" in refusal(api, "/api/jobs/2/stop", 409)


@pytest.mark.parametrize("path", ["", "/log"])
def test_a_job_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert "no job 99" in refusal(api, f"/api/jobs/99{path}", 404, method="GET")
    refusal(api, f"/api/jobs/{2**40}{path}", 400, method="GET")


@pytest.mark.parametrize("path", ["stop", "retry", "resume"])
def test_nothing_is_done_to_a_job_that_is_not_there(api: Api, path: str) -> None:
    assert "no job 99" in refusal(api, f"/api/jobs/99/{path}", 404)


# What goes wrong behind it


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
    assert refusal(api, "/api/jobs/1", status, method="GET") == str(error)


def test_a_tracking_store_that_is_down_is_said_and_history_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.champion("ppo", 1)

    def fail(*_: Any) -> Any:
        raise SourceError("The tracking store does not answer.")

    monkeypatch.setattr(api.workspace.registry.watch, "models", fail)
    for path in ("/api/models", "/api/models/ppo", "/api/models/ppo/status", "/api/models/ppo/gates/1"):
        assert "does not answer" in refusal(api, path, 503, method="GET")
    assert value(api, "/api/models/ppo/history")["reigns"][0]["version"] == 1


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
    from core.errors import BadInputError
    from tests.core.api.kit import Client

    def fail() -> Any:
        raise BadInputError("The key 'prot' in greenroom.toml is not known.")

    found = Client(create_app(fail)).ask("GET", "/jobs")
    assert (found.status, found.value["error"]) == (503, "The key 'prot' in greenroom.toml is not known.")


# Addresses


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


# The document


def test_the_document_lists_every_route_and_takes_a_token_for_all_but_health(api: Api) -> None:
    document = value(api, "/api/openapi.json")
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
    document = value(api, "/api/openapi.json")
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
        for text in re.findall(r"\d{4}-\d\d-\d\dT[^\"]*", json.dumps(value(api, path))):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text), (path, text)
            datetime.fromisoformat(text)

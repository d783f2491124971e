"""Routes of the training desk: what can be launched, jobs, logs, and what is done to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.training.projects.catalogue import Projects
from core.training.projects.types import ProjectSetting
from core.training.types import EngineKind, JobState, Resources
from tests.core.api.conftest import Api, Printed
from tests.core.api.kit import refusal, value


def test_what_can_be_launched_is_what_the_command_line_lists(api: Api, printed: Printed) -> None:
    found = value(api.client, "/api/entry-points")
    assert found == printed("train")
    assert "stores" in [one["name"] for one in found[0]["entry_points"]]


def test_a_project_that_cannot_be_read_is_listed_with_its_problem(api: Api, tmp_path: Path) -> None:
    setting = ProjectSetting("demand", str(tmp_path / "none"))
    api.training.projects = Projects((setting,), tmp_path)
    broken = value(api.client, "/api/entry-points")[1]
    assert (broken["project"], broken["entry_points"]) == ("demand", [])
    assert broken["problem"]


def test_jobs_are_listed_counted_and_chosen(api: Api) -> None:
    found = value(api.client, "/api/jobs")
    assert [one["job"] for one in found["jobs"]] == [2, 1]
    assert found["counts"] == {**dict.fromkeys(map(str, JobState), 0), "running": 1, "failed": 1}
    assert [one["job"] for one in value(api.client, "/api/jobs?state=failed&state=lost")["jobs"]] == [2]
    assert [one["job"] for one in value(api.client, "/api/jobs?limit=1&offset=1")["jobs"]] == [1]
    assert value(api.client, f"/api/jobs?run_id={1:032x}")["jobs"][0]["job"] == 1
    assert value(api.client, "/api/jobs?sweep=3")["jobs"] == []


def test_a_job_is_shown_without_passwords(api: Api) -> None:
    one = value(api.client, "/api/jobs/1")
    assert one["parameters"] == {"data": "s3://reader:***@bucket/sales.csv", "weeks": "4"}
    assert (one["state"], one["run_id"], one["asked_at"]) == (
        "running",
        f"{1:032x}",
        "2026-03-02T12:00:00.000Z",
    )
    assert one["progress"] == {"done": 3, "total": 12, "what": "stores"}


def test_a_log_is_read_piece_by_piece(api: Api) -> None:
    whole = {"job": 1, "over": False, "start": 0, "end": 14, "size": 14, "text": "step 1\nstep 2\n"}
    assert value(api.client, "/api/jobs/1/log") == whole
    assert value(api.client, "/api/jobs/1/log?start=7") == {**whole, "start": 7, "text": "step 2\n"}
    assert value(api.client, "/api/jobs/1/log?most=7")["text"] == "step 2\n"
    assert value(api.client, "/api/jobs/2/log")["over"] is True


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
    assert reason in refusal(api.client, "/api/jobs", status, sent)
    assert api.training.asked == []


def test_a_job_is_stopped_retried_and_resumed(api: Api) -> None:
    stopped = api.client.ask("POST", "/api/jobs/1/stop")
    assert (stopped.status, stopped.value["stop_asked_by"]) == (200, "jonas")
    again = api.client.ask("POST", "/api/jobs/2/retry")
    assert (again.status, again.value["job"], again.value["made_from"]) == (201, 3, 2)
    on = api.client.ask("POST", "/api/jobs/2/resume")
    assert (on.status, on.value["resumes"], on.value["run_id"]) == (201, 2, f"{2:032x}")
    assert "runs still" in refusal(api.client, "/api/jobs/1/resume", 409)
    assert "is over already" in refusal(api.client, "/api/jobs/2/stop", 409)


@pytest.mark.parametrize("path", ["", "/log"])
def test_a_job_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert "no job 99" in refusal(api.client, f"/api/jobs/99{path}", 404, method="GET")
    refusal(api.client, f"/api/jobs/{2**40}{path}", 400, method="GET")


@pytest.mark.parametrize("path", ["stop", "retry", "resume"])
def test_nothing_is_done_to_a_job_that_is_not_there(api: Api, path: str) -> None:
    assert "no job 99" in refusal(api.client, f"/api/jobs/99/{path}", 404)

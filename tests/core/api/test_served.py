"""The API beside the pages, served: the lines of the agent's MLOps guide run as they are written, port aside."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.errors import RefusedError
from core.settings import Settings
from core.training.schedule.types import ScheduleRequest, Trigger
from core.workspace import Workspace, open_workspace
from tests import registries, servers, stores

STATUS = "curl http://localhost:5030/api/rl-agent/status"
RETRAIN = "curl -X POST http://localhost:5030/api/rl-agent/retrain"
RETRAIN_ASYNC = """curl -X POST http://localhost:5030/api/rl-agent/retrain \\
  -H "Content-Type: application/json" \\
  -d '{"async": true}'"""


@dataclass(frozen=True)
class Served:
    port: int
    home: Path
    sales: Path
    workspace: Workspace

    def curl(self, line: str, *more: str) -> tuple[int, Any]:
        """Run a line of the guide; return status and what came back."""
        mark = ["-s", "-w", r"\n%{http_code}", "--max-time", "60"]
        # A shell reads it, as it would where somebody pastes it.
        written = f"{line.replace(':5030', f':{self.port}')} {shlex.join([*mark, *more])}"
        done = subprocess.run(["sh", "-c", written], capture_output=True, check=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    folder = tmp_path_factory.mktemp("served")
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    client.create_registered_model("rl_agent")
    run_id = client.create_run("0").info.run_id
    label = {"checkpoint": "checkpoint_20251128_153000"}
    client.create_model_version("rl_agent", (folder / "model").as_uri(), run_id, tags=label)
    for stage in ("Staging", "Production"):
        registries.put(client, "rl_agent", 1, stage)
    sales = folder / "sales.csv"
    sales.write_text("store,date,sales\n" + "".join(f"a,2026-01-{day:02d},{day}\n" for day in range(1, 32)))
    port = servers.free_port()
    command = [sys.executable, "-m", "core.cli", "up", "--port", str(port), "--tracking-uri", uri]
    environment = {"GREENROOM_HOME": str(folder / "home"), "GREENROOM_USER": "jonas"}
    with servers.process(command, folder / "served.log", **environment) as running:
        servers.wait_for(f"http://127.0.0.1:{port}/api/health", running)
        workspace = open_workspace(Settings(tracking_uri=uri, home=folder / "home", user="jonas"))
        yield Served(port, folder / "home", sales, workspace)
        workspace.close()


def test_the_status_has_the_shape_of_the_guide(served: Served) -> None:
    status, value = served.curl(STATUS)
    assert status == 200, value
    assert list(value) == ["success", "status"]
    assert list(value["status"]) == ["model_loaded", "model_info", "scheduler"]
    info = value["status"]["model_info"]
    assert list(info) == ["current_version", "current_path", "total_models", "retention_days"]
    assert (info["current_version"], info["total_models"]) == ("20251128_153000", 1)
    assert info["current_path"].endswith("/model/checkpoint_20251128_153000.pt")
    keys = ["enabled", "is_training", "last_retrain_time", "next_retrain_time", "interval_days"]
    assert list(value["status"]["scheduler"]) == keys


def test_a_retraining_that_nothing_says_how_to_make_is_refused(served: Served) -> None:
    status, value = served.curl(RETRAIN)
    assert (status, value["success"]) == (409, False), value
    assert "Nothing says how rl_agent is trained" in value["error"]


def test_the_lines_that_retrain_begin_a_retraining(served: Served) -> None:
    desk = served.workspace.training.schedules
    for line in (RETRAIN, RETRAIN_ASYNC):
        # Far in the future: nothing but the line begins it.
        request = ScheduleRequest("stores", {"data": str(served.sales)}, first_day=date(2100, 1, 1))
        desk.set("rl_agent", request, served.workspace.actor())
        status, value = served.curl(line)
        assert (status, value["success"]) == (202, True), value
        number = value["retraining"]["retraining"]
        assert (desk.retraining(number).trigger, desk.retraining(number).asked_by) == (Trigger.API, "jonas")
        status, value = served.curl(line)
        assert (status, value["success"]) == (409, False), value
        scheduler = served.curl(STATUS)[1]["status"]["scheduler"]
        assert (scheduler["enabled"], scheduler["is_training"], scheduler["interval_days"]) == (True, True, 7)
        _wait_for(lambda number=number: _stopped(served, number))  # type: ignore[misc]


def _stopped(served: Served, number: int) -> bool:
    """Stop a retraining, at whichever step it is, and say whether it is over."""
    desk = served.workspace.training.schedules
    if desk.retraining(number).is_open:
        with suppress(RefusedError):
            desk.stop(number, served.workspace.actor())
    return not desk.retraining(number).is_open


def _wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.1)


def test_the_pages_are_beside_it(served: Served) -> None:
    with urllib.request.urlopen(f"http://localhost:{served.port}/") as page:
        assert page.status == 200
        assert b"<html" in page.read()


def test_a_page_of_another_site_and_a_wrong_token_are_refused(served: Served) -> None:
    assert served.curl(RETRAIN, "-H", "Origin: https://evil.example")[0] == 403
    assert served.curl(RETRAIN, "-H", "Host: evil.example")[0] == 401
    assert served.curl(RETRAIN, "-H", "X-Forwarded-For: 127.0.0.1")[0] == 401
    assert served.curl(STATUS, "-H", "Authorization: Bearer gr_wrong")[0] == 401


def test_a_token_made_on_the_command_line_opens_it(served: Served) -> None:
    command = [sys.executable, "-m", "core.cli", "tokens", "create", "nightly", "--role", "viewer"]
    made = subprocess.run(command, capture_output=True, text=True, cwd=served.home, env=_environment(served))
    assert made.returncode == 0, made.stderr
    token = ["-H", f"Authorization: Bearer {made.stdout.strip()}", "-H", "Host: greenroom.example"]
    assert served.curl(STATUS, *token)[0] == 200
    status, value = served.curl(RETRAIN, *token)
    assert status == 403 and "nightly acts as viewer" in value["error"]


def _environment(served: Served) -> dict[str, str]:
    return {**os.environ, "GREENROOM_HOME": str(served.home)}


def test_a_large_body_is_refused_on_the_wire(served: Served, tmp_path: Path) -> None:
    body = tmp_path / "body.json"
    body.write_bytes(b" " * 2**21)
    kind = ["-H", "Content-Type: application/json", "--data-binary", f"@{body}"]
    assert served.curl(RETRAIN, *kind)[0] == 413

"""The desk on every kind of store: an MLflow server, one without stages, a file store."""

from __future__ import annotations

import contextlib
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.errors import RefusedError
from core.registry.promotion import Fate
from core.registry.types import Stage
from tests import registries
from tests.registries import ANALYST, LEAD


def promote_and_roll_back(uri: str, home: Path, name: str) -> Any:
    """Go through everything once, and return the desk."""
    client = MlflowClient(uri)
    registries.make_versions(client, name, 3)
    desk = registries.new_desk(uri, home)
    with pytest.raises(RefusedError, match="has to pass through Staging"):
        desk.promote(name, 1, Stage.PRODUCTION, "quick", LEAD)
    for version in (1, 2):
        desk.promote(name, version, Stage.STAGING, "ready", ANALYST)
        assert registries.aliases(client, name)["staging"] == version
        desk.promote(name, version, Stage.PRODUCTION, "better", LEAD)
        assert registries.aliases(client, name) == {"production": version}
    assert desk.rollback(name, "worse", LEAD).fate is Fate.DONE
    assert registries.aliases(client, name) == {"production": 1}
    card = desk.model(name)
    assert [str(one.version.stage) for one in card.versions] == ["None", "Archived", "Production"]
    assert client.get_model_version(name, "2").tags["greenroom.stage"] == "Archived"
    assert desk.look() == ()
    assert not [one for one in desk.events(name) if one.action == "changed outside"]
    return desk


def test_an_mlflow_server(http_store: str, tmp_path: Path) -> None:
    promote_and_roll_back(http_store, tmp_path, "desk on a server")
    assert registries.stages(MlflowClient(http_store), "desk on a server") == {
        1: "Production",
        2: "Archived",
        3: "None",
    }


def test_a_file_store(tmp_path: Path) -> None:
    uri = (tmp_path / "ml runs").as_uri()
    promote_and_roll_back(uri, tmp_path / "home", "m")
    assert registries.in_production(MlflowClient(uri), "m") == [1]


class _WithoutStages(BaseHTTPRequestHandler):
    """Passes everything on to an MLflow server, which it says to have no stages."""

    server: Any

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "transition-stage" in self.path:
            self.send_error(404)
            return
        headers = {"content-type": self.headers.get("content-type") or "application/json"}
        request = urllib.request.Request(
            self.server.target + self.path, body or None, headers, method=self.command
        )
        try:
            with urllib.request.urlopen(request) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def without_stages(target: str) -> Iterator[str]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _WithoutStages)
    server.target = target
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_without_stages(http_store: str, tmp_path: Path) -> None:
    """Aliases and tags alone say what is where; MLflow's own stages stay None."""
    name = "desk without stages"
    with without_stages(http_store) as uri:
        desk = promote_and_roll_back(uri, tmp_path, name)
        desk.promote(name, 3, Stage.STAGING, "ready", ANALYST)
        desk.promote(name, 1, Stage.ARCHIVED, "retired", LEAD)
        assert registries.aliases(MlflowClient(uri), name) == {"staging": 3}
        assert desk.rollback(name, "needed after all", LEAD).order.plan.version == 1
    assert set(registries.stages(MlflowClient(http_store), name).values()) == {"None"}


@pytest.mark.parametrize("step", ["after the intent", "after MLflow's transaction", "after aliases and tags"])
def test_a_crash_on_a_server_without_stages(http_store: str, tmp_path: Path, step: str) -> None:
    name = f"crash without stages {step}"
    client = MlflowClient(http_store)
    registries.make_versions(client, name, 2)
    with without_stages(http_store) as uri:
        desk = registries.new_desk(uri, tmp_path)
        for version in (1, 2):
            desk.promote(name, version, Stage.STAGING, "ready", ANALYST)
        desk.promote(name, 1, Stage.PRODUCTION, "first", LEAD)

        def die(now: str) -> None:
            if now == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            registries.new_desk(uri, tmp_path, on_step=die).promote(name, 2, Stage.PRODUCTION, "second", LEAD)
        desk = registries.new_desk(uri, tmp_path)
        outcomes = desk.look()
        expected = (Fate.UNDONE, 1) if step == "after the intent" else (Fate.FINISHED_LATER, 2)
        assert [one.fate for one in outcomes] == [expected[0]]
        assert registries.aliases(client, name)["production"] == expected[1]
        assert len(desk.model(name).in_stage(Stage.PRODUCTION)) == 1


def test_a_model_with_an_awkward_name(new_registry: Callable[[], str], tmp_path: Path) -> None:
    for number, name in enumerate(("PPO it's 模型", 'a "b" 100%', "x.y-z_1")):
        promote_and_roll_back(new_registry(), tmp_path / str(number), name)

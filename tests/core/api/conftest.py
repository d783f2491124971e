"""An API over a store that plain MLflow has filled, as jonas the lead runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from starlette.applications import Starlette
from starlette.routing import Mount

from core.access import Actor, Role
from core.api.app import create_app
from core.audit import AuditTrail
from core.cli import cli
from core.database import open_database
from core.registry.gates.configuration import read_gates
from core.registry.types import Stage
from core.settings import Settings
from core.tokens import Tokens
from core.workspace import Workspace
from tests import stores
from tests.core.api.kit import Client, FakeTraining

ADMIN = Actor("root", Role.ADMIN)
GATES = {"*": {"smoke": False, "soak_hours": 0}, "slow": {"smoke": False, "soak_hours": 24}}


class Template:
    """A store with runs, and models with versions; tests work on copies of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        client = MlflowClient(stores.new_sqlite(folder))
        place = client.create_experiment("trading", artifact_location=str(folder / "artifacts"))
        self.runs = [stores.add_run(client, place, sharpe=number, seed=str(number)) for number in (1.0, 1.5)]
        nan = client.create_run(place, run_name="diverged")
        client.log_metric(nan.info.run_id, "loss", float("nan"))
        for name in ("ppo", "slow", "preis modell"):
            client.create_registered_model(name)
            for run_id in self.runs:
                client.create_model_version(name, f"s3://reader:hidden@bucket/{run_id}/model", run_id)
        client.create_registered_model("rl_agent")
        label = {"checkpoint": "checkpoint_20251128_153000"}
        source = (folder / "artifacts" / "deployed" / "model").as_uri()
        client.create_model_version("rl_agent", source, self.runs[0], tags=label)
        self.home = folder / "home"
        self.home.mkdir()
        engine = open_database(None, self.home)
        made = Tokens(lambda: engine, AuditTrail(lambda: engine, "template"))
        self.tokens = {role: made.create(f"{role} token", role, ADMIN) for role in Role}
        engine.dispose()


@pytest.fixture(scope="session")
def api_template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return Template(tmp_path_factory.mktemp("api"))


class Staged(Workspace):
    """A workspace whose training desk trains nothing."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        trail = AuditTrail(lambda: self.database, self.address.key)
        self._training = FakeTraining(settings.home)
        self._tokens = Tokens(lambda: self.database, trail)

    @property
    def training(self) -> Any:
        return self._training

    @property
    def tokens(self) -> Any:
        return self._tokens


@dataclass(frozen=True)
class Api:
    """A client, and what is behind it."""

    client: Client
    workspace: Workspace
    training: FakeTraining
    tokens: dict[Role, str]
    runs: list[str]

    def champion(self, model: str, *versions: int) -> None:
        """Bring versions into Production, one after the other."""
        lead = Actor("jonas", Role.LEAD)
        for version in versions:
            for stage in (Stage.STAGING, Stage.PRODUCTION):
                self.workspace.registry.promote(model, version, stage, f"v{version} is better", lead)


@pytest.fixture
def api(api_template: Template, tmp_path: Path) -> Iterator[Api]:
    shutil.copyfile(api_template.folder / "mlflow.db", tmp_path / "mlflow.db")
    shutil.copytree(api_template.home, tmp_path / "home")
    settings = Settings(
        tracking_uri=stores.sqlite_uri(tmp_path),
        home=tmp_path / "home",
        user="jonas",
        role="lead",
        gates=read_gates(GATES, "the test"),
    )
    workspace = Staged(settings)
    training = workspace.training
    app = Starlette(routes=[Mount("/api", create_app(lambda: workspace))])
    yield Api(Client(app), workspace, training, api_template.tokens, api_template.runs)
    workspace.close()


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

"""Registries for the tests of pages: made by plain MLflow and by the desk, with gates that are quick to judge."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import streamlit as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from streamlit.testing.v1 import AppTest

from core.access import Actor, Role
from core.database import open_database
from core.registry.desk import RegistryDesk
from core.registry.types import Stage
from core.workspace import Workspace
from tests import stores
from tests.dashboard.conftest import APP

MODEL = "ppo_usdcop"
ANA, AMARA = Actor("ana", Role.ANALYST), Actor("amara", Role.LEAD)
QUICK = '[gates."*"]\nsmoke = false\nsoak_hours = 0\n'


@dataclass
class Registry:
    """A tracking store, and pages opened on it in one role or another."""

    folder: Path
    uri: str
    client: MlflowClient
    monkeypatch: pytest.MonkeyPatch
    runs: list[str] = field(default_factory=list)

    def configure(self, text: str) -> None:
        """Write greenroom.toml."""
        (self.folder / "greenroom.toml").write_text(text)
        self.monkeypatch.setenv("GREENROOM_CONFIG", str(self.folder / "greenroom.toml"))

    def add_run(self, **metrics: float) -> str:
        """Log a run that holds a model."""
        experiments = self.client.search_experiments(filter_string="name = 'models'")
        if experiments:
            experiment = experiments[0].experiment_id
        else:
            place = str(self.folder / "artifacts")
            experiment = self.client.create_experiment("models", artifact_location=place)
        name = f"run {len(self.runs)}"
        run_id = str(self.client.create_run(experiment, run_name=name).info.run_id)
        values = [Metric(key, value, 1_700_000_000_000, 0) for key, value in metrics.items()]
        self.client.log_batch(run_id, values, [Param("depth", str(len(self.runs)))])
        self.client.log_text(run_id, "flavors: {}\n", "model/MLmodel")
        self.client.set_terminated(run_id)
        self.runs.append(run_id)
        return run_id

    def add_version(self, model: str = MODEL, **metrics: float) -> int:
        """Register a version by plain MLflow."""
        run_id = self.add_run(**(metrics or {"sharpe": 1.0 + len(self.runs)}))
        if not self.client.search_registered_models(f"name = '{model}'"):
            self.client.create_registered_model(model)
        return int(self.client.create_model_version(model, f"runs:/{run_id}/model", run_id).version)

    def move(self, version: int, stage: Stage, model: str = MODEL) -> None:
        """Move a version by plain MLflow, as somebody outside does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.client.transition_model_version_stage(model, str(version), str(stage))

    @property
    def workspace(self) -> Workspace:
        """The workspace that the pages use."""
        from dashboard import data

        return data.workspace()

    @property
    def desk(self) -> RegistryDesk:
        """The desk that the pages use."""
        return self.workspace.registry

    def promote(self, version: int, model: str = MODEL) -> None:
        """Take a version through Staging into Production, after an index was made."""
        self.workspace.runs.sync()
        self.desk.look()
        self.desk.promote(model, version, Stage.STAGING, "a first look", ANA)
        self.desk.promote(model, version, Stage.PRODUCTION, f"v{version} is better", AMARA)

    def open(self, page: str, by: Actor = AMARA, **query: str) -> AppTest:
        """Open a page as somebody."""
        self.act_as(by)
        # Straight to the page, without the first one before it.
        at = AppTest.from_file(APP, default_timeout=60)
        for key, value in query.items():
            at.query_params[key] = value
        if page != "overview":
            at.switch_page(f"views/{page}.py")
        at.run()
        assert not at.exception
        return at

    def act_as(self, by: Actor) -> None:
        """Change who acts from now on."""
        if os.environ.get("GREENROOM_USER") == by.name and os.environ.get("GREENROOM_ROLE") == str(by.role):
            return
        if "GREENROOM_USER" in os.environ:
            with contextlib.suppress(Exception):
                self.workspace.close()
            st.cache_resource.clear()
        self.monkeypatch.setenv("GREENROOM_USER", by.name)
        self.monkeypatch.setenv("GREENROOM_ROLE", str(by.role))


@functools.cache
def _migrated() -> bytes:
    """Return the bytes of Greenroom's own database without a row: making its tables takes a while."""
    with tempfile.TemporaryDirectory() as home:
        engine = open_database(None, Path(home))
        engine.dispose()
        return (Path(home) / "greenroom.db").read_bytes()


def make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Make an empty registry whose gates let everything pass."""
    uri = stores.new_sqlite(folder)
    (folder / "greenroom").mkdir()
    (folder / "greenroom" / "greenroom.db").write_bytes(_migrated())
    monkeypatch.setenv("GREENROOM_HOME", str(folder / "greenroom"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    registry = Registry(folder, uri, MlflowClient(uri), monkeypatch)
    registry.configure(QUICK)
    registry.act_as(AMARA)
    return registry


def do(at: AppTest, key: str, reason: str = "because") -> AppTest:
    """Press a button, say why, and press the one that asks whether that is meant."""
    at.button(key=key).click().run()
    assert not at.exception
    if any(one.key == f"{key}_reason" for one in at.text_input):
        at.text_input(key=f"{key}_reason").set_value(reason).run()
    at.button(key=f"{key}_yes").click().run()
    assert not at.exception
    return at


def everything(at: AppTest) -> str:
    """Return all texts of a page, successes and links included."""
    from tests.dashboard.conftest import texts

    more = [str(one.value) for one in at.success]
    links = [str(one.proto.label) for one in at.get("page_link")]
    tables = [str(one.value) for one in at.table]
    return "\n".join([texts(at), *more, *links, *tables])

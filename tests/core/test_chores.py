"""When a worker does what besides jobs, and what an automatic clean-up looks at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow import MlflowClient

from core import chores as module
from core.access import Actor, Role
from core.chores import chores, every
from core.registry.gates.configuration import read_gates
from core.registry.monitoring.configuration import read_watch
from core.registry.retention.configuration import RetentionSettings
from core.registry.types import Stage
from core.settings import Settings
from core.workspace import Workspace
from tests import registries, stores

LEAD = Actor("jonas", Role.LEAD)


def test_a_chore_is_done_at_once_and_then_not_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    done: list[float] = []

    def do() -> None:
        done.append(now)
        if len(done) == 2:
            raise RuntimeError

    chore = every(10, do)
    chore()
    now = 109.9
    chore()
    assert done == [100.0]
    now = 110.0
    with pytest.raises(RuntimeError):
        chore()
    # One that failed waits for its time, too.
    chore()
    assert done == [100.0, 110.0]


@pytest.fixture
def workspace(tmp_path: Path) -> Any:
    settings = Settings(
        tracking_uri=stores.new_sqlite(tmp_path),
        home=tmp_path / "home",
        gates=read_gates({"*": {"smoke": False, "soak_hours": 0}}, "the test"),
    )
    one = Workspace(settings)
    yield one
    one.close()


def test_only_what_the_settings_ask_for_is_watched_and_cleared_away(workspace: Workspace) -> None:
    plain = len(chores(workspace))
    watched = read_watch({"ppo": {"thresholds": ["sharpe >= 0.5"]}}, "the test")
    workspace.settings = replace(workspace.settings, watch=watched)
    assert len(chores(workspace)) == plain + 1
    workspace.settings = replace(workspace.settings, retention=RetentionSettings(automatic=True))
    assert len(chores(workspace)) == plain + 3


def test_every_chore_can_be_done_on_a_store_without_anything(workspace: Workspace) -> None:
    workspace.settings = replace(
        workspace.settings,
        watch=read_watch({"ppo": {"thresholds": ["sharpe >= 0.5"]}}, "the test"),
        retention=RetentionSettings(automatic=True),
    )
    for chore in chores(workspace):
        chore()


def test_a_model_is_cleaned_up_after_a_promotion_and_no_other_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(workspace.address.uri)
    registries.make_versions(client, "old", 1)
    registries.make_versions(client, "ppo", 2)
    cleaned: list[str] = []
    monkeypatch.setattr(
        Workspace, "retention", SimpleNamespace(after_deployment=cleaned.append), raising=False
    )
    look = module._after_deployments(workspace)

    def to(name: str, version: int, stage: Stage) -> None:
        registries.new_desk(workspace.address.uri, workspace.settings.home).promote(
            name, version, stage, "better", LEAD
        )

    to("old", 1, Stage.STAGING)
    to("old", 1, Stage.PRODUCTION)
    look()
    assert cleaned == [], "what was deployed before the worker began is left to the daily look"
    to("ppo", 2, Stage.STAGING)
    look()
    assert cleaned == []
    to("ppo", 2, Stage.PRODUCTION)
    look()
    look()
    assert cleaned == ["ppo"]

"""`greenroom retention`: dry run, apply, undo, trash, purge."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from core.cli_parts import Group
from core.cli_retention import COMMANDS
from tests.core.registry.retention import registry_of_50
from tests.core.registry.retention.registry_of_50 import NAME, NOW, Registry
from tests.registries import Hands

Ask = Callable[..., Result]


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    from core import clock

    hands = Hands(NOW)
    monkeypatch.setattr(clock, "now", hands)
    return hands


@pytest.fixture
def registry(tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Six versions, of which v1 and v2 are old enough to go."""
    registry = registry_of_50.make(tmp_path / "store", 6)
    monkeypatch.setenv("GREENROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
    workspace, _ = registry.open(tmp_path / "home")
    registry_of_50.archive(registry, workspace, {1: 60, 2: 59, 3: 58})
    workspace.close()
    return registry


@pytest.fixture
def ask(registry: Registry) -> Ask:
    group = Group("greenroom")
    for command in COMMANDS:
        group.add_command(command)

    def asked(*words: str, code: int = 0) -> Any:
        done = CliRunner().invoke(group, ["retention", *words])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if "--json" in words and not code else done.output

    return asked


def test_from_dry_run_to_purge(ask: Ask, registry: Registry, hands: Hands) -> None:
    text = ask()
    assert "2 go and 4 stay; 2,825 bytes come free." in text
    assert "it is among the last 3 versions" in text

    before = registry.content()
    plan = ask("--json")
    assert registry.content() == before
    assert [one["version"] for one in plan["goes"]] == [1, 2]
    assert plan["bytes"] == registry.model_bytes(1) + registry.model_bytes(2)
    assert [one["version"] for one in plan["stays"]] == [3, 4, 5, 6]

    refused = ask("apply", "--plan", "0" * 16, "--reason", "old", code=1)
    assert f"it is plan {plan['plan']}" in refused
    gone = ask("apply", "--plan", plan["plan"], "--reason", "old", "--json")
    assert [(one["name"], one["state"]) for one in gone] == [
        (f"{NAME} v1", "deleted"),
        (f"{NAME} v2", "deleted"),
    ]
    assert "Nothing is old enough to go." in ask()
    assert "Nothing is old enough to go." in ask("apply", "--reason", "old")
    assert f"{NAME} v2" in ask("trash", "--model", NAME)
    (back,) = ask("undo", str(gone[0]["id"]), "--reason", "needed", "--json")
    assert back["state"] == "restored"
    assert "Nothing is due" in ask("purge")
    hands.pass_hours(24 * 7 + 1)
    (purged,) = ask("purge", "--json")
    assert (purged["version"], purged["state"]) == (2, "purged")
    assert ask("trash") == "The trash is empty.\n"
    assert [one["state"] for one in ask("trash", "--all", "--json")] == ["purged", "restored"]


def test_bad_input_is_named(ask: Ask) -> None:
    assert "no registered model 'nobody'" in ask("--model", "nobody", code=2)
    assert "no entry 9 in the trash" in ask("undo", "9", "--reason", "x", code=2)
    assert "Give the options after `trash`." in ask("--json", "trash", code=2)


def test_a_role_that_may_not_is_told(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_ROLE", "analyst")
    assert "may not remove old versions and runs" in ask("apply", "--reason", "old", code=1)

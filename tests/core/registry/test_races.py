"""Many processes at one model: never two in Production, every change in the chain, each loser told why."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.registry import history
from core.registry.desk import RegistryDesk
from core.registry.types import Stage
from tests import registries, servers

SECONDS = float(os.environ.get("RACE_SECONDS", "6"))
PROCESSES = 8
FILLED = 6


def fill(desk: RegistryDesk) -> None:
    """Bring three versions through Production, so that there is something to roll back to."""
    for version in range(1, 1 + FILLED // 2):
        for stage in (Stage.STAGING, Stage.PRODUCTION):
            desk.promote("m", version, stage, "before the race", registries.LEAD)


def race(uri: str, home: Path, database: str, look: Callable[[], None]) -> list[dict[str, Any]]:
    """Run the processes, and look as often as can be while they run."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-W", "ignore", "-m", "tests.core.registry.racing", uri, str(home), database]
    running = [
        subprocess.Popen(
            [*command, f"racer {number}", str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        for number in range(PROCESSES)
    ]
    for one in running:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    while any(one.poll() is None for one in running):
        look()
    said = [one.communicate()[0] for one in running]
    return [json.loads(text) for text in said]


def check(found: list[dict[str, Any]], uri: str, desk: RegistryDesk) -> None:
    """Check that what the processes say was done is what is recorded and what MLflow has."""
    assert [error for one in found for error in one["errors"]] == []
    done: Counter[str] = sum((Counter(one["done"]) for one in found), Counter())
    refused: Counter[str] = sum((Counter(one["refused"]) for one in found), Counter())
    assert refused and sum(bool(one["done"]) for one in found) > 1, "several win, and somebody loses"
    desk.look()
    recorded = Counter(event.action for event in desk.events("m"))
    moved = sum(count for act, count in done.items() if act.endswith(": done"))
    assert recorded["promoted"] + recorded["rolled back"] == moved + FILLED
    assert recorded["rolled back"] == done["roll back: done"]
    assert moved > 1
    assert history.OUTSIDE not in recorded
    assert desk.trail.verify().whole
    inside = registries.in_production(MlflowClient(uri), "m")
    assert len(inside) == 1
    assert [one.version for one in history.reigns(desk.events("m")) if one.end is None] == inside
    print(f"\n{moved} changes, {sum(refused.values())} refusals in {SECONDS:g} s")


@pytest.mark.timeout(180)
def test_eight_processes_at_one_model(new_registry: Callable[[], str], tmp_path: Path) -> None:
    uri, most = new_registry(), 0
    desk = registries.new_desk(uri, tmp_path / "home")
    fill(desk)
    connection = sqlite3.connect(uri.removeprefix("sqlite:///"), timeout=20)

    def look() -> None:
        nonlocal most
        query = "select count(*) from model_versions where current_stage = 'Production'"
        most = max(most, connection.execute(query).fetchone()[0])

    found = race(uri, tmp_path / "home", "", look)
    connection.close()
    check(found, uri, desk)
    assert most == 1


@pytest.mark.postgres
@pytest.mark.timeout(180)
def test_eight_processes_on_postgresql(
    new_registry: Callable[[], str], postgres: servers.Postgres, tmp_path: Path
) -> None:
    uri, database = new_registry(), postgres.create("race", "")
    desk = registries.new_desk(uri, tmp_path / "home", database_uri=database)
    fill(desk)
    # Each has a home of its own, as on machines of their own: the lock is in the database.
    found = race(uri, tmp_path / "elsewhere", database, lambda: None)
    check(found, uri, desk)

"""kill -9 at any line of a promotion or a rollback: afterwards one version is in Production and all is recorded."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.registry import history
from core.registry.promotion import Fate
from core.registry.types import Stage
from tests import registries

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "36"))


class Dying:
    """The process of `dying.py`."""

    def __init__(self) -> None:
        root = Path(__file__).parents[3]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.core.registry.dying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return dict(answer)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    process = Dying()
    yield process
    process.close()


def ready_to_promote(desk: Any, client: MlflowClient) -> int:
    """Return a version in Staging; bring one there where there is none."""
    stages = registries.stages(client, "m")
    waiting = [one for one, stage in stages.items() if stage == "Staging"]
    if waiting:
        return waiting[0]
    version = next(one for one, stage in sorted(stages.items()) if stage in ("None", "Archived"))
    desk.promote("m", version, Stage.STAGING, "next", registries.LEAD)
    return version


@pytest.mark.timeout(900)
def test_kill_at_any_line(dying: Dying, new_registry: Callable[[], str], tmp_path: Path) -> None:
    uri = new_registry()
    home = tmp_path / "home"
    client = MlflowClient(uri)
    desk = registries.new_desk(uri, home)
    order = {"uri": uri, "home": str(home)}
    for version in (1, 2):
        desk.promote("m", version, Stage.STAGING, "first", registries.LEAD)
        desk.promote("m", version, Stage.PRODUCTION, "first", registries.LEAD)

    version = ready_to_promote(desk, client)
    whole = {
        "promote": dying.order(**order, act="promote", version=version, lines=None),
        "rollback": dying.order(**order, act="rollback", lines=None),
    }
    draw, fates, changed = random.Random(1), set(), 0
    for number in range(ROUNDS):
        act = ("promote", "rollback")[number % 2]
        desk.look()
        version = ready_to_promote(desk, client)
        if act == "rollback":
            # So that there is always something to go back to.
            desk.promote("m", version, Stage.PRODUCTION, "next", registries.LEAD)
        before = registries.in_production(client, "m")
        # Each time between two steps in turn, and by chance within it; most lines come before the first step.
        edges = [0, *whole[act]["steps"], whole[act]["lines"]]
        part = number // 2 % (len(edges) - 1)
        lines = draw.randint(edges[part], edges[part + 1])
        answer = dying.order(**order, act=act, version=version, lines=lines)
        outcomes = desk.look()

        inside = registries.in_production(client, "m")
        assert len(inside) == 1, f"{act} killed after {lines} lines"
        changed += inside != before
        assert registries.aliases(client, "m")["production"] == inside[0]
        tags = client.get_model_version("m", str(inside[0])).tags
        assert tags["greenroom.stage"] == "Production"
        assert desk.trail.verify().whole
        events = desk.events("m")
        assert [one.version for one in history.reigns(events) if one.end is None] == inside
        assert not any(event.action == history.OUTSIDE for event in events)
        assert desk.watch.seen()["m"][inside[0]].stage is Stage.PRODUCTION
        for outcome in outcomes:
            fates.add(outcome.fate)
            assert outcome.sentence
            assert outcome.fate is not Fate.ABANDONED
            finished = outcome.fate is Fate.FINISHED_LATER
            assert finished == (inside != before), f"{outcome.sentence} after {lines} lines"
        assert answer["killed"] or answer["fate"] == "done"
        assert desk.look() == (), "what was left is dealt with once"
    assert fates == {Fate.FINISHED_LATER, Fate.UNDONE}
    assert 0 < changed < ROUNDS


def test_a_kill_leaves_the_lock_free(dying: Dying, new_registry: Callable[[], str], tmp_path: Path) -> None:
    uri = new_registry()
    desk = registries.new_desk(uri, tmp_path / "home")
    desk.promote("m", 1, Stage.STAGING, "first", registries.LEAD)
    answer = dying.order(uri=uri, home=str(tmp_path / "home"), act="promote", version=1, lines=300)
    assert answer["killed"]
    outcome = desk.promote("m", 1, Stage.PRODUCTION, "again", registries.LEAD)
    assert outcome.fate in (Fate.DONE, Fate.NOTHING_TO_DO)
    assert registries.in_production(MlflowClient(uri), "m") == [1]


def test_a_file_store_that_was_left_half_way_is_finished(tmp_path: Path) -> None:
    """MLflow's file store archives the old champion and promotes the new one in two writes."""
    uri = (tmp_path / "mlruns").as_uri()
    client = MlflowClient(uri)
    registries.make_versions(client, "m", 3)
    home = tmp_path / "home"

    def die(step: str) -> None:
        if step == "after the intent":
            raise KeyboardInterrupt

    for version in (1, 2):
        desk = registries.new_desk(uri, home)
        desk.promote("m", version, Stage.STAGING, "first", registries.LEAD)
        if version == 1:
            desk.promote("m", version, Stage.PRODUCTION, "first", registries.LEAD)
    with pytest.raises(KeyboardInterrupt):
        registries.new_desk(uri, home, on_step=die).promote(
            "m", 2, Stage.PRODUCTION, "second", registries.LEAD
        )
    registries.put(client, "m", 1, "Archived")  # the first of the two writes
    desk = registries.new_desk(uri, home)
    outcomes = desk.look()
    assert [one.fate for one in outcomes] == [Fate.FINISHED_LATER]
    assert registries.in_production(client, "m") == [2]
    assert registries.aliases(client, "m") == {"production": 2}


def test_what_changed_outside_meanwhile_is_not_overwritten(
    new_registry: Callable[[], str], tmp_path: Path
) -> None:
    uri, home = new_registry(), tmp_path / "home"
    client = MlflowClient(uri)
    desk = registries.new_desk(uri, home)
    desk.promote("m", 1, Stage.STAGING, "first", registries.LEAD)

    def die(step: str) -> None:
        if step == "after the intent":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        registries.new_desk(uri, home, on_step=die).promote("m", 1, Stage.PRODUCTION, "it", registries.LEAD)
    registries.put(client, "m", 5, "Production")
    outcomes = desk.look()
    assert [one.fate for one in outcomes] == [Fate.ABANDONED]
    assert "v5 is in Production instead of nothing" in outcomes[0].sentence
    assert registries.in_production(client, "m") == [5]
    assert [one.action for one in desk.events("m")][-2:] == [str(Fate.ABANDONED), history.OUTSIDE]

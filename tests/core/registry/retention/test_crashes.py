"""kill -9 at every step of removing, bringing back and purging: afterwards it is done once, or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.registry import history
from core.registry.retention.configuration import RetentionSettings, RunRule
from core.registry.retention.desk import RetentionDesk
from core.registry.retention.marks import DELETED_TAG
from core.registry.retention.trash import UNFINISHED, TrashState
from core.workspace import Workspace
from tests import registries
from tests.core.registry.retention import registry_of_50
from tests.core.registry.retention.registry_of_50 import NAME, Registry
from tests.registries import LEAD, Hands

RUNS = [{"experiment": "sweeps", "older_than_days": 30}]


class Dying:
    """The process of `dying.py`."""

    def __init__(self, registry: Registry, home: Path) -> None:
        root = Path(__file__).parents[4]
        self._order = {"uri": registry.uri, "home": str(home), "runs": RUNS, "ids": []}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.core.registry.retention.dying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def order(self, act: str, hands: Hands, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        given = {**self._order, "act": act, "at": hands().isoformat(), **order}
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return dict(answer)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture
def scene(tmp_path: Path, hands: Hands) -> Iterator[tuple[Registry, Workspace, RetentionDesk, Dying]]:
    """Nine versions and three runs that are old enough to go."""
    registry = registry_of_50.make(tmp_path / "store", 13)
    sweeps = registry.client.create_experiment("sweeps", artifact_location=str(registry.folder / "sweeps"))
    for number in (1, 2, 3):
        run = registry.client.create_run(sweeps, run_name=f"sweep {number}", start_time=1_700_000_000_000)
        registry_of_50.write_model(Path(run.info.artifact_uri) / "model", number)
        registry.client.set_terminated(run.info.run_id, end_time=1_700_000_100_000)
    home = tmp_path / "home"
    workspace, desk = registry.open(home, RetentionSettings(runs=tuple(RunRule(**one) for one in RUNS)))
    registry_of_50.archive(registry, workspace, dict.fromkeys(range(1, 11), 60))
    workspace.runs.sync()
    dying = Dying(registry, home)
    yield registry, workspace, desk, dying
    dying.close()
    workspace.close()


def check(registry: Registry, workspace: Workspace, desk: RetentionDesk) -> None:
    """What the trash says, what MLflow says and what the events say is the same."""
    workspace.registry.look()
    entries = desk.trash(closed=True)
    assert not [one for one in entries if one.state in UNFINISHED]
    versions = {int(one.version): one for one in registry.client.search_model_versions(f"name = '{NAME}'")}
    waiting = {one.subject.version: one for one in entries if one.state is TrashState.DELETED}
    marked = {number for number, one in versions.items() if DELETED_TAG in one.tags}
    assert marked == {number for number in waiting if number is not None}
    for one in entries:
        if one.subject.run_id is None or one.subject.version is not None:
            continue
        deleted = registry.client.get_run(one.subject.run_id).info.lifecycle_stage == "deleted"
        latest = next(each for each in entries if each.subject == one.subject)
        assert deleted == (latest.state in (TrashState.DELETED, TrashState.PURGED)), latest
    purged = {one.subject.version for one in entries if one.state is TrashState.PURGED}
    assert purged.isdisjoint(versions)
    said = Counter((one.details.get("trash"), one.action) for one in workspace.registry.trail.events())
    for one in entries:
        retired = one.state is not TrashState.KEPT
        assert said[one.id, "retired"] == retired
        assert said[one.id, "restored"] == (one.state is TrashState.RESTORED)
        assert said[one.id, "purged"] == (one.state is TrashState.PURGED)
    assert not [one for one in workspace.registry.events(NAME) if one.action == history.DELETED_OUTSIDE]
    assert workspace.registry.trail.verify().whole
    assert desk.recover() == (), "what was left is dealt with once"


Scene = tuple[Registry, Workspace, RetentionDesk, Dying]


def test_kill_at_every_step_of_removing(scene: Scene, hands: Hands) -> None:
    registry, workspace, desk, dying = scene
    promised = desk.plan()
    assert len(promised.goes) == 12
    outcomes = set()
    for die_at in (*range(1, 6), 48, 50):  # five steps each: the first version, and a run
        assert dying.order("apply", hands, die_at=die_at)["killed"]
        outcomes |= {one.state for one in desk.recover()}
        check(registry, workspace, desk)
        waiting = [one.id for one in desk.trash()]
        if waiting:
            desk.undo(waiting, LEAD, "once more")
        assert desk.plan().fingerprint == promised.fingerprint
    assert outcomes == {TrashState.KEPT, TrashState.DELETED}, "given up, or finished"


def test_kill_at_every_step_of_bringing_back(scene: Scene, hands: Hands) -> None:
    registry, workspace, desk, dying = scene
    retired = desk.apply(desk.plan(), LEAD, "a test")
    versions = [one.id for one in retired if one.subject.version is not None]
    runs = [one.id for one in retired if one.subject.version is None]
    for die_at, number in zip((1, 2, 3, 4, 1, 2, 3), (*versions[:4], *runs), strict=True):
        assert dying.order("undo", hands, die_at=die_at, ids=[number])["killed"]
        desk.recover()
        check(registry, workspace, desk)
        back = next(one for one in desk.trash(closed=True) if one.id == number)
        assert back.state is TrashState.RESTORED


def test_kill_at_every_step_of_purging(scene: Scene, hands: Hands) -> None:
    registry, workspace, desk, dying = scene
    folders = {number: registry.model_folder(number) for number in range(1, 11)}
    desk.apply(desk.plan(), LEAD, "a test")
    hands.pass_hours(24 * 8)
    left = len(desk.due())
    for die_at in range(1, 7):
        assert dying.order("purge", hands, die_at=die_at)["killed"]
        # Whoever looks first must not take it for a deletion outside.
        workspace.registry.look()
        desk.recover()
        check(registry, workspace, desk)
        assert len(desk.due()) == left - die_at
    last = dying.order("purge", hands, die_at=None)
    assert not last["killed"]
    check(registry, workspace, desk)
    assert desk.due() == ()
    assert sorted(number for number, folder in folders.items() if folder.exists()) == [10]
    assert sorted(registries.stages(registry.client, NAME)) == [10, 11, 12, 13]
    assert not [path for path in (registry.folder / "sweeps").rglob("*") if path.is_file()]


def test_nothing_is_given_up_while_somebody_is_at_it(
    tmp_path: Path, hands: Hands, registry: Registry
) -> None:
    workspace, desk = registry.open(tmp_path / "home")
    seen: list[Any] = []
    other_workspace, other = registry.open(tmp_path / "home")

    def look(name: str) -> None:
        if name == "after the intent":
            seen.append((other.recover(), [one.state for one in other.trash()]))

    _, busy = registry.open(tmp_path / "home", on_step=look)
    registry_of_50.archive(registry, workspace, {1: 60, 2: 59})
    workspace.runs.sync()
    busy.apply(busy.plan(), LEAD, "a test")
    assert seen == [((), [TrashState.OPENING])]
    assert [one.state for one in desk.trash()] == [TrashState.DELETED]
    other_workspace.close()
    workspace.close()

"""Retention on a real registry: what it refuses, what it keeps after all, and runs by rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.access import Actor, Role
from core.errors import BadInputError, NotFoundError, RefusedError
from core.registry import history
from core.registry.retention.configuration import RetentionSettings, RunRule
from core.registry.retention.desk import RetentionDesk
from core.registry.retention.marks import is_gone
from core.registry.retention.trash import TrashState
from core.registry.types import Stage
from core.workspace import Workspace
from tests import registries
from tests.core.registry.retention import registry_of_50
from tests.core.registry.retention.registry_of_50 import NAME, Registry
from tests.registries import ANALYST, LEAD, Hands

SWEEPS = RetentionSettings(runs=(RunRule("sweeps", older_than_days=30, keep=1),))


@dataclass
class Scene:
    registry: Registry
    workspace: Workspace
    desk: RetentionDesk
    client: MlflowClient
    hands: Hands

    def gone(self) -> list[int]:
        model = self.workspace.registry.watch.fresh(NAME)
        return [one.version for one in model.versions if is_gone(one)]

    def remove(self) -> dict[int | None, int]:
        done = self.desk.apply(self.desk.plan(), LEAD, "old")
        return {one.subject.version: one.id for one in done}

    def sweep(self, name: str, parent: str | None = None, days: float = 60) -> str:
        experiment = self.client.get_experiment_by_name("sweeps").experiment_id
        ended = int((self.hands.time.timestamp() - days * 86_400) * 1000)
        tags = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(experiment, start_time=ended - 1000, run_name=name, tags=tags)
        registry_of_50.write_model(Path(run.info.artifact_uri) / "model", 1)
        self.client.set_terminated(run.info.run_id, end_time=ended)
        self.workspace.runs.sync()
        return str(run.info.run_id)


@pytest.fixture
def scene(registry: Registry, tmp_path: Path, hands: Hands) -> Iterator[Scene]:
    """Ten versions; v1 to v4 are old enough to go, v5 is what a rollback would bring back."""
    workspace, desk = registry.open(tmp_path / "home", SWEEPS)
    registry.client.create_experiment("sweeps", str(registry.folder / "sweeps"))
    registry_of_50.archive(registry, workspace, {1: 60, 2: 59, 3: 58, 4: 57, 5: 56})
    workspace.runs.sync(rebuild=True)
    yield Scene(registry, workspace, desk, registry.client, hands)
    workspace.close()


def test_an_analyst_removes_nothing(scene: Scene) -> None:
    plan = scene.desk.plan()
    for act in (
        lambda: scene.desk.apply(plan, ANALYST, "old"),
        lambda: scene.desk.undo([1], ANALYST, "old"),
        lambda: scene.desk.purge(Actor("amara", Role.VIEWER)),
    ):
        with pytest.raises(RefusedError, match="may not remove old versions and runs"):
            act()
    assert scene.gone() == []


def test_a_reason_is_needed(scene: Scene) -> None:
    with pytest.raises(BadInputError):
        scene.desk.apply(scene.desk.plan(), LEAD, " ")
    with pytest.raises(BadInputError):
        scene.desk.undo([], LEAD, "why not")


def test_a_plan_that_does_not_hold_any_more_is_refused_whole(scene: Scene) -> None:
    plan = scene.desk.plan()
    assert [one.subject.version for one in plan.goes] == [1, 2, 3, 4]
    scene.client.set_model_version_tag(NAME, "3", "greenroom.legal_hold", "case 1")
    with pytest.raises(RefusedError, match="not what was promised") as caught:
        scene.desk.apply(plan, LEAD, "old")
    assert caught.value.reasons == (f"{NAME} v3 was to go and stays now",)
    assert scene.gone() == []


def test_a_hold_on_the_run_that_the_index_has_not_seen_counts(scene: Scene) -> None:
    plan = scene.desk.plan()
    scene.client.set_tag(plan.goes[1].subject.run_id, "greenroom.legal_hold", "case 1")
    with pytest.raises(RefusedError):
        scene.desk.apply(plan, LEAD, "old")
    assert scene.gone() == []


def test_what_grows_old_after_the_promise_does_not_go_with_it(scene: Scene) -> None:
    registry_of_50.archive(scene.registry, scene.workspace, {6: 29.99, 7: 3})
    plan = scene.desk.plan()
    assert 6 not in [one.subject.version for one in plan.goes]
    scene.hands.pass_hours(24)
    scene.desk.apply(plan, LEAD, "old")
    assert 6 not in scene.gone()
    assert [one.subject.version for one in scene.desk.plan().goes] == [6]


def test_a_model_alone(scene: Scene) -> None:
    scene.sweep("newest", days=50)
    scene.sweep("old")
    assert len(scene.desk.plan().goes) == 5
    plan = scene.desk.plan(NAME)
    assert [one.subject.version for one in plan.goes] == [1, 2, 3, 4]
    with pytest.raises(NotFoundError):
        scene.desk.plan("nobody")


def test_a_gone_version_is_neither_promoted_nor_rolled_back_to(scene: Scene) -> None:
    scene.remove()
    desk = scene.workspace.registry
    for act in (
        lambda: desk.promote(NAME, 1, Stage.STAGING, "why not", LEAD),
        lambda: desk.rollback(NAME, "why not", LEAD, to_version=1),
        lambda: desk.ask(NAME, 1, Stage.STAGING, "why not", LEAD),
    ):
        with pytest.raises(RefusedError, match="v1 was removed at 2026-06-01"):
            act()


def test_what_cannot_be_brought_back_says_why(scene: Scene) -> None:
    numbers = scene.remove()
    scene.desk.undo([numbers[1]], LEAD, "needed")
    with pytest.raises(RefusedError, match=f"{NAME} v1. is restored since"):
        scene.desk.undo([numbers[2], numbers[1]], LEAD, "needed")
    assert scene.gone() == [2, 3, 4]
    with pytest.raises(NotFoundError, match="no entry 999"):
        scene.desk.undo([999], LEAD, "needed")
    scene.client.delete_model_version(NAME, "2")
    with pytest.raises(RefusedError, match="v2 cannot be brought back: it is not in MLflow any more"):
        scene.desk.undo([numbers[2]], LEAD, "needed")
    entry = next(one for one in scene.desk.trash(closed=True) if one.id == numbers[2])
    assert (entry.state, entry.note) == (TrashState.KEPT, "it is not in MLflow any more")


def test_the_trash_keeps_the_whole_record(scene: Scene) -> None:
    scene.remove()
    entry = next(one for one in scene.desk.trash(NAME) if one.subject.version == 3)
    said = scene.client.get_model_version(NAME, "3")
    content = entry.record["content"]
    assert (content["source"], content["run_id"], content["stage"]) == (said.source, said.run_id, "Archived")
    assert said.tags["greenroom.deleted_at"] == entry.mark


def test_what_must_stay_after_all_is_brought_back_instead_of_purged(scene: Scene) -> None:
    scene.remove()
    scene.client.set_tag(scene.client.get_model_version(NAME, "1").run_id, "greenroom.legal_hold", "case 1")
    scene.client.set_registered_model_alias(NAME, "paper", "2")
    scene.client.delete_model_version_tag(NAME, "3", "greenroom.deleted_at")
    registries.put(scene.client, NAME, 4, "Production")
    scene.hands.pass_hours(24 * 7 + 1)
    done = {one.subject.version: one for one in scene.desk.purge()}
    assert {one.state for one in done.values()} == {TrashState.KEPT}
    assert "legal hold: the run" in done[1].note
    assert "alias" in done[2].note
    assert "mark was taken away" in done[3].note
    assert "it is the champion" in done[4].note
    assert scene.gone() == []
    assert len(list((scene.registry.folder / "artifacts").glob("*/artifacts/model/MLmodel"))) == 5
    kept = [one for one in scene.workspace.registry.events(NAME) if one.action == "kept"]
    assert sorted(one.version or 0 for one in kept) == [1, 2, 3, 4]
    assert scene.desk.due() == ()


def test_files_that_a_copy_uses_stay_and_are_not_promised(scene: Scene) -> None:
    scene.client.copy_model_version(f"models:/{NAME}/2", "paper")
    plan = scene.desk.plan(NAME)
    going = next(one for one in plan.goes if one.subject.version == 2)
    assert (going.bytes, going.files) == (0, 0)
    assert "paper v1" in going.note
    place = scene.registry.model_folder(2)
    scene.remove()
    scene.hands.pass_hours(24 * 7 + 1)
    done = {one.subject.version: one for one in scene.desk.purge()}
    assert done[2].state is TrashState.PURGED
    assert "paper v1" in done[2].note
    assert (place / "MLmodel").exists()


def test_two_versions_of_the_same_files_promise_them_once(scene: Scene) -> None:
    first = scene.client.get_model_version(NAME, "1")
    scene.client.create_model_version(NAME, first.source, first.run_id)
    for number in (12, 13, 14):
        registry_of_50.add_version(scene.client, "1", number)
    registry_of_50.archive(scene.registry, scene.workspace, {11: 56.5, 12: 20})
    size, place = scene.registry.model_bytes(1), scene.registry.model_folder(1)
    plan = scene.desk.plan(NAME)
    assert [one.subject.version for one in plan.goes] == [1, 2, 3, 4, 5, 11]
    assert sum(one.bytes or 0 for one in plan.goes if one.subject.version in (1, 11)) == size
    scene.remove()
    scene.hands.pass_hours(24 * 7 + 1)
    scene.desk.purge()
    assert not place.exists()


def test_an_undo_after_the_purge_says_that_it_is_too_late(scene: Scene) -> None:
    numbers = scene.remove()
    scene.hands.pass_hours(24 * 7 + 1)
    scene.desk.purge()
    with pytest.raises(RefusedError, match=r"is purged since .* files with"):
        scene.desk.undo([numbers[1]], LEAD, "too late")
    assert scene.desk.purge() == ()


def test_the_watch_says_nothing_of_a_purge_that_died_and_all_of_what_others_delete(scene: Scene) -> None:
    scene.remove()
    scene.hands.pass_hours(24 * 7 + 1)

    def die(step: str) -> None:
        if step == "after MLflow":
            raise KeyboardInterrupt

    _, dying = scene.registry.open(scene.workspace.settings.home, SWEEPS, die)
    with pytest.raises(KeyboardInterrupt):
        dying.purge()
    scene.client.delete_model_version(NAME, "4")
    scene.workspace.registry.look()
    deleted = [one for one in scene.workspace.registry.events(NAME) if one.action == history.DELETED_OUTSIDE]
    assert [one.version for one in deleted] == [4]
    (finished,) = scene.desk.recover()
    assert (finished.subject.version, finished.state) == (1, TrashState.PURGED)
    scene.workspace.registry.look()
    events = scene.workspace.registry.events(NAME)
    assert [one.version for one in events if one.action == "purged"] == [1]
    assert len([one for one in events if one.action == history.DELETED_OUTSIDE]) == 1


# Runs


def test_runs_go_by_rule_come_back_and_lose_their_files(scene: Scene) -> None:
    newest = scene.sweep("newest", days=40)
    root = scene.sweep("root")
    child = scene.sweep("child", parent=root)
    young = scene.sweep("young", days=2)
    held = scene.sweep("held")
    scene.client.set_tag(held, "greenroom.legal_hold", "true")
    scene.workspace.runs.sync(thorough=True)
    plan = scene.desk.plan()
    runs = [one for one in plan.goes if one.subject.version is None]
    assert {one.subject.run_id for one in runs} == {newest, root, child}
    reasons = {one.subject.run_id: one.reason for one in plan.stays if one.subject.version is None}
    assert "among the newest 1" in reasons[young]
    assert "legal hold" in reasons[held]
    folder = scene.registry.folder / "sweeps"
    assert {one.files for one in runs} == {3}

    done = scene.desk.apply(plan, LEAD, "old")
    assert scene.client.get_run(root).info.lifecycle_stage == "deleted"
    assert scene.workspace.runs.run(root).lifecycle_stage == "deleted"
    numbers = {one.subject.run_id: one.id for one in done}
    scene.desk.undo([numbers[newest]], LEAD, "needed")
    assert scene.client.get_run(newest).info.lifecycle_stage == "active"
    assert scene.workspace.runs.run(newest).lifecycle_stage == "active"

    scene.hands.pass_hours(24 * 7 + 1)
    before = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    purged = [one for one in scene.desk.purge() if one.subject.version is None]
    assert {one.subject.run_id for one in purged} == {root, child}
    assert all("mlflow gc" in one.note for one in purged)
    promised = sum(one.bytes or 0 for one in runs if one.subject.run_id != newest)
    assert before - sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) == promised
    assert scene.client.get_run(root).info.lifecycle_stage == "deleted"
    actions = [one.action for one in scene.workspace.registry.trail.events() if "run_id" in one.details]
    assert sorted(actions) == ["purged"] * 2 + ["restored"] + ["retired"] * 3


def test_a_run_with_a_version_stays(scene: Scene) -> None:
    rules = RetentionSettings(runs=(RunRule("trading", older_than_days=1),))
    _, desk = scene.registry.open(scene.workspace.settings.home, rules)
    plan = desk.plan()
    assert not [one for one in plan.goes if one.subject.version is None]
    assert {one.reason for one in plan.stays if one.subject.version is None} == {
        f"{NAME} v{number} came from it" for number in range(1, 11)
    }


def test_a_rule_that_cannot_be_followed_is_named(scene: Scene) -> None:
    for rule in (RunRule("nowhere"), RunRule("trading", filter="metrics.sharpe >> 3")):
        _, desk = scene.registry.open(scene.workspace.settings.home, RetentionSettings(runs=(rule,)))
        with pytest.raises(BadInputError, match=r"A rule under \[\[retention.runs\]\] cannot be followed"):
            desk.plan()


# By itself


def test_a_clean_up_removes_now_and_purges_later(scene: Scene) -> None:
    first = scene.desk.clean_up()
    assert [one.subject.version for one in first.retired] == [1, 2, 3, 4]
    assert first.purged == ()
    scene.hands.pass_hours(24 * 7 + 1)
    later = scene.desk.clean_up()
    assert [one.subject.version for one in later.purged] == [1, 2, 3, 4]
    assert scene.desk.after_deployment(NAME) is not None
    off = RetentionSettings(after_deployment=False)
    assert scene.registry.open(scene.workspace.settings.home, off)[1].after_deployment(NAME) is None

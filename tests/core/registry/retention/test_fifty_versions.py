"""A registry of 50 versions: dry run, real run, undo, purge."""

from __future__ import annotations

from pathlib import Path

from core.audit import AuditEvent
from core.registry import history
from core.registry.retention.marks import is_gone
from core.registry.retention.trash import TrashState
from core.registry.types import Stage
from tests import registries
from tests.core.registry.retention import registry_of_50
from tests.core.registry.retention.registry_of_50 import NAME
from tests.registries import LEAD, Hands

OLD = range(1, 41)
"""In Archived for 60 days and less, the first longest; those above v30 not long enough."""


def test_exactly_the_promised_ones_go_and_come_back_and_free_their_bytes(
    tmp_path: Path, hands: Hands
) -> None:
    registry = registry_of_50.make(tmp_path / "store", 50)
    client = registry.client
    workspace, desk = registry.open(tmp_path / "home")
    registry_of_50.archive(registry, workspace, {number: 60.5 - number for number in OLD})
    for version in (44, 45):
        workspace.registry.promote(NAME, version, Stage.STAGING, "next", LEAD)
        registries.put(client, NAME, version, "Production", archive=True)
        workspace.registry.look()
    held = {3: "legal hold", 4: "legal hold", 5: "baseline", 6: "baseline", 7: "alias", 8: "request"}
    client.set_model_version_tag(NAME, "3", "greenroom.legal_hold", "case 12")
    client.set_tag(client.get_model_version(NAME, "4").run_id, "greenroom.legal_hold", "true")
    client.set_model_version_tag(NAME, "5", "greenroom.baseline", "true")
    client.set_tag(client.get_model_version(NAME, "6").run_id, "greenroom.baseline", "2024")
    client.set_model_version_tag(NAME, "9", "greenroom.baseline", "false")
    client.set_registered_model_alias(NAME, "paper", "7")
    workspace.runs.sync(thorough=True)
    workspace.registry.ask(NAME, 8, Stage.STAGING, "it was better", LEAD)
    expected = [number for number in range(1, 31) if number not in held]

    # The dry run says what goes, why the rest stays, and changes no byte.
    before = registry.content()
    plan = desk.plan()
    assert registry.content() == before
    assert [one.subject.version for one in plan.goes] == expected
    assert plan.bytes == sum(registry.model_bytes(version) for version in expected)
    assert plan.uncounted == 0
    assert {one.files for one in plan.goes} == {3}
    stays = {one.subject.version: one.reason for one in plan.stays}
    assert sorted(stays) == sorted(set(range(1, 51)) - set(expected))
    for version, word in held.items():
        assert word in stays[version]
    assert stays[35] == "it is in Archived for 25 days; it goes after 30"
    assert stays[45].startswith("it is the champion")
    assert "a rollback would bring it back" in stays[44]
    assert "None" in stays[47] and "among the last" not in stays[47]
    assert "it is among the last 3 versions" in stays[48]

    # The real run lets exactly those go, to plain MLflow they are still there.
    files = {name: content for name, content in before.items() if not name.startswith("mlflow.db")}
    done = desk.apply(plan, LEAD, "spring cleaning")
    assert [one.subject.version for one in done] == expected
    assert {one.state for one in done} == {TrashState.DELETED}
    after = registry.content()
    assert {name: content for name, content in after.items() if not name.startswith("mlflow.db")} == files
    model = workspace.registry.watch.fresh(NAME)
    assert [one.version for one in model.versions if is_gone(one)] == expected
    assert len(registries.stages(client, NAME)) == 50
    assert desk.plan().goes == ()
    assert [one.version for one in _events(workspace.registry.events(NAME), "retired")] == expected

    # Undo brings two of them back as they were, and plain MLflow loads them.
    numbers = {one.subject.version: one.id for one in done}
    desk.undo([numbers[1], numbers[2]], LEAD, "needed for the audit")
    model = workspace.registry.watch.fresh(NAME)
    assert [one.version for one in model.versions if is_gone(one)] == expected[2:]
    assert "greenroom.deleted_at" not in client.get_model_version(NAME, "1").tags
    assert registry_of_50.load(registry, 1).predict([0]) == [1001]
    assert registry_of_50.load(registry, 2).predict([0]) == [1002]
    assert [one.subject.version for one in desk.plan().goes] == [1, 2]

    # When the window is over, what is left goes for good, and frees what was promised.
    assert desk.purge() == ()
    hands.pass_hours(7 * 24 + 1)
    size = _size(registry.folder / "artifacts")
    promised = sum(one.bytes or 0 for one in plan.goes if one.subject.version not in (1, 2))
    purged = desk.purge()
    assert {one.state for one in purged} == {TrashState.PURGED}
    assert [one.subject.version for one in purged] == expected[2:]
    assert size - _size(registry.folder / "artifacts") == promised
    assert sorted(registries.stages(client, NAME)) == sorted(set(range(1, 51)) - set(expected[2:]))
    # A run keeps what else it logged, and its logged model is deleted in MLflow, too.
    assert len(list((registry.folder / "artifacts").glob("*/artifacts/log.txt"))) == 50
    assert len(client.search_logged_models(["1"])) == 25 - sum(version % 2 == 0 for version in expected[2:])
    assert registry_of_50.load(registry, 45).predict([0]) == [1045]

    # None of it looks like somebody's doing outside, and the chain of events is whole.
    workspace.registry.look()
    events = workspace.registry.events(NAME)
    assert not _events(events, history.DELETED_OUTSIDE)
    assert [one.version for one in _events(events, "purged")] == expected[2:]
    assert [one.version for one in _events(events, "restored")] == [1, 2]
    assert {one.actor for one in _events(events, "retired")} == {"jonas"}
    assert workspace.registry.trail.verify().whole
    workspace.close()


def _events(events: tuple[AuditEvent, ...], action: str) -> list[AuditEvent]:
    return [one for one in events if one.action == action]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

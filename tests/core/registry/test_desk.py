"""Ask, decide, promote: who may, when, and what is kept of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from core.access import Actor, Role
from core.database import open_database
from core.errors import BadInputError, DatabaseError, NotFoundError, RefusedError, SourceError
from core.registry.desk import RegistryDesk, Trials
from core.registry.promotion import Fate
from core.registry.requests import RequestState, read_dossier
from core.registry.types import Stage
from tests import registries
from tests.registries import ANALYST, LEAD, OTHER_LEAD

SOAK = {"*": {"smoke": False, "soak_hours": 24}}


class Room:
    """A registry, a desk on it, and a clock."""

    def __init__(self, uri: str, home: Path) -> None:
        self.uri, self.home = uri, home
        self.client = MlflowClient(uri)
        self.hands = registries.Hands()
        self.engine = open_database(None, home)
        self.desk = self.open()

    def open(self, **options: Any) -> RegistryDesk:
        self.desk = registries.new_desk(self.uri, self.home, now=self.hands, engine=self.engine, **options)
        return self.desk

    def stage(self, version: int) -> None:
        self.desk.promote("m", version, Stage.STAGING, "ready", ANALYST)

    @property
    def stages(self) -> dict[int, str]:
        return registries.stages(self.client, "m")


@pytest.fixture
def room(new_registry: Callable[[], str], tmp_path: Path) -> Any:
    opened = Room(new_registry(), tmp_path / "home")
    yield opened
    opened.engine.dispose()


def test_from_asking_to_production(room: Room) -> None:
    room.open(gates=SOAK)
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better Sharpe", ANALYST)
    with pytest.raises(RefusedError, match="these gates: soak") as refused:
        room.desk.approve(request.id, "fine", LEAD)
    assert refused.value.reasons[0].startswith("soak: In Staging for 0 min of 24 h; eligible ")
    room.hands.pass_hours(25)
    assert room.desk.approve(request.id, "fine", LEAD).state is RequestState.APPROVED
    outcome = room.desk.promote("m", 1, Stage.PRODUCTION, "approved", OTHER_LEAD)
    assert outcome.fate is Fate.DONE
    assert room.desk.request(request.id).state is RequestState.PROMOTED
    assert room.stages[1] == "Production"
    assert registries.aliases(room.client, "m") == {"production": 1}
    assert [one.action for one in room.desk.events("m")] == ["promoted", "requested", "approved", "promoted"]
    assert room.desk.events("m")[-1].evidence_hash == room.desk.request(request.id).dossier_hash


def test_the_soak_counts_from_entering_staging_and_not_from_the_last_edit(room: Room) -> None:
    room.open(gates=SOAK)
    room.stage(1)
    room.hands.pass_hours(25)
    room.client.update_model_version("m", "1", "edited just now")
    assert room.desk.gates("m", 1, Stage.PRODUCTION).passed
    # Out and in again starts anew.
    room.desk.promote("m", 1, Stage.ARCHIVED, "out", LEAD)
    room.stage(1)
    assert not room.desk.gates("m", 1, Stage.PRODUCTION).passed


def test_the_soak_of_a_version_that_plain_mlflow_staged(room: Room) -> None:
    room.open(gates=SOAK)
    room.desk.look()
    registries.put(room.client, "m", 1, "Staging")
    room.desk.look()
    assert not room.desk.gates("m", 1, Stage.PRODUCTION).passed
    room.hands.pass_hours(25)
    assert room.desk.gates("m", 1, Stage.PRODUCTION).passed


def test_the_evidence_is_frozen_with_the_decision(room: Room) -> None:
    room.stage(1)
    room.desk.promote("m", 1, Stage.PRODUCTION, "first", LEAD)
    room.stage(2)
    request = room.desk.ask("m", 2, Stage.PRODUCTION, "better", ANALYST)
    asked_on = request.dossier_hash
    decided = room.desk.approve(request.id, "well done", LEAD)
    assert decided.dossier_hash != asked_on
    content = json.loads(read_dossier(room.engine, str(decided.dossier_hash)))
    assert content["decision"] == {
        "request": request.id,
        "asked_by": "amara",
        "asked_at": content["decision"]["asked_at"],
        "reason": "better",
        "decision": "approved",
        "by": "jonas",
        "role": "lead",
        "at": content["decision"]["at"],
        "comment": "well done",
        "override": None,
    }
    assert content["champion"]["version"] == 1
    assert content["lineage"]["run_id"] == f"{2:032x}"
    assert content["metrics"] == [{"name": "sharpe", "challenger": 1.0, "champion": 1.0}]
    room.desk.promote("m", 2, Stage.PRODUCTION, "go", LEAD)
    assert room.desk.evidence(request.id).content == content
    with room.engine.begin() as connection:
        connection.execute(
            sa.text("update dossiers set content = replace(content, 'well', 'bell') where hash = :hash"),
            {"hash": decided.dossier_hash},
        )
    with pytest.raises(RefusedError, match="was changed after it was frozen"):
        room.desk.evidence(request.id)


def test_evidence_that_changed_while_the_page_was_open_is_shown_again(room: Room) -> None:
    room.open(gates=SOAK)
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    seen = room.desk.evidence(request.id).verdict_key
    room.hands.pass_hours(25)
    with pytest.raises(RefusedError, match="has changed since you opened it"):
        room.desk.approve(request.id, "fine", LEAD, seen=seen)
    seen = room.desk.evidence(request.id).verdict_key
    assert room.desk.approve(request.id, "fine", LEAD, seen=seen).state is RequestState.APPROVED


def test_an_override_needs_a_lead_and_a_reason_and_leaves_a_mark(room: Room) -> None:
    room.open(gates=SOAK)
    room.stage(1)
    for override, by, error in ((" ", LEAD, BadInputError), ("urgent", ANALYST, RefusedError)):
        with pytest.raises(error):
            room.desk.promote("m", 1, Stage.PRODUCTION, "now", by, override=override)
    room.desk.promote("m", 1, Stage.PRODUCTION, "now", LEAD, override="the old one loses money")
    card = room.desk.model("m").champion
    assert card is not None
    assert (card.override, card.overridden) == ("the old one loses money", ("soak",))
    # It stays, whatever plain MLflow does to the version.
    registries.put(room.client, "m", 1, "Archived")
    room.desk.look()
    assert room.desk.model("m").card(1).override == "the old one loses money"
    # The mark is of this way into Production, and no later one has it.
    room.hands.pass_hours(1)
    room.stage(2)
    room.hands.pass_hours(30)
    room.desk.promote("m", 2, Stage.PRODUCTION, "next", LEAD, override="not needed")
    card = room.desk.model("m").champion
    assert card is not None
    assert card.override is None


def test_an_override_at_the_approval_is_the_promotions_too(room: Room) -> None:
    room.open(gates=SOAK)
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    room.desk.approve(request.id, "", LEAD, override="urgent")
    room.desk.promote("m", 1, Stage.PRODUCTION, "now", LEAD)
    assert room.desk.events("m")[-1].details["overridden"] == ["soak"]


def test_the_two_person_rule(room: Room) -> None:
    room.open(two_person_rule=True)
    room.stage(1)
    with pytest.raises(RefusedError, match="no approved request for Production, and the two-person rule"):
        room.desk.promote("m", 1, Stage.PRODUCTION, "alone", LEAD)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "mine", LEAD)
    for decide in (room.desk.approve, room.desk.reject):
        with pytest.raises(RefusedError, match="cannot decide on it, too"):
            decide(request.id, "I agree with myself", LEAD)
    room.desk.approve(request.id, "fine", OTHER_LEAD)
    room.desk.promote("m", 1, Stage.PRODUCTION, "go", LEAD)
    assert room.stages[1] == "Production"


@pytest.mark.parametrize("role", list(Role))
def test_what_each_role_may(room: Room, role: Role) -> None:
    by = Actor("somebody", role)
    room.stage(1)
    room.stage(2)
    room.desk.promote("m", 1, Stage.PRODUCTION, "first", LEAD)
    request = room.desk.ask("m", 2, Stage.PRODUCTION, "better", ANALYST)
    lead = role in (Role.LEAD, Role.ADMIN)
    tries: list[tuple[bool, Callable[[], Any]]] = [
        (role is not Role.VIEWER, lambda: room.desk.promote("m", 3, Stage.STAGING, "x", by)),
        (role is not Role.VIEWER, lambda: room.desk.ask("m", 3, Stage.PRODUCTION, "x", by)),
        (role is not Role.VIEWER, lambda: room.desk.register(f"{9:032x}", "m", "model", by)),
        (lead, lambda: room.desk.approve(request.id, "x", by)),
        (lead, lambda: room.desk.promote("m", 2, Stage.PRODUCTION, "x", by)),
        (lead, lambda: room.desk.rollback("m", "x", by)),
        (lead, lambda: room.desk.promote("m", 3, Stage.ARCHIVED, "x", by)),
        (lead, lambda: room.desk.settle("m", 1, "x", by)),
    ]
    for allowed, attempt in tries:
        before = room.stages
        if allowed:
            attempt()
            continue
        with pytest.raises(RefusedError, match="somebody acts as"):
            attempt()
        assert room.stages == before


def test_asking_twice_is_refused(room: Room) -> None:
    room.stage(1)
    room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    with pytest.raises(RefusedError, match="amara has asked for m v1 to Production already"):
        room.desk.ask("m", 1, Stage.PRODUCTION, "again", LEAD)


def test_what_the_rules_do_not_allow_is_not_asked_for(room: Room) -> None:
    with pytest.raises(RefusedError, match="it has to pass through Staging"):
        room.desk.ask("m", 1, Stage.PRODUCTION, "quick", ANALYST)
    with pytest.raises(BadInputError, match="needs a reason"):
        room.desk.ask("m", 1, Stage.STAGING, "  ", ANALYST)
    room.stage(1)
    with pytest.raises(RefusedError, match="is in Staging already"):
        room.desk.ask("m", 1, Stage.STAGING, "again", ANALYST)


def test_a_decision_is_made_once(room: Room) -> None:
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    with pytest.raises(BadInputError, match="A rejection needs a comment"):
        room.desk.reject(request.id, " ", LEAD)
    room.desk.reject(request.id, "not on this window", LEAD)
    with pytest.raises(RefusedError, match="is rejected by jonas already"):
        room.desk.approve(request.id, "but I like it", OTHER_LEAD)
    with pytest.raises(NotFoundError, match="There is no request 99"):
        room.desk.approve(99, "", LEAD)


def test_two_leads_at_once(room: Room) -> None:
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    said: list[str] = []

    def decide(by: Actor) -> None:
        desk = registries.new_desk(room.uri, room.home, now=room.hands, engine=room.engine)
        try:
            said.append(str(desk.approve(request.id, f"says {by.name}", by).state))
        except RefusedError as error:
            said.append(str(error))

    threads = [threading.Thread(target=decide, args=(by,)) for by in (LEAD, OTHER_LEAD)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert said.count("approved") == 1
    assert any("already" in one for one in said)
    assert [one.action for one in room.desk.events("m")].count("approved") == 1


def test_a_request_is_taken_back_by_who_asked_or_a_lead(room: Room) -> None:
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    with pytest.raises(RefusedError, match="may not approve or reject"):
        room.desk.withdraw(request.id, Actor("tomas", Role.ANALYST))
    assert room.desk.withdraw(request.id, ANALYST).state is RequestState.WITHDRAWN
    with pytest.raises(RefusedError, match="is withdrawn already"):
        room.desk.withdraw(request.id, ANALYST)
    again = room.desk.ask("m", 1, Stage.PRODUCTION, "better still", ANALYST)
    assert room.desk.withdraw(again.id, LEAD).state is RequestState.WITHDRAWN


def test_a_request_lapses_when_its_version_changes(room: Room) -> None:
    room.stage(1)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    registries.put(room.client, "m", 1, "Archived")
    with pytest.raises(RefusedError, match="has lapsed: the version has changed: it is in Archived"):
        room.desk.approve(request.id, "fine", LEAD)
    assert room.desk.request(request.id).state is RequestState.LAPSED
    assert room.desk.events("m")[-1].action == "lapsed"
    room.stage(1)
    other = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    room.client.delete_model_version("m", "1")
    room.desk.look()
    assert room.desk.request(other.id).state is RequestState.LAPSED


def test_an_approval_lapses_when_the_champion_changes(room: Room) -> None:
    for version in (1, 2):
        room.stage(version)
    request = room.desk.ask("m", 1, Stage.PRODUCTION, "better", ANALYST)
    room.desk.approve(request.id, "fine", LEAD)
    room.desk.promote("m", 2, Stage.PRODUCTION, "first", LEAD)
    with pytest.raises(RefusedError, match="compared with no champion, and the champion is v2 now"):
        room.desk.promote("m", 1, Stage.PRODUCTION, "go", LEAD)
    assert room.desk.request(request.id).state is RequestState.LAPSED


def test_promoting_and_rolling_back_twice_changes_nothing_more(room: Room) -> None:
    for version in (1, 2):
        room.stage(version)
        room.desk.promote("m", version, Stage.PRODUCTION, "up", LEAD)
    again = room.desk.promote("m", 2, Stage.PRODUCTION, "up", LEAD)
    assert again.fate is Fate.NOTHING_TO_DO
    first = room.desk.rollback("m", "worse", LEAD, from_version=2)
    second = room.desk.rollback("m", "worse", LEAD, from_version=2)
    assert (first.fate, second.fate) == (Fate.DONE, Fate.NOTHING_TO_DO)
    assert "v2 is not in Production any more: v1 is" in second.sentence
    assert len(room.desk.events("m")) == 5


def test_a_rollback_to_a_named_version(room: Room) -> None:
    for version in (1, 2, 3):
        room.stage(version)
        room.desk.promote("m", version, Stage.PRODUCTION, "up", LEAD)
    room.desk.rollback("m", "v2 is bad, too", LEAD, to_version=1)
    assert room.stages[1] == "Production"
    for version, stage in ((5, "None"), (6, "Staging"), (7, "Archived")):
        if stage != "None":
            room.stage(version)
        if stage == "Archived":
            room.desk.promote("m", version, Stage.ARCHIVED, "not good enough", LEAD)
        # No way around the gates.
        with pytest.raises(RefusedError, match=f"v{version} was never in Production"):
            room.desk.rollback("m", "x", LEAD, to_version=version)
        assert room.stages[version] == stage
    with pytest.raises(BadInputError, match="A rollback needs a reason"):
        room.desk.rollback("m", "", LEAD)


def test_no_gate_stands_in_the_way_of_a_rollback(room: Room) -> None:
    for version in (1, 2):
        room.stage(version)
        room.desk.promote("m", version, Stage.PRODUCTION, "up", LEAD)
    room.open(gates={"*": {"soak_hours": 24}}, two_person_rule=True)
    room.desk.rollback("m", "at night", LEAD)
    assert room.stages[1] == "Production"


def test_what_is_not_there_is_named(room: Room) -> None:
    with pytest.raises(NotFoundError, match="'x'"):
        room.desk.promote("x", 1, Stage.STAGING, "up", LEAD)
    with pytest.raises(NotFoundError, match="has no version 77"):
        room.desk.promote("m", 77, Stage.STAGING, "up", LEAD)
    with pytest.raises(NotFoundError, match="'x'"):
        room.desk.rollback("x", "worse", LEAD)


def test_a_run_that_is_gone_fails_its_gates_and_says_so(room: Room) -> None:
    gone = replace(registries.run_of(f"{1:032x}"), lifecycle_stage="deleted")
    room.open(
        gates={"*": {"smoke": False, "soak_hours": 0, "metrics": ["sharpe > 0"]}},
        given=registries.readers({gone.run_id: gone}),
    )
    room.stage(1)
    report = room.desk.gates("m", 1, Stage.PRODUCTION)
    assert not report.passed
    assert report.gates[0].reason == (
        "It cannot be judged: The run 00000000 of v1 was deleted. Restore it in MLflow."
    )


def test_a_model_that_was_not_loaded_yet_is_not_passed(room: Room) -> None:
    room.open(gates={"*": {"soak_hours": 0}})
    room.stage(1)
    recorded = room.desk.gates("m", 1, Stage.PRODUCTION, Trials.RECORDED)
    assert "has not been loaded yet" in recorded.gates[0].reason
    fresh = room.desk.gates("m", 1, Stage.PRODUCTION, Trials.FRESH)
    assert not fresh.passed
    assert fresh.gates[0].reason.startswith("It cannot be judged: ")


def test_a_database_that_is_locked_changes_nothing(room: Room) -> None:
    room.stage(1)
    short = sa.create_engine(f"sqlite:///{room.home / 'greenroom.db'}", connect_args={"timeout": 0.1})
    desk = registries.new_desk(room.uri, room.home, now=room.hands, engine=short)
    with room.engine.connect() as connection:
        connection.exec_driver_sql("begin immediate")
        with pytest.raises(DatabaseError, match="database does not answer"):
            desk.promote("m", 1, Stage.PRODUCTION, "up", LEAD)
        connection.rollback()
    assert room.stages[1] == "Staging"
    assert desk.promote("m", 1, Stage.PRODUCTION, "up", LEAD).fate is Fate.DONE
    short.dispose()


@pytest.mark.parametrize("answers", [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11])
def test_mlflow_that_stops_answering_in_the_middle(
    room: Room, monkeypatch: pytest.MonkeyPatch, answers: int
) -> None:
    """Whichever of its answers is the last, afterwards the promotion is made whole or not at all."""
    from core.registry.reading.client import ClientRegistry

    room.stage(1)
    ask, left = ClientRegistry.ask, [answers]

    def until(self: ClientRegistry, *arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise SourceError("The MLflow server does not answer.")
        return ask(self, *arguments, **named)

    monkeypatch.setattr(ClientRegistry, "ask", until)
    failed = False
    try:
        room.desk.promote("m", 1, Stage.PRODUCTION, "up", LEAD)
    except SourceError:
        failed = True
    monkeypatch.setattr(ClientRegistry, "ask", ask)
    outcomes = room.desk.look()
    now = room.stages[1]
    assert now in ("Staging", "Production")
    assert (now == "Production") == (registries.aliases(room.client, "m").get("production") == 1)
    promotions = [one for one in room.desk.events("m") if one.to_stage == now and one.action == "promoted"]
    assert len(promotions) == 1
    if failed and now == "Production":
        assert [one.fate for one in outcomes] == [Fate.FINISHED_LATER]
    assert room.desk.trail.verify().whole


def test_mlflow_that_does_not_answer_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not answer"):
        registries.new_desk("http://127.0.0.1:9", tmp_path).rollback("m", "worse", LEAD)

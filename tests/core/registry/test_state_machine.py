"""Whatever people and plain MLflow do in whatever order: never two in Production by us, nothing unaudited."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from core.access import Actor, Role
from core.audit import AuditTrail
from core.database import open_database
from core.errors import BadInputError, RefusedError
from core.registry import history
from core.registry.desk import DeskRules, RegistryDesk
from core.registry.gates.configuration import read_gates
from core.registry.load_tests import LoadTests
from core.registry.promotion import ACTIONS, Fate, Promoter
from core.registry.requests import Requests, RequestState
from core.registry.types import Stage
from core.registry.watch import RegistryWatch
from tests import registries
from tests.fake_registry import FakeRegistry

VERSIONS = st.integers(1, 4)
STAGES = st.sampled_from(list(Stage))
PEOPLE = st.sampled_from(
    [Actor("vera", Role.VIEWER), registries.ANALYST, registries.LEAD, registries.OTHER_LEAD]
)


class _Killed(BaseException):
    """Stands for the end of the process: nothing catches it."""


class Desk(RuleBasedStateMachine):
    """Actions of all kinds on one model."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="greenroom-test-"))
        shutil.copy(self.template, self.folder / "greenroom.db")
        self.engine = open_database(None, self.folder)
        self.registry = FakeRegistry(versions=4)
        self.hands = registries.Hands()
        self.dies_at: str | None = None
        self.conflict_by_us = False
        self.desk = self._open(False)

    @initialize(two_person_rule=st.booleans())
    def choose_rules(self, two_person_rule: bool) -> None:
        # A history, so that there is something to roll back to and something to decide on.
        self.desk = self._open(False)
        for version in (1, 2, 3):
            self.desk.promote("m", version, Stage.STAGING, "up", registries.LEAD)
            self.hands.pass_hours(3)
            if version < 3:
                self.desk.promote("m", version, Stage.PRODUCTION, "up", registries.LEAD)
        self.desk = self._open(two_person_rule)

    def _open(self, two_person_rule: bool) -> RegistryDesk:
        trail = AuditTrail(lambda: self.engine, "s", self.hands)
        registry: Any = self.registry
        promoter = Promoter(lambda: self.engine, "s", lambda: registry, trail, self.hands, self._step)
        watch = RegistryWatch(lambda: registry, lambda: self.engine, "s", trail, promoter, self.hands)
        return RegistryDesk(
            watch,
            promoter,
            trail,
            Requests(lambda: self.engine, "s"),
            LoadTests(lambda: self.engine, "s"),
            lambda: registry,
            registries.readers(),
            DeskRules(two_person_rule, read_gates({"*": {"smoke": False, "soak_hours": 2}}, "the test")),
            lambda: self.engine,
            self.hands,
        )

    def _step(self, name: str) -> None:
        if name == self.dies_at:
            self.dies_at = None
            raise _Killed

    def _act(self, action: Any) -> Any:
        before = self.stages()
        self.desk.look()
        try:
            return action()
        except (RefusedError, BadInputError):
            assert self.stages() == before, "what is refused changes nothing"
            return None
        except _Killed:
            # The process is gone; another one starts.
            self.desk = self._open(self.desk.rules.two_person_rule)
            return None
        finally:
            inside = [one for one, stage in self.stages().items() if stage is Stage.PRODUCTION]
            had = [one for one, stage in before.items() if stage is Stage.PRODUCTION]
            assert len(inside) <= max(1, len(had)), "we never put a second one into Production"

    def stages(self) -> dict[int, Stage]:
        return {one.version: one.stage for one in self.registry.model("m").versions}

    @rule(version=VERSIONS, stage=STAGES, by=PEOPLE, override=st.sampled_from([None, "urgent"]))
    def promote(self, version: int, stage: Stage, by: Actor, override: str | None) -> None:
        before = self.stages()
        outcome = self._act(lambda: self.desk.promote("m", version, stage, "a reason", by, override=override))
        if outcome is not None and outcome.fate is Fate.DONE:
            assert not (before[version] is Stage.NONE and stage is Stage.PRODUCTION)
            assert by.role in (Role.LEAD, Role.ADMIN) or stage is Stage.STAGING
            assert self.stages()[version] is stage

    @rule(by=PEOPLE, named=st.none() | VERSIONS)
    def roll_back(self, by: Actor, named: int | None) -> None:
        before = self.stages()
        reigned = {one.version for one in history.reigns(self.desk.events("m"))}
        outcome = self._act(lambda: self.desk.rollback("m", "worse", by, to_version=named))
        if outcome is not None and outcome.fate is Fate.DONE:
            assert by.role in (Role.LEAD, Role.ADMIN)
            assert before[outcome.order.plan.version] is not Stage.NONE
            assert outcome.order.plan.version in reigned, "a rollback is no way around the gates"
            inside = [one for one, stage in self.stages().items() if stage is Stage.PRODUCTION]
            assert inside == [outcome.order.plan.version]

    @rule(version=VERSIONS, by=PEOPLE)
    def settle(self, version: int, by: Actor) -> None:
        self._act(lambda: self.desk.settle("m", version, "this one", by))

    @rule(version=VERSIONS, by=PEOPLE, in_staging=st.booleans())
    def ask(self, version: int, by: Actor, in_staging: bool) -> None:
        if in_staging:
            version = next((one for one, stage in self.stages().items() if stage is Stage.STAGING), version)
        self._act(lambda: self.desk.ask("m", version, Stage.PRODUCTION, "better", by))

    @rule(by=PEOPLE, own=st.booleans(), approve=st.booleans(), override=st.sampled_from([None, "urgent"]))
    def decide(self, by: Actor, own: bool, approve: bool, override: str | None) -> None:
        waiting = self.desk.requests(states=(RequestState.WAITING,))
        if not waiting:
            return
        number = waiting[-1].id
        if own:
            by = Actor(waiting[-1].asked_by, Role.LEAD)
        if approve:
            done = self._act(lambda: self.desk.approve(number, "fine", by, override=override))
        else:
            done = self._act(lambda: self.desk.reject(number, "not yet", by))
        if done is not None:
            assert by.role in (Role.LEAD, Role.ADMIN)
            assert not (self.desk.rules.two_person_rule and done.asked_by == by.name)
            evidence = self.desk.evidence(number)
            assert evidence.hash == done.dossier_hash
            assert evidence.passed or override or not approve

    @rule(by=PEOPLE)
    def withdraw(self, by: Actor) -> None:
        found = self.desk.requests(states=(RequestState.WAITING, RequestState.APPROVED))
        if found:
            self._act(lambda: self.desk.withdraw(found[0].id, by))

    @rule(version=VERSIONS, stage=STAGES, archive=st.booleans())
    def plain_mlflow(self, version: int, stage: Stage, archive: bool) -> None:
        archive = archive and stage in (Stage.STAGING, Stage.PRODUCTION)
        self.registry.move(self.registry.model("m"), version, stage, archive_others=archive)

    @rule(hours=st.sampled_from([1, 3]))
    def time_passes(self, hours: int) -> None:
        self.hands.pass_hours(hours)

    @rule(
        step=st.sampled_from(
            [
                "before the intent",
                "after the intent",
                "after MLflow's transaction",
                "after aliases and tags",
                "after reading back",
                "before the record is committed",
                "after the record",
            ]
        )
    )
    def the_next_one_dies(self, step: str) -> None:
        self.dies_at = step

    @invariant()
    def everything_is_recorded(self) -> None:
        dies_at, self.dies_at = self.dies_at, None
        self.desk.look()
        self.dies_at = dies_at
        assert self.desk.watch.seen().get("m", {}).keys() == self.stages().keys()
        for version, seen in self.desk.watch.seen()["m"].items():
            assert seen.stage is self.stages()[version]
        inside = {one for one, stage in self.stages().items() if stage is Stage.PRODUCTION}
        events = self.desk.events("m")
        assert {one.version for one in history.reigns(events) if one.end is None} == inside
        assert set(history.in_production_at(events, self.hands()).versions) == inside
        if len(inside) > 1:
            moving = (*ACTIONS.values(), history.OUTSIDE)
            last = next(
                one for one in reversed(events) if one.to_stage == "Production" and one.action in moving
            )
            assert last.action == history.OUTSIDE, "only plain MLflow puts a second one into Production"

    @invariant()
    def the_chain_is_whole(self) -> None:
        assert self.desk.trail.verify().whole

    def teardown(self) -> None:
        self.engine.dispose()
        shutil.rmtree(self.folder)


def test_no_sequence_of_actions_breaks_the_rules(tmp_path: Path) -> None:
    open_database(None, tmp_path).dispose()
    Desk.template = tmp_path / "greenroom.db"
    run_state_machine_as_test(
        Desk,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            # Making a failing sequence shorter takes minutes; it is short enough to read.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


pytestmark = pytest.mark.timeout(240)

"""Live figures of what is in Production: warned of, asked for, rolled back, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.audit import AuditEvent
from core.database import open_database
from core.errors import ArtifactError
from core.registry.desk import RegistryDesk
from core.registry.gates.rules import MetricRule
from core.registry.monitoring.configuration import Policy, WatchBook, WatchRules
from core.registry.monitoring.findings import CLOSED, OPEN, Findings
from core.registry.monitoring.judging import Verdict
from core.registry.monitoring.live import WATCH, LiveWatch
from core.registry.types import Stage
from core.runs.sources.uris import parse
from core.runs.types import Run
from tests import registries
from tests.registries import LEAD, run_of

GATED = {"m": {"smoke": False, "soak_hours": 0, "metrics": ["score >= 1"]}}


@dataclass
class Scene:
    """v1 and v2 were in Production, v3 is."""

    desk: RegistryDesk
    client: MlflowClient
    uri: str
    home: Path
    runs: list[Run] = field(default_factory=list)
    known: dict[str, Run] = field(default_factory=dict)

    def watch(
        self, policy: Policy = Policy.WARN, measures: Callable[[Run], Any] = lambda _: None, **more: Any
    ) -> LiveWatch:
        engine = open_database(None, self.home)
        book = WatchBook({"m": WatchRules((MetricRule("sharpe", ">=", 0.5),), policy)})
        findings = Findings(lambda: engine, parse(self.uri).key)
        return LiveWatch(self.desk, lambda: self.runs, measures, findings, book, lambda: engine, **more)

    def log(self, of: str, sharpe: float | None, **values: Any) -> Run:
        run_id = f"{len(self.runs) + 100:032x}"
        metrics = {} if sharpe is None else {"sharpe": sharpe}
        given = {"tags": {"greenroom.live_of": of}, "metrics": metrics, **values}
        self.runs.append(run_of(run_id, **given))
        return self.runs[-1]

    def events(self, *actions: str) -> list[AuditEvent]:
        return [one for one in self.desk.events("m") if one.action in actions]


@pytest.fixture
def scene(new_registry: Callable[[], str], tmp_path: Path) -> Scene:
    uri, home = new_registry(), tmp_path / "home"
    known = {f"{number:032x}": run_of(f"{number:032x}", metrics={"score": 2.0}) for number in range(1, 9)}
    desk = registries.new_desk(uri, home, gates=GATED, given=registries.readers(known))
    for version in (1, 2, 3):
        desk.promote("m", version, Stage.STAGING, "first", LEAD)
        desk.promote("m", version, Stage.PRODUCTION, "first", LEAD)
    return Scene(desk, MlflowClient(uri), uri, home, known=known)


def test_figures_that_keep_their_thresholds_are_recorded_and_left_alone(scene: Scene) -> None:
    scene.log("m/3", 0.7)
    (found,) = scene.watch(Policy.ROLLBACK).look()
    assert (found.passed, found.verdict, found.state) == (True, Verdict.KEPT, CLOSED)
    assert found.act == "nothing: thresholds are kept"
    assert registries.in_production(scene.client, "m") == [3]
    assert scene.watch(Policy.ROLLBACK).look() == ()
    assert not scene.events("degraded")


def test_a_warning_is_one_event(scene: Scene) -> None:
    run = scene.log("m/v3", 0.2, name="week 22")
    watch = scene.watch()
    (found,) = watch.look()
    assert (found.passed, found.act, found.state) == (False, "warned", CLOSED)
    assert watch.look() == ()
    (event,) = scene.events("degraded")
    assert (event.actor, event.version) == ("greenroom watch", 3)
    assert event.details["run_id"] == run.run_id
    assert event.details["thresholds"][0] == {
        "metric": "sharpe",
        "comparison": ">=",
        "number": 0.5,
        "value": 0.2,
        "passed": False,
    }
    assert registries.in_production(scene.client, "m") == [3]


def test_a_rollback_names_the_run_the_threshold_and_the_value(scene: Scene) -> None:
    run = scene.log("m/3", 0.2, name="week 22")
    (found,) = scene.watch(Policy.ROLLBACK).look()
    assert registries.in_production(scene.client, "m") == [2]
    (rolled,) = scene.events("rolled back")
    assert (rolled.actor, rolled.role) == (WATCH.name, "lead")
    for word in (run.run_id, "week 22", "sharpe is 0.2", ">= 0.5"):
        assert word in rolled.reason
    assert found.act == f"rolled back to v2 (event {rolled.seq})"
    assert len(scene.events("degraded")) == 1


def test_several_bad_runs_roll_back_once(scene: Scene) -> None:
    for sharpe in (0.2, 0.1, 0.0):
        scene.log("m/3", sharpe)
    watch = scene.watch(Policy.ROLLBACK)
    acts = [one.act for one in watch.look()]
    assert acts[0].startswith("rolled back to v2")
    assert all(act.startswith("nothing: it is in Archived") for act in acts[1:])
    scene.log("m/3", -1.0)
    watch.look()
    assert registries.in_production(scene.client, "m") == [2]
    assert len(scene.events("rolled back")) == 1


def test_whoever_puts_a_version_back_is_warned_and_not_overruled(scene: Scene) -> None:
    scene.log("m/3", 0.2)
    watch = scene.watch(Policy.ROLLBACK)
    watch.look()
    scene.desk.promote("m", 3, Stage.STAGING, "it was the data", LEAD)
    scene.desk.promote("m", 3, Stage.PRODUCTION, "it was the data", LEAD)
    scene.log("m/3", 0.1)
    (found,) = watch.look()
    assert found.act.startswith("warned only: v3 was rolled back by itself before")
    assert registries.in_production(scene.client, "m") == [3]
    assert len(scene.events("degraded")) == 2


def test_a_rollback_that_is_refused_says_why(new_registry: Callable[[], str], tmp_path: Path) -> None:
    uri = new_registry()
    desk = registries.new_desk(uri, tmp_path / "home")
    desk.promote("m", 1, Stage.STAGING, "first", LEAD)
    desk.promote("m", 1, Stage.PRODUCTION, "first", LEAD)
    scene = Scene(desk, MlflowClient(uri), uri, tmp_path / "home")
    scene.log("m/1", 0.2)
    (found,) = scene.watch(Policy.ROLLBACK).look()
    assert found.act.startswith("not rolled back: No other version of m was in Production before")
    assert found.state == CLOSED
    assert registries.in_production(scene.client, "m") == [1]


def test_the_newest_version_that_passes_its_gates_is_asked_for(scene: Scene) -> None:
    for version in (5, 6, 7):
        scene.desk.promote("m", version, Stage.STAGING, "next", LEAD)
    scene.known[f"{7:032x}"] = run_of(f"{7:032x}", metrics={"score": 0.0})
    run = scene.log("m/3", 0.2)
    (found,) = scene.watch(Policy.REQUEST).look()
    (asked,) = scene.desk.requests("m")
    assert (asked.version, asked.to_stage, asked.asked_by) == (6, Stage.PRODUCTION, "greenroom watch")
    assert run.run_id in asked.reason
    assert found.act == f"asked for m v6 to Production (request {asked.id})"
    assert registries.in_production(scene.client, "m") == [3]


def test_where_nothing_can_be_asked_for_the_warning_says_so(scene: Scene) -> None:
    scene.log("m/3", 0.2)
    (found,) = scene.watch(Policy.REQUEST).look()
    assert found.act == "warned only: no version in Staging passes its gates"
    assert len(scene.events("degraded")) == 1
    assert scene.desk.requests("m") == ()


def test_a_second_bad_run_asks_for_nothing_twice(scene: Scene) -> None:
    scene.desk.promote("m", 6, Stage.STAGING, "next", LEAD)
    scene.log("m/3", 0.2)
    scene.log("m/3", 0.1)
    _, second = scene.watch(Policy.REQUEST).look()
    assert second.act.startswith("not asked: greenroom watch has asked for m v6 to Production already")
    assert len(scene.desk.requests("m")) == 1


@pytest.mark.parametrize(
    ("of", "values", "act"),
    [
        ("m/2", {}, "nothing: it is in Archived, not in Production"),
        ("m/99", {}, "nothing: there is no such version"),
        ("m/3", {"metrics": {"sharpe": 0.1, "periods": 5}}, "nothing: 5 observations are too few to judge"),
        ("m/3", {"metrics": {}}, "nothing: The run has no finite value of sharpe"),
    ],
)
def test_what_nothing_is_done_about(scene: Scene, of: str, values: dict[str, Any], act: str) -> None:
    scene.log(of, 0.1, **values)
    (found,) = scene.watch(Policy.ROLLBACK).look()
    assert found.act.startswith(act)
    assert not scene.events("degraded", "rolled back")


@pytest.mark.parametrize(
    ("of", "values"),
    [("other/3", {}), ("m", {}), ("m/three", {}), ("m/0", {}), ("m/3", {"status": "RUNNING"})],
)
def test_what_is_not_looked_at(scene: Scene, of: str, values: dict[str, Any]) -> None:
    scene.log(of, 0.1, **values)
    assert scene.watch(Policy.ROLLBACK).look() == ()
    assert registries.in_production(scene.client, "m") == [3]


def test_measures_of_a_backtest_count_and_where_it_cannot_be_read_the_metrics(scene: Scene) -> None:
    scene.log("m/3", 9.0)
    (found,) = scene.watch(measures=lambda _: {"sharpe": 0.1, "periods": 60}).look()
    assert found.verdict is Verdict.BROKEN
    scene.log("m/3", 9.0)

    def unreadable(_: Run) -> None:
        raise ArtifactError("The table is damaged.")

    (found,) = scene.watch(measures=unreadable).look()
    assert found.verdict is Verdict.KEPT


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize(
    "step", ["before the finding", "after the finding", "after the act", "before the record is committed"]
)
def test_what_died_on_the_way_is_done_once(scene: Scene, policy: Policy, step: str) -> None:
    scene.desk.promote("m", 6, Stage.STAGING, "next", LEAD)
    scene.log("m/3", 0.2)

    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.watch(policy, on_step=die).look()
    found = [*scene.watch(policy).look(), *scene.watch(policy).look()]
    assert len(found) == 1
    assert (found[0].state, found[0].passed) == (CLOSED, False)
    assert len(scene.events("degraded")) == 1
    assert len(scene.events("rolled back")) == (policy is Policy.ROLLBACK)
    assert len(scene.desk.requests("m")) == (policy is Policy.REQUEST)
    assert registries.in_production(scene.client, "m") == [2 if policy is Policy.ROLLBACK else 3]


def test_what_was_left_open_is_not_acted_upon_after_somebody_has_acted(scene: Scene) -> None:
    scene.log("m/3", 0.2)

    def die(name: str) -> None:
        if name == "after the finding":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scene.watch(Policy.ROLLBACK, on_step=die).look()
    assert [one.state for one in scene.watch().findings.find("m")] == [OPEN]
    scene.desk.rollback("m", "by hand", LEAD)
    (found,) = scene.watch(Policy.ROLLBACK).look()
    assert found.act == "nothing: it is in Archived, not in Production any more"
    assert registries.in_production(scene.client, "m") == [2]
    assert not scene.events("degraded")


def test_the_time_of_a_look_is_given(scene: Scene) -> None:
    scene.log("m/3", 0.9)
    at = datetime.fromisoformat("2026-06-01T12:00:00+00:00") + timedelta(hours=1)
    (found,) = scene.watch().look(at)
    assert found.at == at

"""Registered models of the demo on a small store: killed and gone on with, refused, made from an older demo's runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.demo import build_demo
from core.demo.build import MARKS
from core.demo.experiments import demo_experiments
from core.demo.guards import open_client, quiet_mlflow
from core.demo.model_plans import DIABETES_MODEL, Deed, ModelPlan, model_plans
from core.demo.plan import RunPlan
from core.demo.record import Desk, record_run
from core.demo.record_models import demo_settings, record_models
from core.demo.store_plans import store_experiment
from core.errors import BadInputError
from core.registry.history import reigns
from core.registry.promotion import Promoter
from core.workspace import Workspace
from tests import registries

EXPERIMENT = demo_experiments()[0]
# Without the steps of today, which load models.
WHOLE_PLAN = model_plans(store_experiment(None))[0]
PLAN = replace(WHOLE_PLAN, steps=tuple(step for step in WHOLE_PLAN.steps if step.ago))


@dataclass
class Store:
    """A store with the runs that one model needs, of which one has no model as in an older demo."""

    uri: str
    home: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=self.uri)

    def record(self, plan: ModelPlan = PLAN, on_step: Callable[[str], None] = lambda _: None) -> int:
        with quiet_mlflow():
            return record_models(
                self.client, demo_settings(self.uri, self.home, None), [plan], MARKS, on_step
            )

    def events(self) -> list[tuple[Any, ...]]:
        workspace = Workspace(demo_settings(self.uri, self.home, None))
        found = [
            (one.action, one.version, one.from_stage, one.to_stage)
            for one in workspace.registry.events(DIABETES_MODEL)
        ]
        assert workspace.registry.trail.verify().whole
        workspace.close()
        return found

    def reigns(self) -> list[int]:
        workspace = Workspace(demo_settings(self.uri, self.home, None))
        found = [one.version for one in reigns(workspace.registry.events(DIABETES_MODEL))]
        workspace.close()
        return found


EVENTS = [
    ("registered", 1, None, "None"),
    ("promoted", 1, "None", "Staging"),
    ("promoted", 1, "Staging", "Production"),
    ("registered", 2, None, "None"),
    ("promoted", 2, "None", "Staging"),
    ("requested", 2, "Staging", "Production"),
    ("approved", 2, None, "Production"),
    ("promoted", 2, "Staging", "Production"),
    ("registered", 3, None, "None"),
    ("promoted", 3, "None", "Staging"),
    ("requested", 3, "Staging", "Production"),
    ("approved", 3, None, "Production"),
    ("promoted", 3, "Staging", "Production"),
    ("rolled back", 2, "Archived", "Production"),
    ("registered", 4, None, "None"),
    ("promoted", 4, "None", "Staging"),
    ("requested", 4, "Staging", "Production"),
    ("rejected", 4, None, "Production"),
    ("archived", 4, "Staging", "Archived"),
    ("registered", 5, None, "None"),
    ("promoted", 5, "None", "Staging"),
    ("registered", 6, None, "None"),
]
STAGES = {1: "Archived", 2: "Production", 3: "Archived", 4: "Archived", 5: "Staging", 6: "None"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    needed = {version.run for version in PLAN.versions}
    with quiet_mlflow():
        client = open_client(uri)
        experiment_id = client.create_experiment(EXPERIMENT.name, (tmp_path / "artifacts").as_uri())
        desk = Desk(client, EXPERIMENT, experiment_id, "amara")
        for entry in EXPERIMENT.entries:
            if isinstance(entry, RunPlan) and entry.name in needed:
                needed.remove(entry.name)
                record_run(desk, replace(entry, keeps_model=entry.name == "ridge alpha=10"))
    assert not needed
    yield Store(uri, tmp_path / "home")


def test_every_version_comes_from_a_run_that_the_demo_gives_a_model() -> None:
    plans = {
        entry.name: entry
        for experiment in demo_experiments()
        for entry in experiment.entries
        if isinstance(entry, RunPlan)
    }
    assert all(plans[version.run].keeps_model for version in PLAN.versions)


@pytest.mark.parametrize("plan", model_plans(store_experiment(None)), ids=lambda plan: plan.name)
def test_nothing_is_loaded_in_the_past_and_steps_are_in_order(plan: ModelPlan) -> None:
    agos = [step.ago for step in plan.steps]
    assert agos == sorted(agos, reverse=True)
    assert all(not step.ago for step in plan.steps if step.deed is Deed.TRY)
    registered = [step.version for step in plan.steps if step.deed is Deed.REGISTER]
    assert registered == list(range(1, len(plan.versions) + 1))


@pytest.mark.parametrize("plan", model_plans(store_experiment(None)), ids=lambda plan: plan.name)
def test_whatever_a_gate_says_of_other_data_the_demo_can_be_built(plan: ModelPlan) -> None:
    asked = {step.version for step in plan.steps if step.deed is Deed.ASK}
    for step in plan.steps:
        judged = step.deed is Deed.PROMOTE and step.version not in asked
        if judged or step.deed is Deed.APPROVE:
            assert step.anyway, step


def test_models_of_an_older_demo_are_made_from_its_runs(store: Store) -> None:
    steps: list[str] = []
    assert store.record(on_step=steps.append) == 6
    assert len(steps) == PLAN.size
    assert store.events() == EVENTS
    assert registries.stages(store.client, DIABETES_MODEL) == STAGES
    logged = store.client.search_logged_models(["1"])
    assert len(logged) == 6


def test_a_build_that_was_stopped_goes_on_with_the_next_step(store: Store) -> None:
    def stop(_: str) -> None:
        stops.append(1)
        if len(stops) == 9:
            raise KeyboardInterrupt

    stops: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        store.record(on_step=stop)
    assert store.client.get_registered_model(DIABETES_MODEL).tags == {"greenroom.demo_building": "1"}
    assert store.record() == 3
    assert store.events() == EVENTS
    assert registries.stages(store.client, DIABETES_MODEL) == STAGES
    assert store.client.get_registered_model(DIABETES_MODEL).tags == {"greenroom.demo": "1"}


@pytest.mark.parametrize("died_at", [1, 2, 5, 6])
def test_a_build_that_was_killed_inside_a_step_ends_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, died_at: int
) -> None:
    moves: list[int] = []
    finish = Promoter._finish

    def die(*arguments: Any) -> Any:
        moves.append(1)
        if len(moves) == died_at:
            raise KeyboardInterrupt  # MLflow has moved the version, nothing is recorded.
        return finish(*arguments)

    monkeypatch.setattr(Promoter, "_finish", die)
    with pytest.raises(KeyboardInterrupt):
        store.record()
    store.record()
    assert store.events() == EVENTS
    assert registries.stages(store.client, DIABETES_MODEL) == STAGES
    assert store.reigns() == [1, 2, 3, 2]


def test_a_half_built_model_that_somebody_changed_is_made_anew(store: Store) -> None:
    def stop(step: str) -> None:
        if step.endswith("v2: register"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.record(on_step=stop)
    registries.put(store.client, DIABETES_MODEL, 2, "Production")
    store.record()
    assert registries.stages(store.client, DIABETES_MODEL) == STAGES
    assert store.events()[-len(EVENTS) :] == EVENTS


def test_a_model_without_its_database_is_made_anew(store: Store) -> None:
    def stop(step: str) -> None:
        if step.endswith("v3: promote to Production"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.record(on_step=stop)
    store.home.rename(store.home.with_name("gone"))
    store.record()
    assert registries.stages(store.client, DIABETES_MODEL) == STAGES
    assert store.events()[-len(EVENTS) :] == EVENTS


def test_a_model_of_somebody_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    registries.make_versions(client, DIABETES_MODEL, 1)
    with pytest.raises(BadInputError, match=rf"'{DIABETES_MODEL}'.*Rename"):
        build_demo(uri, tmp_path / "artifacts")
    assert [one.name for one in client.search_experiments()] == ["Default"]
    assert client.get_registered_model(DIABETES_MODEL).tags == {}
    assert registries.stages(client, DIABETES_MODEL) == {1: "None"}
    assert not (tmp_path / "greenroom.db").exists()

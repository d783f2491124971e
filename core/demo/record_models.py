"""Registers the demo's models and lets people act on them, through the registry desk itself.

A desk whose clock is turned back, and whose gates load no model, writes the history of weeks in seconds: requests,
decisions and events of Greenroom's database lie over the last weeks, a day and more in Staging included, so that the
pages about history have something to show and every gate judges as it would have. MLflow's own times, of the versions
and their edits, stay those of the build. What was measured is never dated back: a desk whose clock is right load-tests
models at the end, and the requests that wait are made there.

A build that was killed goes on with the first step that is not recorded: the audit trail takes nothing back, so that
a model that were made anew would have its history twice. A model is made anew only where what happened to it is not
known, as when somebody else has changed it or the database is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mlflow import MlflowClient

from core import clock
from core.audit import AuditEvent
from core.demo.model_marks import Marks, find_ours
from core.demo.model_plans import Deed, ModelPlan, Step
from core.demo.trained_runs import MODEL_FOLDER, runs_with_models
from core.errors import NotFoundError, RefusedError, SourceError
from core.registry.desk import RegistryDesk
from core.registry.gates.configuration import read_gates
from core.registry.history import DELETED_OUTSIDE, FIRST_SEEN, OUTSIDE
from core.registry.requests import Request, RequestState
from core.registry.types import Stage
from core.settings import Settings
from core.workspace import Workspace
from core.workspace_registry import RunsAndTables, wire_registry_desk

_UNKNOWN: Final = (FIRST_SEEN, OUTSIDE, DELETED_OUTSIDE)
_RECORDED: Final = {
    Deed.STAGE: "promoted",
    Deed.ASK: "requested",
    Deed.APPROVE: "approved",
    Deed.REJECT: "rejected",
    Deed.PROMOTE: "promoted",
    Deed.ROLL_BACK: "rolled back",
    Deed.ARCHIVE: "archived",
}
_TO_STAGE: Final = {Deed.STAGE: Stage.STAGING, Deed.PROMOTE: Stage.PRODUCTION, Deed.ARCHIVE: Stage.ARCHIVED}


class StoryClock:
    """A clock that shows the time it was turned to; it moves on a little whenever it is read, as time does."""

    def __init__(self) -> None:
        self._at = clock.now()

    def turn_to(self, moment: datetime) -> None:
        """Show this time from now on."""
        self._at = moment

    def __call__(self) -> datetime:
        """Return the time in UTC."""
        self._at += timedelta(milliseconds=1)
        return self._at


def record_models(
    client: MlflowClient,
    settings: Settings,
    plans: Sequence[ModelPlan],
    marks: Marks,
    on_step: Callable[[str], None],
) -> int:
    """Do what is left of the steps of models that are not complete; return how many versions were registered.

    Parameters
    ----------
    settings : Settings
        Of the tracking store and of Greenroom's database; their gates are not used.
    on_step : callable
        Told what was done, after each step.

    Raises
    ------
    SourceError
        If MLflow or Greenroom's database does not answer, or somebody changes the models meanwhile.
    """
    runs = {plan.name: runs_with_models(client, plan) for plan in plans}
    with _opened(settings, plans) as desks:
        story = _Story(client, desks, runs, marks, on_step)
        story.prepare(plans)
        try:
            story.tell(plans)
        except (RefusedError, NotFoundError) as error:
            raise SourceError(
                f"A registered model of the demo was changed while it was built: {error} Delete the models "
                f"{' and '.join(plan.name for plan in plans)} in MLflow, then run again."
            ) from error
    for plan in plans:
        client.set_registered_model_tag(plan.name, marks.complete, marks.value)
        client.delete_registered_model_tag(plan.name, marks.building)
    return story.registered


@dataclass(frozen=True, slots=True)
class _Desks:
    """Two desks on one registry: in the past no model is loaded, in the present the clock is right."""

    past: RegistryDesk
    present: RegistryDesk
    time: StoryClock


@contextmanager
def _opened(settings: Settings, plans: Sequence[ModelPlan]) -> Iterator[_Desks]:
    settings.home.mkdir(parents=True, exist_ok=True)
    workspace = Workspace(settings)

    def desk(now: clock.Clock, **gates: bool) -> RegistryDesk:
        table = {plan.name: {**plan.gates, **gates} for plan in plans}
        return wire_registry_desk(
            replace(settings, gates=read_gates(table, "the demo")),
            workspace.address,
            lambda: workspace.database,
            RunsAndTables(lambda: workspace.runs, lambda: workspace.backtests, lambda: workspace.forecasts),
            now,
        )

    time = StoryClock()
    desks = _Desks(desk(time, smoke=False), desk(clock.now), time)
    try:
        workspace.runs.sync()
        yield desks
    finally:
        desks.past.close()
        desks.present.close()
        workspace.close()


class _Story:
    """Tells the steps of models one after the other."""

    def __init__(
        self,
        client: MlflowClient,
        desks: _Desks,
        runs: Mapping[str, Sequence[str]],
        marks: Marks,
        on_step: Callable[[str], None],
    ) -> None:
        self._client = client
        self._desks = desks
        self._desk = desks.past
        self._runs = runs
        self._marks = marks
        self._on_step = on_step
        self._began = self._at = clock.now()
        self.registered = 0

    def prepare(self, plans: Sequence[ModelPlan]) -> None:
        """Make models where they are missing, and anew where their past is not known."""
        self._at = self._began - max(plan.steps[0].ago for plan in plans)
        existing = {plan.name for plan in plans if find_ours(self._client, plan.name, self._marks)}
        events = [event for plan in plans for event in self._desk.events(plan.name)]
        if events or existing:
            # What a killed build left half-done is recorded at the time that the story has come to.
            self._desks.time.turn_to(max([self._at, *(event.at for event in events)]))
            self._desk.look()
        for plan in plans:
            if plan.name in existing and not self._is_as_told(plan.name):
                self._client.delete_registered_model(plan.name)
                self._desk.look()
                existing.remove(plan.name)
            if plan.name not in existing:
                tags = {self._marks.building: self._marks.value}
                self._client.create_registered_model(plan.name, tags, plan.note)
            self._at = max([self._at, *(event.at for event in self._events(plan.name))])

    def _is_as_told(self, name: str) -> bool:
        """Say whether all versions are there, in the stages to which recorded events have brought them."""
        told = {
            version: to_stage
            for event in self._events(name)
            for version, _, to_stage in event.details.get("moves", ())
        }
        versions = self._desk.watch.model(name).versions
        numbers = [one.version for one in versions]
        return numbers == list(range(1, len(numbers) + 1)) and all(
            str(one.stage) == told.get(one.version, str(Stage.NONE)) for one in versions
        )

    def tell(self, plans: Sequence[ModelPlan]) -> None:
        """Do all steps in the order of their times, leaving out what was done before."""
        steps = [(step, plan) for plan in plans for step in plan.steps]
        # Sorting keeps the order of each model's own steps.
        for step, plan in sorted(steps, key=lambda one: one[0].ago, reverse=True):
            events = self._events(plan.name)
            if not self._is_done(plan.name, step, events):
                self._turn(step)
                self._do(plan, step)
            self._on_step(f"{plan.name} v{step.version}: {step.deed}")

    def _events(self, name: str) -> tuple[AuditEvent, ...]:
        """Return the events since the model was last made; before that somebody else deleted or changed it."""
        events = self._desk.events(name)
        cut = max((at for at, event in enumerate(events, 1) if event.action in _UNKNOWN), default=0)
        return events[cut:]

    def _is_done(self, name: str, step: Step, events: Sequence[AuditEvent]) -> bool:
        if step.deed is Deed.REGISTER:
            return any(one.version == step.version for one in self._desk.watch.model(name).versions)
        if step.deed is Deed.TRY:
            return step.version in self._desk.model(name).load_tests
        action, to_stage = _RECORDED[step.deed], _TO_STAGE.get(step.deed)
        return any(
            event.action == action
            and event.version == step.version
            and (to_stage is None or event.to_stage == to_stage)
            for event in events
        )

    def _turn(self, step: Step) -> None:
        """Turn the clock to when a step is said to be done, never back behind the step before."""
        if not step.ago:
            self._desk = self._desks.present
            return
        self._at = max(self._began - step.ago, self._at + timedelta(seconds=1))
        self._desks.time.turn_to(self._at)

    def _do(self, plan: ModelPlan, step: Step) -> None:
        desk, name, version, by = self._desk, plan.name, step.version, step.by
        match step.deed:
            case Deed.REGISTER:
                self._register(plan, step)
            case Deed.STAGE | Deed.ARCHIVE:
                desk.promote(name, version, _TO_STAGE[step.deed], step.words, by)
            case Deed.PROMOTE:
                desk.promote(name, version, Stage.PRODUCTION, step.words, by, override=step.anyway or None)
            case Deed.ASK:
                desk.ask(name, version, Stage.PRODUCTION, step.words, by)
            case Deed.APPROVE:
                request = self._waiting(name, version)
                passed = desk.evidence(request.id).passed
                desk.approve(request.id, step.words, by, override=None if passed else step.anyway)
            case Deed.REJECT:
                desk.reject(self._waiting(name, version).id, step.words, by)
            case Deed.ROLL_BACK:
                desk.rollback(name, step.words, by)
            case Deed.TRY:
                desk.load_test(name, version)

    def _register(self, plan: ModelPlan, step: Step) -> None:
        trained = plan.versions[step.version - 1]
        run_id = self._runs[plan.name][step.version - 1]
        self._desk.register(run_id, plan.name, MODEL_FOLDER, step.by)
        if trained.note:
            self._client.update_model_version(plan.name, str(step.version), trained.note)
        self.registered += 1

    def _waiting(self, name: str, version: int) -> Request:
        found = [one for one in self._desk.requests(name, (RequestState.WAITING,)) if one.version == version]
        if not found:
            raise NotFoundError(f"The request for {name} v{version} is not waiting any more.")
        return found[0]


def demo_settings(tracking_uri: str, home: Path, database_uri: str | None) -> Settings:
    """Return the settings of the workspace that a demo is built for."""
    return Settings(
        tracking_uri=tracking_uri, home=home.resolve(), database_uri=database_uri, place="the demo"
    )

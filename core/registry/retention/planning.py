"""Gather what decides what goes, and make the plan. Looks only: nothing in MLflow or among artifacts changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.errors import ArtifactError
from core.registry import history
from core.registry.requests import OPEN, Requests
from core.registry.retention.configuration import RetentionSettings, RunRule
from core.registry.retention.files import RetentionFiles, Size
from core.registry.retention.marks import is_gone
from core.registry.retention.places import FilePlace, places_of_run, places_of_version, user_of
from core.registry.retention.plan import Going, Kind, RetentionPlan, Staying, Subject
from core.registry.retention.rules import ModelFacts, RunCase, judge_runs, judge_versions
from core.registry.types import Model, Stage, Version
from core.registry.watch import RegistryWatch
from core.runs.types import LoggedModel, Run


@dataclass(frozen=True, slots=True)
class RunReaders:
    """How retention reads runs.

    Attributes
    ----------
    run : callable
        From a run id to the run, deleted ones included; None where the tracking store has none.
    matching : callable
        From a rule to the runs that it matches and that are not deleted, newest first.
    children : callable
        From run id to the ids of the runs below it that are not deleted, for all runs that have such.
    models : callable
        From a run id to what the run logged with MLflow 3, newest first.
    sync : callable
        Reads what is new of all runs.
    refresh : callable
        Reads one run again.
    """

    run: Callable[[str], Run | None]
    matching: Callable[[RunRule], Sequence[Run]]
    children: Callable[[], Mapping[str, Sequence[str]]]
    models: Callable[[str], Sequence[LoggedModel]]
    sync: Callable[[], None]
    refresh: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The files that go with a version or run, and why others are left."""

    places: tuple[FilePlace, ...]
    left: tuple[str, ...]


class Planner:
    """Makes plans for one registry."""

    def __init__(
        self,
        watch: RegistryWatch,
        requests: Requests,
        runs: RunReaders,
        files: RetentionFiles,
        settings: RetentionSettings,
    ) -> None:
        self._watch = watch
        self._requests = requests
        self._runs = runs
        self._files = files
        self._settings = settings

    def everything(self, at: datetime) -> RetentionPlan:
        """Plan for all models and for the runs."""
        models = self._watch.models()
        goes: list[Going] = []
        stays: list[Staying] = []
        parts = [self._of_models(models, at), self.of_runs(models, at)]
        for part_goes, part_stays in parts:
            goes += part_goes
            stays += part_stays
        return RetentionPlan(None, at, tuple(goes), tuple(stays))

    def of_model(self, model: Model, at: datetime) -> RetentionPlan:
        """Plan for one model, as it was just read."""
        models = {**self._watch.models(), model.name: model}
        goes, stays = self._of_models(models, at, model.name)
        return RetentionPlan(model.name, at, goes, stays)

    def _of_models(
        self, models: Mapping[str, Model], at: datetime, only: str | None = None
    ) -> tuple[tuple[Going, ...], tuple[Staying, ...]]:
        going: list[tuple[Version, Run | None, str]] = []
        stays = []
        for model in models.values() if only is None else [models[only]]:
            facts = self._facts(model)
            for one in judge_versions(facts, self._settings.of(model.name), at):
                if one.reasons:
                    stays.append(Staying(subject_of(one.version), one.reasons))
                else:
                    going.append((one.version, facts.runs.get(one.version.run_id or ""), one.goes))
        leaving = {(one.model, one.version) for one, _, _ in going}
        others = [one for one in _versions(models) if (one.model, one.version) not in leaving]
        claimed: dict[FilePlace, str] = {}
        goes = tuple(self._going(one, run, why, others, claimed) for one, run, why in going)
        return goes, tuple(stays)

    def _facts(self, model: Model, again: int | None = None) -> ModelFacts:
        """Gather what is known of a model without its versions that are gone, but for one."""
        shown = replace(
            model,
            versions=tuple(one for one in model.versions if not is_gone(one) or one.version == again),
        )
        seen = self._watch.seen().get(model.name, {})
        since = {
            one.version: known.since
            for one in shown.versions
            if (known := seen.get(one.version)) is not None and known.stage is one.stage
        }
        target = history.rollback_target(shown, self._watch.events(model.name))
        asked = {one.version: one.id for one in self._requests.find(model.name, OPEN)}
        runs: dict[str, Run] = {}
        for one in shown.in_stage(Stage.ARCHIVED):
            run = self._runs.run(one.run_id) if one.run_id else None
            if run is not None:
                runs[run.run_id] = run
        return ModelFacts(shown, since, target.version if target else None, asked, runs)

    def _going(
        self,
        one: Version,
        run: Run | None,
        why: str,
        others: Sequence[Version],
        claimed: dict[FilePlace, str],
    ) -> Going:
        subject = subject_of(one)
        try:
            own = self._own_files(one, run, others)
            size = Size()
            notes = list(own.left)
            for place in own.places:
                if place in claimed:
                    notes.append(f"its files are those of {claimed[place]}, too, and counted there")
                else:
                    claimed[place] = subject.name
                    size += self._files.measure(place)
        except ArtifactError as error:
            return Going(subject, why, note=str(error))
        return Going(subject, why, size.bytes, size.files, "; ".join(notes))

    def _own_files(self, one: Version, run: Run | None, others: Sequence[Version]) -> OwnFiles:
        if run is None:
            raise ArtifactError("Its run is not in the tracking store, so its files are not looked for.")
        models = self._runs.models(run.run_id)
        return _unused(places_of_version(one, run, models), one, others, run, models)

    def own_files(self, one: Version) -> OwnFiles:
        """Return the files of a version that nothing else uses right now, and that can be removed."""
        run = self._runs.run(one.run_id) if one.run_id else None
        try:
            return self._removable(self._own_files(one, run, _versions(self._watch.models())))
        except ArtifactError as error:
            return OwnFiles((), (str(error),))

    def own_files_of_run(self, run: Run) -> OwnFiles:
        """Return the files of a run and of its logged models that nothing else uses right now."""
        models = self._runs.models(run.run_id)
        others = _versions(self._watch.models())
        return self._removable(_unused(places_of_run(run, models), None, others, run, models))

    def _removable(self, own: OwnFiles) -> OwnFiles:
        places, left = [], list(own.left)
        for place in own.places:
            try:
                self._files.measure(place)
            except ArtifactError as error:
                left.append(str(error))
            else:
                places.append(place)
        return OwnFiles(tuple(places), tuple(left))

    def user_of(self, place: FilePlace) -> str:
        """Say what uses files of a place right now; also where that cannot be told."""
        run = self._runs.run(place.run_id)
        if run is None:
            return f"the run {place.run_id[:8]} is not in the tracking store any more"
        models = self._runs.models(run.run_id)
        return user_of(place, None, _versions(self._watch.models()), run, models)

    def why_stays(self, model: Model, version: int, at: datetime) -> tuple[str, ...]:
        """Say why a version that is gone would stay, were it judged now; nothing where it would go again."""
        facts = self._facts(model, version)
        verdicts = judge_versions(facts, self._settings.of(model.name), at)
        return next((one.reasons for one in verdicts if one.version.version == version), ())

    def of_runs(
        self, models: Mapping[str, Model], at: datetime
    ) -> tuple[tuple[Going, ...], tuple[Staying, ...]]:
        """Say which runs go and which stay of those that rules match."""
        if not self._settings.runs:
            return (), ()
        registered = self.registered(models)
        children = self._runs.children()
        cases = [
            RunCase(
                run, rule, place, tuple(registered.get(run.run_id, ())), tuple(children.get(run.run_id, ()))
            )
            for rule in self._settings.runs
            for place, run in enumerate(self._runs.matching(rule))
        ]
        others = _versions(models)
        goes, stays = [], []
        for one in judge_runs(cases, at):
            if one.reasons:
                stays.append(Staying(subject_of_run(one.run), one.reasons))
            else:
                goes.append(self._going_run(one.run, one.goes, others))
        return tuple(goes), tuple(stays)

    def _going_run(self, run: Run, why: str, others: Sequence[Version]) -> Going:
        models = self._runs.models(run.run_id)
        own = _unused(places_of_run(run, models), None, others, run, models)
        try:
            size = sum((self._files.measure(place) for place in own.places), Size())
        except ArtifactError as error:
            return Going(subject_of_run(run), why, note=str(error))
        return Going(subject_of_run(run), why, size.bytes, size.files, "; ".join(own.left))

    @staticmethod
    def registered(models: Mapping[str, Model]) -> dict[str, list[str]]:
        """Return which versions came from which run, those in the trash included: they can come back."""
        found: dict[str, list[str]] = {}
        for one in _versions(models):
            if one.run_id:
                found.setdefault(one.run_id, []).append(f"{one.model} v{one.version}")
        return found


def subject_of(one: Version) -> Subject:
    """Name a version."""
    return Subject(Kind.VERSION, f"{one.model} v{one.version}", one.model, one.version, one.run_id)


def subject_of_run(run: Run) -> Subject:
    """Name a run."""
    return Subject(Kind.RUN, f"run {run.name or run.run_id[:8]}", run_id=run.run_id)


def _versions(models: Mapping[str, Model]) -> list[Version]:
    return [one for model in models.values() for one in model.versions]


def _unused(
    places: Sequence[FilePlace],
    own: Version | None,
    others: Sequence[Version],
    run: Run,
    models: Sequence[LoggedModel],
) -> OwnFiles:
    users = [(place, user_of(place, own, others, run, models)) for place in places]
    left = dict.fromkeys(f"its files stay: {user}" for _, user in users if user)
    return OwnFiles(tuple(place for place, user in users if not user), tuple(left))

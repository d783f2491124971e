"""What schedules and retrainings ask of the rest of Greenroom; the workspace hands it to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from core.access import Actor
from core.registry.gates.types import GateReport
from core.registry.judge import Trials
from core.registry.promotion import Outcome
from core.registry.types import Model, Stage, Version
from core.training.projects.types import EntryPoint
from core.training.types import Job, LaunchRequest


class Training(Protocol):
    """Launches jobs; a `core.training.desk.TrainingDesk`."""

    def launch(self, request: LaunchRequest, by: Actor) -> Job: ...
    def stop(self, job_id: int, by: Actor) -> Job: ...
    def job(self, job_id: int) -> Job: ...

    def jobs(self, *, limit: int = 50, offset: int = 0) -> tuple[Job, ...]:
        """Return jobs, newest first."""


class Projects(Protocol):
    """Knows the entry points; a `core.training.projects.catalogue.Projects`."""

    def entry_point(self, project: str, name: str) -> EntryPoint: ...
    def folder(self, project: str) -> Path | None: ...


class Watch(Protocol):
    """Reads the registry; a `core.registry.watch.RegistryWatch`."""

    def fresh(self, name: str) -> Model: ...
    def reread(self, name: str) -> None: ...


class Registry(Protocol):
    """Registers, judges and promotes; a `core.registry.desk.RegistryDesk`."""

    @property
    def watch(self) -> Watch: ...

    def register(
        self, run_id: str, name: str, artifact_path: str, by: Actor, tags: Mapping[str, str] | None = None
    ) -> Version: ...

    @property
    def gates(self) -> Callable[[str, int, Stage, Trials], GateReport]: ...

    def promote(self, name: str, version: int, to_stage: Stage, reason: str, by: Actor) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What surrounds the schedules of one tracking store.

    Attributes
    ----------
    home : Path
        Takes the copies of data, in a folder for each retraining.
    read_runs : callable
        Brings the run index up to date, so that gates judge what was logged last.
    metrics : callable
        From a run id to the metrics that speak of the whole model.
    tag : callable
        Sets tags of a version: model, version, tags.
    chosen_run : callable
        From the run of a job and the champion's run (None where there is none) to the run whose model is registered:
        of a pipeline that trains a model for each store, the run of the champion's store.
    side_by_side : callable
        From the run of a new version and the champion's to the evidence of the champion gate: both backtests, or both
        forecasts, over the time that they have in common. Empty where the two have neither.
    on_same_data : callable
        From the same two runs to whether both were made with the same data; None where that is not known.
    is_new_store : callable
        Whether the tracking store is still to be made by the first training, so that there is no model to ask for.
    note_retraining : callable
        Told the model, when it was retrained and when it will be next, once a new version is in Staging.
    after_deployment : callable
        Told the model then; clears away old versions.
    """

    training: Training
    registry: Registry
    projects: Projects
    home: Path
    read_runs: Callable[[], object]
    metrics: Callable[[str], Mapping[str, float]]
    tag: Callable[[str, int, Mapping[str, str]], None]
    chosen_run: Callable[[str, str | None], str] = lambda trained, _champions: trained
    side_by_side: Callable[[str, str], Mapping[str, Any]] = lambda _new, _champions: {}
    on_same_data: Callable[[str, str], bool | None] = lambda _new, _champions: None
    is_new_store: Callable[[], bool] = lambda: False
    note_retraining: Callable[[str, datetime, datetime | None], None] = lambda _model, _last, _following: None
    after_deployment: Callable[[str], None] = lambda _model: None

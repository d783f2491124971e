"""Wire schedules of retraining to the desks, the run index and the registry of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

from core import clock
from core.audit import AuditTrail
from core.errors import NotFoundError
from core.registry.writing import MlflowRegistry
from core.runs.explorer import RunsRequest
from core.runs.filters import equals
from core.runs.types import Run
from core.training.desk import TrainingDesk
from core.training.schedule.desk import ScheduleDesk
from core.training.schedule.parts import Parts

if TYPE_CHECKING:
    from core.workspace import Workspace

_STORE: str = "store_code"


def wire_schedules(workspace: Workspace, training: TrainingDesk) -> ScheduleDesk:
    """Build the schedule desk of a workspace; nothing is opened yet."""
    registry = cache(lambda: MlflowRegistry(workspace.address))
    runs = _Runs(workspace)

    def tag(model: str, version: int, tags: Mapping[str, str]) -> None:
        registry().tag(model, version, tags)
        workspace.registry.watch.reread(model)

    def clean_up(model: str) -> None:
        if workspace.settings.retention.automatic:
            workspace.retention.after_deployment(model)

    parts = Parts(
        training=training,
        registry=workspace.registry,
        projects=training.projects,
        home=workspace.settings.home.resolve(),
        read_runs=lambda: workspace.runs.sync(),
        metrics=runs.metrics,
        tag=tag,
        chosen_run=runs.chosen,
        after_deployment=clean_up,
    )
    trail = AuditTrail(lambda: workspace.database, workspace.address.key, lambda: clock.now())
    return ScheduleDesk(lambda: workspace.database, workspace.address.key, trail, parts, lambda: clock.now())


class _Runs:
    """What a retraining asks of the run index."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def _run(self, run_id: str) -> Run:
        runs = self._workspace.runs
        try:
            return runs.run(run_id)
        except NotFoundError:
            # It may be younger than the index.
            runs.refresh_run(run_id)
            return runs.run(run_id)

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Return the metrics that speak of a whole model: those of the pipeline, where the run is one store's."""
        run = self._run(run_id)
        if run.parent_run_id and _STORE in run.params:
            run = self._run(run.parent_run_id)
        return {name: float(value) for name, value in run.metrics.items() if value is not None}

    def chosen(self, trained: str, champions: str | None) -> str:
        """Return the run whose model is registered: of a pipeline, that of the champion's store."""
        if champions is None:
            return trained
        try:
            champion = self._run(champions)
        except NotFoundError:
            return trained
        store = champion.params.get(_STORE)
        if store is None or not champion.parent_run_id:
            return trained
        clauses = [equals("tags.`mlflow.parentRunId`", trained), equals(f"params.{_STORE}", store)]
        runs = self._workspace.runs
        runs.sync()
        found = runs.find(RunsRequest(filter=" AND ".join(one for one in clauses if one))).run_ids
        if not found:
            raise NotFoundError(
                f"The pipeline {trained[:8]} has no run of the store {store}, whose model is the champion."
            )
        return str(found[0])

"""Wire schedules of retraining to the desks, the run index and the registry of a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.audit import AuditTrail
from core.errors import NotFoundError
from core.registry.gates.champion_backtest import judge_backtest
from core.registry.gates.champion_forecast import judge_forecast
from core.registry.gates.rules import BacktestRule, ForecastRule
from core.registry.writing import MlflowRegistry
from core.runs.explorer import RunsRequest
from core.runs.filters import equals
from core.training.desk import TrainingDesk
from core.training.schedule.desk import ScheduleDesk
from core.training.schedule.parts import Parts
from core.workspace_training import is_new_store

if TYPE_CHECKING:
    from core.workspace import Workspace

_STORE: Final = "store_code"
_DATASET_HASH: Final = "dataset_hash"


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
        side_by_side=runs.side_by_side,
        on_same_data=runs.on_same_data,
        is_new_store=lambda: is_new_store(workspace.settings, workspace.address),
        after_deployment=clean_up,
    )
    trail = AuditTrail(lambda: workspace.database, workspace.address.key, lambda: clock.now())
    return ScheduleDesk(lambda: workspace.database, workspace.address.key, trail, parts, lambda: clock.now())


class _Runs:
    """What a retraining asks of the run index."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def metrics(self, run_id: str) -> Mapping[str, float]:
        """Return the metrics that speak of a whole model: those of the pipeline, where the run is one store's."""
        read = self._workspace.readers
        run = read.whole(read.run(run_id))
        return {name: float(value) for name, value in run.metrics.items() if value is not None}

    def chosen(self, trained: str, champions: str | None) -> str:
        """Return the run whose model is registered: of a pipeline, that of the champion's store."""
        if champions is None:
            return trained
        try:
            champion = self._workspace.readers.run(champions)
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

    def on_same_data(self, new: str, champions: str) -> bool | None:
        """Say whether two runs carry the same hash of their data."""
        hashes = [self._workspace.readers.run(one).params.get(_DATASET_HASH) for one in (new, champions)]
        return None if None in hashes else hashes[0] == hashes[1]

    def side_by_side(self, new: str, champions: str) -> Mapping[str, Any]:
        """Measure two backtests, or two pipelines of forecasts, as the champion gate does."""
        read = self._workspace.readers
        runs = tuple(read.run(one) for one in (new, champions))
        if all(read.measures(one) is not None for one in runs):
            return judge_backtest(read.curve(runs[0]), read.curve(runs[1]), BacktestRule()).evidence
        if all(one.parent_run_id and _STORE in one.params for one in runs):
            rule = ForecastRule()
            return judge_forecast(read.forecast_changes(runs[1], runs[0], rule), rule).evidence
        return {}

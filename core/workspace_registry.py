"""Wire the registry desk to the run index, the backtests, the forecasts and the artifacts of a workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import clock
from core.audit import AuditTrail
from core.errors import ArtifactError, NotFoundError
from core.registry.desk import DeskRules, RegistryDesk
from core.registry.facts import Readers, Source
from core.registry.gates.champion_forecast import ForecastChanges, forecast_changes
from core.registry.gates.rules import ForecastRule
from core.registry.load_tests import LoadTests
from core.registry.promotion import Promoter
from core.registry.reading.choose import open_registry_source
from core.registry.requests import Requests
from core.registry.types import Version
from core.registry.watch import RegistryWatch
from core.registry.writing import MlflowRegistry
from core.runs.artifacts.access import model_folders
from core.runs.artifacts.model_files import download, path_in_run
from core.runs.comparison.seed_groups import is_seed, seed_groups
from core.runs.filters import equals, quote_key
from core.runs.sources.uris import StoreAddress, StoreKind
from core.runs.types import Run
from core.settings import Settings

# Values of these are made by the workspace; who rolls back waits for none of them, nor for what they import.
if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from core.backtests.desk import BacktestDesk
    from core.backtests.types import EquityCurve
    from core.forecasts.changes import StoreMeasure
    from core.forecasts.desk import ForecastDesk, PipelineChanges
    from core.runs.explorer import RunExplorer

_MOST_SEEDS = 500
_BACKTEST_SIGNS = ("portfolio", "equity", "backtest", "nav", "returns")


@dataclass(frozen=True, slots=True)
class RunsAndTables:
    """What a desk gathers evidence from, each made when it is first asked for: a rollback needs none of them."""

    runs: Callable[[], RunExplorer]
    backtests: Callable[[], BacktestDesk]
    forecasts: Callable[[], ForecastDesk]


def wire_registry_desk(
    settings: Settings,
    address: StoreAddress,
    engine: Callable[[], Engine],
    evidence: RunsAndTables,
    now: clock.Clock,
) -> RegistryDesk:
    """Build the registry desk of a workspace; nothing is opened yet."""
    registry = cache(lambda: MlflowRegistry(address))
    trail = AuditTrail(engine, address.key, now)
    promoter = Promoter(engine, address.key, registry, trail, now)
    watch = RegistryWatch(
        lambda: open_registry_source(address, settings.backend_uri), engine, address.key, trail, promoter, now
    )
    return RegistryDesk(
        watch,
        promoter,
        trail,
        Requests(engine, address.key),
        LoadTests(engine, address.key),
        registry,
        readers(settings, address, evidence),
        DeskRules(settings.registry.two_person_rule, settings.gates),
        engine,
        now,
    )


def readers(settings: Settings, address: StoreAddress, evidence: RunsAndTables) -> Readers:
    """Return what the registry asks of runs, backtests, forecasts and artifacts."""
    return _Reading(settings, address, evidence).readers()


class _Reading:
    """What the desk asks of the other parts; see `Readers`."""

    def __init__(self, settings: Settings, address: StoreAddress, evidence: RunsAndTables) -> None:
        self._max_bytes = settings.max_model_mb * 2**20
        self._served = address.kind is StoreKind.HTTP
        self._evidence = evidence

    @property
    def _runs(self) -> RunExplorer:
        return self._evidence.runs()

    def readers(self) -> Readers:
        return Readers(
            run=self._run,
            whole=lambda run: self._run(_pipeline_of(run)),
            curve=self._curve,
            measures=self._measures,
            forecast_changes=self._forecast_changes,
            seed_runs=self._seed_runs,
            source=self._source,
            fetch=self._fetch,
            file_hash=_file_hash,
        )

    def _run(self, run_id: str) -> Run:
        try:
            return self._runs.run(run_id)
        except NotFoundError:
            # It may be younger than the index.
            self._runs.refresh_run(run_id)
            return self._runs.run(run_id)

    def _curve(self, run: Run) -> EquityCurve:
        reading = self._evidence.backtests().read(run.run_id)
        if reading.curve is None:
            raise NotFoundError(
                f"The run {run.run_id[:8]} has no backtest that can be read. {' '.join(reading.problems)}"
            )
        return reading.curve

    def _measures(self, run: Run) -> dict[str, Any] | None:
        from core.backtests.tear_sheet import tear_sheet

        logged = run.tags.get("mlflow.loggedArtifacts", "").lower()
        if not any(sign in logged for sign in _BACKTEST_SIGNS):
            return None
        reading = self._evidence.backtests().read(run.run_id)
        if reading.curve is None:
            return None
        sheet = tear_sheet(reading.curve, reading.trades)
        measures = {one.name: getattr(sheet.measures, one.name) for one in fields(sheet.measures)}
        return {
            "start": str(sheet.curve.times[0]),
            "end": str(sheet.curve.times[-1]),
            "periods": len(sheet.curve) - 1,
            **measures,
        }

    def _forecast_changes(self, old: Run, new: Run, rule: ForecastRule) -> ForecastChanges:
        before, after = (self._evidence.forecasts().pipeline(_pipeline_of(run)) for run in (old, new))

        def compared(measure: StoreMeasure, tolerance: float) -> PipelineChanges:
            return self._evidence.forecasts().compare(before, after, measure, tolerance)

        return forecast_changes(compared, rule)

    def _seed_runs(self, run: Run) -> Sequence[Run]:
        from core.runs.explorer import RunsRequest

        clauses = [
            clause
            for key, value in run.params.items()
            if not is_seed(key) and (clause := equals(f"params.{quote_key(key)}", value))
        ]
        found = self._runs.find(RunsRequest((run.experiment_id,), " AND ".join(clauses)))
        runs = self._runs.runs(found.run_ids[:_MOST_SEEDS])
        for group in seed_groups(runs):
            members = tuple(runs[index] for index in group.indexes)
            if run.run_id in {one.run_id for one in members}:
                return members
        return (run,)

    def _source(self, run: Run, path: str) -> Source:
        folders = model_folders(self._runs.logged_models(run.run_id))
        model = folders.get(path.strip("/"))
        if model is not None:
            # Without a server MLflow would look `models:/m-...` up in whatever store the process has set.
            uri = f"models:/{model.model_id}" if self._served else model.artifact_location
            return Source(uri, model.model_id)
        try:
            self._runs.artifacts(run).stat(path)
        except NotFoundError as error:
            there = ", ".join(folders) or "none"
            raise NotFoundError(
                f"The run {run.run_id[:8]} has no artifact '{path}'. Models that it logged: {there}."
            ) from error
        if not path.strip("/"):
            raise ArtifactError("A version is made from a folder of the run's artifacts, such as model.")
        return Source(f"{run.artifact_uri.rstrip('/')}/{path.strip('/')}", None)

    def _fetch(self, version: Version, folder: Path) -> Path:
        if not version.run_id:
            raise NotFoundError(
                f"v{version.version} has no run, so where its files belong cannot be checked; they are not loaded."
            )
        run = self._run(version.run_id)
        path = path_in_run(version.source, run, self._runs.logged_models(run.run_id))
        return download(self._runs.artifacts(run), path, folder, self._max_bytes)


def _pipeline_of(run: Run) -> str:
    """Return the run that has the stores: the run itself, or its parent where it is one store's."""
    return run.parent_run_id if run.parent_run_id and "store_code" in run.params else run.run_id


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFoundError(f"The file {path} cannot be read: {error.strerror}.") from error

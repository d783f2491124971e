"""Cached calls into the core: the only place that caches.

What is cached takes everything it depends on as arguments. Runs and their tables are not cached here: the
index answers faster than Streamlit's cache could copy.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import polars as pl
import streamlit as st

from core import clock
from core.backtests.logged.columns import ColumnChoice
from core.backtests.logged.reading import BacktestReading
from core.backtests.significance.bootstrap import BootstrapIntervals, bootstrap_intervals
from core.backtests.significance.superior import (
    SpaResult,
    common_returns,
    superior_predictive_ability,
)
from core.backtests.tear_sheet import TearSheet, TearSheetOptions, tear_sheet
from core.backtests.types import EquityCurve, Trades
from core.forecasts.changes import StoreMeasure
from core.forecasts.desk import Pipeline, PipelineChanges
from core.forecasts.logged.reading import ForecastReading
from core.registry.board import ModelCard
from core.registry.desk import Trials
from core.registry.dossier import Dossier
from core.registry.gates.types import GateReport
from core.registry.types import Stage
from core.runs.artifacts.access import model_folders
from core.runs.artifacts.previews import Preview, preview
from core.runs.explorer import Matches
from core.runs.importance import Importance
from core.runs.types import MetricHistory
from core.settings import Settings, read_settings
from core.workspace import Workspace, open_workspace

_FRAME_BYTES = 512 * 2**20


@st.cache_resource(show_spinner=False)
def _workspace(identity: str, _settings: Settings) -> Workspace:
    return open_workspace(_settings)


def workspace() -> Workspace:
    """Return the workspace of the current settings, opened once a process."""
    settings = read_settings()
    return _workspace(repr(settings), settings)


def histories(run_ids: tuple[str, ...], key: str) -> tuple[MetricHistory, ...]:
    """Return full histories; a run is read again only after it has changed."""
    opened = workspace()
    snapshot = opened.runs.snapshot()
    digests = tuple(snapshot.frame["digest"][snapshot.place(run_id)] for run_id in run_ids)
    return _histories(opened.address.key, run_ids, key, digests)


@st.cache_data(show_spinner=False, max_entries=256)
def _histories(
    store: str, run_ids: tuple[str, ...], key: str, digests: tuple[int, ...]
) -> tuple[MetricHistory, ...]:
    return workspace().runs.histories(run_ids, key)


def importance(matches: Matches, metric: str) -> Importance:
    """Return which params move a metric; computed once for the same matches."""
    store = workspace().address.key
    return _importance(store, matches.snapshot.generation, matches.places.tobytes(), metric, matches)


@st.cache_data(show_spinner="Training a forest on the matching runs", max_entries=32)
def _importance(store: str, generation: int, places: bytes, metric: str, _matches: Matches) -> Importance:
    return workspace().runs.importance(_matches, metric)


@st.cache_data(show_spinner="Reading the artifact", max_entries=32, ttl=300)
def artifact_preview(store: str, run_id: str, path: str, size: int | None, max_bytes: int) -> Preview:
    """Read the beginning of an artifact and turn it into something to look at."""
    runs = workspace().runs
    content, truncated = runs.artifacts(runs.run(run_id)).head(path, max_bytes)
    return preview(path, content, truncated)


def as_csv(frame: pl.DataFrame) -> bytes:
    """Return a table as CSV, as Excel opens it."""
    return b"\xef\xbb\xbf" + frame.write_csv().encode()


def as_parquet(frame: pl.DataFrame) -> bytes:
    """Return a table as Parquet."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def backtest(run_id: str, table: str | None) -> BacktestReading:
    """Return the backtest of a run; it is read again only after the run has changed, or ten minutes."""
    opened = workspace()
    snapshot = opened.runs.snapshot()
    try:
        return _backtest(opened.address.key, run_id, table, snapshot.frame["digest"][snapshot.place(run_id)])
    except _NotWholeError as not_whole:
        return not_whole.reading


class _NotWholeError(Exception):
    """Keeps a reading with problems out of the cache: what could not be reached may be there in a moment."""

    def __init__(self, reading: BacktestReading) -> None:
        super().__init__()
        self.reading = reading


# A resource is handed out as it is: curves are frozen, and copying them for each rerun would cost more than
# all that is drawn.
@st.cache_resource(show_spinner="Reading the backtest", max_entries=64, ttl=600)
def _backtest(store: str, run_id: str, table: str | None, digest: int) -> BacktestReading:
    reading = workspace().backtests.read(run_id, table)
    if reading.problems:
        raise _NotWholeError(reading)
    return reading


def remember_columns(run_id: str, columns: Sequence[str], choice: ColumnChoice) -> None:
    """Remember which columns of a table are what, and read backtests anew."""
    opened = workspace()
    opened.backtests.remember(run_id, columns, choice, opened.user)
    _backtest.clear()


def measured(
    reading: BacktestReading, curve: EquityCurve, identity: str, options: TearSheetOptions
) -> TearSheet:
    """Return the tear sheet of a curve.

    Parameters
    ----------
    identity : str
        What tells this curve from others: the run, its state, and what its benchmark is.
    """
    return _measured(workspace().address.key, identity, repr(options), curve, reading.trades, options)


@st.cache_resource(show_spinner=False, max_entries=256)
def _measured(
    store: str,
    identity: str,
    chosen: str,
    _curve: EquityCurve,
    _trades: Trades | None,
    _options: TearSheetOptions,
) -> TearSheet:
    return tear_sheet(_curve, _trades, _options)


def intervals(sheet: TearSheet, identity: str, options: TearSheetOptions) -> BootstrapIntervals:
    """Return bootstrap intervals of a tear sheet's measures."""
    return _intervals(workspace().address.key, identity, options.risk_free, sheet)


@st.cache_resource(show_spinner="Resampling the returns", max_entries=64)
def _intervals(store: str, identity: str, rate: float, _sheet: TearSheet) -> BootstrapIntervals:
    returns, a_year = _sheet.curve.returns, _sheet.annualisation.periods_per_year
    return bootstrap_intervals(returns, a_year, risk_free=rate)


def superior(tested: Sequence[tuple[str, EquityCurve]], benchmark: tuple[str, EquityCurve]) -> SpaResult:
    """Return Hansen's test of whether the best of these curves is better than the benchmark.

    Every curve comes with its identity.

    Raises
    ------
    BadInputError
        If the curves have too few times in common.
    """
    identities = (*(identity for identity, _ in tested), benchmark[0])
    return _superior(workspace().address.key, identities, [curve for _, curve in (*tested, benchmark)])


@st.cache_resource(show_spinner="Resampling the returns", max_entries=32)
def _superior(store: str, identities: tuple[str, ...], _curves: list[EquityCurve]) -> SpaResult:
    _, returns = common_returns(_curves)
    return superior_predictive_ability(returns[:, :-1], returns[:, -1])


def pipeline(run_id: str) -> Pipeline:
    """Return a pipeline with its stores; made anew when any run changes.

    Raises
    ------
    NotFoundError
        If there is no such run.
    """
    opened = workspace()
    return _pipeline(opened.address.key, run_id, opened.runs.snapshot().generation)


# Frozen values and tables that nobody changes: handed out as they are, as backtests are.
@st.cache_resource(show_spinner="Reading the pipeline", max_entries=32, ttl=600)
def _pipeline(store: str, run_id: str, generation: int) -> Pipeline:
    return workspace().forecasts.pipeline(run_id)


def store_forecast(pipeline: Pipeline, store: str) -> ForecastReading:
    """Return the forecast of a store; read again only after its run has changed, or ten minutes."""
    run_id = pipeline.stores["run_id"].gather((pipeline.stores["store"] == store).arg_true()).first()
    return _store_forecast(workspace().address.key, _state(str(run_id)), store, pipeline)


@st.cache_resource(show_spinner="Reading the forecast", max_entries=256, ttl=600)
def _store_forecast(key: str, state: str, store: str, _pipeline: Pipeline) -> ForecastReading:
    return workspace().forecasts.forecast(_pipeline, store)


def sparks(pipeline: Pipeline) -> dict[str, list[float]]:
    """Return a short line of sales for each store of a pipeline."""
    return _sparks(workspace().address.key, _state(pipeline.run.run_id), pipeline)


@st.cache_resource(show_spinner=False, max_entries=32, ttl=600)
def _sparks(key: str, state: str, _pipeline: Pipeline) -> dict[str, list[float]]:
    return workspace().forecasts.sparks(_pipeline)


def importance_of(run_id: str) -> tuple[tuple[str, float], ...]:
    """Return the logged feature importance of a run."""
    return _importance_of(workspace().address.key, _state(run_id), run_id)


@st.cache_resource(show_spinner=False, max_entries=256, ttl=600)
def _importance_of(key: str, state: str, run_id: str) -> tuple[tuple[str, float], ...]:
    return workspace().forecasts.importance(run_id)


def compared(old: Pipeline, new: Pipeline, measure: StoreMeasure, tolerance: float) -> PipelineChanges:
    """Return what changes between two pipelines, with the test of Diebold and Mariano where both have forecasts."""
    states = (_state(old.run.run_id), _state(new.run.run_id))
    generation = workspace().runs.snapshot().generation
    return _compared(workspace().address.key, states, generation, measure, tolerance, old, new)


@st.cache_resource(show_spinner="Comparing store by store", max_entries=32, ttl=600)
def _compared(
    key: str,
    states: tuple[str, str],
    generation: int,
    measure: StoreMeasure,
    tolerance: float,
    _old: Pipeline,
    _new: Pipeline,
) -> PipelineChanges:
    desk = workspace().forecasts
    forecasts = tuple(desk.all_forecasts(one) for one in (_old, _new))
    return desk.compare(_old, _new, measure, tolerance, (forecasts[0], forecasts[1]))


def _state(run_id: str) -> str:
    """Tell a run's state from its others."""
    snapshot = workspace().runs.snapshot()
    return f"{run_id}:{snapshot.frame['digest'][snapshot.place(run_id)]}"


def recorded_gates(card: ModelCard, version: int, to_stage: Stage) -> GateReport:
    """Return what the gates say of a version without loading it; judged anew after a change, or a minute."""
    return _recorded_gates(workspace().address.key, _of_model(card), card.model.name, version, str(to_stage))


# Champion gates resample returns: too slow for each rerun.
@st.cache_resource(show_spinner="Judging the gates", max_entries=256, ttl=60)
def _recorded_gates(key: str, state: str, name: str, version: int, to_stage: str) -> GateReport:
    return workspace().registry.gates(name, version, Stage(to_stage), Trials.RECORDED)


def evidence(card: ModelCard, number: int) -> Dossier:
    """Return the evidence for a request that waits, as it is now; gathered anew after a change, or a minute."""
    return _evidence(workspace().address.key, _of_model(card), number)


@st.cache_resource(show_spinner="Gathering the evidence", max_entries=64, ttl=60)
def _evidence(key: str, state: str, number: int) -> Dossier:
    return workspace().registry.evidence(number)


def _of_model(card: ModelCard) -> str:
    """Tell a model's state from its others: its stages, its events, its load tests, the runs, and the minute."""
    opened = workspace()
    minute = f"{clock.now():%Y%m%d%H%M}"
    tested = max((one.at.isoformat() for one in card.load_tests.values()), default="")
    last = card.events[0].seq if card.events else 0
    return f"{opened.registry.watch.generation}:{last}:{tested}:{opened.runs.snapshot().generation}:{minute}"


def folders_with_models(run_id: str) -> tuple[str, ...]:
    """Return the folders among a run's artifacts that hold a model.

    Raises
    ------
    SourceError, ArtifactError
    """
    return _folders_with_models(workspace().address.key, _state(run_id), run_id)


@st.cache_resource(show_spinner=False, max_entries=256, ttl=60)
def _folders_with_models(key: str, state: str, run_id: str) -> tuple[str, ...]:
    runs = workspace().runs
    found = dict.fromkeys(model_folders(runs.logged_models(run_id)))
    artifacts = runs.artifacts(runs.run(run_id))
    if not artifacts.location.none_logged:
        folders = [entry.path for entry in artifacts.list("") if entry.is_dir and entry.path not in found]
        for folder in folders[:20]:
            if any(entry.path.rpartition("/")[2] == "MLmodel" for entry in artifacts.list(folder)):
                found[folder] = None
    return tuple(found)

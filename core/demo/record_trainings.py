"""Launches the demo's trainings through the training desk itself: a store pipeline, a trading agent, its retraining.

Nothing here is dated back. What was done before is known by what it left: jobs, the model's champion, its schedule, its
retrainings; a build that was killed goes on with the first step that is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl

from core.access import Actor, Role
from core.demo.generated_sales import generate_sales
from core.demo.record_stores import SALES_FILE
from core.demo.store_plans import STORES
from core.errors import GreenroomError, SourceError
from core.registry.types import Stage
from core.settings import Settings
from core.training.schedule.types import Mode, ScheduleRequest
from core.training.types import BUILT_IN, Job, JobState, LaunchRequest
from core.workspace import Workspace

AGENT_MODEL: Final = "index-trader"
BARS_FILE: Final = "sp500-daily.csv"
_LUCIA, _AMARA = Actor("lucia", Role.ANALYST), Actor("amara", Role.ANALYST)
_JONAS: Final = Actor("jonas", Role.LEAD)
_STORES_JOB, _AGENT_JOB = "ridge for ten stores", "ppo on the S&P 500"
_LOOK_SECONDS: Final = 0.2
_AGENT: Final = {"timesteps": "16384", "environments": "16", "evaluate_every": "4096", "net": "32,32"}

Step = tuple[str, Callable[[Workspace], bool], Callable[[Workspace, Path], None]]


def trainings_left(settings: Settings) -> tuple[str, ...]:
    """Return the names of the steps that are still to be done; those of the agent need the extra ``rl``."""
    workspace = Workspace(settings)
    try:
        return tuple(name for name, is_done, _ in _steps(workspace) if not is_done(workspace))
    finally:
        workspace.close()


def record_trainings(settings: Settings, folder: Path, on_step: Callable[[str], None]) -> int:
    """Do the steps that are missing; return how many jobs were run.

    Parameters
    ----------
    folder : Path
        Where the data are.

    Raises
    ------
    SourceError
        If a training fails, with its reason.
    """
    workspace = Workspace(settings)
    try:
        before = len(workspace.training.jobs(limit=None))
        with workspace.training_parts.working():
            for name, is_done, do in _steps(workspace):
                if not is_done(workspace):
                    try:
                        do(workspace, folder)
                    except SourceError:
                        raise
                    except GreenroomError as error:
                        raise SourceError(f"The demo's step '{name}' cannot be done: {error}") from error
                    on_step(name)
        return len(workspace.training.jobs(limit=None)) - before
    finally:
        workspace.close()


def _steps(workspace: Workspace) -> tuple[Step, ...]:
    stores: Step = (_STORES_JOB, lambda found: _is_finished(found, _STORES_JOB), _train_stores)
    if workspace.training.missing_for(BUILT_IN, "rl") is not None:
        return (stores,)
    return (
        stores,
        (_AGENT_JOB, lambda found: _is_finished(found, _AGENT_JOB), _train_agent),
        (f"{AGENT_MODEL} v1 in Production", _has_champion, _deploy_agent),
        (
            f"{AGENT_MODEL} is retrained weekly",
            lambda found: found.training.schedules.of(AGENT_MODEL) is not None,
            _schedule_agent,
        ),
        (
            f"{AGENT_MODEL} is retrained",
            lambda found: any(not one.is_open for one in found.training.schedules.retrainings(AGENT_MODEL)),
            _retrain_agent,
        ),
    )


def _finished(workspace: Workspace, name: str) -> list[Job]:
    jobs = workspace.training.jobs(states=(JobState.FINISHED,), limit=None)
    return [job for job in jobs if job.name == name]


def _is_finished(workspace: Workspace, name: str) -> bool:
    return bool(_finished(workspace, name))


def _train_stores(workspace: Workspace, folder: Path) -> None:
    sales = (folder / SALES_FILE).resolve()
    if not sales.exists():
        # A demo of somebody's own stores has generated none.
        generate_sales(STORES).write_parquet(sales)
    parameters = {"data": str(sales), "model": "ridge", "n": "10"}
    _run(workspace, LaunchRequest("stores", parameters, name=_STORES_JOB), _LUCIA)


def _train_agent(workspace: Workspace, folder: Path) -> None:
    bars = (folder / BARS_FILE).resolve()
    _write_bars(bars)
    _run(workspace, LaunchRequest("rl", {"data": str(bars), **_AGENT}, name=_AGENT_JOB), _AMARA)


def _run(workspace: Workspace, request: LaunchRequest, by: Actor) -> None:
    job = workspace.training.launch(request, by)
    while not job.state.is_over:
        time.sleep(_LOOK_SECONDS)
        job = workspace.training.job(job.id)
    if job.state is not JobState.FINISHED:
        raise SourceError(f"The demo's training '{job.name}' is {job.state}. {job.reason}")


def _write_bars(path: Path) -> None:
    """Write the daily prices of the S&P 500 that ship with a package."""
    from arch.data import sp500

    prices = sp500.load()
    columns = {name.lower(): prices[name].to_numpy() for name in ("Open", "High", "Low", "Close")}
    fresh = path.with_suffix(".fresh")
    days = prices.index.to_numpy().astype("datetime64[D]")
    pl.DataFrame({"time": days, **columns}).write_csv(fresh)
    fresh.replace(path)


def _has_champion(workspace: Workspace) -> bool:
    model = workspace.registry.watch.models().get(AGENT_MODEL)
    return model is not None and model.champion is not None


def _deploy_agent(workspace: Workspace, _folder: Path) -> None:
    desk = workspace.registry
    workspace.runs.sync()
    model = desk.watch.models().get(AGENT_MODEL)
    if model is None or not model.versions:
        run_id = _finished(workspace, _AGENT_JOB)[0].run_id
        assert run_id is not None  # noqa: S101
        desk.register(run_id, AGENT_MODEL, "model", _AMARA)
    first = desk.watch.fresh(AGENT_MODEL).versions[0]
    if first.stage is Stage.NONE:
        desk.promote(AGENT_MODEL, first.version, Stage.STAGING, "the first agent", _AMARA)
    why = "the first version: there is no champion that could suffer"
    desk.promote(AGENT_MODEL, first.version, Stage.PRODUCTION, "to be retrained weekly", _JONAS, override=why)


def _schedule_agent(workspace: Workspace, folder: Path) -> None:
    request = ScheduleRequest(
        "rl",
        {"data": str((folder / BARS_FILE).resolve()), **_AGENT},
        mode=Mode.INCREMENTAL,
        # Daily bars: a month of them is too little to learn from and be judged on.
        last_days=1_500,
        epochs=5,
        time_of_day="02:00",
        zone="America/New_York",
    )
    workspace.training.schedules.set(AGENT_MODEL, request, _JONAS)


def _retrain_agent(workspace: Workspace, _folder: Path) -> None:
    schedules = workspace.training.schedules
    under_way = [one for one in schedules.retrainings(AGENT_MODEL) if one.is_open]
    one = under_way[0] if under_way else schedules.retrain(AGENT_MODEL, _JONAS)
    while one.is_open:
        time.sleep(_LOOK_SECONDS)
        one = schedules.retraining(one.id)

"""Builds the demo once: finds out what is there, cleans up what was left half-built, makes the rest."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, TypeAlias

from mlflow import MlflowClient
from mlflow.entities import Experiment

from core.demo.backtest_plans import BacktestExperiment, backtest_experiments
from core.demo.experiments import demo_experiments
from core.demo.guards import (
    environment_kept,
    mlflow_errors_translated,
    only_builder,
    open_client,
    quiet_mlflow,
)
from core.demo.model_marks import Marks, find_ours
from core.demo.model_plans import ModelPlan, model_plans
from core.demo.paging import all_pages
from core.demo.plan import ExperimentPlan, SweepPlan
from core.demo.record import ABANDONED, KEPT, RUN_TAG, Desk, record_run
from core.demo.record_backtests import record_backtests
from core.demo.record_stores import record_stores
from core.demo.settings_file import write_settings
from core.demo.store_plans import StoreExperiment, store_experiment
from core.demo.sweep import record_sweep
from core.errors import BadInputError
from core.training.stores.sales import read_sales

VERSION: Final = "1"
COMPLETE_TAG: Final = "greenroom.demo"
BUILDING_TAG: Final = "greenroom.demo_building"
DIRECTIONS_TAG: Final = "greenroom.higher_is_better"
MARKS: Final = Marks(BUILDING_TAG, COMPLETE_TAG, VERSION)

Plan: TypeAlias = ExperimentPlan | BacktestExperiment | StoreExperiment
Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What a build did.

    Attributes
    ----------
    already_there : bool
        True if every experiment and every registered model was complete, so that nothing was made.
    experiments : tuple of str
        Names of all experiments of the demo.
    runs : int
        Runs logged by this call, parents of sweeps included.
    seconds : float
    models : tuple of str
        Names of all registered models of the demo.
    versions : int
        Versions registered by this call.
    jobs : int
        Trainings run by this call through the training desk.
    """

    already_there: bool
    experiments: tuple[str, ...]
    runs: int
    seconds: float
    models: tuple[str, ...] = ()
    versions: int = 0
    jobs: int = 0


def build_demo(
    tracking_uri: str,
    artifact_root: Path,
    on_progress: Progress | None = None,
    stores: Path | None = None,
    home: Path | None = None,
    database_uri: str | None = None,
) -> DemoReport:
    """Train small models, backtest trading rules, forecast stores, train an agent; log all to MLflow, register some.

    Models and rules use data that ship with packages, stores use generated sales or a file.

    An experiment carries the tag ``greenroom.demo_building`` while it is built and ``greenroom.demo`` once it
    is complete. A complete one is left as it is; of a half-built one the demo's own runs are deleted and it
    is built again. Experiments and runs of anybody else are never touched. A demo experiment in MLflow's
    trash is restored.

    Registered models carry the same tags. Requests, decisions and events about them are written to Greenroom's
    database; those of a half-built model are gone on with, see `core.demo.record_models`.

    Parameters
    ----------
    tracking_uri : str
        Any store that MLflow writes to, such as ``sqlite:///mlflow.db``. MLflow creates a SQLite file, and
        migrates an old one, when it opens it.
    artifact_root : Path
        Folder for the artifacts; created where it is missing.
    on_progress : callable, optional
        Called after each run and each step of a registered model: what was done, how many of these are done, and
        how many there are to do.
    stores : Path, optional
        A file of sales, a row a store and day or week, instead of generated ones; its first 45 stores are used.
    home : Path, optional
        Where Greenroom keeps its index and its database; the folder of `artifact_root` by default.
    database_uri : str, optional
        Greenroom's database, where it is not in `home`.

    Returns
    -------
    DemoReport

    Raises
    ------
    BadInputError
        If somebody else's experiment or model has the name of one of the demo's, or the file of sales cannot be
        used; nothing has been changed then.
    GreenroomError
        If another process is building a demo with the same artifact root.
    SourceError
        If MLflow cannot read or write its store.
    DatabaseError
        If Greenroom's database does not answer.
    """
    started = perf_counter()
    artifact_root.mkdir(parents=True, exist_ok=True)
    shops = (
        store_experiment(None) if stores is None else store_experiment(stores, len(read_sales(stores).stores))
    )
    plans: tuple[Plan, ...] = (*demo_experiments(), *backtest_experiments(), shops)
    models = model_plans(shops)
    with only_builder(artifact_root), quiet_mlflow(), environment_kept(), mlflow_errors_translated():
        client = open_client(tracking_uri)
        found = {plan.name: _find_ours(client, plan.name) for plan in plans}
        missing = [plan for plan in plans if not _is_complete(found[plan.name])]
        missing_models = _incomplete(client, models)
        # Scripts of the demo import this package, too, and have no need of the whole workspace.
        from core.demo.record_models import demo_settings, record_models
        from core.demo.record_trainings import record_trainings, trainings_left

        settings = demo_settings(tracking_uri, home or artifact_root.resolve().parent, database_uri)
        left = trainings_left(settings)
        report_run = _counter(on_progress, sum(plan.size for plan in (*missing, *missing_models)) + len(left))
        for experiment in found.values():
            if experiment is not None and experiment.lifecycle_stage == "deleted":
                _restore(client, experiment.experiment_id)
        for plan in missing:
            experiment_id = _prepare(client, plan, found[plan.name], artifact_root)
            if isinstance(plan, BacktestExperiment):
                record_backtests(tracking_uri, plan, report_run)
            elif isinstance(plan, StoreExperiment):
                record_stores(tracking_uri, plan, artifact_root, report_run)
            else:
                _record(client, plan, experiment_id, report_run)
            client.set_experiment_tag(experiment_id, COMPLETE_TAG, VERSION)
            client.delete_experiment_tag(experiment_id, BUILDING_TAG)
        versions = 0
        if missing_models:
            versions = record_models(client, settings, missing_models, MARKS, report_run)
        jobs = record_trainings(settings, artifact_root, report_run) if left else 0
        write_settings(home or artifact_root.resolve().parent, models)
    return DemoReport(
        already_there=not missing and not missing_models and not left,
        experiments=tuple(plan.name for plan in plans),
        runs=sum(plan.size for plan in missing),
        seconds=perf_counter() - started,
        models=tuple(plan.name for plan in models),
        versions=versions,
        jobs=jobs,
    )


def _find_ours(client: MlflowClient, name: str) -> Experiment | None:
    experiment = client.get_experiment_by_name(name)
    if experiment is None or COMPLETE_TAG in experiment.tags or BUILDING_TAG in experiment.tags:
        return experiment
    where = "in MLflow's trash" if experiment.lifecycle_stage == "deleted" else "in this tracking store"
    raise BadInputError(
        f"The demo needs the experiment name {name!r}, but an experiment that the demo did not make has it "
        f"{where} (id {experiment.experiment_id}). Rename that one, or build the demo in another tracking store."
    )


def _incomplete(client: MlflowClient, models: Sequence[ModelPlan]) -> list[ModelPlan]:
    """Return the registered models that are missing or half-built."""
    found = {plan.name: find_ours(client, plan.name, MARKS) for plan in models}
    return [plan for plan in models if (model := found[plan.name]) is None or COMPLETE_TAG not in model.tags]


def _is_complete(experiment: Experiment | None) -> bool:
    return experiment is not None and COMPLETE_TAG in experiment.tags


def _prepare(
    client: MlflowClient,
    plan: Plan,
    existing: Experiment | None,
    artifact_root: Path,
) -> str:
    if existing is not None:
        _delete_runs(client, existing.experiment_id, KEPT)
        return str(existing.experiment_id)
    tags = {
        BUILDING_TAG: VERSION,
        DIRECTIONS_TAG: json.dumps(plan.directions),
        "mlflow.note.content": plan.note,
        "team": plan.team,
    }
    location = (artifact_root.resolve() / plan.name).as_uri()
    return client.create_experiment(plan.name, artifact_location=location, tags=tags)


def _restore(client: MlflowClient, experiment_id: str) -> None:
    client.restore_experiment(experiment_id)
    # MLflow brings back all runs of an experiment, also those that were deleted one by one before.
    _delete_runs(client, experiment_id, ABANDONED)


def _delete_runs(client: MlflowClient, experiment_id: str, state: str) -> None:
    """Delete the demo's own runs of one experiment and their models, which MLflow would leave."""
    ours = f"tags.`{RUN_TAG}` = '{state}'"
    runs = all_pages(lambda token: client.search_runs([experiment_id], ours, page_token=token))
    run_ids = {run.info.run_id for run in runs}
    for model in all_pages(lambda token: client.search_logged_models([experiment_id], page_token=token)):
        if model.source_run_id in run_ids:
            client.delete_logged_model(model.model_id)
    for run_id in sorted(run_ids):
        client.set_tag(run_id, RUN_TAG, ABANDONED)
        client.delete_run(run_id)


def _record(
    client: MlflowClient, plan: ExperimentPlan, experiment_id: str, on_run: Callable[[str], None]
) -> None:
    for index, entry in enumerate(plan.entries):
        desk = Desk(client, plan, experiment_id, author=plan.people[index % len(plan.people)])
        if isinstance(entry, SweepPlan):
            record_sweep(desk, entry, on_run)
        else:
            record_run(desk, entry)
            on_run(entry.name)


def _counter(on_progress: Progress | None, total: int) -> Callable[[str], None]:
    done = 0

    def report(name: str) -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(name, done, total)

    return report

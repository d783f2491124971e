"""Finds the runs that the demo's registered models were trained by, and their models."""

from __future__ import annotations

from typing import Final

from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus, Run

from core.demo.artifacts import log_model
from core.demo.data import load
from core.demo.experiments import demo_experiments
from core.demo.model_plans import ModelPlan, TrainedBy
from core.demo.paging import all_pages
from core.demo.plan import RunPlan
from core.demo.record import KEPT, RUN_TAG
from core.demo.train import train
from core.errors import SourceError

MODEL_FOLDER: Final = "model"
_STORE: Final = "store_code"
_PARENT: Final = "mlflow.parentRunId"


def runs_with_models(client: MlflowClient, plan: ModelPlan) -> tuple[str, ...]:
    """Return the run of each version, v1 first; each has a model.

    A run that an older demo logged without its model gets it now: training gives the same model every time.

    Raises
    ------
    SourceError
        If a run is gone.
    """
    experiment = client.get_experiment_by_name(plan.experiment)
    if experiment is None:
        raise _gone(plan.versions[0])
    found = []
    for version in plan.versions:
        run = _run(client, experiment.experiment_id, version)
        if version.store is None:
            _give_model(client, experiment.experiment_id, run)
        found.append(str(run.info.run_id))
    return tuple(found)


def _run(client: MlflowClient, experiment_id: str, version: TrainedBy) -> Run:
    run = _first(client, experiment_id, f"tags.`mlflow.runName` = '{version.run}'", version)
    if version.store is None:
        return run
    ours = f"tags.`{_PARENT}` = '{run.info.run_id}' AND attributes.status = 'FINISHED'"
    stores = all_pages(lambda token: client.search_runs([experiment_id], ours, page_token=token))
    if not stores:
        raise _gone(version)
    stores.sort(key=lambda one: one.data.params.get(_STORE, ""))
    return stores[min(version.store, len(stores) - 1)]


def _first(client: MlflowClient, experiment_id: str, condition: str, version: TrainedBy) -> Run:
    query = f"{condition} AND tags.`{RUN_TAG}` = '{KEPT}' AND attributes.status = 'FINISHED'"
    found = client.search_runs([experiment_id], query, max_results=1)
    if not found:
        raise _gone(version)
    return found[0]


def _gone(version: TrainedBy) -> SourceError:
    return SourceError(
        f"The demo's run {version.run!r}, from which a model is registered, is gone. Restore it in MLflow, or build "
        "the demo in another home."
    )


def _give_model(client: MlflowClient, experiment_id: str, run: Run) -> None:
    """Log the model of a run that has none; pipelines of stores always have theirs."""
    plan = _plan_of(run.info.run_name)
    if plan is None:
        return
    logged = all_pages(lambda token: client.search_logged_models([experiment_id], page_token=token))
    for model in logged:
        if model.source_run_id != run.info.run_id:
            continue
        if model.status == LoggedModelStatus.READY:
            return
        client.delete_logged_model(model.model_id)
    data = load(plan.data)
    trained = train(plan, data, lambda epoch: None)
    log_model(client, experiment_id, run.info.run_id, dict(run.data.params), trained, data)


def _plan_of(name: str) -> RunPlan | None:
    for experiment in demo_experiments():
        for entry in experiment.entries:
            if isinstance(entry, RunPlan) and entry.name == name:
                return entry
    return None

"""Make runs and models on the server, once each, even when a reply was lost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from core.tracking.configuration import Destination
from core.tracking.outbox import Operation, Outbox
from core.tracking.reach import LostFilesError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

OUTBOX_TAG = "greenroom.outbox"
# MLflow's client repeats a lost POST by itself, a second or more later: then there may be two of what it created.
_SLOW = 0.9


def begin_run(
    client: MlflowClient, outbox: Outbox, operation: Operation, destination: Destination, parent: str | None
) -> Run:
    """Create the run of an outbox, or find the one that was created."""
    if operation.get("run_id"):
        return _resume(client, operation)
    place = experiment_id(client, operation["experiment"], destination)
    found = _search(client, place, outbox.name) if _attempted(outbox, "run") else []
    if not found:
        tags = {**operation["tags"], OUTBOX_TAG: outbox.name}
        if parent:
            tags["mlflow.parentRunId"] = parent
        began = time.monotonic()
        found = [client.create_run(place, operation["t"], tags, operation["name"])]
        if destination.remote and time.monotonic() - began > _SLOW:
            found = _search(client, place, outbox.name) or found
    for twin in found[1:]:
        client.delete_run(twin.info.run_id)
    return found[0]


def find_run(client: MlflowClient, experiment: str, name: str) -> Run | None:
    """Find the run that came from an outbox."""
    there = client.get_experiment_by_name(experiment)
    found = _search(client, there.experiment_id, name) if there else []
    return found[0] if found else None


def _search(client: MlflowClient, experiment_id: str, name: str) -> list[Run]:
    filter_string = f"tags.`{OUTBOX_TAG}` = '{name}'"
    return list(client.search_runs([experiment_id], filter_string, order_by=["attributes.start_time"]))


def _attempted(outbox: Outbox, what: str) -> bool:
    """Note that something is about to be created; return whether it was before."""
    if what in outbox.state.attempted:
        return True
    outbox.state.attempted.append(what)
    outbox.save()
    return False


def _resume(client: MlflowClient, operation: Operation) -> Run:
    """Go on in the run that a launcher such as `mlflow run` has made."""
    run_id = operation["run_id"]
    client.update_run(run_id, status="RUNNING", name=operation["name"])
    for key, value in operation["tags"].items():
        if not key.startswith("mlflow."):
            client.set_tag(run_id, key, value)
    return client.get_run(run_id)


def experiment_id(client: MlflowClient, name: str, destination: Destination) -> str:
    """Return the id of an experiment, which is made where it is missing.

    Raises
    ------
    RuntimeError
        If it has been deleted.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, destination.artifact_location(name)))
        except MlflowException as error:
            found = client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise error
    if found.lifecycle_stage != "active":
        raise RuntimeError(
            f"the experiment '{name}' has been deleted; restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`"
        )
    return str(found.experiment_id)


def deliver_model(client: MlflowClient, outbox: Outbox, operation: Operation) -> None:
    """Store a saved model as ``mlflow.<flavour>.log_model`` does, without MLflow's global tracking URI.

    MLflow's `Model.log` asks the global tracking URI, experiment and active run, which belong to the training's
    thread; the steps here are its steps.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus
    from mlflow.models import Model

    state = outbox.state
    run_id = str(state.run_id)
    folder = outbox.payload(operation["payload"]) / "model"
    if not (folder / "MLmodel").is_file():
        raise LostFilesError(f"the kept model {folder} is gone")
    logged = _logged_model(client, outbox, operation)
    run = client.get_run(run_id)
    outputs = run.outputs.model_outputs if run.outputs else []
    if all(one.model_id != logged.model_id for one in outputs):
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    described = Model.load(str(folder))
    described.artifact_path = logged.artifact_location
    described.run_id = run_id
    described.model_uuid = described.model_id = logged.model_id
    described.save(str(folder / "MLmodel"))
    client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    if operation.get("register"):
        _register(client, operation["register"], logged.model_id, run_id)


def _logged_model(client: MlflowClient, outbox: Outbox, operation: Operation) -> LoggedModel:
    state = outbox.state
    mark = f"{outbox.name}/{operation['payload']}"
    if _attempted(outbox, operation["payload"]):
        found = client.search_logged_models(
            [str(state.experiment_id)], f"tags.`{OUTBOX_TAG}` = '{mark}'", max_results=1
        )
        if found:
            return found[0]
    return client.create_logged_model(
        str(state.experiment_id),
        name=operation["name"],
        source_run_id=state.run_id,
        tags={OUTBOX_TAG: mark},
        params=client.get_run(str(state.run_id)).data.params,
        model_type=operation.get("type"),
    )


def _register(client: MlflowClient, name: str, model_id: str, run_id: str) -> None:
    from mlflow.exceptions import MlflowException

    source = f"models:/{model_id}"
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise
        quoted = name.replace("'", "''")
        if any(one.source == source for one in client.search_model_versions(f"name = '{quoted}'")):
            return
    client.create_model_version(name, source, run_id, model_id=model_id)

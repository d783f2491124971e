"""Log a checkpoint to a run of MLflow, with what is known of its training."""

from __future__ import annotations

import json
import numbers
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.errors import GreenroomError, RefusedError, SourceError
from core.runs.sources.client import ClientSource
from core.tracking.configuration import destination

if TYPE_CHECKING:
    from core.workspace import Workspace

ARTIFACT_PATH: Final = "model"
"""Where the file is among the artifacts of its run."""


def log_checkpoint(
    workspace: Workspace,
    experiment: str,
    file: Path,
    tags: Mapping[str, str],
    metadata: Mapping[str, Any],
) -> str:
    """Log a checkpoint to a run of its own, named like its file, and return the run's id.

    Parameters
    ----------
    experiment : str
        Made where there is none of this name.
    metadata : mapping
        Of the training: fractions become metrics, whole numbers and texts params, all else tags.

    Raises
    ------
    RefusedError
        If MLflow would change the schema of the store, or the experiment was deleted.
    SourceError
        If MLflow or its artifact store does not take it.
    """
    # Opening a store for writing brings an older database to MLflow's own schema: nobody asked for that.
    workspace.registry.watch.refuse_old_schema()
    address = workspace.address
    client = ClientSource(address).client
    from mlflow.entities import Metric, Param, RunTag

    metrics, params, described = _sorted_out(metadata)
    described |= {**tags, "mlflow.user": workspace.user}
    now = int(clock.now().timestamp() * 1000)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with _asking(address.shown):
        place = _experiment(client, workspace, experiment)
        run_id = str(client.create_run(place, now, run_name=file.stem).info.run_id)
        try:
            client.log_batch(
                run_id,
                [Metric(key, value, now, 0) for key, value in metrics.items()],
                [Param(key, value) for key, value in params.items()],
                [RunTag(key, value) for key, value in described.items()],
            )
            client.log_artifact(run_id, str(file), ARTIFACT_PATH)
        except BaseException:
            with suppress(Exception):
                client.set_terminated(run_id, "FAILED")
            raise
        client.set_terminated(run_id)
    return run_id


def _experiment(client: Any, workspace: Workspace, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name, destination(workspace.settings).artifact_location(name)))
    if found.lifecycle_stage != "active":
        raise RefusedError(
            f"The experiment '{name}' was deleted. Restore it with "
            f"`mlflow experiments restore --experiment-id {found.experiment_id}`."
        )
    return str(found.experiment_id)


def _sorted_out(
    metadata: Mapping[str, Any],
) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
    """Return metadata as metrics, params and tags."""
    metrics: dict[str, float] = {}
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    for key, value in metadata.items():
        if key == "training_loss" and isinstance(value, numbers.Real):
            metrics[key] = float(value)
        elif isinstance(value, bool | str | numbers.Integral):
            params[key] = str(value)
        elif isinstance(value, numbers.Real):
            metrics[key] = float(value)
        elif value is not None:
            tags[key] = json.dumps(value, default=str)
    return metrics, params, tags


@contextmanager
def _asking(shown: str) -> Iterator[None]:
    """Put whatever MLflow and its artifact stores raise into a sentence."""
    try:
        yield
    except GreenroomError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SourceError(f"MLflow at {shown} did not take the checkpoint: {first}") from error

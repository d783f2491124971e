"""The runs of a training in MLflow: found again, gone on with, ended."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from core.errors import BadInputError, NotFoundError
from core.settings import Settings
from core.tracking import MLflowLogger, TrackedRun, active, sync_offline
from core.tracking.configuration import Destination, destination
from core.tracking.sender import new_client
from core.tracking.tracker import _import_mlflow
from core.training.rl.curves import LastStep
from core.training.stores.store_runs import mlflow_answers

if TYPE_CHECKING:
    from mlflow.entities import Run

SEED_TAG: Final = "greenroom.seed"
FAILURE: Final = "failure"
_PARENT: Final = "mlflow.parentRunId"
_FIRST: Final = "dataset_hash"
_NO_RUN: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class TrainingLogger(MLflowLogger):
    """A logger to a given store that can also go on in a child run."""

    def __init__(self, place: Destination, experiment: str) -> None:
        super().__init__(experiment)
        self._destination = place

    def go_on(self, run_id: str, nested: bool) -> TrackedRun:
        """Go on in a run that is there."""
        _import_mlflow(self._destination.remote)
        active.use_store(self._destination.uri)
        parent = self.active_run if nested else None
        run = TrackedRun(self._destination, self.experiment_name, None, {}, parent=parent, resume=run_id)
        self._runs = [*(one for one in self._runs if one.is_open), run]
        self._last = run
        self._end_at_exit()
        return run


class Runs:
    """What a training asks MLflow.

    Raises
    ------
    SourceError
        By any method, if the tracking store does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self.place = destination(settings)
        self._settings = settings

    def logger(self, experiment: str) -> TrainingLogger:
        """Return a logger to the store."""
        return TrainingLogger(self.place, experiment)

    def find(self, run_id: str) -> tuple[Run, str]:
        """Return a run to go on with, and the name of its experiment.

        What an earlier attempt has logged and could not send is sent first, so that nothing of it comes later than
        what this attempt logs.

        Raises
        ------
        NotFoundError
            If there is no such run.
        BadInputError
            If it was deleted, or is the run of one seed.
        """
        from mlflow.exceptions import MlflowException

        sync_offline(self._settings)
        with mlflow_answers("The training could not be gone on with", f"--run-id {run_id}"):
            client = new_client(self.place)
            try:
                run = client.get_run(run_id)
            except MlflowException as error:
                if error.error_code not in _NO_RUN:
                    raise
                raise NotFoundError(
                    f"There is no run {run_id} in the tracking store. Correct --run-id, or leave it out for a new run."
                ) from error
            experiment = client.get_experiment(run.info.experiment_id)
        if run.info.lifecycle_stage == "deleted":
            raise BadInputError(
                f"The run {run_id} was deleted. Restore it with `mlflow runs restore --run-id {run_id}`, or leave out "
                "--run-id."
            )
        if SEED_TAG in run.data.tags and _PARENT in run.data.tags:
            raise BadInputError(
                f"The run {run_id} is that of one seed. Go on with its training: --run-id {run.data.tags[_PARENT]}."
            )
        return run, str(experiment.name)

    def children(self, run: Run) -> dict[int, Run]:
        """Return the runs of the seeds of a training."""
        with mlflow_answers("The training could not be gone on with", f"--run-id {run.info.run_id}"):
            found = new_client(self.place).search_runs(
                [run.info.experiment_id],
                f"tags.`{_PARENT}` = '{run.info.run_id}'",
                order_by=["attributes.start_time"],
            )
        seeds: dict[int, Run] = {}
        for one in found:
            seed = one.data.tags.get(SEED_TAG, "")
            if seed.isdigit():
                seeds.setdefault(int(seed), one)
        return seeds

    def last_steps(self, run_id: str) -> LastStep:
        """Return what tells the last logged step of each metric of a run."""

        def last_step(metric: str) -> int | None:
            with mlflow_answers("The training stopped", f"--run-id {run_id}"):
                history = new_client(self.place).get_metric_history(run_id, metric)
            return max((one.step for one in history), default=None)

        return last_step

    def end(self, run_id: str, status: str, failure: str | None = None) -> None:
        """End a run that no logger has open."""
        with mlflow_answers("The run could not be ended", f"--run-id {run_id}"):
            client = new_client(self.place)
            if failure is not None:
                client.set_tag(run_id, FAILURE, failure[:1000])
            client.set_terminated(run_id, status)

    def forget_failure(self, run: Run) -> None:
        """Take away why an earlier attempt failed."""
        if FAILURE in run.data.tags:
            with mlflow_answers("The training could not be gone on with", f"--run-id {run.info.run_id}"):
                new_client(self.place).delete_tag(run.info.run_id, FAILURE)


def is_begun(run: Run) -> bool:
    """Say whether a training has begun in a run that a launcher may have made."""
    return _FIRST in run.data.params


def seed_tags(tags: Mapping[str, str], seed: int) -> dict[str, str]:
    """Return the tags of a seed's run."""
    return {**tags, SEED_TAG: str(seed)}


def log_params(
    run: TrackedRun, params: Mapping[str, Any], asked: Mapping[str, str], there: Mapping[str, str]
) -> None:
    """Log params of a run.

    Parameters
    ----------
    params : mapping
        What was decided.
    asked : mapping of str to str
        What a launcher has logged in its own words, and for good; where that is something else, a tag says what it
        came to.
    there : mapping of str to str
        What this run has already.
    """
    texts = {key: str(value) for key, value in params.items()}
    run.log_params({key: value for key, value in {**texts, **asked}.items() if key not in there})
    decided = {key: value for key, value in texts.items() if not _is_said(value, asked.get(key, value))}
    if decided:
        run.set_tags(decided)


def _is_said(value: str, asked: str) -> bool:
    """Say whether what was decided is what a launcher has logged, as its shell reads it."""
    try:
        said = "".join(shlex.split(asked))
    except ValueError:
        said = asked
    if said.lower() == value.lower() or said.rpartition("/")[2] == value:
        return True
    try:
        return float(said) == float(value)
    except ValueError:
        return False

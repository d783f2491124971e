"""What the training desk writes to MLflow: the run of a job, made before it starts, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlflow.entities import Param
from mlflow.exceptions import MlflowException

from core.errors import NotFoundError, RefusedError, SourceError
from core.tracking.configuration import Destination
from core.tracking.creation import experiment_id
from core.tracking.reach import is_refusal, probe, reason
from core.tracking.sender import new_client
from core.training.types import JOB_TAG, Job, JobState

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT_TAG: Final = "mlflow.parentRunId"
SWEEP_TAG: Final = "greenroom.sweep"
_IDLE: Final = 5.0
_REASON_TAG: Final = "greenroom.job_reason"
_STATUS: Final = {
    JobState.FINISHED: "FINISHED",
    JobState.FAILED: "FAILED",
    JobState.STOPPED: "KILLED",
    JobState.LOST: "KILLED",
}


class JobRuns:
    """The MLflow runs of jobs. Methods raise `SourceError` where MLflow does not answer."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._client: MlflowClient | None = None
        self._answered_at = -_IDLE

    def make(
        self,
        job: Job,
        given: Mapping[str, str],
        tags: Mapping[str, str],
        parent: str | None = None,
        *,
        again: bool = False,
    ) -> tuple[str, str]:
        """Make the run of a job that waits; return its id and name.

        Parameters
        ----------
        given : mapping of str to str
            Parameters that were given: they become params of the run, as with ``mlflow run``.
        again : bool
            Whether it may have been made before, by a launch that was cut off.
        """
        with self._asked():
            experiment = experiment_id(self.client, job.experiment, self._destination)
            mark = str(job.id)
            found = self._find(experiment, JOB_TAG, mark) if again else None
            if found is None:
                all_tags = {
                    **tags,
                    JOB_TAG: mark,
                    "mlflow.user": job.asked_by,
                    "mlflow.source.type": "PROJECT",
                    "mlflow.source.name": job.project,
                    "mlflow.project.entryPoint": job.entry_point,
                    "mlflow.project.backend": str(job.engine),
                }
                if parent is not None:
                    all_tags[PARENT_TAG] = parent
                made = self.client.create_run(experiment, tags=all_tags, run_name=job.name)
                found = made.info.run_id
            if given:
                params = [Param(key, value) for key, value in given.items()]
                self.client.log_batch(found, params=params)
            self.client.update_run(found, status="SCHEDULED")
            return found, job.name

    def make_parent(
        self, experiment: str, name: str, sweep_id: int, user: str, *, again: bool = False
    ) -> str:
        """Make the run above the runs of a sweep; return its id."""
        with self._asked():
            place = experiment_id(self.client, experiment, self._destination)
            found = self._find(place, SWEEP_TAG, str(sweep_id)) if again else None
            if found is not None:
                return found
            tags = {SWEEP_TAG: str(sweep_id), "mlflow.user": user, "mlflow.source.type": "PROJECT"}
            return str(self.client.create_run(place, tags=tags, run_name=name).info.run_id)

    def again(self, run_id: str, job_id: int) -> None:
        """Make a run that has ended wait for the job that goes on with it.

        Raises
        ------
        NotFoundError
            If the run is gone.
        """
        with self._asked():
            self._run(run_id)
            self.client.set_tag(run_id, JOB_TAG, str(job_id))
            self.client.update_run(run_id, status="SCHEDULED")

    def begin(self, run_id: str, *, resumed: bool = False) -> None:
        """Say that the job of a run has started.

        Parameters
        ----------
        resumed : bool
            Whether the run had ended before.
        """
        waiting = ("SCHEDULED", "FAILED", "KILLED") if resumed else ("SCHEDULED",)
        with self._asked():
            if self._run(run_id).info.status in waiting:
                self.client.update_run(run_id, status="RUNNING")

    def end(self, job: Job) -> None:
        """Say how a job ended, unless its own script has said so, or another job goes on with its run.

        Raises
        ------
        NotFoundError
            If the run is gone.
        """
        with self._asked():
            run_id = job.run_id or self._unfinished(job)
            if run_id is None:
                return
            run = self._run(run_id)
            if run.data.tags.get(JOB_TAG) != str(job.id):
                return
            ended = run.info.status not in ("RUNNING", "SCHEDULED")
            # A script that was stopped may have taken that for its own end; one that failed has said how.
            if not ended or (job.state is JobState.STOPPED and run.info.status != "KILLED"):
                at = None if job.ended_at is None else round(job.ended_at.timestamp() * 1000)
                self.client.set_terminated(run_id, _STATUS[job.state], at)
            if job.reason:
                self.client.set_tag(run_id, _REASON_TAG, job.reason[:4_000])

    def end_parent(self, run_id: str, status: str) -> None:
        """End the run of a sweep.

        Raises
        ------
        NotFoundError
            If the run is gone.
        """
        with self._asked():
            self._run(run_id)
            self.client.set_terminated(run_id, status)

    def discard(self, run_id: str) -> None:
        """Delete a run that was made twice."""
        with self._asked():
            self.client.delete_run(run_id)

    @property
    def client(self) -> MlflowClient:
        """MLflow, opened when it is first asked."""
        if self._client is None:
            self._client = new_client(self._destination)
        return self._client

    def _run(self, run_id: str) -> Run:
        run = self.client.get_run(run_id)
        if run.info.lifecycle_stage != "active":
            raise NotFoundError(f"The run {run_id} has been deleted.")
        return run

    def _unfinished(self, job: Job) -> str | None:
        """Return the run of a job that ended before anybody noted which one it was."""
        experiment = self.client.get_experiment_by_name(job.experiment)
        return None if experiment is None else self._find(experiment.experiment_id, JOB_TAG, str(job.id))

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Ask MLflow only where it is there, and turn what it says into a sentence."""
        there = self._destination
        # MLflow's own calls repeat themselves for minutes.
        if there.remote and time.monotonic() - self._answered_at > _IDLE:
            problem = probe(there.uri)
            if problem is not None:
                raise SourceError(
                    f"{there.shown} cannot be reached: {problem}. Start it, or try again later."
                )
        try:
            yield
        except MlflowException as error:
            said = reason(error)
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                raise NotFoundError(f"MLflow does not know it any more: {said}") from error
            if is_refusal(error):
                raise RefusedError(f"{there.shown} refuses the run of a job: {said}") from error
            raise SourceError(f"{there.shown} does not take the run of a job: {said}") from error
        except RuntimeError as error:
            raise RefusedError(f"The run of a job cannot be made: {reason(error)}") from error
        self._answered_at = time.monotonic()

    def _find(self, experiment: str, tag: str, value: str) -> str | None:
        found = self.client.search_runs([experiment], f"tags.`{tag}` = '{value}'", max_results=1)
        return found[0].info.run_id if found else None

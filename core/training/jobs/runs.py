"""What the training desk writes to MLflow: the run of a job, made before it starts, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mlflow.entities import Param, RunStatus
from mlflow.exceptions import MlflowException

from core.errors import NotFoundError, SourceError
from core.redaction import redact
from core.tracking.configuration import Destination
from core.tracking.creation import experiment_id
from core.tracking.sender import new_client
from core.training.types import JOB_TAG, Job, JobState

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT_TAG: Final = "mlflow.parentRunId"
SWEEP_TAG: Final = "greenroom.sweep"
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
        with _answered(self._destination):
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
        with _answered(self._destination):
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
        with _answered(self._destination):
            self.client.set_tag(run_id, JOB_TAG, str(job_id))
            self.client.update_run(run_id, status="SCHEDULED")

    def begin(self, run_id: str) -> None:
        """Say that the job of a run has started."""
        with _answered(self._destination):
            if self._status(run_id) == "SCHEDULED":
                self.client.update_run(run_id, status="RUNNING")

    def end(self, job: Job) -> None:
        """Say how a job ended, unless its own script has said so."""
        assert job.run_id is not None  # noqa: S101
        with _answered(self._destination):
            status = self._status(job.run_id)
            ended = status not in ("RUNNING", "SCHEDULED")
            # A script that was stopped may have taken that for its own end; one that failed has said how.
            if ended and (job.state is not JobState.STOPPED or status == "KILLED"):
                return
            if job.reason:
                self.client.set_tag(job.run_id, _REASON_TAG, job.reason[:4_000])
            self.client.set_terminated(job.run_id, _STATUS[job.state])

    def end_parent(self, run_id: str, status: str) -> None:
        """End the run of a sweep."""
        with _answered(self._destination):
            self.client.set_terminated(run_id, status)

    @property
    def client(self) -> MlflowClient:
        """MLflow, opened when it is first asked."""
        if self._client is None:
            self._client = new_client(self._destination)
        return self._client

    def _status(self, run_id: str) -> str:
        return str(RunStatus.to_string(RunStatus.from_string(self.client.get_run(run_id).info.status)))

    def _find(self, experiment: str, tag: str, value: str) -> str | None:
        found = self.client.search_runs([experiment], f"tags.`{tag}` = '{value}'", max_results=1)
        return found[0].info.run_id if found else None


class _answered:  # noqa: N801 - used as a statement
    """Turns what MLflow says into a sentence."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, MlflowException) and error.error_code == "RESOURCE_DOES_NOT_EXIST":
            raise NotFoundError(f"MLflow does not know it any more: {redact(error.message)}") from error
        if isinstance(error, MlflowException | RuntimeError):
            said = redact(str(error)).splitlines()[0][:300]
            raise SourceError(f"{self._destination.shown} does not take the run of a job: {said}") from error

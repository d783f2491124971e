"""What a pipeline writes to MLflow: a run a store under the pipeline's run, in an order that survives a kill.

A store's run is ended last, after all that belongs to it: a run that has ended is whole. One that has not is filled
again, with the same values at the same times, so that nothing of it comes twice.
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from core.errors import BadInputError, NotFoundError, SourceError
from core.redaction import redact
from core.training.stores.model_files import DESCRIPTION, RUN_ID

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run, RunInfo

TABLE: Final = "forecast/predictions.parquet"
STORES: Final = "forecast/stores.parquet"
IMPORTANCE: Final = "feature_importance.csv"
STORE, PARTNER, QUALITY, FAILURE = "store_code", "partner_code", "quality", "failure"
_PARENT: Final = "mlflow.parentRunId"
_ENTRY_POINT: Final = "mlflow.project.entryPoint"
_FIRST: Final = "dataset_hash"
# A commit made since does not keep a pipeline from going on: the tag of this name says which one went on last.
_COMMIT: Final = "git_commit_sha"
_ENDED: Final = ("FINISHED", "FAILED")
_NO_RUN: Final = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
# MLflow's most params of one request.
_MOST_PARAMS: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class StoreRecord:
    """A store as it is logged.

    Attributes
    ----------
    metrics, params : mapping
    quality : str
        A `core.forecasts.types.Band`.
    failure : str or None
    files : mapping of str to bytes
        Artifacts by path.
    """

    store: str
    partner: str | None
    quality: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


def find_pipeline(client: MlflowClient, run_id: str) -> Run:
    """Return the run of a pipeline to go on with.

    Raises
    ------
    BadInputError
        If there is no such run, if it was deleted, or if it is the run of a store.
    """
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in _NO_RUN:
            raise
        raise NotFoundError(
            f"There is no run {run_id} in the tracking store. Correct --run-id, or leave it out for a new run."
        ) from error
    if run.info.lifecycle_stage == "deleted":
        raise BadInputError(
            f"The run {run_id} was deleted. Restore it with `mlflow runs restore --run-id {run_id}`, or leave --run-id "
            "out for a new run."
        )
    if STORE in run.data.tags and _PARENT in run.data.tags:
        raise BadInputError(
            f"The run {run_id} is that of the store {run.data.tags[STORE]}. Go on with its pipeline: "
            f"--run-id {run.data.tags[_PARENT]}."
        )
    return run


def just_made(run: Run) -> bool:
    """Say whether `mlflow run` has made a run for a pipeline that has not begun."""
    return _ENTRY_POINT in run.data.tags and _FIRST not in run.data.params


class PipelineRun:
    """A pipeline's run and the runs of its stores.

    Raises
    ------
    SourceError
        By any method, when MLflow does not take what is logged: nothing is lost, the pipeline goes on from there
        when it is started again with the same run.
    """

    def __init__(
        self, client: MlflowClient, run_id: str, experiment_id: str, tags: Mapping[str, str]
    ) -> None:
        self.client = client
        self.run_id = run_id
        self.experiment_id = experiment_id
        self._tags = dict(tags)
        self._unfinished: dict[str, RunInfo] = {}
        self._ids: dict[str, str] = {}

    def begin(
        self,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        files: Mapping[str, bytes],
        asked: Mapping[str, str],
    ) -> None:
        """Log what the pipeline is made from.

        Parameters
        ----------
        asked : mapping of str to str
            What was asked for where a param says what it came to. `mlflow run` has logged it before, for good, and
            under the same names: then a tag says what it came to.

        Raises
        ------
        BadInputError
            If the run was started with other params.
        """
        from mlflow.entities import Param, RunTag

        with self._translated():
            run = self.client.get_run(self.run_id)
            before = run.data.params
            of_project = _ENTRY_POINT in run.data.tags
            tags = dict(tags)
            for key, value in params.items():
                if before.get(key, value) == value or key == _COMMIT:
                    continue
                if of_project and key in asked and _is_asked(key, before[key], asked[key]):
                    tags[key] = value
                else:
                    raise BadInputError(
                        f"The run {self.run_id} was started with {key} = {before[key]}, not {value}. Go on with what "
                        "it was started with, or leave --run-id out for a new run."
                    )
            if run.info.status != "RUNNING":
                self.client.update_run(self.run_id, status="RUNNING")
            if FAILURE in run.data.tags:
                self.client.delete_tag(self.run_id, FAILURE)
            new = [Param(key, value) for key, value in params.items() if key not in before]
            for start in range(0, len(new), _MOST_PARAMS):
                self.client.log_batch(self.run_id, params=new[start : start + _MOST_PARAMS])
            self.client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
            self._log_files(self.run_id, files)

    def done(self) -> dict[str, StoreRecord]:
        """Return the stores whose runs are whole, and remember those that are not.

        A store has two runs where a reply of the server was lost and MLflow repeated its request: one that is not
        whole is deleted then.
        """
        found: dict[str, StoreRecord] = {}
        open_runs: dict[str, list[RunInfo]] = {}
        with self._translated():
            for run in self._children():
                store = run.data.tags.get(STORE)
                if store is None:
                    continue
                if run.info.status not in _ENDED:
                    open_runs.setdefault(store, []).append(run.info)
                    continue
                self._ids[store] = run.info.run_id
                found[store] = StoreRecord(
                    store,
                    run.data.tags.get(PARTNER),
                    run.data.tags.get(QUALITY, ""),
                    dict(run.data.metrics),
                    dict(run.data.params),
                    run.data.tags.get(FAILURE),
                )
            for store, runs in open_runs.items():
                twins = runs if store in found else runs[1:]
                for twin in twins:
                    self.client.delete_run(twin.run_id)
                if store not in found:
                    self._unfinished[store] = runs[0]
        return found

    def run_id_of(self, store: str) -> str:
        """Return the id of a store's run."""
        return self._ids[store]

    def _children(self) -> Iterator[Any]:
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id],
                f"tags.`{_PARENT}` = '{self.run_id}'",
                max_results=1000,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def log_store(self, record: StoreRecord) -> None:
        """Log a store, whole."""
        from mlflow.entities import Metric, Param

        with self._translated():
            run = self._unfinished.pop(record.store, None) or self._create(record)
            metrics = [Metric(key, value, run.start_time, 0) for key, value in record.metrics.items()]
            params = [Param(key, value) for key, value in record.params.items()]
            self.client.log_batch(run.run_id, metrics, params)
            self._log_files(run.run_id, record.files, run.artifact_uri)
            self.client.set_terminated(run.run_id, "FAILED" if record.failure else "FINISHED")
            self._ids[record.store] = run.run_id

    def _create(self, record: StoreRecord) -> RunInfo:
        tags = {
            **self._tags,
            _PARENT: self.run_id,
            STORE: record.store,
            QUALITY: record.quality,
            **({PARTNER: record.partner} if record.partner else {}),
            **({FAILURE: record.failure} if record.failure else {}),
        }
        if TABLE in record.files:
            tags["mlflow.loggedArtifacts"] = json.dumps([{"path": TABLE, "type": "table"}])
        name = f"Store {record.partner}_{record.store}" if record.partner else f"Store {record.store}"
        return self.client.create_run(self.experiment_id, tags=tags, run_name=name).info

    def forecast_of(self, store: str) -> pl.DataFrame:
        """Read a store's forecast back."""
        with self._translated(), tempfile.TemporaryDirectory(prefix="greenroom-") as folder:
            return pl.read_parquet(self.client.download_artifacts(self._ids[store], TABLE, folder))

    def progress(self, done: int) -> None:
        """Log how many stores are done."""
        with self._translated():
            self.client.log_metric(self.run_id, "stores_done", done)

    def finish(
        self,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Mapping[str, bytes],
        status: str,
    ) -> None:
        """Log what the pipeline as a whole came to, and end it."""
        from mlflow.entities import Metric, RunTag

        with self._translated():
            started = self.client.get_run(self.run_id).info.start_time
            self._log_files(self.run_id, files)
            self.client.log_batch(
                self.run_id,
                [Metric(key, value, started, 0) for key, value in metrics.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )
            self.client.set_terminated(self.run_id, status)

    def fail(self, reason: str) -> None:
        """End the run as failed, with the reason."""
        with self._translated():
            self.client.set_tag(self.run_id, FAILURE, reason[:1000])
            self.client.set_terminated(self.run_id, "FAILED")

    def _log_files(self, run_id: str, files: Mapping[str, bytes], place: str | None = None) -> None:
        """Log files; `place` is the run's artifact URI where it is known, which spares MLflow a look."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        if not files:
            return
        repository = get_artifact_repository(
            place or self.client.get_run(run_id).info.artifact_uri, self.client.tracking_uri
        )
        folder = Path(tempfile.mkdtemp(prefix="greenroom-"))
        try:
            for path, content in files.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                described = target.name == DESCRIPTION
                target.write_bytes(content.replace(RUN_ID, run_id.encode()) if described else content)
            repository.log_artifacts(str(folder))  # type: ignore[no-untyped-call]
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with mlflow_answers(f"The pipeline {self.run_id} stopped", f"--run-id {self.run_id}"):
            yield


def _is_asked(key: str, logged: str, asked: str) -> bool:
    """Say whether a parameter of a project, which MLflow logs as its shell reads it, is what is asked for now."""
    try:
        said = "".join(shlex.split(logged))
    except ValueError:
        said = logged
    if key == "data":
        said = said.rpartition("/")[2]
    return said == asked or (_number(said) is not None and _number(said) == _number(asked))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@contextmanager
def mlflow_answers(what: str, how: str) -> Iterator[None]:
    """Turn what MLflow, its database or its artifact store raise into a sentence that says how to go on."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = redact(str(error).partition("\n")[0].strip())
        raise SourceError(
            f"{what}, the tracking store answered: {reason} What was logged stays. Go on with {how} when it is back."
        ) from error

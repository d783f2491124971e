"""Read runs through `MlflowClient`: any tracking URI that MLflow itself can open."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from core.errors import SourceError
from core.redaction import redact
from core.runs.sources.base import (
    HEADS_COLUMNS,
    SCHEMAS,
    Changes,
    FullRead,
    Known,
    OnProgress,
    RunBatch,
    concat,
    empty_batch,
)
from core.runs.sources.file_store import FileStoreView
from core.runs.sources.uris import StoreAddress, StoreKind
from core.runs.types import (
    Dialect,
    Experiment,
    LoggedModel,
    MetricHistory,
    SourceInfo,
    SyncProgress,
)

T = TypeVar("T")

# A code by itself: a port such as 54011 has 401 in it, too.
_REFUSED = re.compile(r"(?<![\d:.])40[13](?!\d)")
_ID = re.compile(r"[\w.\-]+")
_IDS_A_REQUEST = 100
_LIVE_RUNS_A_LOOK = 300
# Clocks of training machines differ: runs that started this long before the newest are asked for again.
_CLOCK_SLACK_MS = 120_000
_DIALECTS = {
    StoreKind.SQLITE: Dialect.SQLITE,
    StoreKind.POSTGRESQL: Dialect.POSTGRESQL,
    StoreKind.FILE: Dialect.FILE,
}


class ClientSource:
    """A run source over `MlflowClient`.

    Parameters
    ----------
    fallback_reason : str, optional
        Why this source stands in for the faster one, in words for people.
    view_folder : Path, optional
        Where a file store is mirrored by links (`FileStoreView`); needed for file stores only.
    """

    def __init__(
        self, address: StoreAddress, fallback_reason: str | None = None, view_folder: Path | None = None
    ) -> None:
        self._address = address
        self._fallback_reason = fallback_reason
        self._view: FileStoreView | None = None
        if address.kind is StoreKind.FILE and address.path is not None and view_folder is not None:
            self._view = FileStoreView(address.path, view_folder)
        uri = self._view.uri if self._view else address.uri
        self.client = self.ask(_make_client, uri)

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            kind="client",
            uri=self._address.shown,
            # What stands behind a server is not known; SQLite and most PostgreSQL set-ups agree.
            dialect=_DIALECTS.get(self._address.kind, Dialect.SQLITE),
            detail="MlflowClient",
            fallback_reason=self._fallback_reason,
        )

    def fingerprint(self) -> str | None:
        return self._view.fingerprint() if self._view else None

    def close(self) -> None:
        """The client keeps nothing open that must be given back."""

    def rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        return None

    # Experiments

    def experiments(self) -> tuple[Experiment, ...]:
        return tuple(
            Experiment(
                str(one.experiment_id),
                one.name,
                one.lifecycle_stage,
                one.artifact_location,
                datetime.fromtimestamp(one.creation_time / 1000, UTC) if one.creation_time else None,
            )
            for one in sorted(self._experiments(), key=lambda one: _numeric(one.experiment_id))
        )

    def experiment_tags(self) -> Mapping[str, Mapping[str, str]]:
        return {str(one.experiment_id): dict(one.tags) for one in self._experiments() if one.tags}

    def _experiments(self) -> list[Any]:
        from mlflow.entities import ViewType

        self._link_new()
        found: list[Any] = []
        token = None
        while True:
            page = self.ask(
                self.client.search_experiments, view_type=ViewType.ALL, max_results=1000, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    # Runs

    def read_all(self, on_progress: OnProgress | None = None) -> FullRead:
        report = on_progress or (lambda progress: None)
        marks = {"read_at": time.time()}
        ids = [one.experiment_id for one in self._experiments()]
        parts: list[RunBatch] = []
        done = 0
        problems: list[str] = []
        # A file store reads all runs of an experiment for each page of it, so it is asked by experiment.
        for group in [[one] for one in ids] if self._view else [ids]:
            try:
                for page in self._pages(group, "", []):
                    parts.append(to_batch(page))
                    done += len(page)
                    report(SyncProgress("runs", done, None))
            except SourceError:
                if self._view is None:
                    raise
                runs, found = self._readable_runs(group[0])
                parts.append(to_batch(runs))
                problems += found
        return FullRead(concat(parts), marks, tuple(problems))

    def _readable_runs(self, experiment_id: str) -> tuple[list[Any], list[str]]:
        """Read the runs of a damaged experiment one by one, and say which cannot be read."""
        runs, problems = [], []
        for run_id in self._view.run_ids(experiment_id) if self._view else ():
            try:
                runs.append(self.ask(self.client.get_run, run_id))
            except SourceError as error:
                problems.append(f"Run {run_id} of experiment {experiment_id} was left out: {error}")
        return runs, problems

    def _pages(
        self, experiment_ids: Sequence[str], filter_string: str, order_by: list[str]
    ) -> Iterator[list[Any]]:
        from mlflow.entities import ViewType

        if not experiment_ids:
            return
        token = None
        size = 50_000 if self._view else 2_000
        while True:
            page = self.ask(
                self.client.search_runs,
                list(experiment_ids),
                filter_string=filter_string,
                run_view_type=ViewType.ALL,
                max_results=size,
                order_by=order_by,
                page_token=token,
            )
            yield list(page)
            token = page.token
            if not token:
                return

    def read_runs(self, run_ids: Sequence[str]) -> RunBatch:
        # Text that can be no id would break the filter below.
        ids = [one for one in dict.fromkeys(run_ids) if _ID.fullmatch(one)]
        if not ids:
            return empty_batch()
        self._link_new()
        if self._view:
            runs = [run for run_id in ids if (run := self._run_or_none(run_id)) is not None]
            return to_batch(runs)
        experiments = [one.experiment_id for one in self._experiments()]
        parts = []
        for start in range(0, len(ids), _IDS_A_REQUEST):
            listed = ", ".join(f"'{run_id}'" for run_id in ids[start : start + _IDS_A_REQUEST])
            comma = "," if "," not in listed else ""
            condition = (
                f"attributes.run_id IN ({listed}{comma})" if not comma else f"attributes.run_id = {listed}"
            )
            parts += [to_batch(page) for page in self._pages(experiments, condition, [])]
        return concat(parts)

    def _run_or_none(self, run_id: str) -> Any:
        try:
            return self.ask(self.client.get_run, run_id)
        except SourceError:
            return None

    def changes(self, known: Known) -> Changes:
        if self._view:
            return self._changed_files(self._view, known)
        began = time.time()
        since_ms = int(float(known.marks.get("read_at", 0.0)) * 1000) - _CLOCK_SLACK_MS
        experiments = [one.experiment_id for one in self._experiments()]
        candidates: dict[str, None] = {}
        for condition in (f"attributes.start_time > {since_ms}", f"attributes.end_time > {since_ms}"):
            for page in self._pages(experiments, condition, []):
                candidates |= dict.fromkeys(run.info.run_id for run in page)
        live = known.heads.filter(pl.col("status").is_in(["RUNNING", "SCHEDULED"]))
        candidates |= dict.fromkeys(live["run_id"].head(_LIVE_RUNS_A_LOOK).to_list())
        return Changes(tuple(candidates), (), {"read_at": began})

    def _changed_files(self, view: FileStoreView, known: Known) -> Changes:
        began = time.time()
        since = float(known.marks.get("read_at", 0.0)) - _CLOCK_SLACK_MS / 1000
        present = view.runs_changed_since(since)
        gone = known.heads["run_id"].filter(~known.heads["run_id"].is_in(list(present)))
        before = set(known.heads["run_id"])
        candidates = tuple(one for one, changed in present.items() if changed or one not in before)
        return Changes(candidates, tuple(gone), {"read_at": began})

    # Histories

    def histories(self, run_ids: Sequence[str], key: str) -> tuple[MetricHistory, ...]:
        found = []
        self._link_new()
        for run_id in run_ids:
            try:
                points = self.ask(self.client.get_metric_history, run_id, key)
            except SourceError:
                if self._view is None or self._run_or_none(run_id) is not None:
                    raise
                continue
            if points:
                found.append(_history(run_id, key, points))
        return tuple(found)

    def extremes(self, key: str, run_ids: Sequence[str] | None) -> pl.DataFrame:
        if run_ids is None:
            raise SourceError(
                "The minimum and maximum over all runs can only be had from the tracking database. Set "
                "GREENROOM_BACKEND_URI to it, or choose the last value."
            )
        rows: list[tuple[str, float, float]] = []
        for history in self.histories(run_ids, key):
            values = history.values[~np.isnan(history.values)]
            if len(values):
                rows.append((history.run_id, float(values.min()), float(values.max())))
        schema = {"run_id": pl.String, "min": pl.Float64, "max": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def logged_models(self, run_id: str) -> tuple[LoggedModel, ...]:
        self._link_new()
        run = self.ask(self.client.get_run, run_id)
        outputs = getattr(getattr(run, "outputs", None), "model_outputs", None) or []
        models = []
        for output in outputs:
            model = self.ask(self.client.get_logged_model, output.model_id)
            found = LoggedModel(model.model_id, model.name, model.artifact_location)
            models.append((model.creation_timestamp, found))
        return tuple(model for _, model in sorted(models, key=lambda one: -one[0]))

    def _link_new(self) -> None:
        """Show MLflow what was added to a file store since the last question."""
        if self._view:
            self._view.refresh()

    def ask(self, question: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Ask MLflow, and put a failure into a sentence."""
        import requests
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            return question(*arguments, **named)
        except requests.exceptions.RequestException as error:
            raise SourceError(
                f"The MLflow server {self._address.shown} does not answer: {type(error).__name__}. "
                "Check that it runs and that the address is right."
            ) from error
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise SourceError(self._sentence(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # MLflow's file store trips over damaged files with whatever Python raises.
            raise SourceError(
                f"MLflow could not read {self._address.shown}: {_first_line(error)}."
            ) from error
        except Exception as error:
            import yaml

            if not isinstance(error, yaml.YAMLError):
                raise
            raise SourceError(
                f"A meta.yaml of {self._address.shown} is damaged: {_first_line(error)}."
            ) from error

    def _sentence(self, error: Exception) -> str:
        reason = _first_line(error)
        status = getattr(error, "get_http_status_code", lambda: None)()
        if _REFUSED.search(reason) or status in (401, 403):
            return (
                f"The MLflow server {self._address.shown} refuses these credentials. Set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
            )
        if any(sign in reason for sign in ("Max retries", "Connection", "timed out", "Name or service")):
            return (
                f"The MLflow server {self._address.shown} does not answer. Check that it runs and that the "
                "address is right."
            )
        return f"MLflow could not read {self._address.shown}: {reason}."


def _make_client(uri: str) -> Any:
    # The person opted in by naming a file store; MLflow asks for the variable besides.
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    # A page must not hang for the minutes of MLflow's default of 7 retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    from mlflow import MlflowClient

    logging.getLogger("mlflow.store.file_store").setLevel(logging.ERROR)
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    words = [redact(word) if "://" in word else word for word in line.split(" ")]
    return " ".join(words)[:400].rstrip(".")


def _numeric(experiment_id: str) -> tuple[int, str]:
    return (int(experiment_id) if experiment_id.isdigit() else 2**63, experiment_id)


def _history(run_id: str, key: str, points: Sequence[Any]) -> MetricHistory:
    steps = np.array([point.step for point in points], dtype=np.int64)
    times = np.array([point.timestamp for point in points], dtype=np.int64)
    values = np.array([point.value for point in points], dtype=np.float64)
    order = np.lexsort((times, steps))
    return MetricHistory(run_id, key, steps[order], times[order].astype("datetime64[ms]"), values[order])


def to_batch(runs: Sequence[Any]) -> RunBatch:
    """Turn MLflow's run entities into a batch."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in SCHEMAS}
    for number, run in enumerate(runs):
        info, data = run.info, run.data
        rows["runs"].append(
            (
                info.run_id,
                str(info.experiment_id),
                info.run_name,
                info.user_id,
                info.status,
                info.start_time,
                info.end_time,
                info.lifecycle_stage,
                info.artifact_uri or "",
            )
        )
        last = {metric.key: (metric.step, metric.timestamp) for metric in data._metric_objs}
        rows["metrics"] += [
            (number, key, float(value), *last.get(key, (0, 0))) for key, value in data.metrics.items()
        ]
        rows["params"] += [(number, key, value) for key, value in data.params.items()]
        rows["tags"] += [(number, key, value) for key, value in data.tags.items()]
        for used in run.inputs.dataset_inputs if run.inputs else ():
            contexts = [tag.value for tag in used.tags if tag.key == "mlflow.data.context"] or [None]
            one = used.dataset
            rows["datasets"] += [
                (number, one.name, one.digest, one.source_type or "", one.source or "", context)
                for context in contexts
            ]
    frames = {
        name: pl.DataFrame(rows[name], schema=pl.Schema(schema), orient="row")
        for name, schema in SCHEMAS.items()
    }
    return RunBatch(**frames)


assert set(HEADS_COLUMNS) <= SCHEMAS["runs"].keys()  # noqa: S101

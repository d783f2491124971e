"""Runs and artifacts for the tests of forecasts: a fake of the index in plain loops, and folders with tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from mlflow.entities import Run as MlflowRun

from core.errors import NotFoundError
from core.runs.types import Run

PARENT = "mlflow.parentRunId"
TABLES = "mlflow.loggedArtifacts"
BEGAN = datetime(2024, 9, 6, 14, 30, tzinfo=UTC)


def log(root: Path, path: str, what: pl.DataFrame | list[Any] | dict[str, Any] | bytes) -> Path:
    """Write an artifact below a folder, a table in the format that its name says."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(what, bytes):
        target.write_bytes(what)
    elif not isinstance(what, pl.DataFrame):
        target.write_text(json.dumps(what))
    elif path.endswith(".json"):
        rows = [list(row) for row in what.rows()]
        target.write_text(json.dumps({"columns": what.columns, "data": rows}, default=str))
    elif path.endswith(".csv"):
        what.write_csv(target)
    else:
        what.write_parquet(target)
    return target


def tag_of(*paths: str) -> str:
    """Return the tag in which MLflow lists tables."""
    return json.dumps([{"path": path, "type": "table"} for path in paths])


def from_mlflow(run: MlflowRun) -> Run:
    """Return a run of MLflow as the index has it, without datasets."""
    started, ended = (
        None if one is None else datetime.fromtimestamp(one / 1000, UTC)
        for one in (run.info.start_time, run.info.end_time)
    )
    return Run(
        run.info.run_id,
        run.info.experiment_id,
        run.info.run_name or "",
        run.info.status,
        started,
        ended,
        run.info.user_id or "",
        run.info.lifecycle_stage,
        run.info.artifact_uri,
        run.data.tags.get(PARENT),
        dict(run.data.params),
        dict(run.data.metrics),
        dict(run.data.tags),
    )


@dataclass
class FakeRuns:
    """`StoreRuns` over a list of runs; tests/core/runs/test_nested.py holds it to the real one."""

    all: list[Run] = field(default_factory=list)
    experiments: Mapping[str, str] = field(default_factory=dict)

    def add(
        self,
        run_id: str,
        *,
        parent: str | None = None,
        name: str = "",
        status: str = "FINISHED",
        experiment: str = "1",
        deleted: bool = False,
        params: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Log a run that starts a minute after the one before."""
        nested = {} if parent is None else {PARENT: parent}
        self.all.append(
            Run(
                run_id,
                experiment,
                name,
                status,
                BEGAN + timedelta(minutes=len(self.all)),
                None,
                "ana",
                "deleted" if deleted else "active",
                "",
                parent,
                params or {},
                metrics or {},
                {**(tags or {}), **nested},
            )
        )
        return run_id

    def run(self, run_id: str) -> Run:
        exact = [run for run in self.all if run.run_id == run_id]
        found = exact or [run for run in self.all if run.run_id.startswith(run_id)]
        if len(found) != 1:
            raise NotFoundError(f"There is no run {run_id}.")
        return found[0]

    def runs(self, run_ids: Sequence[str]) -> tuple[Run, ...]:
        return tuple(
            run
            for run_id in run_ids
            for run in self.all
            if run.run_id == run_id and run.lifecycle_stage == "active"
        )

    def metric_keys(self) -> tuple[str, ...]:
        return tuple(sorted({key for run in self.all for key in run.metrics}))

    def children(self, run_id: str, columns: Sequence[str]) -> pl.DataFrame:
        return self._frame((run for run in self._active() if run.parent_run_id == run_id), columns)

    def table(self, run_ids: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
        return self._frame((run for run_id in run_ids for run in self.all if run.run_id == run_id), columns)

    def with_param(self, key: str, value: str, columns: Sequence[str], most: int) -> pl.DataFrame:
        if "'" in value and '"' in value:
            return pl.DataFrame()
        return self._frame([run for run in self._active() if run.params.get(key) == value][:most], columns)

    def parents_of(self, param: str) -> tuple[str, ...]:
        parents = {run.parent_run_id for run in self._active() if param in run.params}
        return tuple(run.run_id for run in self._active() if run.run_id in parents)

    def with_tables_named(self, patterns: Sequence[str], most: int) -> tuple[str, ...]:
        known = [re.escape(pattern).replace("%", ".*") for pattern in patterns]
        return tuple(
            run.run_id
            for run in self._active()
            if PARENT not in run.tags
            and any(
                re.fullmatch(one, run.tags.get(TABLES, ""), re.DOTALL) for one in known if TABLES in run.tags
            )
        )[:most]

    def with_metrics(self, keys: Sequence[str], most: int) -> tuple[str, ...]:
        return tuple(
            run.run_id
            for run in self._active()
            if PARENT not in run.tags and not run.metrics.keys().isdisjoint(keys)
        )[:most]

    def _active(self) -> list[Run]:
        """Return the runs that are not deleted, latest first."""
        active = [run for run in self.all if run.lifecycle_stage == "active"]
        return sorted(active, key=lambda run: (-(run.start_time or BEGAN).timestamp(), run.run_id))

    def _frame(self, runs: Iterable[Run], columns: Sequence[str]) -> pl.DataFrame:
        moment = pl.Datetime("ms", "UTC")
        schema: dict[str, Any] = {
            **dict.fromkeys(("run_id", "name", "experiment", "status"), pl.String),
            **dict.fromkeys(("start_time", "end_time"), moment),
            "duration": pl.Float64,
            **dict.fromkeys(("user", "lifecycle_stage", "parent_run_id"), pl.String),
            **{column: pl.Float64 if column.startswith("metrics.") else pl.String for column in columns},
        }
        rows = [
            (
                run.run_id,
                run.name,
                self.experiments.get(run.experiment_id, run.experiment_id),
                run.status,
                run.start_time,
                run.end_time,
                (run.end_time - run.start_time).total_seconds() if run.start_time and run.end_time else None,
                run.user,
                run.lifecycle_stage,
                run.parent_run_id,
                *(getattr(run, table).get(key) for table, _, key in (one.partition(".") for one in columns)),
            )
            for run in runs
        ]
        return pl.DataFrame(rows, schema=schema, orient="row")

"""Read runs straight from MLflow's own tables, read-only, on SQLite and PostgreSQL.

The tables have kept their shape from MLflow 1.26 to 3.17: what a schema lacks (datasets, logged models, some
columns) is simply absent from the answer. Rows arrive as Arrow through ADBC, which needs neither Python
objects nor the interpreter's lock, so that a page stays alive while a hundred thousand runs are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeAlias

import polars as pl

from core.errors import SourceError
from core.runs.sources.base import (
    DATASETS_SCHEMA,
    HEADS_COLUMNS,
    METRICS_SCHEMA,
    RUNS_SCHEMA,
    TEXT_SCHEMA,
    Changes,
    FullRead,
    Known,
    OnProgress,
    RunBatch,
)
from core.runs.sources.database import Database
from core.runs.types import (
    Experiment,
    LoggedModel,
    MetricHistory,
    SourceInfo,
    SyncProgress,
)

Shape: TypeAlias = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]

# SQLite types a result column by its first rows, so no column may begin with NULL: a missing number is
# this value on its way, a missing text is '' beside a flag column.
_MISSING = -(2**62)
_IDS_A_QUERY = 500
_LIVE_RUNS_A_LOOK = 300
_NEEDED = {"experiments", "runs", "latest_metrics", "metrics", "params", "tags"}
_LONG_TABLES = ("latest_metrics", "params", "tags")
# An answer without rows has no types of its own, and cannot be joined to one that has.
_POINTS_SCHEMA: dict[str, Any] = {
    "run_uuid": pl.String,
    "step": pl.Int64,
    "time": pl.Int64,
    "value": pl.Float64,
    "is_nan": pl.Int8,
}
_EXTREMES_SCHEMA: dict[str, Any] = {"run_id": pl.String, "min": pl.Float64, "max": pl.Float64}


def schema_revision(database: Database, columns: Mapping[str, frozenset[str]]) -> str | None:
    """Return the Alembic revision of MLflow's schema; None where the database states none."""
    if "alembic_version" not in columns:
        return None
    rows = database.query("select version_num from alembic_version")
    return str(rows.item(0, 0)) if rows.height else None


def literal(text: str) -> str:
    """Return an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _in_list(values: Sequence[str]) -> str:
    return "(" + ",".join(literal(value) for value in values) + ")"


def _chunks(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _time(milliseconds: int | None) -> datetime | None:
    if milliseconds is None or milliseconds == _MISSING:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class SqlSource:
    """A run source over the tables of MLflow's backend database."""

    def __init__(self, database: Database, uri: str) -> None:
        self._database = database
        self._uri = uri
        self._columns = database.columns()
        missing = _NEEDED - self._columns.keys()
        if missing:
            if not self._columns:
                raise SourceError(
                    f"The database {uri} has no tables: MLflow has not written to it yet. Start a training "
                    "run that logs to it, or check the tracking URI."
                )
            raise SourceError(
                f"The database {uri} is not MLflow's: it has no table {', '.join(sorted(missing))}. "
                "Check the tracking URI."
            )
        self._has_datasets = {"inputs", "datasets", "input_tags"} <= self._columns.keys()

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            kind="sql",
            uri=self._uri,
            dialect=self._database.dialect,
            detail=f"read-only SQL, MLflow schema {self.schema_revision() or 'unknown'}",
        )

    def schema_revision(self) -> str | None:
        """Return the Alembic revision of MLflow's schema."""
        return schema_revision(self._database, self._columns)

    def fingerprint(self) -> str | None:
        return self._database.fingerprint()

    def close(self) -> None:
        self._database.close()

    def rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        return self._database.rank_strings(values)

    # Experiments

    def experiments(self) -> tuple[Experiment, ...]:
        created = self._number("creation_time", "experiments")
        rows = self._database.query(
            "select cast(experiment_id as text) id, name, coalesce(lifecycle_stage, 'active') stage, "
            f"coalesce(artifact_location, '') place, {created} created from experiments "
            "order by experiments.experiment_id"
        )
        return tuple(
            Experiment(row["id"], row["name"], row["stage"], row["place"] or None, _time(row["created"]))
            for row in rows.iter_rows(named=True)
        )

    def experiment_tags(self) -> Mapping[str, Mapping[str, str]]:
        if "experiment_tags" not in self._columns:
            return {}
        rows = self._database.query(
            "select cast(experiment_id as text) id, key, coalesce(value, '') value from experiment_tags"
        )
        tags: dict[str, dict[str, str]] = {}
        for experiment_id, key, value in rows.iter_rows():
            tags.setdefault(experiment_id, {})[key] = value
        return tags

    # Runs

    def read_all(self, on_progress: OnProgress | None = None) -> FullRead:
        report = on_progress or (lambda progress: None)
        marks = self._marks()
        report(SyncProgress("runs", 0, None))
        runs = pl.concat([_runs(part) for part in self._database.stream("runs", self._runs_select())])
        numbers = _numbers(runs)
        report(SyncProgress("runs", runs.height, runs.height))

        def read(table: str, name: str, shape: Shape) -> pl.DataFrame:
            parts, done = [], 0
            for part in self._database.stream(table, self._long_select(table)):
                parts.append(shape(part, numbers))
                done += part.height
                report(SyncProgress(name, done, None))
            return pl.concat(parts)

        with ThreadPoolExecutor(self._database.readers) as pool:
            waiting = {name: pool.submit(read, table, name, shape) for table, name, shape in _LONG_READS}
            tables = {name: one.result() for name, one in waiting.items()}
        tables["datasets"] = self._datasets("", numbers)
        return FullRead(RunBatch(runs=runs, **tables), marks)

    def read_runs(self, run_ids: Sequence[str]) -> RunBatch:
        ids = list(dict.fromkeys(run_ids))
        runs = [pl.DataFrame(schema=RUNS_SCHEMA)]
        for part in _chunks(ids, _IDS_A_QUERY):
            query = f"select {self._runs_select()} from runs where run_uuid in {_in_list(part)}"
            runs.append(_runs(self._database.query(query)))
        frame = pl.concat(runs)
        numbers = _numbers(frame)
        tables: dict[str, list[pl.DataFrame]] = {
            "metrics": [pl.DataFrame(schema=METRICS_SCHEMA)],
            "params": [pl.DataFrame(schema=TEXT_SCHEMA)],
            "tags": [pl.DataFrame(schema=TEXT_SCHEMA)],
            "datasets": [pl.DataFrame(schema=DATASETS_SCHEMA)],
        }
        for part in _chunks(frame["run_id"].to_list(), _IDS_A_QUERY):
            where = f"where run_uuid in {_in_list(part)}"
            for table, name, shape in _LONG_READS:
                query = f"select {self._long_select(table)} from {table} {where}"
                tables[name].append(shape(self._database.query(query), numbers))
            tables["datasets"].append(self._datasets(f"and i.destination_id in {_in_list(part)}", numbers))
        return RunBatch(runs=frame, **{name: pl.concat(parts) for name, parts in tables.items()})

    def changes(self, known: Known) -> Changes:
        marks = self._marks()
        current = self._heads()
        before = known.heads.select(HEADS_COLUMNS)
        changed = current.join(before, on=list(HEADS_COLUMNS), how="anti", nulls_equal=True)
        gone = before.join(current, on="run_id", how="anti")["run_id"]
        live = current.filter(pl.col("status").is_in(["RUNNING", "SCHEDULED"])).tail(_LIVE_RUNS_A_LOOK)
        candidates = dict.fromkeys(changed["run_id"].to_list())
        candidates |= dict.fromkeys(live["run_id"].to_list())
        candidates |= dict.fromkeys(self._written_since(known.marks))
        return Changes(tuple(candidates), tuple(gone), marks)

    def _heads(self) -> pl.DataFrame:
        return self._database.query(
            "select run_uuid run_id, cast(experiment_id as text) experiment_id, coalesce(name, '') name, "
            "name is null name_missing, coalesce(status, '') status, "
            f"coalesce(end_time, {_MISSING}) end_time, coalesce(lifecycle_stage, 'active') lifecycle_stage "
            "from runs"
        ).select(
            "run_id",
            "experiment_id",
            _nullable("name", "name_missing"),
            "status",
            _number("end_time"),
            "lifecycle_stage",
        )

    def _marks(self) -> dict[str, int]:
        """Return the highest row number of every table that grows, where the database numbers its rows."""
        if not self._database.numbers_rows:
            return {}
        tables = [*_LONG_TABLES, *(["inputs"] if self._has_datasets else [])]
        query = " union all ".join(
            f"select {literal(table)} t, coalesce(max(rowid), 0) n from {table}" for table in tables
        )
        return {name: int(mark) for name, mark in self._database.query(query).iter_rows()}

    def _written_since(self, marks: Mapping[str, Any]) -> list[str]:
        if not self._database.numbers_rows or not marks:
            return []
        parts = [
            f"select {'destination_id' if table == 'inputs' else 'run_uuid'} id from {table} "
            # Else newer SQLite reads whole indexes, to have the parts of the union sorted.
            f"not indexed where rowid > {int(mark)}"
            for table, mark in marks.items()
            if table in (*_LONG_TABLES, "inputs") and table in self._columns
        ]
        if not parts:
            return []
        return [str(value) for value in self._database.query(" union ".join(parts))["id"]]

    def _runs_select(self) -> str:
        return (
            "run_uuid, cast(experiment_id as text) experiment_id, coalesce(name, '') name, "
            "name is null name_missing, coalesce(user_id, '') user_id, user_id is null user_missing, "
            f"coalesce(status, '') status, coalesce(start_time, {_MISSING}) start_time, "
            f"coalesce(end_time, {_MISSING}) end_time, coalesce(lifecycle_stage, 'active') lifecycle_stage, "
            "coalesce(artifact_uri, '') artifact_uri"
        )

    def _long_select(self, table: str) -> str:
        if table == "latest_metrics":
            number = self._database.float_type
            return (
                f"run_uuid, key, cast(value as {number}) value, cast(coalesce(is_nan, {self._database.false}) "
                "as integer) is_nan, coalesce(step, 0) step, coalesce(timestamp, 0) time"
            )
        return "run_uuid, key, coalesce(value, '') value"

    def _number(self, column: str, table: str) -> str:
        known = column in self._columns.get(table, frozenset())
        return f"coalesce({column}, {_MISSING})" if known else f"{_MISSING}"

    def _datasets(self, condition: str, numbers: pl.DataFrame) -> pl.DataFrame:
        if not self._has_datasets:
            return pl.DataFrame(schema=DATASETS_SCHEMA)
        rows = self._database.query(
            "select i.destination_id run_uuid, d.name, d.digest, "
            "coalesce(d.dataset_source_type, '') source_type, coalesce(d.dataset_source, '') source, "
            "coalesce(t.value, '') context, t.value is null context_missing "
            "from inputs i join datasets d on i.source_id = d.dataset_uuid "
            "left join input_tags t on t.input_uuid = i.input_uuid and t.name = 'mlflow.data.context' "
            f"where i.destination_type = 'RUN' {condition}"
        )
        return (
            rows.join(numbers, on="run_uuid", how="inner")
            .with_columns(_nullable("context", "context_missing"))
            .select(list(DATASETS_SCHEMA))
            .cast(pl.Schema(DATASETS_SCHEMA))
            .unique(maintain_order=True)
        )

    # Histories

    def histories(self, run_ids: Sequence[str], key: str) -> tuple[MetricHistory, ...]:
        # The plus sign keeps SQLite from its index on the key, which would read this metric of every run.
        column = "+key" if self._database.numbers_rows else "key"
        parts = [
            self._database.query(
                f"select run_uuid, step, timestamp time, cast(value as {self._database.float_type}) value, "
                f"cast(coalesce(is_nan, {self._database.false}) as integer) is_nan from metrics "
                f"where run_uuid in {_in_list(chunk)} and {column} = {literal(key)}"
            ).cast(pl.Schema(_POINTS_SCHEMA))
            for chunk in _chunks(run_ids, _IDS_A_QUERY)
        ]
        if not parts:
            return ()
        rows = pl.concat(parts).with_columns(_value_with_nan()).sort("step", "time", maintain_order=True)
        by_run = rows.partition_by("run_uuid", as_dict=True)
        return tuple(
            MetricHistory(
                run_id=run_id,
                key=key,
                steps=part["step"].to_numpy(),
                times=part["time"].to_numpy().astype("datetime64[ms]"),
                values=part["value"].to_numpy(),
            )
            for run_id in run_ids
            if (part := by_run.get((run_id,))) is not None
        )

    def extremes(self, key: str, run_ids: Sequence[str] | None) -> pl.DataFrame:
        number = self._database.float_type
        select = (
            f"select run_uuid run_id, cast(min(value) as {number}) min, cast(max(value) as {number}) max "
            f"from metrics where is_nan = {self._database.false} and "
        )
        if run_ids is None:
            rows = self._database.query(f"{select} key = {literal(key)} group by run_uuid")
            return rows.cast(pl.Schema(_EXTREMES_SCHEMA))
        column = "+key" if self._database.numbers_rows else "key"
        parts = [
            self._database.query(
                f"{select} {column} = {literal(key)} and run_uuid in {_in_list(chunk)} group by run_uuid"
            ).cast(pl.Schema(_EXTREMES_SCHEMA))
            for chunk in _chunks(run_ids, _IDS_A_QUERY)
        ]
        return pl.concat([pl.DataFrame(schema=_EXTREMES_SCHEMA), *parts])

    def logged_models(self, run_id: str) -> tuple[LoggedModel, ...]:
        if not {"inputs", "logged_models"} <= self._columns.keys():
            return ()
        rows = self._database.query(
            "select m.model_id, m.name, m.artifact_location from inputs i "
            "join logged_models m on m.model_id = i.destination_id "
            f"where i.source_type = 'RUN_OUTPUT' and i.source_id = {literal(run_id)} "
            "order by m.creation_timestamp_ms desc"
        )
        return tuple(LoggedModel(*row) for row in rows.iter_rows())


def _nullable(column: str, missing: str) -> pl.Expr:
    return pl.when(pl.col(missing).cast(pl.Int8) == 1).then(None).otherwise(pl.col(column)).alias(column)


def _number(column: str) -> pl.Expr:
    value = pl.col(column).cast(pl.Int64)
    return pl.when(value != _MISSING).then(value).alias(column)


def _value_with_nan() -> pl.Expr:
    return (
        pl.when(pl.col("is_nan").cast(pl.Int8) == 1)
        .then(pl.lit(float("nan")))
        .otherwise(pl.col("value").cast(pl.Float64))
        .alias("value")
    )


def _runs(rows: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.select(
            pl.col("run_uuid").alias("run_id"),
            "experiment_id",
            _nullable("name", "name_missing"),
            _nullable("user_id", "user_missing").alias("user"),
            "status",
            _number("start_time"),
            _number("end_time"),
            "lifecycle_stage",
            "artifact_uri",
        )
        .cast(pl.Schema(RUNS_SCHEMA))
        .select(list(RUNS_SCHEMA))
    )


def _numbers(runs: pl.DataFrame) -> pl.DataFrame:
    return runs.select(pl.col("run_id").alias("run_uuid")).with_row_index("run")


def _metrics(rows: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.join(numbers, on="run_uuid", how="inner", maintain_order="left")
        .with_columns(_value_with_nan())
        .select(list(METRICS_SCHEMA))
        .cast(pl.Schema(METRICS_SCHEMA))
    )


def _texts(rows: pl.DataFrame, numbers: pl.DataFrame) -> pl.DataFrame:
    joined = rows.join(numbers, on="run_uuid", how="inner", maintain_order="left")
    return joined.select(list(TEXT_SCHEMA)).cast(pl.Schema(TEXT_SCHEMA))


# MLflow's table, its name in a batch, and how its rows are shaped.
_LONG_READS: tuple[tuple[str, str, Shape], ...] = (
    ("latest_metrics", "metrics", _metrics),
    ("params", "params", _texts),
    ("tags", "tags", _texts),
)

"""Every way of reading runs gives what plain MLflow gives: one suite over all sources and stores."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow.data
import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag, ViewType

from core.errors import SourceError
from core.runs.sources.base import HEADS_COLUMNS, SCHEMAS, Changes, Known, RunSource
from core.runs.sources.choose import open_source
from core.runs.sources.client import ClientSource
from core.runs.sources.database import PostgresDatabase
from core.runs.sources.sql import SqlSource
from core.runs.sources.uris import StoreKind, parse
from core.runs.types import SyncProgress
from tests import plain, stores

# Servers start once: these tests share a worker.

WAYS = [
    "sql-sqlite",
    pytest.param("sql-postgres", marks=pytest.mark.postgres),
    "client-sqlite",
    pytest.param("client-postgres", marks=pytest.mark.postgres),
    "client-file",
    "client-http",
]
BACKENDS = {
    "sqlite": "sqlite_store",
    "postgres": "postgres_store",
    "file": "file_store",
    "http": "http_store",
}
LONG_AGO = 1_700_000_000_000
UNKNOWN = "0" * 32


@dataclass(frozen=True)
class Reading:
    """A store, asked by MLflow and by the source under test."""

    way: str
    client: MlflowClient
    source: RunSource

    @property
    def reads_all_heads(self) -> bool:
        """Whether a look sees every run; through a server only recent ones can be asked for."""
        return self.way in ("sql-sqlite", "sql-postgres", "client-file")

    @property
    def runs(self) -> dict[str, plain.Plain]:
        return plain.of_mlflow(plain.mlflow_runs(self.client))

    def new_run(self, experiment_id: str, start_time: int | None = LONG_AGO) -> str:
        return str(self.client.create_run(experiment_id, start_time=start_time).info.run_id)

    def finished_run(self, experiment_id: str) -> str:
        run_id = self.new_run(experiment_id)
        self.client.set_terminated(run_id, end_time=LONG_AGO + 1000)
        return run_id


def open_way(way: str, uri: str, folder: Path) -> RunSource:
    if way.startswith("sql"):
        source = open_source(parse(uri), None, folder / "view")
        assert isinstance(source, SqlSource)
        return source
    return ClientSource(parse(uri), view_folder=folder / "view")


@pytest.fixture(scope="module", params=WAYS)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """A store with awkward runs, only read."""
    uri = request.getfixturevalue(BACKENDS[request.param.split("-")[1]])
    source = open_way(request.param, uri, tmp_path_factory.mktemp("filled"))
    yield Reading(request.param, MlflowClient(uri), source)
    source.close()


@pytest.fixture(scope="module", params=WAYS)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """A store which tests write to, in experiments of their own."""
    folder = tmp_path_factory.mktemp("written")
    backend = request.param.split("-")[1]
    if backend == "sqlite":
        uri = stores.new_sqlite(folder)
    elif backend == "file":
        uri = (folder / "store").as_uri()
        MlflowClient(uri).search_experiments()
    else:
        uri = request.getfixturevalue({"postgres": "new_postgres", "http": "http_store"}[backend])
        uri = uri() if callable(uri) else uri
    source = open_way(request.param, uri, folder)
    yield Reading(request.param, MlflowClient(uri, registry_uri=uri), source)
    source.close()


_numbers = itertools.count()


@pytest.fixture
def experiment(written: Reading) -> str:
    return str(written.client.create_experiment(f"experiment {next(_numbers)} «é»"))


# Reading


def test_all_runs_with_everything_logged(filled: Reading) -> None:
    read = filled.source.read_all()
    assert plain.of_batch(read.batch) == filled.runs
    assert read.problems == ()


def test_the_store_holds_what_makes_reading_hard(filled: Reading) -> None:
    runs = filled.runs.values()
    values = {value for run in runs for value in run["metrics"].values()}
    assert "nan" in values
    assert values & {"inf", "1.7976931348623157e+308"}
    assert {run["lifecycle_stage"] for run in runs} == {"active", "deleted"}
    assert any(run["datasets"] for run in runs)
    assert any(run["end_time"] is None for run in runs)


def test_tables_have_the_documented_columns(filled: Reading) -> None:
    batch = filled.source.read_all().batch
    for name, table in (batch.long_tables() | {"runs": batch.runs}).items():
        assert dict(table.schema) == SCHEMAS[name], name


def test_progress_counts_the_runs(filled: Reading) -> None:
    heard: list[SyncProgress] = []
    filled.source.read_all(heard.append)
    assert max(one.done for one in heard if one.what == "runs") == len(filled.runs)


def test_chosen_runs_are_read_and_unknown_ones_absent(filled: Reading) -> None:
    runs = filled.runs
    chosen = [*list(runs)[::3], UNKNOWN, "no such 'run'"]
    read = plain.of_batch(filled.source.read_runs(chosen))
    assert read == {run_id: runs[run_id] for run_id in chosen if run_id in runs}


@pytest.mark.parametrize("ids", [(), (UNKNOWN,)])
def test_reading_no_run_gives_empty_tables(filled: Reading, ids: tuple[str, ...]) -> None:
    batch = filled.source.read_runs(ids)
    assert len(batch) == 0
    for name, table in batch.long_tables().items():
        assert dict(table.schema) == SCHEMAS[name], name


def test_one_run_can_be_read_twice_in_one_question(filled: Reading) -> None:
    run_id = next(iter(filled.runs))
    assert filled.source.read_runs([run_id, run_id]).runs["run_id"].to_list() == [run_id]


def test_experiments(filled: Reading) -> None:
    theirs = {
        one.experiment_id: (one.name, one.lifecycle_stage, one.artifact_location)
        for one in filled.client.search_experiments(view_type=ViewType.ALL)
    }
    found = filled.source.experiments()
    assert {
        one.experiment_id: (one.name, one.lifecycle_stage, one.artifact_location) for one in found
    } == theirs
    ids = [int(one.experiment_id) for one in found]
    assert ids == sorted(ids)


def test_experiments_know_when_they_were_made(filled: Reading) -> None:
    theirs = {one.experiment_id: one.creation_time for one in filled.client.search_experiments()}
    ours = {one.experiment_id: one.created for one in filled.source.experiments()}
    milliseconds = {key: round(value.timestamp() * 1000) for key, value in ours.items() if value is not None}
    assert milliseconds == {key: value for key, value in theirs.items() if value is not None}


# Histories


def history_rows(points: list[Metric]) -> list[tuple[int, int, str]]:
    return sorted((point.step, point.timestamp, plain.number(point.value)) for point in points)


@pytest.mark.parametrize("key", ["loss", "指标"])
def test_histories_hold_every_point_ordered_by_step_and_time(filled: Reading, key: str) -> None:
    ids = list(filled.runs)[:15]
    theirs = {run_id: history_rows(filled.client.get_metric_history(run_id, key)) for run_id in ids}
    found = filled.source.histories(ids, key)
    assert [one.run_id for one in found] == [run_id for run_id in ids if theirs[run_id]]
    for one in found:
        times = one.times.astype("datetime64[ms]").astype(np.int64)
        values = [plain.number(value) for value in one.values]
        points = list(zip(one.steps.tolist(), times.tolist(), values, strict=True))
        assert sorted(points) == theirs[one.run_id]
        assert [point[:2] for point in points] == sorted(point[:2] for point in points)


def test_a_history_follows_the_steps_not_the_order_of_logging(written: Reading, experiment: str) -> None:
    run_id = written.new_run(experiment)
    points = [(3, 30, 0.3), (1, 50, 0.1), (1, 10, float("nan")), (2, 20, float("inf")), (-1, 60, -0.5)]
    written.client.log_batch(
        run_id, [Metric("a.b/c:d e_指标-", value, at, step) for step, at, value in points]
    )
    (found,) = written.source.histories([run_id], "a.b/c:d e_指标-")
    assert found.steps.tolist() == [-1, 1, 1, 2, 3]
    assert found.times.astype(np.int64).tolist() == [60, 10, 50, 20, 30]
    assert found.values[[0, 2, 4]].tolist() == [-0.5, 0.1, 0.3]
    assert np.isnan(found.values[1])
    assert found.values[3] >= 1e308


def test_answers_do_not_depend_on_how_many_runs_a_query_names(
    filled: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [*list(filled.runs)[:12], UNKNOWN]
    whole = plain.of_batch(filled.source.read_runs(ids))
    histories = [(one.run_id, len(one)) for one in filled.source.histories(ids, "acc")]
    extremes = filled.source.extremes("acc", ids).sort("run_id")
    for name in ("sql._IDS_A_QUERY", "client._IDS_A_REQUEST"):
        monkeypatch.setattr(f"core.runs.sources.{name}", 1)
    assert plain.of_batch(filled.source.read_runs(ids)) == whole
    assert [(one.run_id, len(one)) for one in filled.source.histories(ids, "acc")] == histories
    assert filled.source.extremes("acc", ids).sort("run_id").equals(extremes)


def test_histories_of_no_run_or_no_such_metric_are_empty(filled: Reading) -> None:
    assert filled.source.histories([], "loss") == ()
    assert filled.source.histories(list(filled.runs)[:5], "no such metric") == ()


def extremes_by_force(client: MlflowClient, ids: list[str], key: str) -> dict[str, tuple[float, float]]:
    found = {}
    for run_id in ids:
        values = [one.value for one in client.get_metric_history(run_id, key) if one.value == one.value]
        if values:
            found[run_id] = (min(values), max(values))
    return found


@pytest.mark.parametrize("key", ["loss", "no such metric"])
def test_extremes_of_chosen_runs_leave_nan_out(filled: Reading, key: str) -> None:
    ids = list(filled.runs)[:12]
    found = filled.source.extremes(key, ids)
    assert {row[0]: (row[1], row[2]) for row in found.select("run_id", "min", "max").iter_rows()} == (
        extremes_by_force(filled.client, ids, key)
    )


def test_extremes_leave_out_nan_and_runs_of_nothing_else(written: Reading, experiment: str) -> None:
    some, only = written.new_run(experiment), written.new_run(experiment)
    for run_id, values in ((some, (2.0, math.nan, 5.0)), (only, (math.nan, math.nan))):
        points = [Metric("drawdown", value, LONG_AGO, step) for step, value in enumerate(values)]
        written.client.log_batch(run_id, points)
    found = written.source.extremes("drawdown", [some, only])
    assert found.select("run_id", "min", "max").rows() == [(some, 2.0, 5.0)]


def test_extremes_of_all_runs_come_from_the_database_or_are_refused_with_a_way_out(filled: Reading) -> None:
    if filled.way.startswith("client"):
        with pytest.raises(SourceError, match="GREENROOM_BACKEND_URI"):
            filled.source.extremes("loss", None)
        return
    found = filled.source.extremes("loss", None)
    rows = {row[0]: (row[1], row[2]) for row in found.select("run_id", "min", "max").iter_rows()}
    assert rows == extremes_by_force(filled.client, list(filled.runs), "loss")


# What is only seen in stores that are written to


def test_experiment_tags_and_deleted_experiments(written: Reading, experiment: str) -> None:
    client = written.client
    client.set_experiment_tag(experiment, "mlflow.note.content", "two\nlines, 'quoted'")
    client.set_experiment_tag(experiment, "方向", "")
    gone = client.create_experiment(f"gone {experiment}")
    run_id = written.finished_run(gone)
    client.delete_experiment(gone)
    tags = written.source.experiment_tags()
    assert {
        one.experiment_id: dict(one.tags)
        for one in client.search_experiments(view_type=ViewType.ALL)
        if one.tags
    } == tags
    assert tags[experiment] == {"mlflow.note.content": "two\nlines, 'quoted'", "方向": ""}
    stages = {one.experiment_id: one.lifecycle_stage for one in written.source.experiments()}
    assert (stages[experiment], stages[gone]) == ("active", "deleted")
    read = plain.of_batch(written.source.read_runs([run_id]))
    assert read == plain.of_mlflow([client.get_run(run_id)])


def test_a_damaged_run_of_a_file_store_is_absent_and_all_others_read(tmp_path: Path) -> None:
    client = MlflowClient((tmp_path / "store").as_uri())
    ids = [stores.add_run(client, loss=number) for number in range(4)]
    source = open_source(parse((tmp_path / "store").as_uri()), None, tmp_path / "view")
    for run_id, content in zip(ids, ("\t: no yaml [", "", "status: 3\n"), strict=False):
        (tmp_path / "store" / "0" / run_id / "meta.yaml").write_text(content)
    assert source.read_runs(ids).runs["run_id"].to_list() == ids[3:]
    read = source.read_all()
    assert read.batch.runs["run_id"].to_list() == ids[3:]
    assert len(read.problems) == 3
    for run_id, problem in zip(
        ids, sorted(read.problems, key=lambda text: ids.index(text.split()[1])), strict=False
    ):
        assert run_id in problem


def test_awkward_names_params_and_tags_arrive_whole(written: Reading, experiment: str) -> None:
    run = written.client.create_run(experiment, start_time=LONG_AGO, run_name="名前 'quoted' <b>\\ \"x\"")
    words = (*stores.WORDS, "x" * 500, "-1", "1e5", "NaN", "null")
    params = [Param(f"p{place}", word) for place, word in enumerate(words)]
    tags = [RunTag(f"t{place}", word) for place, word in enumerate(words)]
    written.client.log_batch(run.info.run_id, params=params, tags=tags)
    read = plain.of_batch(written.source.read_runs([run.info.run_id]))
    assert read == plain.of_mlflow([written.client.get_run(run.info.run_id)])


def test_the_last_value_of_a_metric_is_the_one_that_mlflow_takes(written: Reading, experiment: str) -> None:
    run_id = written.new_run(experiment)
    points = [
        ("a", 1.0, 10, 5),
        ("a", 2.0, 20, 3),
        ("b", 1.0, 10, 0),
        ("b", 2.0, 10, 0),
        ("c", 1.0, 20, 1),
        ("c", 3.0, 10, 1),
    ]
    for key, value, at, step in points:
        written.client.log_metric(run_id, key, value, at, step)
    read = plain.of_batch(written.source.read_runs([run_id]))
    assert read[run_id]["metrics"] == plain.of_mlflow([written.client.get_run(run_id)])[run_id]["metrics"]


def test_every_context_of_a_dataset(written: Reading, experiment: str) -> None:
    run_id = written.new_run(experiment)
    for size, context in ((3, "training"), (4, "eval"), (5, None)):
        dataset = mlflow.data.from_numpy(np.arange(size), name=f"prices {size}")._to_mlflow_entity()
        tags = [InputTag(plain.CONTEXT_TAG, context)] if context else []
        written.client.log_inputs(run_id, [DatasetInput(dataset, tags)])
    read = plain.of_batch(written.source.read_runs([run_id]))[run_id]["datasets"]
    assert read == plain.of_mlflow([written.client.get_run(run_id)])[run_id]["datasets"]
    assert [one[2] for one in read] == ["training", "eval", ""]


def test_logged_models_of_a_run_latest_first(written: Reading, experiment: str) -> None:
    client = written.client
    run_id = written.new_run(experiment)
    models = []
    for step, name in enumerate(("first", "second")):
        models.append(client.create_logged_model(experiment, name=name, source_run_id=run_id))
        client.log_outputs(run_id, [LoggedModelOutput(models[-1].model_id, step)])
    found = written.source.logged_models(run_id)
    theirs = {(one.model_id, one.name, one.artifact_location) for one in models}
    assert {(one.model_id, one.name, one.artifact_location) for one in found} == theirs
    made = {one.model_id: one.creation_timestamp for one in models}
    assert [made[one.model_id] for one in found] == sorted(made.values(), reverse=True)
    assert written.source.logged_models(written.new_run(experiment)) == ()


# Finding what has changed


@dataclass(frozen=True)
class Look:
    """What a source knew, and how to ask it again."""

    source: RunSource
    known: Known

    @staticmethod
    def now(source: RunSource) -> Look:
        read = source.read_all()
        return Look(source, Known(read.batch.runs.select(HEADS_COLUMNS), read.marks))

    def again(self) -> Changes:
        return self.source.changes(self.known)


def without(look: Look, *run_ids: str) -> Look:
    """A look at a time when these runs were not there."""
    heads = look.known.heads.filter(~pl.col("run_id").is_in(run_ids))
    return Look(look.source, Known(heads, look.known.marks))


def test_a_run_that_starts_now_is_a_candidate(written: Reading, experiment: str) -> None:
    look = Look.now(written.source)
    run_id = written.new_run(experiment, start_time=None)
    changes = look.again()
    assert run_id in changes.candidates
    assert changes.gone == ()


def test_a_run_that_finishes_is_a_candidate(written: Reading, experiment: str) -> None:
    run_id = written.new_run(experiment)
    look = Look.now(written.source)
    written.client.set_terminated(run_id, "FAILED")
    assert run_id in look.again().candidates


def test_a_running_run_is_a_candidate_whatever_it_logs(written: Reading, experiment: str) -> None:
    run_id = written.new_run(experiment)
    look = Look.now(written.source)
    written.client.log_metric(run_id, "loss", 0.5, timestamp=LONG_AGO, step=1)
    assert run_id in look.again().candidates


def test_deleted_and_restored_runs_are_candidates(written: Reading, experiment: str) -> None:
    if not written.reads_all_heads:
        pytest.skip("MLflow's search cannot ask for these: the index finds them by its rolling re-read")
    run_id = written.finished_run(experiment)
    look = Look.now(written.source)
    written.client.delete_run(run_id)
    assert run_id in look.again().candidates
    look = Look.now(written.source)
    written.client.restore_run(run_id)
    assert run_id in look.again().candidates


def test_runs_that_were_imported_with_an_old_start_are_candidates(written: Reading, experiment: str) -> None:
    if not written.reads_all_heads:
        pytest.skip("MLflow's search cannot ask for these: a thorough sync finds them")
    look = Look.now(written.source)
    run_id = written.finished_run(experiment)
    assert run_id in look.again().candidates


def test_runs_that_are_no_longer_there_are_gone(written: Reading, experiment: str) -> None:
    if not written.reads_all_heads:
        pytest.skip("MLflow's search cannot ask for these: the index finds them by its rolling re-read")
    look = Look.now(written.source)
    ghost = look.known.heads.head(1).with_columns(pl.lit(UNKNOWN).alias("run_id"))
    found = Look(look.source, Known(pl.concat([look.known.heads, ghost]), look.known.marks)).again()
    assert found.gone == (UNKNOWN,)


def test_a_look_at_a_store_at_rest_names_running_runs_only(written: Reading, experiment: str) -> None:
    """Through a server also what is recent; by file times also what was written a moment ago."""
    written.finished_run(experiment)
    running = written.new_run(experiment)
    changes = Look.now(written.source).again()
    assert running in changes.candidates
    assert changes.gone == ()
    if written.way.startswith("sql"):
        assert {written.runs[one]["status"] for one in changes.candidates} == {"RUNNING"}


def test_writing_moves_the_fingerprint_and_reading_does_not(written: Reading, experiment: str) -> None:
    if written.way not in ("sql-sqlite", "client-file"):
        pytest.skip("only files have an exact fingerprint")
    run_id = written.finished_run(experiment)
    before = written.source.fingerprint()
    written.source.read_all()
    written.client.get_run(run_id)
    assert written.source.fingerprint() == before
    written.client.set_tag(run_id, "note", "seen")
    assert written.source.fingerprint() not in (before, None)


# What a source says of itself


def test_a_source_says_how_it_reads(filled: Reading) -> None:
    info = filled.source.info
    assert info.kind == filled.way.split("-")[0]
    assert "secret-word" not in repr(info)


@pytest.mark.postgres
def test_a_server_whose_database_is_named_is_read_by_sql(
    http_store: str, postgres_store: str, tmp_path: Path
) -> None:
    source = open_source(parse(http_store), postgres_store, tmp_path)
    assert isinstance(source, SqlSource)
    assert parse(postgres_store).kind is StoreKind.POSTGRESQL
    source.close()


def test_a_server_whose_database_cannot_be_read_is_read_through_the_client(
    http_store: str, tmp_path: Path
) -> None:
    source = open_source(parse(http_store), f"sqlite:///{tmp_path / 'absent.db'}", tmp_path)
    assert source.info.kind == "client"
    assert "absent.db" in str(source.info.fallback_reason)


def test_a_database_is_never_handed_to_mlflow_when_sql_fails(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"no database at all")
    with pytest.raises(SourceError, match="no SQLite database"):
        open_source(parse(str(path)), None, tmp_path / "view")


@pytest.mark.postgres
def test_a_postgres_connection_that_died_is_replaced(new_postgres: Callable[[], str]) -> None:
    uri = new_postgres()
    database = PostgresDatabase(uri)
    own = database.query("select pg_backend_pid() pid").item()
    killer = PostgresDatabase(uri)
    killer.query(f"select pg_terminate_backend({own}) done")
    assert database.query("select 1 one").item() == 1
    database.close()
    killer.close()

"""Looking at a store never changes a byte of it, in whatever state its writers left it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import adbc_driver_manager
import pytest
from mlflow import MlflowClient

from core.doctor import examine
from core.errors import ArtifactError, SourceError
from core.runs.explorer import RunsRequest
from core.runs.sources.database import PostgresDatabase
from core.runs.types import RunView
from core.settings import Settings
from core.workspace import Workspace
from tests import plain, stores


def look_at_everything(uri: str, home: Path) -> dict[str, plain.Plain]:
    """Do all that pages and commands do without being asked to write; return what was seen."""
    workspace = Workspace(Settings(tracking_uri=uri, home=home))
    try:
        for thorough in (False, False, True):
            workspace.runs.sync(thorough=thorough)
        workspace.runs.sync(rebuild=True)
        matches = workspace.runs.find(RunsRequest(filter="attributes.start_time > 0", view=RunView.ALL))
        for run in workspace.runs.runs(matches.run_ids[:3]):
            workspace.runs.refresh_run(run.run_id)
            with suppress(ArtifactError):
                workspace.runs.artifacts(run).list("")
            for key in list(run.metrics)[:2]:
                workspace.runs.histories([run.run_id], key)
        workspace.registry.look()
        for name in workspace.registry.watch.models():
            workspace.registry.model(name)
        examine(workspace)
        return plain.of_snapshot(workspace.runs.snapshot())
    finally:
        workspace.close()


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, plain.Plain]]:
    """Look at a store, and fail if a file beside it, in it or in the current folder is new or changed."""

    def look(uri: str, *places: Path) -> dict[str, plain.Plain]:
        here = tmp_path / "current folder"
        here.mkdir(exist_ok=True)
        monkeypatch.chdir(here)
        before = plain.hashes(*places)
        seen = look_at_everything(uri, tmp_path / "greenroom")
        assert plain.hashes(*places) == before
        assert list(here.iterdir()) == []
        return seen

    return look


# SQLite


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A SQLite store in rollback mode with three finished runs."""
    client = MlflowClient(stores.new_sqlite(tmp_path / "store"))
    for number in range(3):
        stores.add_run(client, loss=number, optimizer="adam")
    return tmp_path / "store" / "mlflow.db"


@contextmanager
def writer(path: Path, *pragmas: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in pragmas:
            connection.execute(f"pragma {pragma}").fetchone()
        yield connection


def rename_runs(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("update runs set name = ?", (name,))


def names(seen: dict[str, plain.Plain]) -> set[str]:
    return {run["name"] for run in seen.values()}


def as_a_crash_leaves_it(path: Path, *suffixes: str) -> Path:
    """Copy a database and companions while a writer has them open: nobody tidied up."""
    target = path.parent.parent / "crashed"
    target.mkdir()
    for suffix in ("", *suffixes):
        shutil.copy(path.with_name(path.name + suffix), target)
    return target / path.name


def test_a_store_in_rollback_mode(store: Path, untouched: Callable[..., dict[str, plain.Plain]]) -> None:
    assert names(untouched(f"sqlite:///{store}", store.parent)) == {"a run"}


def test_a_store_in_wal_mode_that_is_closed(
    store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store, "journal_mode=wal") as connection:
        rename_runs(connection, "in the log")
    assert [one.name for one in store.parent.iterdir()] == ["mlflow.db"]
    assert names(untouched(f"sqlite:///{store}", store.parent)) == {"in the log"}


@pytest.mark.parametrize("left", [("-wal", "-shm"), ("-wal",)], ids=["wal and shm", "wal without shm"])
def test_a_store_in_wal_mode_whose_writer_was_killed(
    left: tuple[str, ...], store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store, "journal_mode=wal", "wal_autocheckpoint=0") as connection:
        rename_runs(connection, "only in the log")
        crashed = as_a_crash_leaves_it(store, *left)
    assert names(untouched(f"sqlite:///{crashed}", crashed.parent)) == {"only in the log"}


@pytest.mark.parametrize("left", [(), ("-wal",), ("-shm",), ("-wal", "-shm")], ids=" ".join)
def test_an_empty_log_beside_a_store_in_wal_mode(
    left: tuple[str, ...], store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store, "journal_mode=wal") as connection:
        rename_runs(connection, "in the file")
        connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        crashed = as_a_crash_leaves_it(store, *left)
    assert names(untouched(f"sqlite:///{crashed}", crashed.parent)) == {"in the file"}


@pytest.mark.parametrize("checkpoint", [False, True], ids=["log", "empty log"])
def test_a_store_in_wal_mode_that_is_being_written(
    checkpoint: bool, store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store, "journal_mode=wal", "wal_autocheckpoint=0") as connection:
        rename_runs(connection, "just written")
        if checkpoint:
            connection.execute("pragma wal_checkpoint(truncate)").fetchone()
        assert {one.name for one in store.parent.iterdir()} == {"mlflow.db", "mlflow.db-wal", "mlflow.db-shm"}
        assert names(untouched(f"sqlite:///{store}", store.parent)) == {"just written"}
        rename_runs(connection, "still writable")
        assert connection.execute("select distinct name from runs").fetchall() == [("still writable",)]


def test_a_journal_of_a_killed_writer_is_rolled_back_in_a_copy_only(
    store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store, "cache_size=1") as connection:
        connection.execute("begin immediate")
        rename_runs(connection, "never committed")
        # More than the cache holds, so that unfinished pages reach the file.
        connection.execute("create table filler (x)")
        connection.executemany("insert into filler values (?)", [("x" * 4000,)] * 50)
        crashed = as_a_crash_leaves_it(store, "-journal")
        connection.execute("rollback")
    assert crashed.read_bytes() != store.read_bytes()
    assert names(untouched(f"sqlite:///{crashed}", crashed.parent)) == {"a run"}


def test_a_store_while_a_writer_is_in_a_transaction(
    store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store) as connection:
        connection.execute("begin immediate")
        rename_runs(connection, "not yet committed")
        assert names(untouched(f"sqlite:///{store}", store.parent)) == {"a run"}
        connection.execute("commit")


def test_a_folder_that_may_only_be_read(
    store: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    with writer(store, "journal_mode=wal") as connection:
        rename_runs(connection, "in the log")
    store.chmod(0o444)
    store.parent.chmod(0o555)
    try:
        assert names(untouched(f"sqlite:///{store}", store.parent)) == {"in the log"}
    finally:
        store.parent.chmod(0o755)


def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    for name, content in (("text.db", b"hello, I am no database at all"), ("empty.db", b"")):
        path = tmp_path / "store" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        with pytest.raises(SourceError):
            look_at_everything(f"sqlite:///{path}", tmp_path / "greenroom")
        assert path.read_bytes() == content
    assert {one.name for one in (tmp_path / "store").iterdir()} == {"text.db", "empty.db"}


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    with pytest.raises(SourceError, match="There is no file"):
        look_at_everything(f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}", tmp_path / "greenroom")
    assert list((tmp_path / "store").iterdir()) == []


# File stores


def test_a_file_store_without_trash(tmp_path: Path, untouched: Callable[..., dict[str, plain.Plain]]) -> None:
    place = tmp_path / "store"
    client = MlflowClient(place.as_uri())
    run_id = stores.add_run(client, loss=1.5)
    client.create_experiment("second")
    (place / ".trash").rmdir()
    assert set(untouched(place.as_uri(), place)) == {run_id}
    assert not (place / ".trash").exists()


def test_a_file_store_with_trash_and_models(
    tmp_path: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    place = tmp_path / "store"
    client = MlflowClient(place.as_uri())
    kept = stores.add_run(client, loss=1.5)
    binned = stores.add_run(client, experiment_id=client.create_experiment("binned"))
    client.create_registered_model("model")
    client.delete_experiment(client.get_run(binned).info.experiment_id)
    seen = untouched(place.as_uri(), place)
    assert {run_id: run["lifecycle_stage"] for run_id, run in seen.items()} == {
        kept: "active",
        binned: "deleted",
    }


# Real stores


@pytest.mark.parametrize(
    ("place", "revision"),
    [
        ("zoomcamp_mlflow126/mlflow.db", "bd07f7e963c5"),
        ("zoomcamp_mlflow126/homework.db", "bd07f7e963c5"),
        ("forexrisk/mlruns.db", "0584bdc529eb"),
    ],
)
def test_real_databases_keep_their_bytes_and_their_old_schema(
    place: str, revision: str, shared_data: Path, untouched: Callable[..., dict[str, plain.Plain]]
) -> None:
    path = shared_data / "mlflow" / place
    assert untouched(f"sqlite:///{path}", path.parent)
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(revision,)]


@pytest.mark.parametrize("writable", [False, True], ids=["as it is", "in a copy that could be written"])
@pytest.mark.parametrize(
    "place",
    [
        "forexrisk/mlruns",
        "vivix_registry_filestore",
        "rl_trading_sb3_filestore",
        "coffee_forecast_filestore",
    ],
)
def test_real_file_stores_keep_their_bytes(
    place: str,
    writable: bool,
    shared_data: Path,
    tmp_path: Path,
    untouched: Callable[..., dict[str, plain.Plain]],
) -> None:
    path = shared_data / "mlflow" / place
    if writable:
        path = stores.writable_copy(path, tmp_path / "copy")
    assert untouched(path.as_uri(), path)


# PostgreSQL


@pytest.mark.postgres
@pytest.mark.parametrize(
    "statement",
    [
        "insert into experiments (name) values ('intruder')",
        "update runs set name = 'intruder'",
        "create table intruder (x int)",
        "delete from tags",
    ],
)
def test_a_postgres_session_cannot_write(statement: str, postgres_store: str) -> None:
    database = PostgresDatabase(postgres_store)
    database.columns()
    with database._connection.cursor() as cursor, pytest.raises(adbc_driver_manager.Error, match="read-only"):
        cursor.execute(statement)
        cursor.fetch_arrow_table()
    database.close()

"""What doctor finds out, and whether its advice mends it."""

from __future__ import annotations

import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from mlflow import MlflowClient
from mlflow.store.db_migrations import __file__ as migrations_file

from core.doctor import Check, Verdict, examine
from core.errors import GreenroomError
from core.settings import Settings
from core.training.jobs.heartbeat import only_worker
from core.training.projects.types import ProjectSetting
from core.workspace import Workspace, open_workspace
from tests import servers, stores

OLD = "bd07f7e963c5"


def workspace_on(uri: str | None, home: Path, **settings: object) -> Workspace:
    return open_workspace(Settings(tracking_uri=uri, home=home, **settings))  # type: ignore[arg-type]


def found(workspace: Workspace) -> dict[str, Check]:
    checks = {check.name: check for check in examine(workspace)}
    workspace.close()
    return checks


def set_revision(uri: str, revision: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("update alembic_version set version_num = ?", (revision,))


def test_a_good_store_is_all_ok(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment("a", artifact_location=(tmp_path / "mlruns" / "1").as_uri())
    run_id = stores.add_run(client, experiment)
    (tmp_path / "mlruns" / "1" / run_id / "artifacts").mkdir(parents=True)
    workspace = workspace_on(uri, tmp_path / "home")
    workspace.runs.sync()
    with only_worker(tmp_path / "home", workspace.address.key, 2):
        checks = found(workspace)
    assert {check.verdict for check in checks.values()} == {Verdict.OK}, checks
    assert not any(check.advice for check in checks.values())
    assert list(checks) == [
        "Settings",
        "Versions",
        "Tracking store",
        "Reads through",
        "Schema",
        "Run index",
        "Artifacts",
        "Greenroom's database",
        "Worker",
    ]
    assert str(tmp_path / "home") in checks["Settings"].finding
    assert "mlflow " in checks["Versions"].finding
    assert checks["Tracking store"].finding == uri
    assert checks["Run index"].finding.startswith("1 runs, ")


def test_an_index_that_is_not_built_yet_is_a_note(tmp_path: Path) -> None:
    checks = found(workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home"))
    assert checks["Run index"].verdict is Verdict.NOTE
    assert "greenroom sync" in checks["Run index"].advice
    assert "Artifacts" not in checks


def test_an_old_schema_is_read_and_its_copy_is_what_to_upgrade(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path / "with blank")
    set_revision(uri, OLD)
    before = Path(uri.removeprefix("sqlite:///")).read_bytes()
    checks = found(workspace_on(uri, tmp_path / "home"))
    schema = checks["Schema"]
    assert schema.verdict is Verdict.NOTE
    assert schema.finding.startswith(f"{OLD}, ")
    behind = int(schema.finding.split()[1])
    scripts = len(list((Path(migrations_file).parent / "versions").glob("*.py")))
    assert 1 < behind < scripts
    assert "mlflow db upgrade sqlite:///mlflow-upgraded.db" in schema.advice
    assert f"cp '{tmp_path}/with blank/mlflow.db' mlflow-upgraded.db" in schema.advice
    assert Path(uri.removeprefix("sqlite:///")).read_bytes() == before


def test_a_schema_newer_than_mlflow_is_a_note(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    set_revision(uri, "ffffffffffff")
    schema = found(workspace_on(uri, tmp_path / "home"))["Schema"]
    assert schema.verdict is Verdict.NOTE
    assert "ffffffffffff is not known to MLflow" in schema.finding
    assert "newer" in schema.advice


def test_a_schema_without_a_revision_is_a_note(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("delete from alembic_version")
    schema = found(workspace_on(uri, tmp_path / "home"))["Schema"]
    assert (schema.verdict, schema.finding) == (Verdict.NOTE, "the database states no schema revision")


@pytest.mark.parametrize("gone", ["file:///C:/Users/ana/mlruns/7", "/nowhere/mlruns/7"])
def test_the_proposed_roots_of_moved_artifacts_find_them(tmp_path: Path, gone: str) -> None:
    uri = stores.new_sqlite(tmp_path / "store")
    client = MlflowClient(uri)
    experiment = client.create_experiment("moved", artifact_location=gone)
    run_id = stores.add_run(client, experiment)
    (tmp_path / "store" / "archive" / "mlruns" / "7" / run_id / "artifacts").mkdir(parents=True)
    workspace = workspace_on(uri, tmp_path / "home")
    workspace.runs.sync()
    check = found(workspace)["Artifacts"]
    assert check.verdict is Verdict.NOTE
    assert "not found for 1 of the 1 latest runs" in check.finding
    heading, table = check.advice.split("\n", 1)
    assert heading == "Add to greenroom.toml:"
    roots = tomllib.loads(table)["artifact_roots"]
    mended = workspace_on(uri, tmp_path / "home", artifact_roots=roots)
    assert found(mended)["Artifacts"].verdict is Verdict.OK


def test_artifacts_that_are_nowhere_get_the_line_to_write(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path / "store")
    client = MlflowClient(uri)
    stores.add_run(client, client.create_experiment("lost", artifact_location="/nowhere/a/7"))
    workspace = workspace_on(uri, tmp_path / "home")
    workspace.runs.sync()
    check = found(workspace)["Artifacts"]
    assert check.verdict is Verdict.NOTE
    assert '"OLD ROOT" = "NEW ROOT"' in check.advice


def test_a_store_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    checks = found(workspace_on(f"sqlite:///{tmp_path}/absent.db", tmp_path / "home"))
    assert checks["Tracking store"].verdict is Verdict.PROBLEM
    assert f"There is no file {tmp_path}/absent.db" in checks["Tracking store"].finding
    assert "Schema" not in checks
    assert checks["Greenroom's database"].verdict is Verdict.OK


def test_an_empty_home_advises_the_demo(tmp_path: Path) -> None:
    check = found(workspace_on(None, tmp_path / "home"))["Tracking store"]
    assert check.verdict is Verdict.PROBLEM
    assert "(embedded)" in check.finding
    assert "greenroom demo" in check.advice


def test_a_store_that_went_away_makes_the_index_stale(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    first = workspace_on(uri, tmp_path / "home")
    first.runs.sync()
    (tmp_path / "mlflow.db").unlink()
    workspace = workspace_on(uri, tmp_path / "home")
    with pytest.raises(GreenroomError):
        workspace.runs.sync()
    check = found(workspace)["Run index"]
    assert check.verdict is Verdict.PROBLEM
    assert "stale since" in check.finding
    assert "There is no file" in check.finding
    assert "catches up by itself" in check.advice


def test_unreadable_runs_of_a_file_store_are_listed(tmp_path: Path) -> None:
    uri = (tmp_path / "mlruns").as_uri()
    client = MlflowClient(uri)
    run_ids = [stores.add_run(client, client.create_experiment(name)) for name in ("a", "b")]
    (broken,) = (tmp_path / "mlruns").glob(f"*/{run_ids[0]}/meta.yaml")
    broken.write_text("{ not: [yaml")
    workspace = workspace_on(uri, tmp_path / "home")
    workspace.runs.sync()
    checks = found(workspace)
    assert checks["Unreadable run"].verdict is Verdict.NOTE
    assert run_ids[0] in checks["Unreadable run"].finding
    assert checks["Run index"].finding.startswith("1 runs")
    assert checks["Tracking store"].verdict is Verdict.OK


def test_greenrooms_own_database_that_is_down_is_a_problem_without_its_password(tmp_path: Path) -> None:
    database = "postgresql://ana:hushhush@127.0.0.1:1/own"
    checks = found(workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home", database_uri=database))
    check = checks["Greenroom's database"]
    assert check.verdict is Verdict.PROBLEM
    assert "ana:***@127.0.0.1" in check.finding
    assert "hushhush" not in check.finding


def test_a_store_behind_a_closed_port_is_a_problem_without_its_password(tmp_path: Path) -> None:
    checks = found(workspace_on("postgresql://ana:hushhush@127.0.0.1:1/x", tmp_path / "home"))
    check = checks["Tracking store"]
    assert check.verdict is Verdict.PROBLEM
    assert "Check that the server runs" in check.finding
    assert not any("hushhush" in repr(one) for one in checks.values())


@pytest.mark.postgres
def test_a_store_on_postgresql_is_ok_and_its_password_not_shown(postgres_store: str, tmp_path: Path) -> None:
    checks = found(workspace_on(postgres_store, tmp_path / "home"))
    assert checks["Tracking store"].verdict is Verdict.OK
    assert checks["Schema"].verdict is Verdict.OK
    assert not any("secret-word" in repr(one) for one in checks.values())


@pytest.mark.postgres
@pytest.mark.parametrize("written", ["p/w#[?%", "p%2Fw%23%5B%3F%25"])
def test_a_password_may_be_written_as_it_is_or_encoded(
    postgres: servers.Postgres, postgres_store: str, tmp_path: Path, written: str
) -> None:
    name = f"reader{len(written)}"
    connection = psycopg.connect(postgres_store)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"create role {name} login superuser password 'p/w#[?%'")
    connection.close()
    uri = f"postgresql://{name}:{written}@127.0.0.1:{postgres.port}/filled"
    check = found(workspace_on(uri, tmp_path / "home"))["Tracking store"]
    assert (check.verdict, check.finding) == (Verdict.OK, uri.replace(written, "***"))


def test_a_server_without_a_named_database_is_advised_to_name_it(http_store: str, tmp_path: Path) -> None:
    check = found(workspace_on(http_store, tmp_path / "home"))["Reads through"]
    assert check.verdict is Verdict.NOTE
    assert "GREENROOM_BACKEND_URI" in check.advice


def test_a_server_that_is_not_there_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    uri = f"http://127.0.0.1:{servers.free_port()}"
    check = found(workspace_on(uri, tmp_path / "home"))["Tracking store"]
    assert check.verdict is Verdict.PROBLEM
    assert "does not answer" in check.finding


def test_a_missing_worker_and_a_broken_project_are_noted_with_what_to_do(tmp_path: Path) -> None:
    projects = (ProjectSetting("demand", str(tmp_path / "nowhere")),)
    checks = found(workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home", projects=projects))
    assert checks["Worker"].verdict is Verdict.NOTE
    assert "greenroom worker" in checks["Worker"].advice
    assert checks["Project"].finding.startswith("demand: ")


def test_the_extra_that_a_trading_agent_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.checking.find_spec", lambda name: None)
    checks = found(workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home"))
    assert checks["Trading agents"].advice == 'Run: pip install "greenroom[rl]"'

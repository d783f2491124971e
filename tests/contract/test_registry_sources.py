"""Every way of reading a registry gives what plain MLflow gives, and leaves the registry as it was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.errors import NotFoundError, SourceError
from core.registry.reading import client as client_module
from core.registry.reading.base import RegistrySource
from core.registry.reading.choose import open_registry_source
from core.registry.reading.client import ClientRegistry
from core.registry.reading.files import FileRegistry
from core.registry.reading.sql import SqlRegistry
from core.registry.types import STAGE_TAG, Stage
from core.runs.sources.uris import parse
from tests import plain, servers, stores
from tests.core.registry.reading import kit

# Servers start once: these tests share a worker.

WAYS = {
    "sql-sqlite": SqlRegistry,
    "sql-postgres": SqlRegistry,
    "client-sqlite": ClientRegistry,
    "client-http": ClientRegistry,
    "files": FileRegistry,
}
PARAMETERS = [pytest.param(way, marks=[pytest.mark.postgres] if "postgres" in way else []) for way in WAYS]


@dataclass(frozen=True)
class Reading:
    """A registry, asked by MLflow and by the source under test."""

    way: str
    uri: str
    client: MlflowClient
    source: RegistrySource


@pytest.fixture(scope="module", params=PARAMETERS)
def reading(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    folder = tmp_path_factory.mktemp("registry")
    way = request.param
    if way.endswith("sqlite"):
        uri = stores.new_sqlite(folder)
    elif way == "sql-postgres":
        uri = request.getfixturevalue("new_postgres")()
    elif way == "client-http":
        uri = request.getfixturevalue("http_store")
    else:
        uri = (folder / "store").as_uri()
    with pytest.MonkeyPatch.context() as patch:
        # MLflow's file store looks up logged models in its default store, and would make one here.
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        patch.chdir(folder)
        client = MlflowClient(uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        kit.fill(client)
        source = (
            ClientRegistry(parse(uri)) if way == "client-sqlite" else open_registry_source(parse(uri), None)
        )
        assert isinstance(source, WAYS[way])
        yield Reading(way, uri, client, source)
        source.close()


def test_models_and_versions_are_those_of_mlflow_in_every_field(reading: Reading) -> None:
    said = kit.mlflow_says(reading.client)
    for version in said[kit.IN_TAGS]["versions"].values():
        assert version.pop("stage") == "None"
    read = kit.plain(reading.source.models())
    for version in read[kit.IN_TAGS]["versions"].values():
        version.pop("stage")
    assert read == said


def test_the_registry_holds_what_makes_reading_hard(reading: Reading) -> None:
    models = {one.name: one for one in reading.source.models()}
    assert {
        kit.TWO_CHAMPIONS,
        kit.AWKWARD,
        kit.BOTH_QUOTES,
        kit.EMPTY,
        "new name",
        kit.IN_TAGS,
    } <= models.keys()
    assert not {"old name", "deleted", kit.PROMPT} & models.keys()
    two = models[kit.TWO_CHAMPIONS]
    assert [one.version for one in two.in_stage(Stage.PRODUCTION)] == [2, 3]
    assert two.champion is None
    assert two.version(3).aliases == ("Best", "zeta")
    assert two.version(3).tags == {"with blank": " padded ", "学习率": "0.1"}
    assert two.tags == {"owner team": "fx desk", "empty": "", "a/b.c": "two\nlines\r\n"}
    assert [one.version for one in models[kit.AWKWARD].versions] == list(range(2, 12))
    assert models[kit.AWKWARD].aliases == {}
    assert models[kit.EMPTY].versions == ()
    assert two.version(1).run_id == "1" * 32
    assert models["new name"].version(1).model == "new name"


def test_models_come_in_byte_order_and_versions_in_that_of_numbers(reading: Reading) -> None:
    models = reading.source.models()
    assert [one.name for one in models] == sorted((one.name for one in models), key=str.encode)
    for one in models:
        assert [each.version for each in one.versions] == sorted(each.version for each in one.versions)


def test_stages_in_tags(reading: Reading) -> None:
    model = reading.source.model(kit.IN_TAGS)
    assert not model.has_stages
    assert [str(one.stage) for one in model.versions] == ["Archived", "Production", "Staging", "None", "None"]
    assert model.champion is model.version(2)
    assert reading.source.model(kit.TWO_CHAMPIONS).has_stages


def test_one_model_is_what_all_models_say_of_it(reading: Reading) -> None:
    for one in reading.source.models():
        assert reading.source.model(one.name) == one


def test_one_model_is_read_anew(reading: Reading) -> None:
    name = f"fresh {reading.way}"
    reading.client.create_registered_model(name)
    before = reading.source.fingerprint()
    assert reading.source.model(name).versions == ()
    kit.version(reading.client, name, 1)
    kit.move(reading.client, name, 1, "Production")
    champion = reading.source.model(name).champion
    assert champion is not None
    assert champion.version == 1
    after = reading.source.fingerprint()
    assert (before != after) or (before is after is None and reading.way.startswith("client"))
    reading.client.delete_registered_model(name)
    with pytest.raises(NotFoundError):
        reading.source.model(name)


@pytest.mark.parametrize("name", ["ppo_usdcop", "deleted", kit.PROMPT, "", "100%", "a/b", "x" * 300])
def test_a_model_that_is_not_there(name: str, reading: Reading) -> None:
    with pytest.raises(NotFoundError, match="There is no registered model") as caught:
        reading.source.model(name)
    assert ("Close to it: ppo usdcop." in str(caught.value)) is (name == "ppo_usdcop")


def test_reading_in_small_pages(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_MODELS_A_PAGE", 2)
    monkeypatch.setattr(client_module, "_VERSIONS_A_PAGE", 3)
    assert kit.plain(reading.source.models()).keys() == kit.mlflow_says(reading.client).keys()
    assert len(reading.source.model(kit.AWKWARD).versions) == 10


def test_a_fingerprint_stays_while_nothing_is_written(reading: Reading) -> None:
    if reading.way == "sql-postgres":
        pytest.skip("others write to the same server")
    before = reading.source.fingerprint()
    reading.source.models()
    assert reading.source.fingerprint() == before


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.set_registered_model_tag(kit.EMPTY, "seen", "yes"),
        lambda client: client.set_registered_model_tag(kit.EMPTY, "seen", "no!"),
        lambda client: client.delete_registered_model_tag(kit.EMPTY, "seen"),
        lambda client: client.set_registered_model_alias(kit.AWKWARD, "now", "3"),
        lambda client: client.delete_registered_model_alias(kit.AWKWARD, "now"),
        lambda client: client.update_model_version(kit.AWKWARD, "4", "described"),
        lambda client: client.update_model_version(kit.AWKWARD, "4", "describes"),
    ],
)
def test_a_fingerprint_moves_with_every_write(change: object, reading: Reading) -> None:
    if reading.way.startswith("client"):
        assert reading.source.fingerprint() is None
        return
    before = reading.source.fingerprint()
    assert callable(change)
    change(reading.client)
    assert reading.source.fingerprint() != before


def test_a_store_of_today_has_no_schema_problem(reading: Reading) -> None:
    assert reading.source.schema_problem() is None


def test_people_are_told_how_it_is_read(reading: Reading) -> None:
    expected = {"sql": "read-only SQL, MLflow schema ", "client": "MlflowClient", "files": "the files"}
    assert reading.source.info.startswith(expected[reading.way.split("-")[0]])


def test_where_files_are_kept_is_said_apart_from_the_source(reading: Reading) -> None:
    # MLflow repeats the source as the place of the files unless the source is itself a model.
    client = reading.client
    name = f"copied {reading.way}"
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{kit.TWO_CHAMPIONS}/1")
    read = reading.source.model(name).version(1)
    client.delete_registered_model(name)
    assert reading.source.model(kit.TWO_CHAMPIONS).version(1).storage is None
    assert read.storage == (None if reading.way.startswith("client") else "s3://bucket/1/model")


# Nothing is written


def everything(source: RegistrySource) -> None:
    for one in source.models():
        source.model(one.name)
    with pytest.raises(NotFoundError):
        source.model("not there")
    source.fingerprint()
    source.schema_problem()
    assert source.info
    source.close()


def test_reading_leaves_every_byte_as_it_was(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    if reading.way not in ("sql-sqlite", "files"):
        pytest.skip("no files to look at")
    path = parse(reading.uri).path
    assert path is not None
    place = path.parent
    here = place / "current folder"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    before = plain.hashes(place)
    everything(open_registry_source(parse(reading.uri), None))
    assert plain.hashes(place) == before
    here.rmdir()


def test_a_file_store_without_models_gets_none(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    before = plain.hashes(tmp_path)
    source = open_registry_source(parse(tmp_path.as_uri()), None)
    assert source.models() == ()
    everything(source)
    assert plain.hashes(tmp_path) == before


# Choosing


def test_a_server_is_read_through_the_database_that_was_named(tmp_path: Path) -> None:
    backend = stores.new_sqlite(tmp_path)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("update alembic_version set version_num = 'bd07f7e963c5'")
        connection.commit()
    source = open_registry_source(parse("http://127.0.0.1:9"), backend)
    assert isinstance(source, SqlRegistry)
    assert source.info == "read-only SQL, MLflow schema bd07f7e963c5"
    # The server writes, with its own MLflow.
    assert source.schema_problem() is None


def test_a_database_that_cannot_be_read_leaves_the_server(http_store: str, tmp_path: Path) -> None:
    source = open_registry_source(parse(http_store), f"sqlite:///{tmp_path / 'none.db'}")
    assert isinstance(source, ClientRegistry)
    assert "There is no file" in source.info
    source = open_registry_source(parse(http_store), "mysql://user:secret-word@host/db")
    assert source.info == (
        "MlflowClient, because mysql://user:***@host/db is no SQLite or PostgreSQL database"
    )
    source = open_registry_source(parse(http_store), None)
    assert source.info == "MlflowClient, because no GREENROOM_BACKEND_URI names the server's database"


def test_a_database_of_its_own_is_never_handed_to_mlflow(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file"):
        open_registry_source(parse(f"sqlite:///{tmp_path / 'none.db'}"), None)
    source = open_registry_source(parse(stores.new_sqlite(tmp_path)), "mysql://user@host/db")
    assert isinstance(source, SqlRegistry)
    assert [one.name for one in tmp_path.iterdir()] == ["mlflow.db"]


# Failures


def test_a_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SourceError, match="does not answer") as caught:
        open_registry_source(parse(f"http://me:secret-word@127.0.0.1:{servers.free_port()}"), None)
    assert "secret-word" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    source = open_registry_source(parse((tmp_path / "none").as_uri()), None)
    for ask in (source.models, source.fingerprint, lambda: source.model("a")):
        with pytest.raises(SourceError, match="cannot be read: No such file or directory"):
            ask()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statements", "reason"),
    [([], "is empty"), (["create table notes (x)"], "no model registry"), (["vacuum"], "has no tables")],
)
def test_a_database_that_holds_no_registry(statements: list[str], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute("create table gone (x)")
            connection.execute("drop table gone")
            connection.execute(statement)
        connection.commit()
    path.touch()
    with pytest.raises(SourceError, match=reason):
        open_registry_source(parse(f"sqlite:///{path}"), None)


def test_a_database_that_goes_away(tmp_path: Path) -> None:
    source = open_registry_source(parse(stores.new_sqlite(tmp_path)), None)
    (tmp_path / "mlflow.db").rename(tmp_path / "moved.db")
    for ask in (source.models, source.fingerprint, source.schema_problem, lambda: source.model("a")):
        with pytest.raises(SourceError, match=r"mlflow\.db"):
            ask()


def test_a_database_that_is_upgraded_meanwhile(tmp_path: Path) -> None:
    client = MlflowClient(stores.new_sqlite(tmp_path))
    client.create_registered_model("a")
    kit.version(client, "a", 1, tags={STAGE_TAG: "Staging"})
    client.set_registered_model_alias("a", "best", "1")
    path = tmp_path / "mlflow.db"
    script = (
        "alter table registered_model_aliases rename to {}; update alembic_version set version_num = '{}'"
    )
    with closing(sqlite3.connect(path)) as connection:
        revision = connection.execute("select version_num from alembic_version").fetchone()[0]
        connection.executescript(script.format("not_yet", "bd07f7e963c5"))
        source = open_registry_source(parse(f"sqlite:///{path}"), None)
        assert source.model("a").aliases == {}
        connection.executescript(
            script.format("x", revision)
            .replace("registered_model_aliases", "not_yet")
            .replace(" x;", " registered_model_aliases;")
        )
    assert source.model("a").aliases == {"best": 1}
    assert source.schema_problem() is None

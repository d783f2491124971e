"""Rows that MLflow of today does not write, but that its tables may hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import NotFoundError
from core.registry.reading.base import RegistrySource
from core.registry.reading.choose import open_registry_source
from core.runs.sources.uris import parse
from tests import stores


@pytest.fixture
def source(tmp_path: Path) -> RegistrySource:
    return open_registry_source(parse(stores.new_sqlite(tmp_path)), None)


@pytest.fixture
def database(source: RegistrySource, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as connection:
        yield connection


def test_values_that_are_null(source: RegistrySource, database: sqlite3.Connection) -> None:
    database.execute("insert into registered_models (name, creation_time) values ('a', 1700000000000)")
    database.execute("insert into registered_model_tags (name, key) values ('a', 'team')")
    database.execute(
        "insert into model_versions (name, version, last_updated_time) values ('a', 1, 1700000000000)"
    )
    database.execute("insert into model_version_tags (name, version, key) values ('a', 1, 'n')")
    model = source.model("a")
    version = model.version(1)
    assert model.tags == {"team": ""}
    assert version.tags == {"n": ""}
    assert (version.source, version.run_id, version.user, version.status) == ("", None, None, "READY")
    assert version.created == version.updated == model.created == model.updated
    assert source.models() == (model,)


def test_other_workspaces_are_not_read(source: RegistrySource, database: sqlite3.Connection) -> None:
    for workspace, number in (("default", 1), ("other", 2)):
        database.execute(
            "insert into registered_models (workspace, name, creation_time) values (?, 'a', 1)", (workspace,)
        )
        database.execute(
            "insert into model_versions (workspace, name, version) values (?, 'a', ?)", (workspace, number)
        )
    database.execute("insert into registered_models (workspace, name) values ('other', 'b')")
    assert [(one.name, [each.version for each in one.versions]) for one in source.models()] == [("a", [1])]
    with pytest.raises(NotFoundError):
        source.model("b")


def test_what_a_deleted_model_left_behind(source: RegistrySource, database: sqlite3.Connection) -> None:
    database.execute("insert into model_versions (name, version) values ('gone', 1)")
    database.execute("insert into registered_model_tags (name, key, value) values ('gone', 'a', 'b')")
    assert source.models() == ()


def test_a_model_that_says_it_is_no_prompt(source: RegistrySource, database: sqlite3.Connection) -> None:
    database.execute("insert into registered_models (name, creation_time) values ('a', 1)")
    database.execute(
        "insert into registered_model_tags (name, key, value) values ('a', 'mlflow.prompt.is_prompt', 'false')"
    )
    assert source.model("a").tags == {}

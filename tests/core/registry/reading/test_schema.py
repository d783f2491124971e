"""What is said of a database that MLflow would migrate."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.registry.reading import schema
from core.registry.reading.schema import revisions_behind, schema_problem
from core.runs.sources.uris import parse

OLD = "bd07f7e963c5"


def test_an_old_sqlite_file_is_to_be_copied(tmp_path: Path) -> None:
    path = tmp_path / "my store.db"
    found = schema_problem(OLD, parse(f"sqlite:///{path}"))
    assert found is not None
    assert f"{revisions_behind(OLD)} migrations older" in found
    copy = tmp_path / "my store-upgraded.db"
    assert found.endswith(f"cp '{path}' '{copy}' && mlflow db upgrade 'sqlite:///{copy}'")


def test_an_old_server_database_keeps_its_password() -> None:
    found = schema_problem(OLD, parse("postgresql://me:secret-word@host/mlflow"))
    assert found is not None
    assert "secret-word" not in found
    assert found.endswith("mlflow db upgrade URI-OF-THE-COPY")


def test_a_newer_schema_wants_a_newer_mlflow() -> None:
    found = schema_problem("ffffffffffff", parse("sqlite:///mlflow.db"))
    assert found is not None
    assert "install the newer MLflow" in found


def test_a_database_without_a_revision() -> None:
    found = schema_problem(None, parse("sqlite:///mlflow.db"))
    assert found is not None
    assert "states no schema revision" in found


@pytest.mark.parametrize("behind", [0, 1])
def test_only_the_newest_revision_is_none(behind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "revisions_behind", lambda revision: behind)
    assert (schema_problem("a", parse("sqlite:///mlflow.db")) is None) is (behind == 0)

"""Registries in SQLite, copied from one that was made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests import registries, stores


@pytest.fixture(scope="session")
def registry_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model `m` with eight versions in None."""
    uri = stores.new_sqlite(tmp_path_factory.mktemp("registry"))
    registries.make_versions(MlflowClient(uri), "m", 8)
    return Path(uri.removeprefix("sqlite:///"))


@pytest.fixture
def new_registry(registry_template: Path, tmp_path: Path) -> Callable[[], str]:
    """Return the URI of a copy of its own."""
    numbers = iter(range(1000))

    def copy() -> str:
        target = tmp_path / f"mlflow-{next(numbers)}.db"
        shutil.copy(registry_template, target)
        return f"sqlite:///{target}"

    return copy

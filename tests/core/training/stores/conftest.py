"""Fixtures of the trainer's tests: a home and a store of their own, and nothing of MLflow in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests import stores


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Greenroom's home, in the folder of the test."""
    place = tmp_path / "home"
    monkeypatch.setenv("GREENROOM_HOME", str(place))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "GREENROOM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return place


@pytest.fixture
def store(tmp_path: Path) -> str:
    """An empty SQLite store."""
    return stores.new_sqlite(tmp_path / "store")


@pytest.fixture
def client(store: str) -> MlflowClient:
    """A client of the store."""
    return MlflowClient(store)

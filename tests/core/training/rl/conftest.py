"""Fixtures of the agents' trainer: a home and a store of their own, and nothing of MLflow in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.tracking import fluent

from tests import stores


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Greenroom's home, in the folder of the test."""
    place = tmp_path / "home"
    monkeypatch.setenv("GREENROOM_HOME", str(place))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "GREENROOM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GREENROOM_JOB_DIR", "GREENROOM_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield place
    fluent._active_run_stack.get().clear()
    fluent._active_experiment_id = None
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty SQLite store, which the trainer logs to."""
    uri = stores.new_sqlite(tmp_path / "store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def client(store: str) -> MlflowClient:
    """A client of the store."""
    return MlflowClient(store)

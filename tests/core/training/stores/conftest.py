"""Fixtures of the trainer's tests: a home and a store of their own, and nothing of MLflow in the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.tracking import fluent

from core.training.stores import command
from tests import stores
from tests.core.training.stores import kit

# What the command sets for its own process.
SET = (
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR",
    "OMP_WAIT_POLICY",
)


@pytest.fixture(scope="module", autouse=True)
def few_rounds() -> Iterator[None]:
    """Fewer trees of the one model: it is not their number that matters here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.stores.one_model.GLOBAL_ROUNDS", kit.ROUNDS)
        yield


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Greenroom's home, in the folder of the test."""
    place = tmp_path / "home"
    monkeypatch.setenv("GREENROOM_HOME", str(place))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "GREENROOM_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.chdir(tmp_path)
    yield place
    fluent._active_run_stack.get().clear()
    fluent._active_experiment_id = None
    mlflow.set_tracking_uri(None)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """An empty SQLite store."""
    return stores.new_sqlite(tmp_path / "store")


@pytest.fixture
def client(store: str) -> MlflowClient:
    """A client of the store."""
    return MlflowClient(store)


@pytest.fixture
def run(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, what it printed, what it said on standard error."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    for name in SET:
        before = os.environ.get(name)
        monkeypatch.setenv(name, "")
        if before is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, before)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stores", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call

"""The desk on a real store: reads, remembers, counts trials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from core.backtests.logged.columns import ColumnChoice
from core.errors import NotFoundError
from core.workspace import Workspace, open_workspace
from tests import stores

# As objects: MLflow 3.17 makes pandas 3 warn about its own texts.
DAYS = pd.bdate_range("2020-01-01", periods=40).strftime("%Y-%m-%d").astype(object)
CHOICE = ColumnChoice("time", value="balance")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[tuple[Workspace, MlflowClient, str]]:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    experiment = client.create_experiment("rules", artifact_location=str(tmp_path / "artifacts"))
    workspace = open_workspace(tracking_uri=uri, home=tmp_path / "home")
    yield workspace, client, experiment
    workspace.close()


def ambiguous(client: MlflowClient, experiment: str, name: str = "run", cash: bool = False) -> str:
    run_id: str = client.create_run(experiment, run_name=name).info.run_id
    rising = np.linspace(100, 150, 40)
    frame = pd.DataFrame({"time": DAYS, "equity": rising, "balance": rising[::-1] + 1})
    if cash:
        frame["margin"] = 1.0
    client.log_table(run_id, frame, "equity.json")
    return run_id


def test_a_choice_holds_for_tables_with_these_columns_in_this_experiment(
    desk: tuple[Workspace, MlflowClient, str],
) -> None:
    workspace, client, experiment = desk
    first, second = (ambiguous(client, experiment, name) for name in ("first", "second"))
    other_columns = ambiguous(client, experiment, "third", cash=True)
    elsewhere = ambiguous(client, client.create_experiment("other"), "fourth")
    workspace.runs.sync()
    reading = workspace.backtests.read(first)
    assert reading.needs_choice
    assert reading.recognition is not None
    workspace.backtests.remember(first, reading.recognition.columns, CHOICE, "ana")
    for run_id in (first, second):
        curve = workspace.backtests.read(run_id).curve
        assert curve is not None
        assert curve.values[0] == 151
    for run_id in (other_columns, elsewhere):
        assert workspace.backtests.read(run_id).needs_choice


def test_a_new_choice_replaces_the_old_one(desk: tuple[Workspace, MlflowClient, str]) -> None:
    workspace, client, experiment = desk
    run_id = ambiguous(client, experiment)
    workspace.runs.sync()
    columns = ("time", "equity", "balance")
    workspace.backtests.remember(run_id, columns, CHOICE, "ana")
    workspace.backtests.remember(run_id, columns, ColumnChoice("time", value="equity"), "ben")
    curve = workspace.backtests.read(run_id).curve
    assert curve is not None
    assert curve.values[0] == 100


def test_a_database_that_is_down_is_said_and_the_table_is_read(
    desk: tuple[Workspace, MlflowClient, str], tmp_path: Path
) -> None:
    _, client, experiment = desk
    run_id: str = client.create_run(experiment).info.run_id
    frame = pd.DataFrame({"time": DAYS, "value": np.linspace(1, 2, 40)})
    client.log_table(run_id, frame, "backtest/portfolio_values.json")
    broken = tmp_path / "no folder" / "greenroom.db"
    workspace = open_workspace(
        tracking_uri=client.tracking_uri, home=tmp_path / "home2", database_uri=f"sqlite:///{broken}"
    )
    workspace.runs.sync()
    reading = workspace.backtests.read(run_id)
    workspace.close()
    assert reading.curve is not None
    assert "database" in " ".join(reading.problems)


def test_trials_are_the_other_runs_of_the_experiment(desk: tuple[Workspace, MlflowClient, str]) -> None:
    workspace, client, experiment = desk
    ids = []
    for value in (0.5, 0.7, 0.9, None):
        ids.append(client.create_run(experiment).info.run_id)
        if value is not None:
            client.log_metric(ids[-1], "sharpe_ratio", value)
    gone = client.create_run(experiment).info.run_id
    client.log_metric(gone, "sharpe_ratio", 9.0)
    client.delete_run(gone)
    workspace.runs.sync()
    found = workspace.backtests.trials(ids[1])
    assert found.count == 3
    assert found.others is not None
    assert sorted(found.others) == [0.5, 0.9]


def test_an_unknown_run_or_table_is_refused(desk: tuple[Workspace, MlflowClient, str]) -> None:
    workspace, client, experiment = desk
    run_id = ambiguous(client, experiment)
    workspace.runs.sync()
    with pytest.raises(NotFoundError):
        workspace.backtests.read("0" * 32)
    with pytest.raises(NotFoundError):
        workspace.backtests.read(run_id, "nothing/here.json")

"""The logger and the tracker against a real store, read back with plain MLflow."""

from __future__ import annotations

import json
import math
import threading
from contextlib import nullcontext
from datetime import datetime
from enum import Enum
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from core.errors import BadInputError
from core.tracking import MLflowLogger, MLflowTracker, end_mlflow_run, setup_mlflow, start_mlflow_run


def test_the_published_example_runs_as_it_is_written(store: str, client: MlflowClient, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    trades_list = [{"entry_time": "2024-01-02", "side": "long", "pnl": 12.5}, {"side": "short", "pnl": -3.0}]
    values_list = [{"time": "2024-01-02", "value": 10_000.0}, {"time": "2024-01-03", "value": 10_009.5}]

    # Create logger
    logger = MLflowLogger("trading_experiment")

    # Start run
    logger.start_run("training_001")

    # Log parameters and metrics
    logger.log_params({"learning_rate": 0.001, "batch_size": 64})

    logger.log_metrics({"loss": 0.5, "accuracy": 0.95}, step=1)

    # Log model
    logger.log_model(model, "model")

    # End run
    logger.end_run()
    trained = logger.run_id

    # Log backtest results
    logger.log_backtest_results(
        {
            "trades": trades_list,
            "portfolio_values": values_list,
            "metrics": {"sharpe_ratio": 1.5, "max_drawdown": 0.2},
        }
    )

    # Get best run
    best_run = logger.get_best_run(metric_name="sharpe_ratio", mode="max")

    assert best_run == {
        "run_id": logger.run_id,
        "metrics": {"sharpe_ratio": 1.5, "max_drawdown": 0.2},
        "params": {},
    }
    logger.end_run()
    run = client.get_run(trained)
    assert (run.info.run_name, run.info.status) == ("training_001", "FINISHED")
    assert run.data.params == {"learning_rate": "0.001", "batch_size": "64"}
    assert client.get_metric_history(trained, "loss")[0].step == 1
    assert mlflow.pyfunc.load_model(f"runs:/{trained}/model").predict(np.array([[2.0]])) == pytest.approx(2)
    assert mlflow.load_table("backtest/trades.json", [logger.run_id]).pnl.tolist() == [12.5, -3.0]


def test_params_of_any_type_and_number_arrive_and_the_dict_is_left_alone(
    store: str, client: MlflowClient
) -> None:
    class Side(Enum):
        LONG = "long"

    given = {f"p{number}": number for number in range(250)} | {
        "nested": {"layers": [64, np.int64(32)], "path": Path("a/b")},
        "array": np.array([1.5, 2.0]),
        "nothing": None,
        "flag": True,
        "scalar": np.float32(0.5),
        "side": Side.LONG,
        "when": datetime(2024, 1, 2, 3),
        "activation": dict,
        "a/b c.d-e:f": "学习率",
    }
    before = {key: repr(value) for key, value in given.items()}
    tracker = MLflowTracker(store, "params")
    with tracker.start_run():
        tracker.log_params(given)
        tracker.log_params({"p1": 1})
    assert {key: repr(value) for key, value in given.items()} == before
    logged = client.get_run(tracker.run_id).data.params
    assert len(logged) == len(given)
    assert logged["nested"] == '{"layers": [64, 32], "path": "a/b"}'
    assert logged["array"] == "[1.5, 2.0]"
    assert (logged["nothing"], logged["flag"], logged["scalar"]) == ("None", "True", "0.5")
    assert (logged["side"], logged["when"], logged["activation"]) == ("long", "2024-01-02T03:00:00", "dict")
    assert logged["a/b c.d-e:f"] == "学习率"


def test_a_param_that_is_too_long_keeps_its_beginning_and_is_whole_in_an_artifact(
    store: str, client: MlflowClient
) -> None:
    long = {"features": [f"feature_{number}" for number in range(2000)]}
    tracker = MLflowTracker(store, "long")
    with tracker.start_run(tags={"note": "n" * 9000}):
        tracker.log_params({"short": 1, "long": long})
        tracker.log_params({"other": "x" * 7000})
    logged = client.get_run(tracker.run_id).data
    assert len(logged.params["long"]) == 6000
    assert logged.params["long"].startswith('{"features": ["feature_0"')
    assert logged.params["long"].endswith("whole in params/long_values.json]")
    assert "cut: 9,000 characters" in logged.tags["note"]
    whole = mlflow.artifacts.load_dict(f"runs:/{tracker.run_id}/params/long_values.json")
    assert json.loads(whole["long"]) == long
    assert whole["other"] == "x" * 7000
    assert mlflow.artifacts.load_dict(f"runs:/{tracker.run_id}/tags/long_values.json")["note"] == "n" * 9000


@pytest.mark.parametrize("key", ["", "a;b", "../up", "a//b", "/root", "x" * 251, None, 5])
def test_keys_that_mlflow_refuses_are_refused_at_the_call(store: str, key: object) -> None:
    tracker = MLflowTracker(store, "keys")
    with tracker.start_run():
        for log in (tracker.log_params, tracker.log_metrics, tracker.set_tags):
            with pytest.raises(BadInputError, match="Accepted are letters"):
                log({key: 1})


def test_a_param_is_written_once(store: str) -> None:
    tracker = MLflowTracker(store, "once")
    with tracker.start_run():
        tracker.log_params({"lr": 0.1})
        with pytest.raises(BadInputError, match=r"'lr' of this run is already '0\.1'"):
            tracker.log_params({"fresh": 1, "lr": 0.2})


@pytest.mark.parametrize("value", ["0.5", None, [1, 2], {}, b"1", 1j, np.array([1.0, 2.0]), 10**400])
def test_a_metric_that_is_no_number_is_refused_by_its_name(store: str, value: object) -> None:
    tracker = MLflowTracker(store, "numbers")
    with tracker.start_run(), pytest.raises(BadInputError, match="metric 'loss' must be a number"):
        tracker.log_metrics({"loss": value})


def test_numbers_of_every_kind_are_metrics(store: str, client: MlflowClient) -> None:
    import torch

    tracker = MLflowTracker(store, "numbers")
    with tracker.start_run():
        tracker.log_metrics(
            {
                "tensor": torch.tensor(0.5, requires_grad=True),
                "numpy": np.float32(1.5),
                "array": np.array([2.0]),
                "bool": np.bool_(True),
                "nan": math.nan,
                "inf": math.inf,
            },
            step=np.int64(3),
        )
        with pytest.raises(BadInputError, match="step must be a whole number"):
            tracker.log_metric("loss", 1, step=0.5)  # type: ignore[arg-type]
    logged = client.get_run(tracker.run_id).data.metrics
    assert (logged["tensor"], logged["numpy"], logged["array"], logged["bool"]) == (0.5, 1.5, 2.0, 1.0)
    assert math.isnan(logged["nan"]) and logged["inf"] > 1e308
    assert client.get_metric_history(tracker.run_id, "numpy")[0].step == 3


def test_the_run_is_the_active_one_of_plain_mlflow(store: str, client: MlflowClient) -> None:
    tracker = MLflowTracker(store, "active")
    with tracker.start_run("parent") as parent:
        assert mlflow.active_run().info.run_id == parent.run_id
        mlflow.log_metric("plain", 7.0)
        with tracker.start_run("child", nested=True) as child:
            tracker.log_metric("inner", 1)
        assert mlflow.active_run().info.run_id == parent.run_id
        with pytest.raises(BadInputError, match="'parent' is active"):
            tracker.start_run("second")
    assert mlflow.active_run() is None
    assert client.get_run(parent.run_id).data.metrics == {"plain": 7.0}
    assert client.get_run(child.run_id).data.tags["mlflow.parentRunId"] == parent.run_id
    with mlflow.start_run(run_id=parent.run_id):
        mlflow.log_metric("later", 1.0)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "FINISHED")],
)
def test_how_a_run_ends_says_how_the_training_did(
    store: str, client: MlflowClient, error: type[BaseException] | None, status: str
) -> None:
    tracker = MLflowTracker(store, "ends")
    with pytest.raises(error) if error else nullcontext(), tracker.start_run():
        if error is not None:
            raise error
    assert client.get_run(tracker.run_id).info.status == status


def test_a_run_that_a_launcher_made_is_resumed(store: str, client: MlflowClient, monkeypatch) -> None:
    made = client.create_run("0", run_name="launched").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    with MLflowTracker(store).start_run():
        pass
    assert client.get_run(made).info.run_name == "launched"
    monkeypatch.setenv("MLFLOW_RUN_ID", made)
    tracker = MLflowTracker(store)
    with tracker.start_run("trained", tags={"team": "fx"}):
        tracker.log_metric("loss", 1)
    run = client.get_run(made)
    assert tracker.run_id == made
    assert (run.info.run_name, run.info.status, run.data.tags["team"]) == ("trained", "FINISHED", "fx")


def test_artifacts_are_logged_as_they_are_at_the_call(
    store: str, client: MlflowClient, tmp_path: Path
) -> None:
    import matplotlib.figure

    folder = tmp_path / "out"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("a")
    file = tmp_path / "config.ini"
    file.write_text("before")
    logger = MLflowLogger("files", store)
    with logger.start_run():
        logger.log_artifact(file)
        file.write_text("after")
        logger.log_artifact(file, "later/")
        logger.log_artifacts(folder, "tree")
        logger.log_text("hello", "notes/hello.txt")
        logger.log_dict({"when": pd.Timestamp("2024-01-02"), "n": np.float64("nan")}, "d.json")
        logger.log_dict({"a": np.int64(1)}, "d.yaml")
        logger.log_figure(matplotlib.figure.Figure(), "figures/empty.png")
        for bad in ("../up.txt", "/etc/x", ""):
            with pytest.raises(BadInputError):
                logger.log_text("x", bad)
        with pytest.raises(BadInputError, match="is no file"):
            logger.log_artifact(tmp_path / "missing")
    uri = f"runs:/{logger.run_id}"
    assert mlflow.artifacts.load_text(f"{uri}/config.ini") == "before"
    assert mlflow.artifacts.load_text(f"{uri}/later/config.ini") == "after"
    assert mlflow.artifacts.load_text(f"{uri}/tree/deep/a.txt") == "a"
    assert mlflow.artifacts.load_dict(f"{uri}/d.json") == {"when": "2024-01-02T00:00:00", "n": None}
    assert mlflow.artifacts.load_text(f"{uri}/d.yaml") == "a: 1\n"
    assert [one.path for one in client.list_artifacts(logger.run_id, "figures")] == ["figures/empty.png"]


def test_the_best_run_is_one_with_the_metric(store: str, client: MlflowClient) -> None:
    logger = MLflowLogger("best", store)
    assert logger.get_best_run("sharpe") is None
    ids = {}
    for name, value in (("nan", math.nan), ("low", -1.0), ("none", None), ("high", 2.0)):
        with logger.start_run(name):
            logger.log_params({"name": name})
            logger.log_metrics({"other": 1.0} if value is None else {"sharpe": value})
        ids[name] = logger.run_id
    assert logger.get_best_run("sharpe")["run_id"] == ids["high"]
    assert logger.get_best_run("sharpe", "min")["params"] == {"name": "low"}
    assert logger.get_best_run("missing") is None
    with pytest.raises(BadInputError, match="'max' or 'min'"):
        logger.get_best_run("sharpe", "best")
    client.delete_run(ids["high"])
    assert logger.get_best_run("sharpe")["run_id"] == ids["low"]
    client.delete_run(ids["low"])
    assert logger.get_best_run("sharpe") is None  # only NaN is left


def test_calls_from_many_threads_all_arrive(store: str, client: MlflowClient) -> None:
    tracker = MLflowTracker(store, "threads")
    with tracker.start_run():

        def work(number: int) -> None:
            for step in range(200):
                tracker.log_metric(f"m{number}", step, step=step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in range(4):
        assert len(client.get_metric_history(tracker.run_id, f"m{number}")) == 200


def test_the_three_calls_of_a_pipeline(store: str, client: MlflowClient, monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    tracker = setup_mlflow("SentimentModelTraining")
    start_mlflow_run("first")
    end_mlflow_run()
    with start_mlflow_run("second", experiment_name="RLAgentTraining_PPO") as run:
        pass
    assert client.get_run(tracker.run_id).info.run_name == "first"
    assert client.get_experiment(run.experiment_id).name == "RLAgentTraining_PPO"

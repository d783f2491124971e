"""Whole trainings, small ones: what is logged, how it is loaded, and how it is gone on with."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from stable_baselines3 import PPO

from core.errors import BadInputError, GreenroomError, NotFoundError
from core.settings import read_settings
from core.tracking import compute_file_hash, compute_json_hash
from core.training.rl import backtest, training
from core.training.rl.algorithms import class_of, strategy_of
from core.training.rl.features import FEATURE_ORDER
from core.training.rl.measures import Figures
from core.training.rl.options import Algorithm
from core.training.rl.plan import SeedResult
from core.training.rl.preparation import prepare
from core.training.rl.recording import over_seeds
from core.training.rl.training import TrainingReport
from core.training.rl.vectorised import TradingVecEnv
from tests import stores
from tests.core.training.rl import kit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return kit.csv(tmp_path / "bars.csv")


@dataclass(frozen=True)
class Trained:
    """A training that several tests look at."""

    data: Path
    client: MlflowClient
    report: TrainingReport
    store: str


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    store = stores.new_sqlite(folder)
    data = kit.csv(folder / "bars.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.setenv("GREENROOM_HOME", str(folder / "home"))
        patch.chdir(folder)
        report = kit.train(data)
    return Trained(data, MlflowClient(store), report, store)


@pytest.fixture
def looked_at(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The same, with plain MLflow pointed at its store."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained.store)
    return trained


def file(client: MlflowClient, run_id: str | None, path: str) -> Path:
    return Path(client.download_artifacts(str(run_id), path))


def steps(client: MlflowClient, run_id: str, metric: str) -> list[int]:
    return [one.step for one in client.get_metric_history(run_id, metric)]


def test_a_training_logs_all_that_the_contract_asks_for(looked_at: Trained) -> None:
    data, client, report = looked_at.data, looked_at.client, looked_at.report
    run = client.get_run(str(report.run_id))
    assert run.info.status == "FINISHED" and run.info.run_name == "agent"
    params, tags, metrics = run.data.params, run.data.tags, run.data.metrics
    assert params["dataset_hash"] == compute_file_hash(data)[:16]
    assert tags["dataset_hash_full"] == compute_file_hash(data)
    stats = file(client, report.run_id, "norm_stats.json")
    assert params["norm_stats_hash"] == compute_json_hash(stats)[:16]
    assert {"algorithm", "timesteps", "learning_rate", "batch_size", "seed", "fee_bps", "test_start"} <= set(
        params
    )
    assert metrics["best_reward"] == report.seeds[0].best_reward
    assert 0 < metrics["training_duration"] < 60
    for name in ("total_return", "buy_and_hold_total_return", "flat_total_return", "max_drawdown"):
        assert math.isfinite(metrics[name])
    assert "flat_sharpe" not in metrics
    described = json.loads(file(client, report.run_id, "model_signature.json").read_text())
    assert described == {"observation_dim": 15, "action_dim": 1, "feature_order": list(FEATURE_ORDER)}


def test_the_statistics_are_those_of_the_training_part_alone(looked_at: Trained) -> None:
    client, report = looked_at.client, looked_at.report
    stats = json.loads(file(client, report.run_id, "norm_stats.json").read_text())
    params = client.get_run(str(report.run_id)).data.params
    assert (stats["first"], stats["last"]) == (params["train_start"], params["train_end"])
    assert params["train_end"] < params["validation_start"] <= params["validation_end"] < params["test_start"]


def test_the_model_is_loaded_by_stable_baselines3_and_by_mlflow(looked_at: Trained) -> None:
    client, report = looked_at.client, looked_at.report
    version = mlflow.register_model(f"runs:/{report.run_id}/model", "ppo_usdcop")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # stages are deprecated
        client.transition_model_version_stage("ppo_usdcop", version.version, "Production")
    model = PPO.load(file(client, report.run_id, "model/final_model.zip"))
    served = mlflow.pyfunc.load_model("models:/ppo_usdcop/Production")
    seen = np.random.default_rng(0).normal(size=(4, 15)).astype(np.float32)
    expected, _ = model.predict(seen, deterministic=True)
    assert served.predict({"observation": seen}) == pytest.approx(expected)
    (inputs,), (outputs,) = served.metadata.signature.inputs, served.metadata.signature.outputs
    assert (inputs.name, inputs.type, inputs.shape) == ("observation", np.dtype("float32"), (-1, 15))
    assert (outputs.name, outputs.type, outputs.shape) == ("action", np.dtype("float32"), (-1, 1))


def test_the_backtest_is_that_of_the_logged_model_over_the_held_out_part(looked_at: Trained) -> None:
    data, client, report = looked_at.data, looked_at.client, looked_at.report
    model = PPO.load(file(client, report.run_id, "model/final_model.zip"))
    test = prepare(kit.options(data)).test
    experiment = client.get_run(str(report.run_id)).info.experiment_id
    table = client.load_table(experiment, "backtest/portfolio_values.json", [str(report.run_id)])
    assert list(table.columns) == ["time", "value", "benchmark", "position"]
    assert len(table) == len(test) == report.test_bars
    assert table["time"].iloc[0] == report.test_start and table["time"].iloc[-1] == report.test_end
    # By hand: the model's own answers and the prices.
    equity, position, gain_at = 1.0, 0.0, 1.0
    for at in range(20):
        gain = 0.0 if position == 0 else (equity / gain_at - 1) / (test.return_scale * math.sqrt(20))
        seen = np.array([*test.features[at], position, np.clip(gain, -5, 5)], dtype=np.float32)
        target = float(model.predict(seen, deterministic=True)[0][0])
        assert table["value"].iloc[at] == pytest.approx(10_000 * equity, rel=1e-6)
        assert table["position"].iloc[at] == pytest.approx(target, abs=1e-4)
        if np.sign(target) != np.sign(position):
            gain_at = equity
        r = test.close[at + 1] / test.close[at] - 1
        equity *= (1 - 0.0002 * abs(target - position)) * (1 + target * r)
        position = target * (1 + r) / (1 + target * r)
    total = table["value"].iloc[-1] / table["value"].iloc[0] - 1
    assert report.seeds[0].test.total_return == pytest.approx(total)


def test_learning_curves_are_metrics_over_timesteps(looked_at: Trained) -> None:
    client, report = looked_at.client, looked_at.report
    run_id = str(report.run_id)
    assert steps(client, run_id, "validation/reward") == [64, 128, 192, 256]
    assert steps(client, run_id, "time/total_timesteps")[-1] == 256
    assert {"train/loss", "rollout/ep_rew_mean"} <= set(client.get_run(run_id).data.metrics)


def test_several_seeds_are_child_runs_and_the_best_validation_is_the_training_s_model(
    data: Path, client: MlflowClient
) -> None:
    report = kit.train(data, seeds=3, seed=4)
    assert [one.seed for one in report.seeds] == [4, 5, 6]
    parent = client.get_run(str(report.run_id))
    children = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{report.run_id}'",
        order_by=["params.seed"],
    )
    assert [one.info.run_id for one in children] == [one.run_id for one in report.seeds]
    assert {one.info.status for one in (parent, *children)} == {"FINISHED"}
    best = max(report.seeds, key=lambda one: one.best_reward)
    assert report.chosen == best.seed and parent.data.tags["chosen_seed"] == str(best.seed)
    chosen, other = (file(client, run_id, "model/final_model.zip") for run_id in (best.run_id, report.run_id))
    seen = np.random.default_rng(0).normal(size=(4, 15)).astype(np.float32)
    assert np.array_equal(PPO.load(chosen).predict(seen)[0].shape, PPO.load(other).predict(seen)[0].shape)
    one, two = (PPO.load(path).predict(seen, deterministic=True)[0] for path in (chosen, other))
    assert np.array_equal(one, two)
    returns = sorted(one.test.total_return for one in report.seeds)
    assert parent.data.metrics["total_return_median"] == returns[1]
    assert parent.data.metrics["total_return_worst"] == returns[0]
    assert parent.data.metrics["total_return"] == best.test.total_return
    # Seeds of one thing have the same params but for the seed.
    same = [{k: v for k, v in one.data.params.items() if "seed" not in k} for one in (parent, *children)]
    assert same[0] == same[1] == same[2] == same[3]
    assert [one.data.params["seed"] for one in children] == ["4", "5", "6"]


def test_the_same_seed_learns_the_same(data: Path, store: str) -> None:
    first, second = kit.train(data), kit.train(data)
    assert first.seeds[0].best_reward == second.seeds[0].best_reward
    assert first.seeds[0].test == second.seeds[0].test


def test_a_seed_that_gets_no_better_stops_early_and_keeps_its_best_model(
    data: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewards = iter([1.0, 5.0, 3.0, 4.0, 9.0])
    run = backtest.run

    class Judged:
        def __getattr__(self, name: str) -> object:
            return getattr(backtest, name)

        @staticmethod
        def run(market, strategy):
            done = run(market, strategy)
            object.__setattr__(done, "reward", next(rewards))
            return done

    monkeypatch.setattr("core.training.rl.teaching.backtest", Judged())
    report = kit.train(data, timesteps=1024, evaluate_every=64, patience=2)
    (seed,) = report.seeds
    assert (seed.best_reward, seed.best_timesteps, seed.timesteps) == (5.0, 128, 256)
    assert steps(client, str(report.run_id), "validation/reward") == [64, 128, 192, 256]


@pytest.mark.parametrize("algorithm", [Algorithm.A2C, Algorithm.SAC, Algorithm.TD3, Algorithm.DDPG])
def test_other_algorithms_train_too(data: Path, client: MlflowClient, algorithm: Algorithm) -> None:
    report = kit.train(data, algorithm=algorithm, timesteps=128, n_steps=None)
    loaded = class_of(algorithm).load(file(client, report.run_id, "model/final_model.zip"))
    seen = np.random.default_rng(0).uniform(-1, 1, (5, 15)).astype(np.float32)
    expected = loaded.predict(seen, deterministic=True)[0][:, 0]
    act = strategy_of(loaded)
    assert [min(max(act(one), -1), 1) for one in seen] == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_short_way_to_an_action_is_the_model_s_own() -> None:
    model = PPO("MlpPolicy", TradingVecEnv(kit.market(), 2), n_steps=8, batch_size=8, device="cpu", seed=3)
    act = strategy_of(model)
    for seen in np.random.default_rng(0).normal(size=(20, 15)).astype(np.float32) * 3:
        expected = float(model.predict(seen, deterministic=True)[0][0])
        assert min(max(act(seen), -1.0), 1.0) == pytest.approx(expected, abs=1e-6)


def test_a_training_begins_with_the_weights_and_statistics_of_a_model(
    tmp_path: Path, data: Path, client: MlflowClient
) -> None:
    first = kit.train(data)
    longer = kit.csv(tmp_path / "longer.csv", 900, seed=0)
    uri = f"runs:/{first.run_id}/model"
    report = kit.train(longer, warm_start=uri, last_days=400, epochs=1.0, timesteps=99_999)
    run = client.get_run(str(report.run_id))
    assert int(run.data.params["timesteps"]) < 300
    assert run.data.params["warm_start"] == uri
    before = client.get_run(str(first.run_id)).data.params
    assert run.data.params["norm_stats_hash"] == before["norm_stats_hash"]
    assert run.data.params["train_start"] > before["test_end"]
    # The first validation is that of the model as it came.
    assert steps(client, str(report.run_id), "validation/reward")[0] == 0
    model = PPO.load(file(client, first.run_id, "model/final_model.zip"))
    market = prepare(kit.options(longer, last_days=400), None)
    assert market.bars.notes == () and report.notes == ()
    assert model.observation_space.shape == (15,)


def test_a_model_that_has_seen_the_held_out_part_is_said_to_have(data: Path, client: MlflowClient) -> None:
    first = kit.train(data)
    report = kit.train(data, warm_start=f"runs:/{first.run_id}/model", test=0.3)
    (note,) = report.notes
    assert "has seen bars until" in note and "not one of unseen bars" in note
    assert client.get_run(str(report.run_id)).data.tags["mlflow.note.content"] == note


def test_models_that_cannot_be_begun_with_are_refused(data: Path, client: MlflowClient) -> None:
    first = kit.train(data)
    uri = f"runs:/{first.run_id}/model"
    with pytest.raises(BadInputError, match=r"models:/nobody/Production cannot be fetched"):
        kit.train(data, warm_start="models:/nobody/Production")
    with pytest.raises(BadInputError, match=r"was trained with ppo, not a2c\. Give --algorithm ppo"):
        kit.train(data, warm_start=uri, algorithm=Algorithm.A2C)
    with pytest.raises(BadInputError, match=r"weights do not fit .*--net"):
        kit.train(data, warm_start=uri, net=(16,))
    experiment = client.get_experiment_by_name("trading-agents")
    ended = {one.info.status for one in client.search_runs([experiment.experiment_id])}
    assert ended == {"FINISHED", "FAILED"}


def test_the_run_that_a_launcher_made_is_gone_on_with(data: Path, client: MlflowClient) -> None:
    experiment = client.create_experiment("launched")
    made = client.create_run(experiment, run_name="job 7", tags={"mlflow.project.entryPoint": "rl"})
    # As `mlflow run` logs what was asked for.
    for key, value in {
        "data": "/somewhere/bars.csv",
        "timesteps": "256",
        "n_steps": "0",
        "seeds": "2",
        "seed": "1",
        "fee_bps": "1",
        "repair": "false",
        "warm_start": "''",
    }.items():
        client.log_param(made.info.run_id, key, value)
    report = kit.train(data, run_id=made.info.run_id, seeds=2, n_steps=None)
    assert report.run_id == made.info.run_id and report.experiment == "launched"
    run = client.get_run(made.info.run_id)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "job 7")
    assert run.data.params["n_steps"] == "0" and run.data.tags["n_steps"] == "128"
    # What came out as it was asked for needs no saying.
    assert set(run.data.tags) & set(run.data.params) - {"git_commit_sha"} == {"n_steps"}
    child = client.get_run(str(report.seeds[0].run_id))
    assert child.info.run_name == "job 7 seed 1"
    assert [client.get_run(str(one.run_id)).data.params["seed"] for one in report.seeds] == ["1", "2"]
    assert child.data.params["data"] == "/somewhere/bars.csv" and child.info.experiment_id == experiment


def test_a_launched_run_whose_bars_cannot_be_used_says_so(tmp_path: Path, client: MlflowClient) -> None:
    made = client.create_run(client.create_experiment("launched"))
    bad = tmp_path / "bad.csv"
    bad.write_text("time,close\n2024-01-01,0\n")
    with pytest.raises(BadInputError, match="zero or less"):
        kit.train(bad, run_id=made.info.run_id)
    run = client.get_run(made.info.run_id)
    assert run.info.status == "FAILED" and "zero or less" in run.data.tags["failure"]
    # Gone on with good bars, it has not failed.
    kit.train(kit.csv(tmp_path / "good.csv"), run_id=made.info.run_id)
    run = client.get_run(made.info.run_id)
    assert run.info.status == "FINISHED" and "failure" not in run.data.tags


def test_a_training_is_not_gone_on_with_by_other_options_or_bars(
    tmp_path: Path, data: Path, client: MlflowClient
) -> None:
    report = kit.train(data)
    with pytest.raises(BadInputError, match=r"started with gamma = 0\.99, not 0\.5"):
        kit.train(data, run_id=report.run_id, gamma=0.5)
    with pytest.raises(BadInputError, match="started with dataset_hash = "):
        kit.train(kit.csv(data, 400, seed=9), run_id=report.run_id)
    # A mistake leaves the run as it was.
    assert client.get_run(str(report.run_id)).info.status == "FINISHED"


def test_a_training_that_another_process_works_on_is_left_alone(
    data: Path, client: MlflowClient, home: Path
) -> None:
    report = kit.train(data)
    # Of another process, since a lock belongs to one.
    lock = home / "checkpoints" / str(report.run_id) / "lock"
    script = f"import fcntl, sys\nfile = open({str(lock)!r}, 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
    with subprocess.Popen(
        [sys.executable, "-c", script + "print('held', flush=True)\nsys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdin is not None and other.stdout is not None
        other.stdout.readline()
        with pytest.raises(GreenroomError, match="Another process is working on the training"):
            kit.train(data, run_id=report.run_id)
        other.stdin.close()
    assert client.get_run(str(report.run_id)).info.status == "FINISHED"


def test_runs_that_cannot_be_gone_on_with_are_named(data: Path, client: MlflowClient) -> None:
    with pytest.raises(NotFoundError, match=r"There is no run 0123"):
        kit.train(data, run_id="0123")
    report = kit.train(data, seeds=2)
    with pytest.raises(BadInputError, match=rf"that of one seed.*--run-id {report.run_id}"):
        kit.train(data, run_id=report.seeds[0].run_id)
    client.delete_run(str(report.run_id))
    with pytest.raises(BadInputError, match="was deleted"):
        kit.train(data, run_id=report.run_id)


def test_checkpoints_are_kept_where_the_job_is(data: Path, store: str, tmp_path: Path) -> None:
    folder = tmp_path / "job" / "checkpoints"
    training.run_training(kit.options(data), read_settings(), folder)
    assert sorted(one.name for one in (folder / "seed-1").iterdir()) == [
        "result.json",
        "step-000000000192",
        "step-000000000256-end",
    ]
    assert not (tmp_path / "home" / "checkpoints").exists()


def test_median_and_worst_leave_out_seeds_without_the_figure() -> None:
    def result(total: float, sharpe: float | None) -> SeedResult:
        return SeedResult(1, None, 1, 1, 0.0, 0.0, Figures(total, sharpe, -0.1), 1.0)

    found = over_seeds([result(0.1, 1.0), result(-0.2, None), result(0.3, 2.0)])
    assert (found["total_return_median"], found["total_return_worst"]) == (0.1, -0.2)
    assert (found["sharpe_median"], found["sharpe_worst"]) == (1.5, 1.0)

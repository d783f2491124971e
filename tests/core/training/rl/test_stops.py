"""kill -9 and SIGTERM in the middle of a training: what is kept, what the runs say, and how it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.core.training.rl import kit

SMALL = (
    *(
        "--timesteps",
        "512",
        "--environments",
        "2",
        "--episode-bars",
        "16",
        "--n-steps",
        "32",
        "--batch-size",
        "32",
        "--net",
        "8",
        "--evaluate-every",
        "64",
    ),
    *("--patience", "0", "--fee-bps", "1", "--slippage-bps", "1", "--run-name", "agent", "--seeds", "2"),
)


class Trainer:
    """A trainer in a process group of its own; each of its validations is made slower, so that kills hit it."""

    def __init__(self, data: Path, store: str, home: Path, run_id: str) -> None:
        code = (
            "import time\n"
            "from core.training.rl import backtest\n"
            "run = backtest.run\n"
            "def slowly(*given):\n    time.sleep(0.1)\n    return run(*given)\n"
            "backtest.run = slowly\n"
            "from core.training.rl.command import main\nmain()\n"
        )
        environment = {**os.environ, "MLFLOW_TRACKING_URI": store, "GREENROOM_HOME": str(home)}
        root = str(Path(__file__).resolve().parents[4])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--data", str(data), "--run-id", run_id, *SMALL],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**environment, "PYTHONPATH": root},
        )

    def finish(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=120)
        return self.process.returncode, said

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.finish()


@pytest.fixture
def start(tmp_path: Path, store: str, home: Path) -> Iterator[Callable[[str], Trainer]]:
    data = kit.csv(tmp_path / "bars.csv")
    started: list[Trainer] = []

    def begin(run_id: str) -> Trainer:
        started.append(Trainer(data, store, home, run_id))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.kill()


def wait(trainer: Trainer, until: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not until() and trainer.process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert trainer.process.poll() is None, trainer.process.communicate()[0]
    assert until()


def checkpoints(home: Path, run_id: str, seed: int) -> list[str]:
    return sorted(one.name for one in (home / "checkpoints" / run_id / f"seed-{seed}").glob("step-*"))


def steps(client: MlflowClient, run_id: str, metric: str) -> list[int]:
    return [one.step for one in client.get_metric_history(run_id, metric)]


def test_a_training_that_is_stopped_and_then_killed_goes_on_in_the_same_runs(
    start: Callable[[str], Trainer], client: MlflowClient, home: Path
) -> None:
    experiment = client.create_experiment("killed")
    run_id = client.create_run(experiment).info.run_id

    def runs() -> tuple[Run, list[Run]]:
        children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
        return client.get_run(run_id), list(children)

    # SIGTERM, in the first seed.
    trainer = start(run_id)
    wait(trainer, lambda: "step-000000000128" in checkpoints(home, run_id, 1))
    began = time.monotonic()
    trainer.process.send_signal(signal.SIGTERM)
    code, said = trainer.finish()
    assert time.monotonic() - began < 3
    assert code == 143 and "go on with --run-id" in said
    run, children = runs()
    assert [one.info.status for one in (run, *children)] == ["KILLED", "KILLED"]
    place = home / "checkpoints" / run_id / "seed-1" / checkpoints(home, run_id, 1)[-1]
    assert {one.name for one in place.iterdir()} == {"model.zip", "best.zip", "state.json"}

    # kill -9, in the second seed.
    trainer = start(run_id)
    wait(trainer, lambda: "step-000000000128" in checkpoints(home, run_id, 2))
    trainer.kill()
    assert not checkpoints(home, run_id, 2)[-1].endswith("-end")

    done = kit.train(Path("bars.csv"), run_id=run_id, seeds=2, timesteps=512)
    run, children = runs()
    assert {one.info.status for one in (run, *children)} == {"FINISHED"}
    assert sorted(one.data.params["seed"] for one in children) == ["1", "2"]
    for child in children:
        # Whatever was passed twice was logged once, in order, and nothing is missing.
        assert steps(client, child.info.run_id, "validation/reward") == list(range(64, 513, 64))
        assert steps(client, child.info.run_id, "time/total_timesteps") == list(range(64, 513, 64))
        assert {one.path for one in client.list_artifacts(child.info.run_id, "backtest")} == {
            "backtest/portfolio_values.json",
            "backtest/results.json",
            "backtest/trades.json",
        }

    # Once more, it is done: nothing is logged again.
    again = kit.train(Path("bars.csv"), run_id=run_id, seeds=2, timesteps=512)
    assert again.seeds == done.seeds
    assert runs()[0].data.metrics == run.data.metrics
    assert len(client.search_logged_models([experiment])) == 3

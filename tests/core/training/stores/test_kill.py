"""kill -9 at ten moments of a pipeline: it goes on each time, and nothing of it is lost, doubled or different."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

from core.training.stores.models import ModelKind
from tests.core.training.stores import kit

STORES = 8
KILLS = 10
HORIZON = 14
# Its workers start soonest; what is killed is the same for all of them.
KIND = ModelKind.SEASONAL_NAIVE

# Each step on the way to MLflow is made slower, as on a busy machine, so that a kill may come between any two.
CHILD = """
import time
from mlflow import MlflowClient
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

def slow(where, name):
    call = getattr(where, name)
    def slowly(*arguments, **named):
        time.sleep(0.01)
        found = call(*arguments, **named)
        time.sleep(0.01)
        return found
    setattr(where, name, slowly)

for name in ("create_run", "log_batch", "set_terminated"):
    slow(MlflowClient, name)
slow(LocalArtifactRepository, "log_artifacts")
from core.training.stores.command import main
main()
"""


class Trainer:
    """A trainer in a process group of its own, with two workers."""

    def __init__(self, data: Path, uri: str, run_id: str) -> None:
        arguments = ["--data", str(data), "--model", KIND, "--horizon", str(HORIZON), "--jobs", "2"]
        arguments += ["--min-samples", "20", "--tracking-uri", uri, "--run-id", run_id]
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env=kit.environment(),
        )

    def finish(self) -> float:
        """Let it end by itself; return the seconds that took."""
        began = time.monotonic()
        said, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said
        return time.monotonic() - began

    def kill_after(self, seconds: float, alone: bool) -> bool:
        """Kill -9 the trainer, alone or with its workers; say whether it was still at it. No worker outlives it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        hit = self.process.poll() is None
        if alone:
            self.process.kill()
            end = time.monotonic() + 30
            while self.living() and time.monotonic() < end:
                time.sleep(0.1)
            assert not self.living(), "a worker lingers"
        self.end()
        return hit

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        assert self.process.stdout is not None
        if not self.process.stdout.closed:
            self.process.communicate()

    def living(self) -> list[str]:
        """What is left of its group, but for the dead that nobody has buried."""
        found = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
        rows = [row.split(None, 2) for row in found.stdout.splitlines()]
        return [row[2] for row in rows if row[0] == str(self.process.pid) and not row[1].startswith("Z")]


@pytest.fixture
def trainers() -> Iterator[list[Trainer]]:
    """Trainers, none of which outlives the test."""
    started: list[Trainer] = []
    yield started
    for one in started:
        one.end()


def sales(folder: Path) -> Path:
    """Seven stores that can be trained on and one that cannot."""
    frame = kit.usual(STORES, 130)
    stuck = pl.when(pl.col("store") == "S003").then(1000.0).otherwise("sales")
    return kit.csv(folder / "sales.csv", frame.with_columns(sales=stuck))


def whole(client: MlflowClient, run_id: str) -> tuple[object, ...]:
    """All that must be the same however often a pipeline was killed."""
    parent, stores = kit.pipeline_of(client, run_id)
    return parent, stores


def logged_twice(tmp_path: Path) -> list[tuple[str, str]]:
    """Metrics that came more than once; how far a pipeline is may."""
    query = "select run_uuid, key from metrics where key != 'stores_done' group by run_uuid, key having count(*) > 1"
    with contextlib.closing(sqlite3.connect(tmp_path / "store" / "mlflow.db")) as database:
        return list(database.execute(query))


def test_a_pipeline_killed_at_any_moment_comes_out_as_if_it_had_not_been(
    tmp_path: Path, store: str, client: MlflowClient, trainers: list[Trainer]
) -> None:
    pick = random.Random(7)
    data = sales(tmp_path)
    experiment = client.create_experiment("killed", (tmp_path / "artifacts").as_uri())

    def new_run() -> str:
        return str(client.create_run(experiment, run_name="pipeline").info.run_id)

    def start(run_id: str) -> Trainer:
        trainers.append(Trainer(data, store, run_id))
        return trainers[-1]

    undisturbed = new_run()
    seconds = start(undisturbed).finish()
    expected = whole(client, undisturbed)
    assert isinstance(expected[1], dict) and len(expected[1]) == STORES
    # Five moments of the clock, one in each fifth of the time that a pipeline takes, from the imports to the summary;
    # and five of the work, when so many stores are done, for a clock cannot be trusted on a busy machine.
    moments = [(fifth + pick.random()) * 2 / KILLS * seconds for fifth in range(KILLS // 2)]
    counts = [pick.randint(1, STORES - 3) for _ in moments]
    hits = partial = 0
    for number, (moment, count) in enumerate(zip(moments, counts, strict=True)):
        run_id = new_run()
        for by_count in (number % 2 == 0, number % 2 == 1):
            trainer = start(run_id)
            if by_count:
                _wait_for(trainer, client, run_id, min(STORES - 1, count + _ended(client, run_id)))
            hits += trainer.kill_after(0.0 if by_count else moment, alone=number % 2 == by_count)
            found = kit.children(client, client.get_run(run_id))
            done = [run for run in found if run.info.status != "RUNNING"]
            partial += 0 < len(done) < STORES
            # What has ended is whole, already now.
            for run in done:
                code = run.data.tags["store_code"]
                assert kit.logged(client, run) == expected[1][code]
        report = kit.train(client, data, kind=KIND, horizon=HORIZON, min_samples=20, run_id=run_id)
        assert (report.stores, report.failed) == (STORES, 1)
        assert whole(client, run_id) == expected
    assert hits >= KILLS // 2 and partial > 1, "the kills came too late to show anything"
    # Whatever was begun belongs to a pipeline or was deleted: no run of a store is left open.
    assert not client.search_runs([experiment], "status = 'RUNNING'")


def _ended(client: MlflowClient, run_id: str) -> int:
    return sum(run.info.status != "RUNNING" for run in kit.children(client, client.get_run(run_id)))


def _wait_for(trainer: Trainer, client: MlflowClient, run_id: str, stores: int) -> None:
    """Wait until so many stores are done, or the trainer is."""
    end = time.monotonic() + 60
    while trainer.process.poll() is None and time.monotonic() < end and _ended(client, run_id) < stores:
        time.sleep(0.02)


def test_the_one_model_of_a_pipeline_that_was_killed_is_the_same(
    tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.stores.one_model.GLOBAL_ROUNDS", 40)
    data = sales(tmp_path)
    options = {"kind": ModelKind.GLOBAL, "horizon": HORIZON, "min_samples": 20}
    undisturbed = kit.train(client, data, **options)
    experiment = client.get_run(undisturbed.run_id).info.experiment_id
    for calls in (1, 4, 13, 26, 27):
        run_id = client.create_run(experiment, run_name="pipeline").info.run_id
        _break_after(calls, client, data, run_id, options, monkeypatch)
        kit.train(client, data, run_id=run_id, **options)
        parent, stores = kit.pipeline_of(client, run_id)
        expected, expected_stores = kit.pipeline_of(client, undisturbed.run_id)
        assert stores == expected_stores
        assert (parent.metrics, parent.tables, parent.files) == (
            expected.metrics,
            expected.tables,
            expected.files,
        )
        assert logged_twice(tmp_path) == []
        place, other = (kit.artifacts_of(client, one) for one in (run_id, undisturbed.run_id))
        name = "model/model.lgb"
        assert (place / name).read_bytes() == (other / name).read_bytes()


def _break_after(
    calls: int,
    client: MlflowClient,
    data: Path,
    run_id: str,
    options: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Run a pipeline whose store is gone for good after so many calls, as one is for a process that dies."""
    left = [calls]

    def dying(name: str) -> None:
        call = getattr(MlflowClient, name)

        def until(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return call(*arguments, **named)

        broken.setattr(MlflowClient, name, until)

    with monkeypatch.context() as broken:
        for name in ("create_run", "log_batch", "set_terminated"):
            dying(name)
        with pytest.raises(KeyboardInterrupt):
            kit.train(client, data, run_id=run_id, **options)

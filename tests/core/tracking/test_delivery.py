"""Everything may be sent twice and is there once: replies are lost, and requests are larger than MLflow takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from core.settings import read_settings
from core.tracking import MLflowTracker, sync_offline
from core.tracking.batches import chunks
from core.tracking.configuration import destination
from core.tracking.delivery import Delivery
from core.tracking.outbox import Outbox, folders
from core.tracking.run import TrackedRun


class LossyClient:
    """A client to a real store whose every new call is carried out, and its reply lost."""

    def __init__(self, client: MlflowClient) -> None:
        self.client = client
        self.lost: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            result = method(*arguments, **options)
            mark = f"{name} {arguments} {options}"
            if mark not in self.lost and not name.startswith(("get", "search")):
                self.lost.add(mark)
                raise ConnectionError(f"the reply to {name} was lost")
            return result

        return call


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, store: str, home: Path) -> Path:
    """The outbox of a run of which nothing has been sent."""
    monkeypatch.setattr("core.tracking.sender.Sender._run", lambda self: None)
    monkeypatch.setattr("core.tracking.run._LOCAL_PATIENCE", 0.1)
    monkeypatch.setattr("core.tracking.run._END_PATIENCE", 0.1)
    tracker = MLflowTracker(store, "lossy")
    run: TrackedRun = tracker.start_run("once", tags={"team": "fx"})
    for step in range(2500):
        tracker.log_metric("loss", step / 7, step)
        if step % 10 == 0:
            tracker.log_params({f"p{step}": "v" * 5000})
    tracker.log_text("hello", "hello.txt")
    tracker.log_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), registered_model_name="once")
    tracker.end_run()
    assert run.outbox is not None and run._outbox is not None
    run._outbox.close()
    return run.outbox


def deliver(folder: Path, store: str, client: Any) -> int:
    """Deliver as a new process does after each failure; return how many failures there were."""
    failures = 0
    while True:
        outbox = Outbox.take_over(folder)
        if outbox is None:
            return failures
        delivery = Delivery(
            outbox,
            destination(read_settings({"MLFLOW_TRACKING_URI": store, "GREENROOM_HOME": str(folder)})),
            True,
        )
        try:
            while delivery.advance(client):
                pass
            return failures
        except ConnectionError:
            failures += 1
        finally:
            if not delivery.done:
                outbox.close()


def test_when_every_reply_is_lost_once_everything_is_there_once(
    kept: Path, store: str, client: MlflowClient, home: Path
) -> None:
    lossy = LossyClient(client)
    failures = 0
    while folders(home / "outbox"):
        failures += deliver(kept, store, lossy)
    assert failures >= 5
    carried_out = {mark.partition(" ")[0] for mark in lossy.lost}
    assert carried_out >= {"create_experiment", "create_run", "log_batch", "log_artifacts", "set_terminated"}
    assert carried_out >= {
        "create_logged_model",
        "log_outputs",
        "log_model_artifacts",
        "create_model_version",
    }
    (experiment,) = [one for one in client.search_experiments() if one.name == "lossy"]
    (run,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((one.step, one.value) for one in history) == [(step, step / 7) for step in range(2500)]
    assert len(run.data.params) == 250 and set(run.data.params.values()) == {"v" * 5000}
    assert run.info.status == "FINISHED" and run.data.tags["team"] == "fx"
    assert len(client.search_logged_models([experiment.experiment_id])) == 1
    assert len(run.outputs.model_outputs) == 1
    assert len(client.search_model_versions("name = 'once'")) == 1


def test_an_artifact_store_that_is_away_holds_up_neither_metrics_nor_the_end(
    kept: Path, store: str, client: MlflowClient, home: Path
) -> None:
    class NoArtifacts(LossyClient):
        def __getattr__(self, name: str) -> Any:
            if name in ("log_artifacts", "log_model_artifacts"):
                return self.fail
            return getattr(self.client, name)

        def fail(self, *arguments: Any, **options: Any) -> None:
            raise OSError("no credentials for the bucket")

    deliver(kept, store, NoArtifacts(client))
    (run,) = client.search_runs([client.get_experiment_by_name("lossy").experiment_id])
    assert run.info.status == "FINISHED" and len(run.data.params) == 250
    assert run.data.metrics["loss"] == 2499 / 7
    assert [one.name for one in folders(home / "outbox")] == [kept.name]
    assert (kept / "files").is_dir()
    deliver(kept, store, client)
    assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["hello.txt"]
    assert len(client.search_model_versions("name = 'once'")) == 1
    assert folders(home / "outbox") == []


@pytest.mark.usefixtures("kept")
def test_nested_runs_that_had_to_wait_find_their_parent(store: str, client: MlflowClient, home: Path) -> None:
    tracker = MLflowTracker(store, "nested")
    with tracker.start_run("parent"), tracker.start_run("child", nested=True) as child:
        assert child.run_id is None
    settings = read_settings({"MLFLOW_TRACKING_URI": store, "GREENROOM_HOME": str(home)})
    for folder in folders(home / "outbox"):
        # As if this process had gone.
        for run in tracker._runs:
            if run._outbox is not None and run._outbox.folder == folder:
                run._outbox.close()
    assert {report.state for report in sync_offline(settings)} == {"sent"}
    runs = client.search_runs([client.get_experiment_by_name("nested").experiment_id])
    ids = {run.info.run_name: run.info.run_id for run in runs}
    parents = {run.info.run_name: run.data.tags.get("mlflow.parentRunId") for run in runs}
    assert parents == {"parent": None, "child": ids["parent"]}


def test_no_request_is_larger_than_mlflow_takes() -> None:
    items = [("metric", (f"m{n}", 1.0, 0, 0)) for n in range(1500)]
    items += [("param", (f"p{n}", "x")) for n in range(250)] + [("tag", (f"t{n}", "x")) for n in range(101)]
    parts = list(chunks(items))
    assert [item for part in parts for item in part] == items
    for part in parts:
        assert len(part) <= 1000
        assert max(sum(kind == one for one, _ in part) for kind in ("param", "tag")) <= 100

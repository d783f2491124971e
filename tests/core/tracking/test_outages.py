"""The tracking server goes away, or the training does: nothing that was logged is lost or doubled."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from core.settings import read_settings
from core.tracking import MLflowLogger, MLflowTracker, sync_offline
from core.tracking.outbox import folders
from tests import servers, stores
from tests.core.tracking import outages

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[outages.Server]:
    one = outages.Server(tmp_path_factory.mktemp("server"))
    one.start()
    yield one
    one.kill()


def sync(uri: str, home: Path) -> tuple[object, ...]:
    return sync_offline(read_settings({"GREENROOM_HOME": str(home), "MLFLOW_TRACKING_URI": uri}))


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "core.cli", "sync-offline", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )


def test_a_server_killed_in_the_middle_gets_everything_once_when_it_is_back(
    server: outages.Server,
    home: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.tracking.run._END_PATIENCE", 3.0)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    logger = MLflowLogger("outage", server.uri)
    began = time.time()
    logger.start_run("training")
    run_id = logger.run_id
    assert run_id is not None
    for step in range(300):
        logger.log_metrics({"loss": 1 / (step + 1)}, step)
        if step == 20:
            assert logger.flush()
            server.kill()
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 100_000)
    logger.log_artifact(file)
    file.unlink()
    logger.log_params({"lr": 0.1})
    logger.set_tags({"team": "fx"})
    logger.log_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), registered_model_name="survivor")
    logger.log_backtest_results({"trades": [{"pnl": 1.0}], "metrics": {"sharpe": 2.0}})
    # MLflow's client itself repeats a call for minutes: the end must not wait for that.
    began_end = time.monotonic()
    logger.end_run()
    assert time.monotonic() - began_end < 20
    ended = time.time()
    assert mlflow.active_run() is None
    said = capfd.readouterr().err
    assert "Not yet sent of the run 'training'" in said
    assert "greenroom sync-offline" in said

    # A second run, while the server is away: it goes on without an id.
    began_second = time.monotonic()
    with logger.start_run("second"):
        assert logger.run_id is None
        logger.log_metrics({"loss": 3.0})
    assert time.monotonic() - began_second < 20
    assert len(folders(home / "outbox")) == 2

    server.start()
    # Either the sender of this process, which still lives, or the command sends; both do the same.
    deadline = time.monotonic() + 60
    while folders(home / "outbox") and time.monotonic() < deadline:
        sync(server.uri, home)
        time.sleep(0.2)
    assert folders(home / "outbox") == []
    client = MlflowClient(server.uri)
    runs = client.search_runs([client.get_experiment_by_name("outage").experiment_id])
    assert sorted(one.info.run_name for one in runs) == ["second", "training"]
    run = client.get_run(run_id)
    history = client.get_metric_history(run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(step, 1 / (step + 1)) for step in range(300)]
    assert run.data.params == {"lr": "0.1"}
    assert run.data.tags["team"] == "fx"
    assert run.info.status == "FINISHED"
    assert began - 1 < run.info.start_time / 1000 and run.info.end_time / 1000 < ended + 1
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/weights.bin") == "w" * 100_000
    assert mlflow.load_table("backtest/trades.json", [run_id]).pnl.tolist() == [1.0]
    assert mlflow.pyfunc.load_model("models:/survivor/1").predict([[3.0]]) == pytest.approx(3)
    assert len(client.search_model_versions("name = 'survivor'")) == 1
    assert len(run.outputs.model_outputs) == 1


def test_no_call_waits_for_a_server_that_never_answers(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with outages.silent_server() as uri:
        logger = MLflowLogger("silent", uri)
        began = time.monotonic()
        logger.start_run("waiting")
        assert time.monotonic() - began < 20
        assert logger.run_id is None and logger.experiment_id is None
        times = []

        def timed(call: Callable[..., None], *arguments: object) -> None:
            began = time.monotonic()
            call(*arguments)
            times.append(time.monotonic() - began)

        for step in range(200):
            timed(logger.log_metrics, {"loss": step}, step)
            timed(logger.log_params, {f"p{step}": step})
            timed(logger.log_text, "x", f"notes/{step}.txt")
        timed(logger.log_backtest_results, {"trades": [{"pnl": 1.0}], "metrics": {"sharpe": 2.0}})
        # A busy machine may keep any thread waiting for a moment; MLflow would wait for minutes.
        assert sorted(times)[len(times) // 2] < 0.1 and max(times) < 3
        said = capfd.readouterr().err
        assert said.count("cannot be reached") == 1
        assert "The training goes on" in said and str(tmp_path / "home" / "outbox") in said
        began = time.monotonic()
        logger.end_run()
        assert time.monotonic() - began < 20


TRAINING = """
import sys, time
sys.path.insert(0, {repository!r})
from core.tracking import MLflowTracker
tracker = MLflowTracker({uri!r}, "killed")
tracker.start_run(sys.argv[1])
print("started", flush=True)
for step in range(100_000):
    tracker.log_metric("loss", step, step)
    if step % 10 == 0:
        tracker.log_params({{f"p{{step}}": step}})
        tracker.log_text(str(step), f"notes/{{step}}.txt")
    print(step, flush=True)
    time.sleep(0.01)
"""


def test_a_training_killed_at_any_moment_loses_nothing(server: outages.Server, home: Path) -> None:
    home.mkdir()
    pick = random.Random(os.getpid())
    script = TRAINING.format(repository=str(REPOSITORY), uri=server.uri)
    last: dict[str, int] = {}
    for pair in range(3):
        names = [f"training {pair}.{number}" for number in range(2)]
        running = {name: outages.train(script, name) for name in names}
        for name, process in running.items():
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            time.sleep(pick.uniform(0, 0.6))
            process.send_signal(signal.SIGKILL)
            done = [int(word) for word in process.stdout.read().split() if word.isdigit()]
            process.communicate()
            last[name] = done[-1] if done else -1
    reports = sync(server.uri, home)
    assert len(reports) <= len(last)
    assert folders(home / "outbox") == []
    client = MlflowClient(server.uri)
    runs = client.search_runs([client.get_experiment_by_name("killed").experiment_id])
    assert sorted(run.info.run_name for run in runs) == sorted(last)
    for run in runs:
        step = last[run.info.run_name]
        assert run.info.status == "KILLED"
        history = client.get_metric_history(run.info.run_id, "loss")
        steps = [one.step for one in history]
        # Written down is every call that returned, and perhaps the one that was under way.
        assert steps == list(range(len(steps))) and len(steps) >= step + 1
        assert run.info.end_time >= max((one.timestamp for one in history), default=0)
        tens = range(0, step + 1, 10)
        assert all(run.data.params.get(f"p{ten}") == str(ten) for ten in tens if ten < step)
        files = {one.path for one in client.list_artifacts(run.info.run_id, "notes")}
        assert {f"notes/{ten}.txt" for ten in tens if ten < step} <= files


def test_the_next_start_sends_what_was_left(store: str, client: MlflowClient, home: Path) -> None:
    home.mkdir()
    gone = f"http://127.0.0.1:{servers.free_port()}"
    script = TRAINING.format(repository=str(REPOSITORY), uri=store).replace("100_000", "5")
    # Its last line is cut, as by a kill in the middle of a write, and it never said that it ended.
    script += (
        'import os; os.write(tracker.active_run._outbox._journal, b\'{"op": "met\'); os.kill(os.getpid(), 9)'
    )
    outages.train(script, "left behind").communicate()
    with MLflowTracker(gone, "elsewhere").start_run("other store"):
        pass
    tracker = MLflowTracker(store, "killed")
    with tracker.start_run("next"):
        deadline = time.monotonic() + 20
        while len(folders(home / "outbox")) > 2 and time.monotonic() < deadline:
            time.sleep(0.1)
    runs = client.search_runs([tracker.experiment_id])
    assert {run.info.run_name: run.info.status for run in runs} == {
        "next": "FINISHED",
        "left behind": "KILLED",
    }
    left = next(run for run in runs if run.info.run_name == "left behind")
    assert [one.step for one in client.get_metric_history(left.info.run_id, "loss")] == list(range(5))


def test_the_command_sends_what_is_kept_and_says_what_it_cannot(
    home: Path, store: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = servers.free_port()
    uri = f"http://user:pass-word@127.0.0.1:{port}"
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from core.tracking import MLflowTracker\n"
        f"tracker = MLflowTracker({uri!r}, 'offline')\n"
        "with tracker.start_run('kept'):\n"
        "    tracker.log_metrics({'loss': float('nan'), 'acc': 1}, 4)\n"
    )
    home.mkdir()
    said = outages.train(script).communicate()[1]
    assert "cannot be reached (no connection)" in said and "pass-word" not in said
    for path in (home / "outbox").rglob("*"):
        assert not path.is_file() or b"pass-word" not in path.read_bytes()
    assert (home / "outbox").stat().st_mode & 0o777 == 0o700

    refused = command("--tracking-uri", store)
    assert refused.returncode == 1
    assert "it belongs to http://user:***@127.0.0.1" in refused.stdout
    assert "kept (no id yet) in offline" in refused.stdout
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    away = command("--json")
    assert away.returncode == 1
    (report,) = json.loads(away.stdout)
    assert report["state"] == "left" and report["left"] == {"ends": 1, "metrics": 2, "runs": 1}
    assert "cannot be reached: no connection" in report["reason"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    journal = next((home / "outbox").glob("*/journal.jsonl"))
    journal.write_text(journal.read_text().replace(f"http://user:***@127.0.0.1:{port}", store))
    sent = command("--tracking-uri", store)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert "✓ kept" in sent.stdout and "2 metrics" in sent.stdout
    assert command("--tracking-uri", store).stdout == "Nothing is waiting to be sent.\n"
    (run,) = client.search_runs([client.get_experiment_by_name("offline").experiment_id])
    assert run.data.metrics["acc"] == 1.0 and run.info.status == "FINISHED"


def test_what_the_server_refuses_does_not_hold_up_the_rest(
    store: str, client: MlflowClient, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = MLflowTracker(store, "refusals")
    with tracker.start_run("partly"):
        client.log_param(tracker.run_id, "lr", "from elsewhere")
        tracker.log_params({"before": 1, "lr": 0.1, "after": 2})
        tracker.log_metric("loss", 1)
    run = client.get_run(tracker.run_id)
    assert run.data.params == {"before": "1", "lr": "from elsewhere", "after": "2"}
    assert run.data.metrics == {"loss": 1.0} and run.info.status == "FINISHED"
    assert "refused 1 of what the run 'partly' logged" in capfd.readouterr().err
    (folder,) = folders(home / "outbox")
    (entry,) = [json.loads(line) for line in (folder / "refused.jsonl").read_text().splitlines()]
    assert entry["value"] == ["lr", "0.1"] and "Changing param values" in entry["reason"]
    (report,) = sync(store, home)
    assert report.state == "refused" and report.is_left and len(report.refused) == 1


def test_a_deleted_experiment_is_named_and_waited_for(
    store: str, client: MlflowClient, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = client.create_experiment("gone")
    client.delete_experiment(gone)
    tracker = MLflowTracker(store, "gone")
    run = tracker.start_run("waiting")
    assert "restore it with `mlflow experiments restore" in capfd.readouterr().err
    tracker.log_metric("loss", 1)
    client.restore_experiment(gone)
    assert run.flush(15)
    tracker.end_run()
    assert client.get_run(run.run_id).data.metrics == {"loss": 1.0}


def test_a_forked_child_leaves_the_run_alone(store: str, client: MlflowClient) -> None:
    tracker = MLflowTracker(store, "fork")
    with tracker.start_run("parent"):
        tracker.log_metric("loss", 1)
        child = os.fork()
        if child == 0:
            tracker.log_metric("loss", 2)
            tracker.end_run()
            os._exit(0)
        os.waitpid(child, 0)
        tracker.log_metric("loss", 3)
    run = client.get_run(tracker.run_id)
    assert [one.value for one in client.get_metric_history(tracker.run_id, "loss")] == [1.0, 3.0]
    assert run.info.status == "FINISHED"


def test_a_full_disk_is_told_and_does_not_stop_the_training(
    store: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tracker = MLflowTracker(store, "full")
    with tracker.start_run("full") as run:
        tracker.log_metric("loss", 1)
        with monkeypatch.context() as broken:
            write = os.write
            half = lambda fd, data: write(fd, data[: len(data) // 2])  # noqa: E731
            broken.setattr("core.tracking.outbox.os.write", half)
            tracker.log_metric("loss", 2)
            tracker.log_metric("loss", 3)
        tracker.log_metric("loss", 4)
        assert run.flush()
    said = capfd.readouterr().err
    assert said.count("cannot be kept") == 1 and "2 calls of the run 'full' could not be kept" in said
    assert [one.value for one in client.get_metric_history(run.run_id, "loss")] == [1.0, 4.0]


def test_an_open_run_ends_with_its_program(store: str, client: MlflowClient, home: Path) -> None:
    home.mkdir()
    script = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from core.tracking import MLflowTracker\n"
        f"tracker = MLflowTracker({store!r}, 'exits')\n"
        "tracker.start_run(sys.argv[1])\n"
        "tracker.log_text('x', 'x.txt')\n"
        "if sys.argv[1] == 'FAILED': raise ValueError\n"
    )
    running = [outages.train(script, status) for status in ("FINISHED", "FAILED")]
    for process in running:
        process.communicate()
    runs = client.search_runs([client.get_experiment_by_name("exits").experiment_id])
    assert len(runs) == 2
    for run in runs:
        assert run.info.status == run.info.run_name
        assert [one.path for one in client.list_artifacts(run.info.run_id)] == ["x.txt"]


def test_a_store_is_made_where_there_is_none(home: Path, tmp_path: Path) -> None:
    # The embedded default: made by MLflow in seconds, so here it is copied.
    stores.new_sqlite(home)
    tracker = MLflowTracker(experiment_name="at home/of ours")
    with tracker.start_run():
        tracker.log_text("x", "x.txt")
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    assert [one.path for one in client.list_artifacts(tracker.run_id)] == ["x.txt"]
    assert list((home / "artifacts").rglob("x.txt"))
    assert not (tmp_path / "mlruns").exists()

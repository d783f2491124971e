"""The tracking server goes away in the middle: the trainer stops with a sentence, and going on completes it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.training.stores.models import ModelKind
from tests import servers
from tests.core.tracking import outages
from tests.core.training.stores import kit

STORES = 24


@pytest.fixture
def server(tmp_path: Path) -> Iterator[outages.Server]:
    one = outages.Server(tmp_path / "server")
    one.start()
    yield one
    one.kill()


def done_stores(backend: MlflowClient) -> int:
    """Stores that are whole, asked of the database behind the server."""
    experiment = backend.get_experiment_by_name("store-forecasts")
    if experiment is None:
        return 0
    return len(
        backend.search_runs([experiment.experiment_id], "tags.store_code != '' and status != 'RUNNING'")
    )


def test_a_server_killed_in_the_middle_is_told_and_going_on_completes_the_pipeline(
    server: outages.Server, tmp_path: Path, client: MlflowClient, run: Callable[..., tuple[int, str, str]]
) -> None:
    data = kit.csv(tmp_path / "sales.csv", kit.usual(STORES, 120))
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0"}
    arguments = ["--data", str(data), "--model", "ridge", "--horizon", "14", "--jobs", "1"]
    arguments += ["--tracking-uri", server.uri]
    trainer = subprocess.Popen(
        [sys.executable, "-m", "core.training.stores", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=kit.environment(**quick),
    )
    try:
        backend = MlflowClient(server.backend)
        deadline = time.monotonic() + 60
        while done_stores(backend) < 3 and time.monotonic() < deadline and trainer.poll() is None:
            time.sleep(0.02)
        assert trainer.poll() is None, "the server must be killed before the trainer is done"
        server.kill()
        out, err = trainer.communicate(timeout=60)
    finally:
        trainer.kill()
    said = kit.one_sentence(subprocess.CompletedProcess([], trainer.returncode, out, err), 1)
    found = re.fullmatch(
        r"The pipeline (\w{32}) stopped, the tracking store answered: .+ "
        r"What was logged stays\. Go on with --run-id (\w{32}) when it is back\.",
        said,
    )
    assert found is not None and found[1] == found[2], said
    before = done_stores(backend)
    assert 3 <= before < STORES
    server.start()
    code, out, err = run(*arguments, "--run-id", found[1], "--json")
    assert code == 0, err
    # Nothing but the report is printed, whatever MLflow would like to say of runs behind a server.
    report = json.loads(out)
    whole = kit.train(client, data, kind=ModelKind.RIDGE, horizon=14)
    assert (report["stores"], report["resumed"]) == (STORES, before)
    assert report["failed"] == whole.failed == 2
    through = MlflowClient(server.uri)
    parent, stores = kit.pipeline_of(through, found[1])
    expected, expected_stores = kit.pipeline_of(client, whole.run_id)
    assert stores == expected_stores and len(stores) == STORES
    assert (parent.status, parent.params, parent.metrics) == ("FINISHED", expected.params, expected.metrics)
    assert parent.tables == expected.tables


def test_a_server_that_is_not_there_at_all_is_told(tmp_path: Path) -> None:
    data = kit.csv(tmp_path / "sales.csv", kit.usual(1, 120))
    uri = f"http://someone:pass-word@127.0.0.1:{servers.free_port()}"
    done = kit.command("--data", str(data), "--tracking-uri", uri, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    said = kit.one_sentence(done, 1)
    assert said.startswith("The pipeline could not be started, the tracking store answered: ")
    assert said.endswith("Go on with the same command when it is back.")
    assert "pass-word" not in done.stderr

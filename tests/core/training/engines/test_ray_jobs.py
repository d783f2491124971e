"""The engine `ray` where the cluster is away, forgetful, or played."""

from __future__ import annotations

import importlib.util
import json
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from core.training.engines import ray_jobs
from core.training.engines.base import EngineError, Launch
from core.training.engines.ray_jobs import RayEngine, RayJob
from core.training.types import Resources
from tests import servers
from tests.core.training.engines import kit

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


def a_launch(folder: Path, address: str | None = "http://127.0.0.1:8265", **changes: Any) -> Launch:
    launch = Launch(
        name="greenroom-key-7",
        arguments=("python", "train.py", "--note", "a 'b' $c"),
        folder=folder,
        environment={
            "PATH": "/here/bin",
            "MLFLOW_TRACKING_URI": "sqlite:////here/mlflow.db",
            "MLFLOW_RUN_ID": "r",
            "GREENROOM_HOME": "/here",
            "GREENROOM_JOB_DIR": "/here/work/r",
            "GREENROOM_PROGRESS": "/here/progress.json",
        },
        mark="key-7",
        log=folder / "log.txt",
        resources=Resources(),
        address=address,
    )
    return replace(launch, **changes)


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers everything in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# Clusters that are away


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path: Path) -> None:
    address = f"http://ana:secret@127.0.0.1:{servers.free_port()}"
    began = time.monotonic()
    with pytest.raises(EngineError) as caught:
        RayEngine().start(a_launch(tmp_path, address))
    assert time.monotonic() - began < 10
    said = str(caught.value)
    assert "ray start --head" in said and "ray_address" in said
    assert address.replace("secret", "***") in said and "secret" not in said


def test_a_cluster_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training.engines import ray_cluster

    monkeypatch.setattr(ray_cluster, "_ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(EngineError, match="does not do what it is asked"):
            RayEngine().start(a_launch(tmp_path, address))
    assert time.monotonic() - began < 5


def test_the_address_of_the_settings_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training.engines.ray_cluster import RayCluster

    monkeypatch.setenv("RAY_ADDRESS", f"http://127.0.0.1:{servers.free_port()}")
    with answering(200, json.dumps({"ray_version": "2.60.0"}).encode()) as address:
        RayCluster(address).knock()


def test_what_is_no_ray_cluster_is_told(tmp_path: Path) -> None:
    with (
        answering(200, b'{"version": 1}') as address,
        pytest.raises(EngineError, match="no Ray cluster"),
    ):
        RayEngine().start(a_launch(tmp_path, address))


@pytest.mark.parametrize(
    ("status", "body"), [(404, b"no such page"), (502, b"bad gateway"), (200, b"<html>"), (200, b"[]")]
)
def test_a_proxy_that_answers_for_a_cluster_makes_no_job_unknown(status: int, body: bytes) -> None:
    from core.training.engines.ray_cluster import RayCluster, UnreachableError

    with answering(status, body) as address, pytest.raises(UnreachableError):
        RayCluster(address).job("greenroom-key-7")


def test_a_job_that_a_cluster_does_not_know_is_none() -> None:
    from core.training.engines.ray_cluster import RayCluster

    with answering(404, b"Job greenroom-key-7 does not exist") as address:
        assert RayCluster(address).job("greenroom-key-7") is None


def test_without_ray_the_command_that_mends_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "core.training.engines.ray_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r'pip install "greenroom\[ray\]"'):
        RayEngine().start(a_launch(tmp_path))


@pytest.mark.parametrize("address", [None, "ray://127.0.0.1:10001"])
def test_an_address_that_is_none_of_the_jobs_api_is_told(tmp_path: Path, address: str | None) -> None:
    with pytest.raises(EngineError, match=r"ray_address under \[training\]"):
        RayEngine().start(a_launch(tmp_path, address))


# A cluster that is played


@dataclass
class Answer:
    """A log that comes over a connection, which may break."""

    blocks: tuple[bytes, ...]
    breaks: bool
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def raw(self) -> Answer:
        return self

    def shutdown(self) -> None:
        self.closed.set()

    def iter_content(self, _: int) -> Iterator[bytes]:
        yield from self.blocks
        if self.breaks:
            raise requests.ConnectionError("reset by peer")
        self.closed.wait(20)

    def __enter__(self) -> Answer:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()


class FakeCluster:
    """A cluster that says what it is told to say; an exception is raised."""

    shown = "http://played"

    def __init__(self, *said: Any, answers: tuple[Answer, ...] = (), takes: bool = True) -> None:
        self._said = list(said)
        self._answers: queue.Queue[Answer] = queue.Queue()
        for one in answers:
            self._answers.put(one)
        self._takes = takes
        self.submitted: list[tuple[Any, ...]] = []
        self.end = b""

    def knock(self) -> None:
        pass

    def submit(self, *job: Any) -> None:
        self.submitted.append(job)
        if not self._takes:
            raise EngineError("not taken")

    def job(self, _: str) -> Any:
        said = self._said.pop(0) if len(self._said) > 1 else self._said[0]
        if isinstance(said, Exception):
            raise said
        return said

    def log(self, *_: str) -> Answer:
        return self._answers.get(timeout=20)

    def log_end(self, *_: Any) -> bytes:
        return self.end


def said(status: str, code: int | None = None, message: str = "", node: str | None = None) -> Any:
    from core.training.engines.ray_cluster import ClusterJob

    return ClusterJob(status, code, message, node)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_jobs, "_ASK_SECONDS", 0.0)


def played(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster) -> FakeCluster:
    monkeypatch.setattr(ray_jobs, "_cluster_of", lambda _: cluster)
    return cluster


def a_job(folder: Path, cluster: FakeCluster, notes: bytes = b"") -> RayJob:
    return RayJob(cluster, a_launch(folder), notes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (("SUCCEEDED", 0), 0),
        (("FAILED", 3), 3),
        (("FAILED", None), 1),
        (("FAILED", -9), -9),
        (("STOPPED", None), -15),
        (("PENDING", None), None),
        (("RUNNING", None), None),
    ],
)
def test_what_a_cluster_says_becomes_an_exit_code(tmp_path: Path, found: Any, code: int | None) -> None:
    assert a_job(tmp_path, FakeCluster(said(*found))).poll() == code


def test_a_cluster_that_is_away_for_a_while_ends_nothing(tmp_path: Path) -> None:
    cluster = FakeCluster(said("RUNNING"), EngineError("away"), EngineError("away"), said("SUCCEEDED", 0))
    job = a_job(tmp_path, cluster)
    assert [job.poll() for _ in range(4)] == [None, None, None, 0]


def test_a_cluster_that_stays_away_makes_a_job_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_jobs, "_SILENCE_SECONDS", 0.0)
    job = a_job(tmp_path, FakeCluster(said("RUNNING"), EngineError("It is away.")))
    assert job.poll() is None
    with pytest.raises(EngineError, match=r"Nothing was heard of it for .*It is away\."):
        job.poll()


def test_a_cluster_that_was_restarted_makes_a_job_lost(tmp_path: Path) -> None:
    job = a_job(tmp_path, FakeCluster(said("RUNNING"), None))
    assert job.poll() is None
    with pytest.raises(EngineError, match=r"http://played does not know it any more.*[Rr]etry"):
        job.poll()


def test_a_job_that_was_submitted_before_is_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = played(monkeypatch, FakeCluster(said("SUCCEEDED", 0), takes=False))
    assert RayEngine().start(a_launch(tmp_path)).poll() == 0
    assert len(cluster.submitted) == 1


def test_a_job_that_is_not_taken_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, FakeCluster(None, takes=False))
    with pytest.raises(EngineError, match="not taken"):
        RayEngine().start(a_launch(tmp_path))


def test_only_what_a_cluster_does_not_know_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played(monkeypatch, FakeCluster(None))
    assert RayEngine().find(a_launch(tmp_path)) is None
    played(monkeypatch, FakeCluster(EngineError("away"), said("SUCCEEDED", 0)))
    found = RayEngine().find(a_launch(tmp_path))
    assert found is not None and found.poll() == 0


def test_a_stop_that_does_not_arrive_is_not_called_done(tmp_path: Path) -> None:
    cluster = FakeCluster(said("RUNNING"))
    cluster.stop = lambda _: (_ for _ in ()).throw(EngineError("away"))  # type: ignore[attr-defined]
    assert a_job(tmp_path, cluster).stop() is False


def test_why_a_job_could_not_be_run_is_in_its_log(tmp_path: Path) -> None:
    message = "runtime_env setup failed:\nNo matching distribution found for nonesuch"
    job = a_job(tmp_path, FakeCluster(said("FAILED", None, message)))
    assert job.poll() == 1
    log: list[bytes] = []
    job.pump(log.append, 0)
    assert b"".join(log).decode().endswith(message + "\n")


# What a job is given


def test_a_job_gets_its_project_and_no_path_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = played(monkeypatch, FakeCluster(said("SUCCEEDED", 0)))
    given = {
        "pip": ["x"],
        "env_vars": {"MLFLOW_TRACKING_URI": "http://mlflow", "N": 1},
        "excludes": ["*.csv"],
    }
    launch = a_launch(
        tmp_path, "http://192.0.2.1:8265", runtime_env=given, resources=Resources(cpus=2, gpus=0.5)
    )
    RayEngine().start(launch)
    ((name, entrypoint, env, metadata, cpus, gpus),) = cluster.submitted
    assert (name, cpus, gpus) == ("greenroom-key-7", 2, 0.5)
    assert entrypoint == """python train.py --note 'a '"'"'b'"'"' $c'"""
    assert env["env_vars"] == {
        "MLFLOW_TRACKING_URI": "http://mlflow",
        "MLFLOW_RUN_ID": "r",
        "GREENROOM_JOB": "key-7",
        "N": "1",
    }
    assert (env["working_dir"], env["pip"]) == (str(tmp_path), ["x"])
    assert {".git", "mlruns", "*.csv"} <= set(env["excludes"])
    assert metadata["greenroom.run"] == "r"


def test_a_cluster_on_this_machine_gets_its_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = played(monkeypatch, FakeCluster(said("SUCCEEDED", 0)))
    RayEngine().start(a_launch(tmp_path, "http://localhost:8265"))
    variables = cluster.submitted[0][2]["env_vars"]
    assert variables["GREENROOM_JOB_DIR"] == "/here/work/r" and "PATH" not in variables


@pytest.mark.parametrize(
    ("address", "uri", "warned"),
    [
        ("http://192.0.2.1:8265", "sqlite:////here/mlflow.db", True),
        ("http://192.0.2.1:8265", "file:///here/mlruns", True),
        ("http://192.0.2.1:8265", "http://mlflow:5000", False),
        ("http://127.0.0.1:8265", "sqlite:////here/mlflow.db", False),
    ],
)
def test_a_tracking_store_that_a_cluster_cannot_reach_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, uri: str, warned: bool
) -> None:
    played(monkeypatch, FakeCluster(said("RUNNING")))
    log: list[bytes] = []
    launch = a_launch(tmp_path, address, environment={"MLFLOW_TRACKING_URI": uri})
    RayEngine().start(launch).pump(log.append, 0)
    assert (uri.encode() in b"".join(log)) == warned


# Logs


def test_a_log_whose_connection_breaks_comes_once_and_whole(tmp_path: Path) -> None:
    answers = (
        Answer((b"one\n", b"two\nth"), breaks=True),
        Answer((b"one\ntw", b"o\nthree\n", b"\xff four"), breaks=True),
        Answer((b"one\ntwo\nthree\n\xff four\nfive\n",), breaks=False),
    )
    cluster = FakeCluster(said("RUNNING", node="n"), answers=answers)
    job = a_job(tmp_path, cluster)
    log: list[bytes] = []
    assert job.poll() is None
    kit.until(lambda: job.pump(log.append, 0.05) or log[-1:] == [b"\nfive\n"], 20, lambda: log)
    assert b"".join(log) == b"one\ntwo\nthree\n\xff four\nfive\n"
    # Over is only what is handed over whole.
    cluster._said = [said("SUCCEEDED", 0, node="n")]
    cluster.end = b"five\nsix\n"
    time.sleep(1.1)
    assert job.poll() is None
    cluster.end = b"four\nfive\n"
    kit.until(lambda: job.poll() == 0, 10)
    job.close()


def test_a_log_is_taken_up_where_it_was_left_however_the_process_died(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"

    def taken_up(notes: bytes) -> int:
        return ray_jobs._take_up(log, len(notes))

    def add(content: bytes) -> None:
        with log.open("ab") as file:
            file.write(content)

    assert taken_up(b"warned\n") == 0
    # Killed before the note was written, and again after half of it.
    assert taken_up(b"warned\n") == 0
    add(b"war")
    assert taken_up(b"found\n") == 0
    add(b"found\n")
    add(b"theirs: 10")
    assert taken_up(b"found again\n") == 10
    add(b"found again\n")
    assert taken_up(b"found again\n") == 10
    add(b"found again\n" + b"more")
    assert taken_up(b"") == 14

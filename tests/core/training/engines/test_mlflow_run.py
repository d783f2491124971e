"""What is handed to `mlflow run`; how a job on Kubernetes has its run and ends, with Docker and Kubernetes played."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core import clock
from core.settings import Settings
from core.training.configuration import TrainingSettings
from core.training.jobs.place import JobPlace
from core.training.jobs.preparing import ready
from core.training.projects.types import EnvironmentManager, ProjectSetting
from core.training.types import EngineKind, Job, JobState, Resources
from tests import stores
from tests.core.training.engines import kit

MLPROJECT = """
name: small
entry_points:
  fit:
    parameters:
      rate: {type: float, default: 0.1}
      note: {type: string, default: ""}
    command: python fit.py {rate} --note {note}
"""

DOCKER = """
class Image:
    id, tags = "sha256:made", ["registry/small"]

class Images:
    def list(self, **_): return [1]
    def get(self, name): return Image()
    def push(self, **_): return iter(({"status": "pushed"},))
    def get_registry_data(self, tag): return Image()

class Client:
    images = Images()

def from_env(**_): return Client()
"""

KUBERNETES = """
import json, os
from pathlib import Path
from types import SimpleNamespace as Of
from . import config

ROOM = Path(os.environ["ROOM"])

class Api:
    def create_namespaced_job(self, namespace, body, pretty):
        (ROOM / "new").write_text(json.dumps(body))
        (ROOM / "new").replace(ROOM / "made")

    def read_namespaced_job_status(self, name, namespace, pretty):
        done = (ROOM / "done").exists()
        conditions = [Of(status="True", message="all done", type="Complete")] if done else None
        return Of(status=Of(start_time=1, conditions=conditions))

    def delete_namespaced_job(self, name, namespace, body, pretty):
        (ROOM / "deleted").write_text(name)

client = Of(BatchV1Api=Api, V1DeleteOptions=dict)
"""

TEMPLATE = """
metadata: {name: "", namespace: here}
spec: {template: {spec: {containers: [{name: "", image: "", command: []}]}}}
"""


def job(engine: EngineKind, run_id: str = "a" * 32) -> Job:
    return Job(
        *(7, "small", "fit", {"rate": "0.2", "note": "a = b; c"}, "trials", "fit 7", engine, Resources(), 0),
        *(JobState.RUNNING, "", "ana", clock.now()),
        run_id=run_id,
    )


def launched(folder: Path, one: Job, manager: EnvironmentManager = EnvironmentManager.LOCAL) -> Any:
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "MLproject").write_text(MLPROJECT)
    settings = Settings(
        home=folder / "home",
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        projects=(ProjectSetting("small", str(project), env_manager=manager),),
        training=TrainingSettings(
            ray_address="http://127.0.0.1:8265", kubernetes_config=str(folder / "kubernetes.json")
        ),
    )
    return ready(settings, one, JobPlace(folder / "home" / "jobs" / "key" / "7"))


def test_a_job_of_the_same_number_and_another_run_has_another_name(tmp_path: Path) -> None:
    names = {launched(tmp_path, job(EngineKind.RAY, letter * 32)).name for letter in "ab"}
    assert names == {"greenroom-key-7-aaaaaaaa", "greenroom-key-7-bbbbbbbb"}


def understood(arguments: tuple[str, ...]) -> Mapping[str, Any]:
    """What MLflow's own command makes of arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.cli import run

    return run.make_context("run", list(arguments)).params


def test_an_own_environment_is_left_to_mlflow(tmp_path: Path) -> None:
    launch = launched(tmp_path, job(EngineKind.LOCAL), EnvironmentManager.VIRTUALENV)
    assert launch.arguments[:4] == (sys.executable, "-m", "mlflow", "run")
    said = understood(launch.arguments[4:])
    assert (said["uri"], said["entry_point"], said["run_id"]) == (
        str(tmp_path / "project"),
        "fit",
        "a" * 32,
    )
    assert (said["env_manager"], said["backend"]) == ("virtualenv", "local")
    assert said["param_list"] == ("rate=0.2", "note=a = b; c")


def test_an_own_environment_on_a_cluster_is_made_there(tmp_path: Path) -> None:
    launch = launched(tmp_path, job(EngineKind.RAY), EnvironmentManager.UV)
    assert launch.arguments[:5] == ("python", "-m", "mlflow", "run", ".")
    assert understood(launch.arguments[4:])["env_manager"] == "uv"


def test_kubernetes_is_left_to_mlflow(tmp_path: Path) -> None:
    launch = launched(tmp_path, job(EngineKind.KUBERNETES))
    assert launch.arguments[:3] == (sys.executable, "-m", "core.training.engines.kubernetes")
    said = understood(launch.arguments[3:])
    assert (said["backend"], said["backend_config"]) == ("kubernetes", str(tmp_path / "kubernetes.json"))
    assert said["param_list"] == ("rate=0.2", "note=a = b; c")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder in which Docker and Kubernetes are played."""
    parts = {
        "docker.py": DOCKER,
        "kubernetes/__init__.py": KUBERNETES,
        "kubernetes/config/__init__.py": "def load_kube_config(context): pass",
        "kubernetes/config/config_exception.py": "class ConfigException(Exception): pass",
        "bin/docker": "#!/bin/sh\n",
    }
    for name, text in parts.items():
        place = tmp_path / "played" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    (tmp_path / "played/bin/docker").chmod(0o755)
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    config = {"kube-job-template-path": str(tmp_path / "template.yaml"), "repository-uri": "registry/small"}
    (tmp_path / "kubernetes.json").write_text(json.dumps(config))
    return tmp_path


def started(room: Path) -> tuple[subprocess.Popen[bytes], MlflowClient, str]:
    client = MlflowClient(stores.new_sqlite(room))
    run_id = client.create_run(client.create_experiment("trials")).info.run_id
    launch = launched(room, job(EngineKind.KUBERNETES, run_id))
    # What MLflow's backend asks for.
    (launch.folder / "MLproject").write_text('docker_env: {image: "small:1"}' + MLPROJECT)
    played = room / "played"
    with (room / "said").open("wb") as said:
        process = subprocess.Popen(
            launch.arguments,
            cwd=launch.folder,
            stdout=said,
            stderr=said,
            env={
                **os.environ,
                **launch.environment,
                "ROOM": str(room),
                "PYTHONPATH": f"{played}:{Path(__file__).parents[4]}",
                "PATH": f"{played / 'bin'}:{launch.environment['PATH']}",
            },
        )
    kit.until((room / "made").exists, 60, (room / "said").read_text)
    return process, client, run_id


def test_a_kubernetes_job_has_the_run_that_was_made_for_it_and_is_waited_for(room: Path) -> None:
    process, client, run_id = started(room)
    body = json.loads((room / "made").read_text())
    (container,) = body["spec"]["template"]["spec"]["containers"]
    assert {one["name"]: one["value"] for one in container["env"]}["MLFLOW_RUN_ID"] == run_id
    assert process.poll() is None
    (room / "done").touch()
    assert process.wait(30) == 0, (room / "said").read_text()
    found = client.search_runs([client.get_experiment_by_name("trials").experiment_id])
    assert [(one.info.run_id, one.info.status) for one in found] == [(run_id, "FINISHED")]


def test_stopping_deletes_the_kubernetes_job(room: Path) -> None:
    process, _, _ = started(room)
    kit.until(lambda: "Job started" in (room / "said").read_text(), 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) != 0
    assert (room / "deleted").read_text() == json.loads((room / "made").read_text())["metadata"]["name"]

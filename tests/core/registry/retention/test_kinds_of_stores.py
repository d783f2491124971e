"""Retention on a file store, and on an MLflow server that serves the artifacts, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.registry.retention.trash import TrashState
from tests import registries, servers, stores
from tests.core.registry.retention import registry_of_50
from tests.core.registry.retention.registry_of_50 import NAME, Registry
from tests.registries import LEAD, Hands


def make(uri: str, folder: Path) -> Registry:
    """Four versions, whose models are logged as files of their runs."""
    client = MlflowClient(uri)
    # Without a server and its own rules the files would land in the current folder.
    place = None if uri.startswith(("http", "file")) else str(folder / "artifacts")
    experiment = client.create_experiment("trading", place)
    client.create_registered_model(NAME)
    registry_of_50.write_model(folder / "model", 1)
    for _ in range(4):
        run = client.create_run(experiment)
        client.log_artifacts(run.info.run_id, str(folder / "model"), "model")
        client.log_artifacts(run.info.run_id, str(folder / "model"), "model_2")
        client.set_terminated(run.info.run_id)
        client.create_model_version(NAME, f"{run.info.artifact_uri}/model", run.info.run_id)
    return Registry(uri, folder)


def check(registry: Registry, home: Path, hands: Hands, files: Callable[[], int]) -> None:
    workspace, desk = registry.open(home)
    workspace.runs.sync()
    registry_of_50.archive(registry, workspace, {1: 60, 2: 59})
    before = registry.client.get_model_version(NAME, "1").run_id
    plan = desk.plan()
    assert [(one.subject.version, one.files) for one in plan.goes] == [(1, 3)]
    (gone,) = desk.apply(plan, LEAD, "old")
    assert "greenroom.deleted_at" in registry.client.get_model_version(NAME, "1").tags
    desk.undo([gone.id], LEAD, "needed")
    assert "greenroom.deleted_at" not in registry.client.get_model_version(NAME, "1").tags
    desk.apply(desk.plan(), LEAD, "old")
    hands.pass_hours(24 * 7 + 1)
    size = files()
    (purged,) = desk.purge()
    assert purged.state is TrashState.PURGED, purged.note
    assert size - files() == plan.bytes
    assert sorted(registries.stages(registry.client, NAME)) == [2, 3, 4]
    assert [one.path for one in registry.client.list_artifacts(before)] == ["model_2"]
    workspace.registry.look()
    assert not [one for one in workspace.registry.events(NAME) if one.action == "deleted outside"]
    workspace.close()


def size_of(folder: Path) -> int:
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.name in ("weights.bin", "agent.py", "MLmodel")
    )


def test_a_file_store(tmp_path: Path, hands: Hands) -> None:
    registry = make((tmp_path / "mlruns").as_uri(), tmp_path / "files")
    check(registry, tmp_path / "home", hands, lambda: size_of(tmp_path / "mlruns"))


@pytest.mark.timeout(240)
def test_a_server_with_its_artifacts(tmp_path: Path, hands: Hands) -> None:
    backend = stores.new_sqlite(tmp_path / "backend")
    with servers.mlflow_server(tmp_path / "backend", backend) as uri:
        registry = make(uri, tmp_path / "files")
        check(registry, tmp_path / "home", hands, lambda: size_of(tmp_path / "backend"))


@pytest.mark.postgres
def test_postgresql_for_both(
    new_postgres: Callable[[], str], postgres: servers.Postgres, tmp_path: Path, hands: Hands
) -> None:
    registry = make(new_postgres(), tmp_path / "files")
    registry.database_uri = postgres.create("greenroom_retention", "template template0")
    check(registry, tmp_path / "home", hands, lambda: size_of(tmp_path / "files" / "artifacts"))

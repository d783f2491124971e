"""A registry of 50 versions on MLflow's SQLite store, with real files of models, in both of MLflow's layouts."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, RunStatus, RunTag

from core.audit import News
from core.database import transaction
from core.registry.retention.configuration import RetentionSettings
from core.registry.retention.desk import RetentionDesk
from core.registry.types import Stage
from core.registry.watch import GREENROOM
from core.settings import Settings
from core.workspace import Workspace, open_workspace
from core.workspace_retention import wire_retention_desk
from tests import registries, stores

NAME = "ppo_usdcop"
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


@dataclass
class Registry:
    """A store, its client, and where its files are."""

    uri: str
    folder: Path
    database_uri: str | None = None

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def open(
        self,
        home: Path,
        settings: RetentionSettings | None = None,
        on_step: Callable[[str], None] = lambda _: None,
    ) -> tuple[Workspace, RetentionDesk]:
        workspace = open_workspace(Settings(tracking_uri=self.uri, home=home, database_uri=self.database_uri))
        return workspace, wire_retention_desk(workspace, settings or RetentionSettings(), on_step)

    def content(self) -> dict[str, str]:
        """Return a hash of every file of the store and its artifacts."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and not path.name.startswith("mlflow.db-"):
                found[str(path.relative_to(self.folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    def model_bytes(self, version: int) -> int:
        return sum(path.stat().st_size for path in self.model_folder(version).rglob("*") if path.is_file())

    def model_folder(self, version: int) -> Path:
        source = self.client.get_model_version(NAME, str(version)).source
        return Path(source.removeprefix("file://"))


def make(folder: Path, versions: int = 50) -> Registry:
    """Make the registry; odd versions lie in their run's artifacts, even ones are MLflow 3's logged models."""
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    experiment = client.create_experiment("trading", artifact_location=str(folder / "artifacts"))
    client.create_registered_model(NAME)
    for number in range(1, versions + 1):
        add_version(client, experiment, number)
    return Registry(uri, folder)


def add_version(client: MlflowClient, experiment: str, number: int, name: str = NAME) -> str:
    """Log a run with a model and register it; return the run's id."""
    run = client.create_run(experiment, run_name=f"run {number}", start_time=1_700_000_000_000 + number)
    run_id = run.info.run_id
    if number % 2:
        place = Path(run.info.artifact_uri) / "model"
        write_model(place, number)
        client.create_model_version(name, str(place), run_id)
    else:
        model = client.create_logged_model(experiment, name="model", source_run_id=run_id)
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])
        place = Path(model.artifact_location.removeprefix("file://"))
        write_model(place, number)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        client.create_model_version(name, str(place), run_id, model_id=model.model_id)
    (Path(run.info.artifact_uri)).mkdir(parents=True, exist_ok=True)
    (Path(run.info.artifact_uri) / "log.txt").write_text("kept")
    client.log_batch(run_id, tags=[RunTag("number", str(number))])
    client.set_terminated(
        run_id, RunStatus.to_string(RunStatus.FINISHED), end_time=1_700_000_100_000 + number
    )
    return run_id


def write_model(place: Path, number: int) -> None:
    """Write the files of a model that plain MLflow loads."""
    (place / "data").mkdir(parents=True)
    (place / "data" / "weights.bin").write_bytes(os.urandom(1000 + number))
    (place / "agent.py").write_text(_CODE)
    (place / "MLmodel").write_text(
        f"artifact_path: model\nflavors:\n  python_function:\n    loader_module: agent\n    code: .\n"
        f"    data: data\nmodel_uuid: '{number:032x}'\n"
    )


_CODE = """
from pathlib import Path


class _Agent:
    def __init__(self, size):
        self.size = size

    def predict(self, model_input, params=None):
        return [self.size]


def _load_pyfunc(path):
    return _Agent((Path(path) / "weights.bin").stat().st_size)
"""


def archive(registry: Registry, workspace: Workspace, ages: Mapping[int, float]) -> None:
    """Have versions be in Archived for so many days, as Greenroom has recorded it."""
    from core.registry import seen
    from core.registry.seen import How, Seen

    client = registry.client
    for version in ages:
        registries.put(client, NAME, version, "Archived")
    workspace.registry.look()
    with transaction(workspace.database, "a test") as connection:
        for version, days in ages.items():
            since = Seen(Stage.ARCHIVED, NOW - timedelta(days=days), How.GREENROOM)
            seen.note(connection, workspace.address.key, NAME, version, since)
        # Seen is kept in memory until something happens.
        workspace.registry.trail.append(connection, GREENROOM, News("a test"))


def load(registry: Registry, version: int) -> Any:
    """Load a version from where MLflow says its files are."""
    place = registry.client.get_model_version_download_uri(NAME, str(version))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, about type hints in itself
        import mlflow.pyfunc

        return mlflow.pyfunc.load_model(place)

"""Copies of real registries: opened, shown, rolled back, their conflicts explained, the originals untouched."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine

from core.errors import RefusedError
from core.registry.promotion import Fate
from core.registry.types import Stage
from tests import registries
from tests.registries import ANALYST, LEAD


def digest(path: Path) -> str:
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for one in files:
        found.update(str(one.relative_to(path)).encode() + one.read_bytes())
    return found.hexdigest()


@pytest.fixture
def old_database(shared_data: Path, tmp_path: Path) -> Path:
    """A database of MLflow 1.26: v1 in Production, v2 archived, v3 in None."""
    for original in sorted((shared_data / "mlflow" / "zoomcamp_mlflow126").glob("*.db")):
        copy = tmp_path / original.name
        shutil.copy(original, copy)
        desk = registries.new_desk(f"sqlite:///{copy}", tmp_path / "look")
        if "nyc-taxi-regressor" in desk.watch.models():
            return copy
    pytest.fail("none of the databases has the model")


def upgrade(path: Path) -> str:
    """Do what Greenroom says: `mlflow db upgrade` on the copy."""
    uri = f"sqlite:///{path}"
    engine = create_sqlalchemy_engine(uri)
    _upgrade_db(engine)
    engine.dispose()
    return uri


def test_a_database_of_mlflow_1_26_is_shown_and_not_changed(old_database: Path, tmp_path: Path) -> None:
    before = digest(old_database)
    desk = registries.new_desk(f"sqlite:///{old_database}", tmp_path / "home")
    desk.look()
    card = desk.model("nyc-taxi-regressor")
    assert card.champion is not None
    assert card.champion.version.version == 1
    assert [str(one.version.stage) for one in card.versions] == ["None", "Archived", "Production"]
    assert card.target is not None
    assert (card.target.version, card.conflict) == (2, None)
    assert "2022-05-25" in card.target.why
    with pytest.raises(RefusedError, match="mlflow db upgrade"):
        desk.rollback("nyc-taxi-regressor", "worse", LEAD)
    assert digest(old_database) == before


def test_it_is_rolled_back_once_upgraded(old_database: Path, tmp_path: Path) -> None:
    uri = upgrade(old_database)
    desk = registries.new_desk(uri, tmp_path / "home")
    outcome = desk.rollback("nyc-taxi-regressor", "worse", LEAD)
    assert outcome.fate is Fate.DONE
    client = MlflowClient(uri)
    assert registries.stages(client, "nyc-taxi-regressor") == {1: "Archived", 2: "Production", 3: "None"}
    assert registries.aliases(client, "nyc-taxi-regressor") == {"production": 2}
    with pytest.raises(RefusedError, match="nothing to go back to"):
        desk.rollback("nyc-taxi-regressor", "worse still", LEAD)


def test_its_conflict_is_explained_and_ended(old_database: Path, tmp_path: Path) -> None:
    uri = upgrade(old_database)
    client = MlflowClient(uri)
    registries.put(client, "nyc-taxi-regressor", 3, "Production")
    desk = registries.new_desk(uri, tmp_path / "home")
    desk.look()
    card = desk.model("nyc-taxi-regressor")
    assert card.conflict is not None
    assert "2 versions in Production: v1 and v3. MLflow gives v3 to who asks for Production" in card.conflict
    desk.settle("nyc-taxi-regressor", 1, "v3 was a slip", LEAD)
    assert registries.in_production(client, "nyc-taxi-regressor") == [1]


def test_a_file_store_with_35_versions(shared_data: Path, tmp_path: Path) -> None:
    original = shared_data / "mlflow" / "vivix_registry_filestore"
    copy = tmp_path / "store"
    shutil.copytree(original, copy)
    before, desk = digest(copy), registries.new_desk(copy.as_uri(), tmp_path / "home")
    desk.look()
    models = desk.watch.models()
    assert sum(len(one.versions) for one in models.values()) == 35
    assert all(desk.model(name).conflict is None for name in models)
    assert digest(copy) == before
    name = max(models, key=lambda one: len(models[one].versions))
    client = MlflowClient(copy.as_uri())
    for version in (1, 2):
        if registries.stages(client, name)[version] == "None":
            desk.promote(name, version, Stage.STAGING, "ready", ANALYST)
        desk.promote(name, version, Stage.PRODUCTION, "better", LEAD)
    assert registries.in_production(client, name) == [2]
    desk.rollback(name, "worse", LEAD)
    assert registries.in_production(client, name) == [1]
    registries.put(client, name, 3, "Production")
    desk.look()
    assert "Keep one and archive the others first" in str(desk.model(name).conflict)
    desk.settle(name, 1, "v3 was a slip", LEAD)
    assert registries.in_production(client, name) == [1]

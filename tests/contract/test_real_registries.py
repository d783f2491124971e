"""Real registries, of MLflow 1.26 to 2.x: read as MLflow reads a copy of them, and left as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from core.registry.reading.choose import open_registry_source
from core.runs.sources.uris import parse
from tests import plain, stores
from tests.core.registry.reading import kit


def test_a_real_file_store(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = shared_data / "mlflow" / "vivix_registry_filestore"
    monkeypatch.chdir(tmp_path)
    before = plain.hashes(place)
    source = open_registry_source(parse(place.as_uri()), None)
    models = source.models()
    assert plain.hashes(place) == before
    assert list(tmp_path.iterdir()) == []
    assert len(models) == 4
    assert sum(len(one.versions) for one in models) == 35
    assert source.model("KNN") == models[0]
    assert source.schema_problem() is None
    copy = stores.writable_copy(place, tmp_path / "copy")
    assert kit.plain(models) == kit.mlflow_says(MlflowClient(copy.as_uri(), registry_uri=copy.as_uri()))


@pytest.mark.parametrize(
    ("file", "stages"),
    [
        ("mlflow.db", {"nyc-taxi-regressor": ["Production", "Archived", "None"]}),
        ("homework.db", {"green-taxi-RandomForestRegressor": ["None"]}),
    ],
)
def test_a_real_database_of_mlflow_1_26(
    file: str, stages: dict[str, list[str]], shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "mlflow" / "zoomcamp_mlflow126" / file
    before = plain.hashes(path.parent)
    source = open_registry_source(parse(f"sqlite:///{path}"), None)
    models = source.models()
    problem = source.schema_problem()
    assert [source.model(one.name) for one in models] == list(models)
    assert plain.hashes(path.parent) == before

    assert {one.name: [str(each.stage) for each in one.versions] for one in models} == stages
    assert source.info == "read-only SQL, MLflow schema bd07f7e963c5"
    assert problem is not None
    assert "has the schema bd07f7e963c5" in problem
    assert f"mlflow db upgrade sqlite:///{path.with_name(path.stem)}-upgraded.db" in problem

    # MLflow migrates the copy as it opens it, and then says the same.
    copy = stores.writable_copy(path, tmp_path / file)
    assert kit.plain(models) == kit.mlflow_says(MlflowClient(f"sqlite:///{copy}"))
    upgraded = open_registry_source(parse(f"sqlite:///{copy}"), None)
    assert kit.plain(upgraded.models()) == kit.plain(models)
    assert upgraded.schema_problem() is None


def test_a_real_database_without_models(shared_data: Path) -> None:
    source = open_registry_source(
        parse(f"sqlite:///{shared_data / 'mlflow' / 'forexrisk' / 'mlruns.db'}"), None
    )
    assert source.models() == ()
    assert source.schema_problem() is not None

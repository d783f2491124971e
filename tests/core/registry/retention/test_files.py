"""What is removed is a run's or a model's own folder, whatever a hostile store says."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ArtifactError
from core.registry.retention.files import RetentionFiles, Size
from core.registry.retention.places import FilePlace, places_of_version, user_of
from core.registry.types import Stage, Version
from core.runs.artifacts.locations import StorePlace
from core.runs.sources.uris import StoreKind
from core.runs.types import LoggedModel
from tests.registries import run_of

RUN = "a" * 32
MODEL = "m-" + "b" * 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "artifacts" / "1" / RUN / "artifacts"
    (place / "model" / "data").mkdir(parents=True)
    (place / "model" / "MLmodel").write_text("12345")
    (place / "model" / "data" / "w.bin").write_bytes(b"1" * 100)
    (place / "model_2").mkdir()
    (place / "model_2" / "MLmodel").write_text("1")
    (tmp_path / "precious.txt").write_text("keep me")
    return place


@pytest.fixture
def files(tmp_path: Path) -> RetentionFiles:
    return RetentionFiles(StorePlace(StoreKind.SQLITE, tmp_path), {}, None)


def place_at(root: Path, path: str) -> FilePlace:
    return FilePlace(RUN, "1", str(root), path)


def test_a_folder_is_counted_and_removed_and_nothing_beside_it(root: Path, files: RetentionFiles) -> None:
    one = place_at(root, "model")
    assert files.measure(one) == Size(105, 2)
    files.remove(one)
    assert sorted(path.name for path in root.iterdir()) == ["model_2"]
    assert files.measure(one) == Size()
    files.remove(one)


def test_all_artifacts_of_a_run(root: Path, files: RetentionFiles) -> None:
    files.remove(place_at(root, ""))
    assert not root.exists()
    assert root.parent.exists()


def test_links_are_neither_followed_nor_counted(root: Path, files: RetentionFiles, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "model").mkdir(parents=True)
    (outside / "model" / "big.bin").write_bytes(b"1" * 10_000)
    (root / "model" / "out").symlink_to(outside)
    (root / "model" / "file").symlink_to(tmp_path / "precious.txt")
    (root / "way").symlink_to(outside)
    assert files.measure(place_at(root, "model")).bytes < 1_000
    files.remove(place_at(root, "model"))
    with pytest.raises(ArtifactError):
        files.measure(place_at(root, "way/model"))
    with pytest.raises(ArtifactError):
        files.remove(place_at(root, "way/model"))
    files.remove(place_at(root, "way"))
    assert (outside / "model" / "big.bin").exists()
    assert (tmp_path / "precious.txt").exists()


@pytest.mark.parametrize(
    "path", ["../../../../precious.txt", "model/../../..", "/etc", "%2e%2e/x", "a\\..\\b"]
)
def test_no_path_leads_out(root: Path, files: RetentionFiles, tmp_path: Path, path: str) -> None:
    with pytest.raises(ArtifactError):
        files.remove(place_at(root, path))
    assert (tmp_path / "precious.txt").exists()
    assert (root / "model" / "MLmodel").exists()


def test_a_place_that_is_no_runs_own_folder_is_left(root: Path, tmp_path: Path) -> None:
    for uri in (str(tmp_path), str(root.parent), f"file://{tmp_path}/artifacts"):
        plain = RetentionFiles(StorePlace(StoreKind.SQLITE, None), {}, None)
        with pytest.raises(ArtifactError):
            plain.remove(FilePlace(RUN, "1", uri, ""))
    # Mapped by a person, it may be read; the whole of it is nobody's to remove.
    mapped = RetentionFiles(StorePlace(StoreKind.SQLITE, None), {"/old/root": str(tmp_path)}, None)
    with pytest.raises(ArtifactError, match="may hold more"):
        mapped.remove(FilePlace(RUN, "1", "/old/root", ""))
    assert (root / "model" / "MLmodel").exists()


def test_a_remote_store_loses_files_one_by_one(
    files: RetentionFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    content = {"model/MLmodel": 5, "model/data/w.bin": 100, "model_2/MLmodel": 1}

    class Info:
        def __init__(self, path: str, size: int | None) -> None:
            self.path, self.file_size, self.is_dir = path, size, size is None

    class Bucket:
        def list_artifacts(self, path: str | None = None) -> list[Info]:
            start = f"{path}/" if path else ""
            below = {name[len(start) :]: size for name, size in content.items() if name.startswith(start)}
            folders = {name.split("/")[0] for name in below if "/" in name}
            found = [Info(start + name, None) for name in sorted(folders)]
            return found + [Info(start + name, size) for name, size in below.items() if "/" not in name]

        def delete_artifacts(self, path: str) -> None:
            removed.append(path)

    monkeypatch.setattr(
        "mlflow.store.artifact.artifact_repository_registry.get_artifact_repository",
        lambda *_, **__: Bucket(),
    )
    one = FilePlace(RUN, "1", f"s3://bucket/1/{RUN}/artifacts", "model")
    assert files.measure(one) == Size(105, 2)
    files.remove(one)
    assert sorted(removed) == ["model/MLmodel", "model/data/w.bin"]
    for uri in ("s3://bucket/1/artifacts", "s3://bucket"):
        with pytest.raises(ArtifactError):
            files.remove(FilePlace(RUN, "1", uri, ""))


# Who uses them


def version(number: int, source: str, run_id: str | None = RUN, storage: str | None = None) -> Version:
    at = run_of("x").start_time
    return Version("m", number, Stage.ARCHIVED, source, run_id, at, at, storage)  # type: ignore[arg-type]


OWN = run_of(RUN, artifact_uri=f"/art/1/{RUN}/artifacts")
LOGGED = LoggedModel(MODEL, "model", f"/art/1/models/{MODEL}/artifacts")


@pytest.mark.parametrize(
    ("source", "used"),
    [
        (f"runs:/{RUN}/model", True),
        (f"/art/1/{RUN}/artifacts/model/inner", True),
        (f"/art/1/{RUN}/artifacts/model_2", False),
        ("models:/m/1", True),
        ("models:/m/11", False),
        ("/elsewhere/model", True),  # of the same run, from nobody knows where
    ],
)
def test_files_that_another_version_uses_stay(source: str, used: bool) -> None:
    first = version(1, f"/art/1/{RUN}/artifacts/model")
    (place,) = places_of_version(first, OWN, ())
    other = version(2, source) if source != "models:/m/11" else version(2, source, run_id=None)
    assert bool(user_of(place, first, [first, other], OWN, ())) == used


def test_a_logged_model_that_another_version_uses_stays() -> None:
    first = version(1, LOGGED.artifact_location)
    (place,) = places_of_version(first, OWN, (LOGGED,))
    assert place.model == LOGGED
    assert user_of(place, first, [first, version(2, f"models:/{MODEL}", run_id=None)], OWN, (LOGGED,))
    assert user_of(
        place, first, [first, version(2, "x", "c" * 32, f"/art/models/{MODEL}/artifacts")], OWN, ()
    )
    assert not user_of(place, first, [first, version(2, f"/art/1/{RUN}/artifacts/other")], OWN, (LOGGED,))


def test_a_folder_of_the_run_is_not_the_logged_model_of_the_same_name() -> None:
    (place,) = places_of_version(version(1, f"/art/1/{RUN}/artifacts/model"), OWN, (LOGGED,))
    assert (place.model, place.path) == (None, "model")
    (named,) = places_of_version(version(1, f"runs:/{RUN}/model"), OWN, (LOGGED,))
    assert named.model == LOGGED


@pytest.mark.parametrize(
    "source", [f"runs:/{RUN}/.", f"/art/1/{RUN}/artifacts/", "/etc", f"runs:/{'c' * 32}/model"]
)
def test_what_is_no_folder_among_the_runs_artifacts_is_not_the_versions_own(source: str) -> None:
    with pytest.raises(ArtifactError):
        places_of_version(version(1, source), OWN, ())

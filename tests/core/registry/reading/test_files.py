"""File stores in the states that writers, people and crashes leave them in."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from core.errors import NotFoundError, SourceError
from core.registry.reading import files
from core.registry.reading.files import FileRegistry
from core.registry.types import Stage

META = "creation_timestamp: 1700000000000\nlast_updated_timestamp: 1700000001000\n"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PAUSE_SECONDS", 0.02)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of a model with one version, as MLflow lays it out."""
    folder = tmp_path / "models" / "ppo"
    (folder / "version-1").mkdir(parents=True)
    (folder / "meta.yaml").write_text(f"name: ppo\ndescription: null\n{META}")
    (folder / "version-1" / "meta.yaml").write_text(
        f"name: ppo\nversion: 1\ncurrent_stage: Production\nsource: s3://b/1\n{META}"
    )
    return folder


def test_a_model_as_mlflow_lays_it_out(model: Path) -> None:
    found = FileRegistry(model.parent.parent).model("ppo")
    assert (found.description, found.champion) == ("", found.version(1))
    assert found.version(1).run_id is None
    assert found.version(1).user is None
    assert found.updated.isoformat() == "2023-11-14T22:13:21+00:00"


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("meta.yaml", b"", r"ppo/meta\.yaml is empty or damaged"),
        ("version-1/meta.yaml", b"- a list", r"version-1/meta\.yaml is empty or damaged"),
        ("version-1/meta.yaml", b"name: [", "while parsing"),
        ("version-1/meta.yaml", b"creation_timestamp: soon", "creation_timestamp is no number in version-1"),
        ("aliases/best", b"the last", "best is no number in ppo"),
        ("tags/team", b"\xff\xfe", "codec can't decode"),
    ],
)
def test_a_damaged_file_is_named(file: str, content: bytes, reason: str, model: Path) -> None:
    (model / file).parent.mkdir(exist_ok=True)
    (model / file).write_bytes(content)
    source = FileRegistry(model.parent.parent)
    for ask in (source.models, lambda: source.model("ppo")):
        with pytest.raises(SourceError, match=reason) as caught:
            ask()
        assert "The registered model 'ppo' cannot be read" in str(caught.value)


def test_a_file_that_is_missing_is_named(model: Path) -> None:
    (model / "version-1" / "meta.yaml").unlink()
    with pytest.raises(SourceError, match=r"version-1/meta\.yaml: No such file"):
        FileRegistry(model.parent.parent).models()


def test_a_version_that_is_being_written_is_waited_for(model: Path) -> None:
    whole = (model / "version-1" / "meta.yaml").read_text()
    (model / "version-1" / "meta.yaml").write_text("")
    timer = threading.Timer(0.01, (model / "version-1" / "meta.yaml").write_text, (whole,))
    timer.start()
    try:
        assert FileRegistry(model.parent.parent).model("ppo").in_stage(Stage.PRODUCTION)
    finally:
        timer.join()


def test_a_model_that_is_deleted_while_it_is_read(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: Path) -> None:
        folder.rename(folder.parent.parent / "trash")
        raise FileNotFoundError(2, "No such file or directory", str(folder))

    monkeypatch.setattr(files, "_read", read)
    source = FileRegistry(model.parent.parent)
    assert source.models() == ()
    with pytest.raises(NotFoundError):
        source.model("ppo")


def test_files_that_are_no_models_are_passed_over(model: Path) -> None:
    (model.parent / "notes.txt").write_text("a note")
    (model / "version-notes.txt").write_text("another")
    assert [one.name for one in FileRegistry(model.parent.parent).models()] == ["ppo"]


def test_a_name_that_leads_out_of_the_registry_is_no_model(model: Path) -> None:
    source = FileRegistry(model.parent.parent)
    for name in ("../models/ppo", "ppo/version-1", str(model), ".", ".."):
        with pytest.raises(NotFoundError):
            source.model(name)


@pytest.mark.parametrize("change", ["tag", "removed", "same size", "replaced"])
def test_a_fingerprint_sees_every_file(change: str, model: Path) -> None:
    (model / "tags").mkdir()
    (model / "tags" / "team").write_text("fx")
    source = FileRegistry(model.parent.parent)
    before = source.fingerprint()
    assert source.fingerprint() == before
    if change == "tag":
        (model / "tags" / "other").write_text("")
    elif change == "removed":
        (model / "tags" / "team").unlink()
    elif change == "same size":
        (model / "tags" / "team").write_text("eq")
        (model / "tags" / "team").touch()
    else:
        (model / "tags" / "new").write_text("eq")
        state = (model / "tags" / "team").stat()
        os.utime(model / "tags" / "new", ns=(state.st_atime_ns, state.st_mtime_ns))
        (model / "tags" / "new").replace(model / "tags" / "team")
    assert source.fingerprint() != before

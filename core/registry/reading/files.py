"""Read the registry of a file store (./mlruns/models) from its files, without MLflow.

MLflow itself writes when it reads one: it makes the folder `models`, and for every version it looks up a
logged model in whatever store is its default, by which a `mlflow.db` appears in the current folder (3.17).
The layout of the files is settled, as MLflow no longer develops this store.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from core.errors import SourceError
from core.registry.reading.assemble import ModelRow, VersionRow, assemble, is_prompt, not_found
from core.registry.types import Model

_META = "meta.yaml"
_VERSION = "version-"
_TRIES = 3
_PAUSE_SECONDS = 0.1
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class FileRegistry:
    """The registry of a file store.

    Parameters
    ----------
    store : Path
        The folder of the store; read and never written to.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._folder = store / "models"

    @property
    def info(self) -> str:
        return "the files of the store, read directly"

    def fingerprint(self) -> str | None:
        """Return a hash of the names, sizes and times of all files of the registry."""
        self._names()
        found = hashlib.sha256()
        for path in sorted(_below(str(self._folder))):
            try:
                state = os.stat(path)  # noqa: PTH116
            except FileNotFoundError:
                continue
            found.update(f"{path}\0{state.st_ino}\0{state.st_size}\0{state.st_mtime_ns}\0".encode())
        return found.hexdigest()

    def close(self) -> None:
        """Nothing stays open between questions."""

    def schema_problem(self) -> str | None:
        return None

    def models(self) -> tuple[Model, ...]:
        read = (self._model(name) for name in sorted(self._names()))
        return tuple(one for one in read if one is not None)

    def model(self, name: str) -> Model:
        names = self._names()
        found = self._model(name) if name in names else None
        if found is None:
            raise not_found(name, names)
        return found

    def _names(self) -> list[str]:
        try:
            # A store without models has no such folder; a store that is not there has none either.
            place = self._folder if self._folder.exists() else self._store
            names = [path.name for path in place.iterdir() if path.is_dir()]
            return names if place == self._folder else []
        except OSError as error:
            raise SourceError(
                f"The folder {self._store} cannot be read: {error.strerror}. Check the tracking URI."
            ) from error

    def _model(self, name: str) -> Model | None:
        """Read a model; None for a prompt, and for one that was deleted meanwhile."""
        folder = self._folder / name
        for left in reversed(range(_TRIES)):
            try:
                return _read(folder)
            except (OSError, UnicodeDecodeError, yaml.YAMLError, _UnreadableError) as error:
                # Someone may be writing or deleting it at this moment; MLflow itself looks again, too.
                if isinstance(error, FileNotFoundError) and not folder.exists():
                    return None
                if not left:
                    raise SourceError(
                        f"The registered model '{name}' cannot be read from {folder}: {_first_line(error)}. "
                        "Mend its files, or move the folder away."
                    ) from error
                time.sleep(_PAUSE_SECONDS)
        return None


class _UnreadableError(Exception):
    """A file that does not hold what it should."""


def _read(folder: Path) -> Model | None:
    tags = _texts(folder / "tags")
    if is_prompt(tags):
        return None
    places = [path for path in folder.iterdir() if path.name.startswith(_VERSION) and path.is_dir()]
    meta = _meta(folder)
    row = ModelRow(
        str(meta.get("name") or folder.name),
        _number(folder, meta, "creation_timestamp"),
        _number(folder, meta, "last_updated_timestamp"),
        str(meta.get("description") or ""),
    )
    versions = [_version(place) for place in places]
    version_tags = {one.version: _texts(place / "tags") for one, place in zip(versions, places, strict=True)}
    aliases = {
        alias: _number(folder, {alias: number}, alias) for alias, number in _texts(folder / "aliases").items()
    }
    return assemble(row, tags, aliases, versions, version_tags)


def _version(folder: Path) -> VersionRow:
    meta = _meta(folder)
    return VersionRow(
        model=folder.parent.name,
        version=_number(folder, {"its version": folder.name.removeprefix(_VERSION)}, "its version"),
        created=_number(folder, meta, "creation_timestamp"),
        updated=_number(folder, meta, "last_updated_timestamp"),
        description=str(meta.get("description") or ""),
        user=str(meta.get("user_id") or ""),
        stage=str(meta.get("current_stage") or ""),
        source=str(meta.get("source") or ""),
        storage=str(meta.get("storage_location") or ""),
        run_id=str(meta.get("run_id") or ""),
        status=str(meta.get("status") or ""),
    )


def _meta(folder: Path) -> dict[str, Any]:
    content = yaml.load((folder / _META).read_bytes(), _Loader)  # noqa: S506
    if not isinstance(content, dict):
        raise _UnreadableError(f"{folder.name}/{_META} is empty or damaged")
    return content


def _number(folder: Path, values: dict[str, Any], key: str) -> int:
    value = values.get(key)
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        raise _UnreadableError(f"{key} is no number in {folder.name}") from None


def _texts(folder: Path) -> dict[str, str]:
    """Return the files below a folder as texts, by their paths in it: a key may have slashes."""
    return {
        os.path.relpath(path, folder).replace(os.sep, "/"): Path(path).read_bytes().decode()
        for path in _below(str(folder))
    }


def _below(folder: str) -> Iterator[str]:
    """Yield the files at any depth below a folder; none where it is not there."""
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)  # noqa: PTH118


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error).split("\n", 1)[0].rstrip(".")

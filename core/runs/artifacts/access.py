"""The artifacts of a run: its own folder and the folders of the models it logged, read and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from core.errors import ArtifactError, NotFoundError
from core.runs.artifacts.entries import (
    CHUNK_BYTES,
    MAX_ENTRIES,
    ArtifactEntry,
    ArtifactListing,
    ArtifactStore,
    listing,
    path_parts,
    refuse_above,
)
from core.runs.artifacts.local import LocalArtifacts
from core.runs.artifacts.locations import (
    ArtifactLocation,
    StorePlace,
    locate_model,
    locate_run,
    remote_refusal,
)
from core.runs.artifacts.remote import RemoteArtifacts
from core.runs.types import LoggedModel, Run

_Holder = tuple[str, ArtifactStore, str]  # what its paths are prefixed with, the store, the path in it


def open_run_artifacts(
    run: Run,
    place: StorePlace,
    artifact_roots: Mapping[str, str],
    *,
    tracking_uri: str | None = None,
    models: Iterable[LoggedModel] = (),
) -> RunArtifacts:
    """Find and open the artifacts of a run; nothing is read yet.

    Parameters
    ----------
    run : Run
    place : StorePlace
        The tracking store the run was read from.
    artifact_roots : mapping of str to str
        Old root to new root.
    tracking_uri : str, optional
        Of the MLflow server, for artifacts that it serves.
    models : iterable of LoggedModel
        What the run logged with MLflow 3, newest first, as MLflow orders them.
    """
    located = {
        name: locate_model(model, run.experiment_id, place, artifact_roots)
        for name, model in model_folders(models).items()
    }
    location = locate_run(run.artifact_uri, run.run_id, run.experiment_id, place, artifact_roots)
    return RunArtifacts(location, tracking_uri=tracking_uri, models=located)


def model_folders(models: Iterable[LoggedModel]) -> dict[str, LoggedModel]:
    """Name the folder of every logged model.

    The first of a name keeps it, which is the one MLflow reads for `runs:/<run_id>/<name>` when they come
    newest first; others get their id added. A name that could be no folder is replaced by the id.
    """
    folders: dict[str, LoggedModel] = {}
    for model in models:
        name = model.name
        if not name or "/" in name or "\\" in name or ":" in name or name in (".", ".."):
            name = model.model_id
        folders[name if name not in folders else f"{name} ({model.model_id})"] = model
    return folders


class RunArtifacts:
    """What a run and its logged models have stored; an `ArtifactStore`.

    Parameters
    ----------
    location : ArtifactLocation
        Of the run's own artifacts.
    tracking_uri : str, optional
    models : mapping of str to ArtifactLocation
        Folder name to place, for models that MLflow 3 keeps outside the run's own artifacts. Where the run
        has a folder of that name too both are shown, and the model's files win, as in MLflow.
    """

    def __init__(
        self,
        location: ArtifactLocation,
        *,
        tracking_uri: str | None = None,
        models: Mapping[str, ArtifactLocation] | None = None,
    ) -> None:
        self.location = location
        self._models = dict(models or {})
        self._tracking_uri = tracking_uri

    def list(self, path: str = "", *, limit: int = MAX_ENTRIES) -> ArtifactListing:
        """List a folder: folders first, then files, by path.

        Parameters
        ----------
        path : str
            Relative to the run's artifacts; "" is their root, where logged models appear as folders.
        limit : int
            How many entries are shown; the rest is counted.

        Raises
        ------
        NotFoundError
            There is no such folder.
        ArtifactError
            The path is refused, the artifacts cannot be found, or their store cannot be reached.
        """
        parts = path_parts(path)
        if not parts:
            return self._list_root(limit)
        shown: dict[str, ArtifactEntry] = {}
        hidden, missing = 0, []
        holders = self._holders(parts)
        for prefix, store, below in holders:
            try:
                part = store.list(below, limit=limit)
            except NotFoundError as error:
                missing.append(error)
                continue
            hidden += part.left_out
            for each in part:
                shown.setdefault(f"{prefix}{each.path}", replace(each, path=f"{prefix}{each.path}"))
        if len(missing) == len(holders):
            raise missing[0]
        return listing(shown.values(), limit, hidden=hidden)

    def stat(self, path: str) -> ArtifactEntry:
        """Look at one file or folder: size in bytes, time of change where the store tells it.

        Raises
        ------
        NotFoundError, ArtifactError
            As `list`.
        """
        parts = path_parts(path)
        if not parts:
            return ArtifactEntry("", is_dir=True)
        prefix, store, below = self._holder(parts)
        entry = store.stat(below)
        return replace(entry, path=f"{prefix}{entry.path}".rstrip("/"))

    @contextmanager
    def open_stream(self, path: str, *, max_bytes: int | None = None) -> Iterator[BinaryIO]:
        """Open a file for reading; a remote one is downloaded to disk first and removed afterwards.

        Raises
        ------
        NotFoundError
            There is no such file.
        ArtifactError
            It is larger than `max_bytes`, no regular file, refused, or cannot be reached.
        """
        _, store, below = self._holder(path_parts(path))
        with store.open_stream(below, max_bytes=max_bytes) as file:
            yield file

    def read(self, path: str, max_bytes: int) -> bytes:
        """Read a whole file of at most `max_bytes`; its size is checked before anything is read.

        Raises
        ------
        NotFoundError, ArtifactError
            As `open_stream`.
        """
        with self.open_stream(path, max_bytes=max_bytes) as file:
            data = _read(file, max_bytes + 1, path)
        refuse_above(path, len(data), max_bytes)  # it can have grown since
        return data

    def head(self, path: str, max_bytes: int) -> tuple[bytes, bool]:
        """Read the beginning of a file, and tell whether there is more of it.

        A remote file has to be downloaded whole, so there it must not be larger than `max_bytes`.

        Raises
        ------
        NotFoundError, ArtifactError
            As `open_stream`.
        """
        _, store, below = self._holder(path_parts(path))
        allowed = None if isinstance(store, LocalArtifacts) else max_bytes
        with store.open_stream(below, max_bytes=allowed) as file:
            data = _read(file, max_bytes + 1, path)
        return data[:max_bytes], len(data) > max_bytes

    def chunks(self, path: str, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """Read a file of any size piece by piece, for downloads.

        Raises
        ------
        NotFoundError, ArtifactError
            As `open_stream`; what can be known beforehand at once, not with the first piece.
        """
        entry = self.stat(path)
        if entry.is_dir or entry.note:
            raise ArtifactError(
                f"The artifact {path} cannot be downloaded: {entry.note or 'it is a folder'}."
            )
        return self._pieces(path, size)

    def _pieces(self, path: str, size: int) -> Iterator[bytes]:
        with self.open_stream(path) as file:
            while piece := _read(file, size, path):
                yield piece

    def _list_root(self, limit: int) -> ArtifactListing:
        notes: tuple[str, ...] = ()
        own: tuple[ArtifactEntry, ...] = ()
        hidden = 0
        if self.location.found:
            part = self._store(self.location).list(limit=limit)
            own, hidden = part.entries, part.left_out
        elif self._models or self.location.none_logged:
            notes = (self.location.problem,)
        else:
            raise ArtifactError(self.location.problem)
        models = {
            name: ArtifactEntry(name, is_dir=True, note="" if place.found else "its files cannot be found")
            for name, place in self._models.items()
        }
        entries = (*models.values(), *(each for each in own if each.path not in models))
        return listing(entries, limit, hidden=hidden, notes=notes)

    def _holder(self, parts: tuple[str, ...]) -> _Holder:
        """Give the store that has this file or folder."""
        holders = self._holders(parts)
        for holder in holders[:-1]:
            try:
                holder[1].stat(holder[2])
            except NotFoundError:
                continue
            return holder
        return holders[-1]

    def _holders(self, parts: tuple[str, ...]) -> tuple[_Holder, ...]:
        """Give the stores that can have this path, the one that wins first."""
        model = self._models.get(parts[0]) if parts else None
        holders: tuple[_Holder, ...] = ()
        if model is not None and model.found:
            holders += ((f"{parts[0]}/", self._store(model), "/".join(parts[1:])),)
        if self.location.found:
            holders += (("", self._store(self.location), "/".join(parts)),)
        if not holders:
            raise ArtifactError((model or self.location).problem)
        return holders

    def _store(self, location: ArtifactLocation) -> ArtifactStore:
        if location.path is not None:
            return LocalArtifacts(location.path)
        refusal = remote_refusal(location, self._tracking_uri)
        if refusal or location.uri is None:
            raise ArtifactError(refusal or location.problem)
        return RemoteArtifacts(location.uri, self._tracking_uri)


def _read(file: BinaryIO, size: int, path: str) -> bytes:
    try:
        return file.read(size)
    except OSError as error:
        raise ArtifactError(f"The artifact {path} cannot be read: {error.strerror}. Try again.") from error

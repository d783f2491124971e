"""Count and remove the files of versions and runs: never a byte outside the artifacts of their run or model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.errors import ArtifactError, NotFoundError
from core.registry.retention.places import FilePlace
from core.runs.artifacts.entries import ArtifactEntry, path_parts
from core.runs.artifacts.locations import (
    ArtifactLocation,
    StorePlace,
    locate_model,
    locate_run,
    remote_refusal,
)
from core.runs.artifacts.remote import RemoteArtifacts
from core.runs.artifacts.uris import parse_uri

_MOST_FILES = 20_000


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes and number of files."""

    bytes: int = 0
    files: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.files + other.files)


class RetentionFiles:
    """The artifacts of one tracking store, counted and removed.

    Parameters
    ----------
    place : StorePlace
        The tracking store.
    artifact_roots : mapping of str to str
        Old root to new root.
    tracking_uri : str or None
        Of the MLflow server, for artifacts that it serves.
    """

    def __init__(
        self, place: StorePlace, artifact_roots: Mapping[str, str], tracking_uri: str | None
    ) -> None:
        self._place = place
        self._artifact_roots = artifact_roots
        self._tracking_uri = tracking_uri

    def measure(self, place: FilePlace) -> Size:
        """Count the files of a place; nothing where there are none.

        Raises
        ------
        ArtifactError
            If they cannot be counted, or must not be removed.
        """
        location = self._location(place)
        if location is None:
            return Size()
        if location.path is None:
            return sum((Size(entry.size or 0, 1) for entry in self._remote_files(location, place)), Size())
        try:
            with _holding(location.path, path_parts(place.path)) as (folder, name):
                return _size(folder, name)
        except OSError as error:
            raise ArtifactError(f"{_words(place)} cannot be counted: {error.strerror}.") from error

    def remove(self, place: FilePlace) -> None:
        """Remove the files of a place; those that are gone already are no mistake.

        Raises
        ------
        ArtifactError
            If they cannot be removed, or must not be.
        """
        location = self._location(place)
        if location is None:
            return
        if location.path is None:
            store = self._remote(location)
            for entry in list(self._remote_files(location, place)):
                store.remove(entry.path)
            return
        try:
            with _holding(location.path, path_parts(place.path)) as (folder, name):
                if name is not None:
                    _remove(folder, name)
        except OSError as error:
            raise ArtifactError(f"{_words(place)} cannot be removed: {error.strerror}.") from error

    def _location(self, place: FilePlace) -> ArtifactLocation | None:
        """Find a place; None where nothing was ever logged there."""
        if place.model is not None:
            tail: tuple[str, ...] = ("models", place.model.model_id, "artifacts")
            location = locate_model(place.model, place.experiment_id, self._place, self._artifact_roots)
        else:
            tail = (place.run_id, "artifacts")
            location = locate_run(
                place.artifact_uri, place.run_id, place.experiment_id, self._place, self._artifact_roots
            )
        if not location.found:
            if location.none_logged:
                return None
            raise ArtifactError(location.problem)
        if location.path is not None:
            ends = location.path.resolve().parts
        else:
            ends = parse_uri(location.uri or "", decode=True).parts
        # A mapped root is believed when it is read; what is removed has to be a run's or a model's own folder.
        if ends[-len(tail) :] != tail:
            raise ArtifactError(
                f"{_words(place)} are left: their place does not end in {'/'.join(tail)}, so it may hold more."
            )
        return location

    def _remote(self, location: ArtifactLocation) -> _RemovableArtifacts:
        refusal = remote_refusal(location, self._tracking_uri)
        if refusal or location.uri is None:
            raise ArtifactError(refusal or location.problem)
        return _RemovableArtifacts(location.uri, self._tracking_uri)

    def _remote_files(self, location: ArtifactLocation, place: FilePlace) -> Iterator[ArtifactEntry]:
        store, seen = self._remote(location), 0
        folders = ["/".join(path_parts(place.path))]
        if folders[0]:
            try:
                found = store.stat(folders[0])
            except NotFoundError:
                return
            if not found.is_dir:
                yield found
                return
        while folders:
            listing = store.list(folders.pop(), limit=_MOST_FILES)
            if listing.left_out:
                raise ArtifactError(f"{_words(place)} are left: there are more than {_MOST_FILES:,} files.")
            for entry in listing:
                if entry.is_dir:
                    folders.append(entry.path)
                    continue
                seen += 1
                if entry.note or (entry.size is None) or seen > _MOST_FILES:
                    why = entry.note or "the size of a file is not told, or there are too many"
                    raise ArtifactError(f"{_words(place)} cannot be counted: {why}.")
                yield entry


class _RemovableArtifacts(RemoteArtifacts):
    """Artifacts behind MLflow, one file of which can be removed at a time.

    Some stores take the name of a folder for the beginning of a name: `model` would remove `model_2`, too.
    """

    def remove(self, path: str) -> None:
        repository = self._repository
        clean = "/".join(path_parts(path))
        if not clean:
            raise ArtifactError("Only a file can be removed, not all artifacts at once.")
        remove = getattr(repository, "delete_artifacts", None)
        if remove is None:
            raise ArtifactError(f"The store of {clean} removes no artifacts.")
        with self._translated(f"remove {clean} of"):
            try:
                remove(clean)
            except NotImplementedError as error:
                raise ArtifactError(f"The store of {clean} removes no artifacts.") from error


@contextmanager
def _holding(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[int, str | None]]:
    """Open the folder that holds a place, and give its descriptor and the place's name in it; None: not there.

    From the real root on no link is followed, also none that takes a folder's place meanwhile.
    """
    real = root.resolve(strict=True)
    names = (real.name, *parts)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    opened = os.open(real.parent, flags)
    try:
        for name in names[:-1]:
            try:
                below = os.open(name, flags, dir_fd=opened)
            except FileNotFoundError:
                yield opened, None
                return
            os.close(opened)
            opened = below
        there = names[-1] in os.listdir(opened)  # noqa: PTH208 - pathlib lists no descriptor
        yield opened, names[-1] if there else None
    finally:
        os.close(opened)


def _size(folder: int, name: str | None) -> Size:
    if name is None:
        return Size()
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not _is_folder(status):
        return Size(status.st_size, 1)
    found = Size()
    for _, _, files, inside in os.fwalk(name, dir_fd=folder, follow_symlinks=False):
        for each in files:
            found += Size(os.stat(each, dir_fd=inside, follow_symlinks=False).st_size, 1)
    return found


def _remove(folder: int, name: str) -> None:
    if _is_folder(os.stat(name, dir_fd=folder, follow_symlinks=False)):
        shutil.rmtree(name, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def _is_folder(status: os.stat_result) -> bool:
    import stat

    return stat.S_ISDIR(status.st_mode)


def _words(place: FilePlace) -> str:
    if place.model is not None:
        return f"The files of the model {place.model.name} ({place.model.model_id})"
    what = f"The artifacts {place.path}" if place.path else "The artifacts"
    return f"{what} of the run {place.run_id[:8]}"

"""Artifacts in a folder of this machine: nothing outside the folder is ever opened, nothing is changed."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from core.errors import ArtifactError, NotFoundError
from core.runs.artifacts.entries import (
    MAX_ENTRIES,
    ArtifactEntry,
    ArtifactListing,
    listing,
    path_parts,
    path_refusal,
    refuse_above,
)

_UPLOADING = ".artifact.uploading."  # MLflow's name of a file that is still being written; it hides these too
# O_NONBLOCK: a fifo put in place of the file must not stop the reader. Windows has none of the first three.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


class LocalArtifacts:
    """An `ArtifactStore` over a folder.

    Links are followed only as long as they stay within the folder; those that leave it, and everything that
    is neither a file nor a folder, are listed with a note and never opened.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, path: str = "", *, limit: int = MAX_ENTRIES) -> ArtifactListing:
        """List a folder; see `ArtifactStore`."""
        root, real = self._resolve(path)
        if not real.is_dir():
            raise ArtifactError(f"The artifact {path} is a file, and was asked for as a folder.")
        prefix = "".join(f"{part}/" for part in path_parts(path))
        try:
            with os.scandir(real) as found:
                entries = [
                    self._entry(root, prefix, item) for item in found if not item.name.startswith(_UPLOADING)
                ]
        except OSError as error:
            raise ArtifactError(f"The folder {real} cannot be listed: {_words(error)}.") from error
        return listing(entries, limit)

    def stat(self, path: str) -> ArtifactEntry:
        """Look at one file or folder; see `ArtifactStore`."""
        _, real = self._resolve(path)
        clean = "/".join(path_parts(path))
        try:
            return _described(clean, real.lstat())
        except OSError as error:
            raise ArtifactError(f"The artifact {path} cannot be looked at: {_words(error)}.") from error

    @contextmanager
    def open_stream(self, path: str, *, max_bytes: int | None = None) -> Iterator[BinaryIO]:
        """Open a file; see `ArtifactStore`."""
        with self._open(path, max_bytes) as file:
            yield file

    def _open(self, path: str, max_bytes: int | None) -> BinaryIO:
        entry = self.stat(path)
        if entry.is_dir:
            raise ArtifactError(f"The artifact {path or 'root'} is a folder; open one of its files.")
        if entry.note:
            raise ArtifactError(f"The artifact {path} is refused: {entry.note}.")
        _, real = self._resolve(path)
        try:
            file = os.fdopen(os.open(real, _FLAGS), "rb")
        except OSError as error:
            raise ArtifactError(f"The artifact {path} cannot be opened: {_words(error)}.") from error
        try:
            opened = os.fstat(file.fileno())
            # Looked up once more: between the check and the opening a folder can become a link.
            same = os.path.samestat(opened, self._resolve(path)[1].lstat())
            if not modes.S_ISREG(opened.st_mode) or not same:
                raise ArtifactError(f"The artifact {path} was replaced while it was opened. Try again.")
            refuse_above(path, opened.st_size, max_bytes)
        except OSError as error:
            file.close()
            raise ArtifactError(f"The artifact {path} cannot be opened: {_words(error)}.") from error
        except (ArtifactError, NotFoundError):
            file.close()
            raise
        return file

    def _resolve(self, path: str) -> tuple[Path, Path]:
        """Give the real path of the root, and that of an artifact below it."""
        parts = path_parts(path)
        try:
            root = self._root.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise ArtifactError(
                f"The artifact folder {self._root} is gone or cannot be entered. Was it moved? "
                "Then name the old and the new root in artifact_roots."
            ) from error
        try:
            real = root.joinpath(*parts).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(f"There is no artifact {path} in {self._root}.") from error
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, up to Python 3.12
            raise ArtifactError(f"The artifact {path} cannot be reached: it leads nowhere.") from error
        if not real.is_relative_to(root):
            raise ArtifactError(
                f"The artifact {path} is refused: it is a link that leaves the artifact folder."
            )
        return root, real

    def _entry(self, root: Path, prefix: str, item: os.DirEntry[str]) -> ArtifactEntry:
        path = prefix + item.name
        refused = path_refusal(path)
        if refused:
            return ArtifactEntry(
                path.encode("utf-8", "replace").decode(), False, note=f"its name is refused, {refused}"
            )
        try:
            if not item.is_symlink():
                return _described(path, item.stat(follow_symlinks=False))
            target = Path(item.path).resolve(strict=True)
            if target.is_relative_to(root):
                return _described(path, target.lstat())
        except (OSError, RuntimeError):
            return ArtifactEntry(path, False, note="it leads nowhere or may not be looked at")
        return ArtifactEntry(path, False, note="a link that leaves the artifact folder")


def _described(path: str, status: os.stat_result) -> ArtifactEntry:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    if modes.S_ISDIR(status.st_mode):
        return ArtifactEntry(path, True, None, modified)
    if modes.S_ISREG(status.st_mode):
        return ArtifactEntry(path, False, status.st_size, modified)
    return ArtifactEntry(path, False, None, modified, "neither a file nor a folder")


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__

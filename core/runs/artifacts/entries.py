"""What a folder of artifacts holds, and which artifact paths are taken at all. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol, overload
from urllib.parse import unquote

from core.errors import ArtifactError

MAX_ENTRIES = 1_000
CHUNK_BYTES = 1024 * 1024
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class ArtifactEntry:
    """A file or folder: `path` is relative to the run's artifacts, with forward slashes; `size` in bytes.

    `note` is empty, or says why the entry cannot be read.
    """

    path: str
    is_dir: bool
    size: int | None = None
    modified: datetime | None = None
    note: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def readable(self) -> bool:
        """Whether it can be opened."""
        return not self.note


@dataclass(frozen=True, slots=True)
class ArtifactListing(Sequence[ArtifactEntry]):
    """The entries of one folder, folders first, then by path; a sequence of `ArtifactEntry`.

    Attributes
    ----------
    total : int
        How many entries the folder has; those above the limit are counted, not shown.
    notes : tuple of str
        What a person should know about this listing.
    """

    entries: tuple[ArtifactEntry, ...]
    total: int
    notes: tuple[str, ...] = ()

    @overload
    def __getitem__(self, index: int) -> ArtifactEntry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ArtifactEntry, ...]: ...
    def __getitem__(self, index: int | slice) -> ArtifactEntry | tuple[ArtifactEntry, ...]:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def left_out(self) -> int:
        """How many entries are not shown."""
        return self.total - len(self.entries)


class ArtifactStore(Protocol):
    """One root of artifacts that can be read, and only read; paths are relative to it.

    Every method raises `NotFoundError` for what is not there, and `ArtifactError` for what is refused or
    cannot be reached.
    """

    def list(self, path: str = "", *, limit: int = MAX_ENTRIES) -> ArtifactListing:
        """List a folder."""
        ...

    def stat(self, path: str) -> ArtifactEntry:
        """Look at one file or folder."""
        ...

    def open_stream(self, path: str, *, max_bytes: int | None = None) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading, if it is not larger than `max_bytes`."""
        ...


def listing(
    entries: Iterable[ArtifactEntry], limit: int, *, hidden: int = 0, notes: Iterable[str] = ()
) -> ArtifactListing:
    """Sort entries, folders first, and cut them at the limit, saying so; `hidden` more were cut before."""
    ordered = sorted(entries, key=lambda entry: (not entry.is_dir, entry.path))
    shown, total = tuple(ordered[:limit]), len(ordered) + hidden
    cut = f"The first {len(shown):,} of {total:,} entries are shown, {total - len(shown):,} are not."
    return ArtifactListing(shown, total, (*notes, cut) if total > len(shown) else tuple(notes))


def path_parts(path: str) -> tuple[str, ...]:
    """Split an artifact path, refusing everything that could lead out of its root on any system.

    Raises
    ------
    ArtifactError
        For an absolute path, `..`, a drive letter, a backslash, NUL or text that is no Unicode, also where
        these are percent-encoded.
    """
    reason = path_refusal(path)
    if reason:
        raise ArtifactError(
            f"The artifact path {path[:200]!a} is refused: {reason}. Paths are relative to the run's "
            "artifacts, with forward slashes, such as plots/equity.png."
        )
    return tuple(part for part in path.split("/") if part not in ("", "."))


def path_refusal(path: str) -> str:
    """Say why an artifact path is refused; empty when it is taken."""
    for reading in (path, unquote(path), unquote(unquote(path))):
        if "\0" in reading:
            return "it contains NUL"
        if "\\" in reading:
            return "it contains a backslash"
        if reading.startswith("/"):
            return "it is absolute"
        parts = reading.split("/")
        if ".." in parts:
            return "it contains '..'"
        if any(_DRIVE.match(part) for part in parts):
            return "it names a drive"
    if any("\ud800" <= character <= "\udfff" for character in path):
        return "it is not valid Unicode"
    return ""


def size_in_words(size: int) -> str:
    """Write a number of bytes for people: 2.1 GB."""
    if size < 1000:
        return f"{size} bytes"
    value = size / 1000
    for unit in ("kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def refuse_above(path: str, size: int, max_bytes: int | None) -> None:
    """Raise `ArtifactError` when a file is larger than what was asked for."""
    if max_bytes is not None and size > max_bytes:
        raise ArtifactError(
            f"The artifact {path} is {size_in_words(size)}, above the limit of {size_in_words(max_bytes)} for "
            "reading it at once. Download it instead."
        )

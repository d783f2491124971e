"""Which artifacts of a run are tables: from MLflow's own list of tables, and by looking around in its folders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

import orjson

from core.errors import GreenroomError, NotFoundError
from core.tables.reading import SUFFIXES

MAX_DEPTH = 2
MAX_ENTRIES = 200
MAX_FOLDERS = 12
_MODEL_FOLDERS = frozenset(("model", "models", "checkpoints", "__pycache__"))
_IMAGES = (".png", ".jpg", ".jpeg", ".svg", ".webp", ".gif")


class ArtifactEntry(Protocol):
    """A file or folder; `path` is relative to the run's artifacts."""

    @property
    def path(self) -> str: ...
    @property
    def is_dir(self) -> bool: ...
    @property
    def size(self) -> int | None: ...
    @property
    def readable(self) -> bool: ...


class Artifacts(Protocol):
    """The artifacts of one run, as `core.runs.artifacts` opens them.

    Every method raises `NotFoundError` for what is not there, and `ArtifactError` for what is refused or
    cannot be reached.
    """

    def list(self, path: str = "", *, limit: int = MAX_ENTRIES) -> Sequence[ArtifactEntry]: ...
    def stat(self, path: str) -> ArtifactEntry: ...
    def read(self, path: str, max_bytes: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file that can hold a table; `size` in bytes where it is known, `logged` if MLflow lists it as a table."""

    path: str
    size: int | None = None
    logged: bool = False

    @property
    def folder(self) -> str:
        """Where it lies; "" is the root."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of a run that were come upon.

    Attributes
    ----------
    tables : tuple of TableFile
        By the end of their names only. Those that MLflow lists come first, and may be gone.
    paths : tuple of str
        All files, these tables among them.
    notes : tuple of str
        What could not be looked at.
    """

    tables: tuple[TableFile, ...] = ()
    paths: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def others(self, taken: Iterable[TableFile]) -> tuple[str, ...]:
        """Name the tables and images beside those that were taken."""
        known = {file.path for file in taken}
        rest = (path for path in self.paths if path not in known)
        return tuple(path for path in rest if is_table(path) or path.lower().endswith(_IMAGES))


def find_files(
    artifacts: Artifacts,
    logged_artifacts_tag: str | None,
    *,
    promising: Sequence[str],
    contract_folder: str,
    is_enough: Callable[[Iterable[str]], bool],
) -> FoundFiles:
    """Find the files of a run, the tables among them. No file is opened.

    Promising folders are looked into first, others only while what was found is not enough; at most 200
    entries of a folder, 12 folders, two levels deep. Folders of models are left out.

    Parameters
    ----------
    artifacts : Artifacts
    logged_artifacts_tag : str, optional
        The run's tag ``mlflow.loggedArtifacts``.
    promising : sequence of str
        Beginnings of the names of promising folders, in lower case, best first.
    contract_folder : str
        The folder that the tables are logged under, the best of `promising`. It is looked into even if the
        root has too many entries to list it.
    is_enough : callable
        Whether paths of files, those that MLflow lists not among them, have what is looked for.

    Raises
    ------
    ArtifactError
        The run's artifacts cannot be listed.
    """
    notes: list[str] = []
    logged = _logged_tables(logged_artifacts_tag, notes)
    look = _Look(artifacts, promising, contract_folder, is_enough, notes)
    look.around()
    tables = dict.fromkeys((*logged, *filter(is_table, look.files)))
    return FoundFiles(
        tuple(TableFile(path, look.files.get(path), path in logged) for path in tables),
        tuple(dict.fromkeys((*look.files, *logged))),
        tuple(notes),
    )


@dataclass(slots=True)
class _Look:
    """A walk through the folders of a run, the promising ones first, that ends early."""

    artifacts: Artifacts
    promising: Sequence[str]
    contract_folder: str
    is_enough: Callable[[Iterable[str]], bool]
    notes: list[str]
    files: dict[str, int | None] = field(default_factory=dict)
    listed: int = 0

    def around(self) -> None:
        waiting = self._into("")
        while waiting:
            waiting.sort(key=lambda folder: folder_rank(folder, self.promising))
            folder = waiting.pop(0)
            if not is_promising(folder, self.promising) and self.is_enough(self.files):
                return
            if self.listed >= MAX_FOLDERS:
                self.notes.append(
                    f"Only the first {MAX_FOLDERS} folders of the run's artifacts were looked into; "
                    f"{len(waiting) + 1:,} more were not. A table in {self.contract_folder}/ is always found."
                )
                return
            try:
                waiting += self._into(folder)
            except NotFoundError:
                continue  # it was a guess, or has been removed since
            except GreenroomError as error:
                self.notes.append(str(error))

    def _into(self, folder: str) -> list[str]:
        """Take in the files of a folder, and give the folders below it that are worth looking into."""
        self.listed += 1
        entries = self.artifacts.list(folder, limit=MAX_ENTRIES)
        names = {entry.path.rpartition("/")[2] for entry in entries}
        if folder and "MLmodel" in names:
            return []
        self.files.update((each.path, each.size) for each in entries if not each.is_dir and each.readable)
        below = [each.path for each in entries if each.is_dir and each.readable]
        if len(entries) >= MAX_ENTRIES:
            self.notes.append(
                f"Only the first {MAX_ENTRIES} entries of {folder or 'the artifacts'} were looked at."
            )
            if not folder and self.contract_folder not in below:
                below.append(self.contract_folder)
        if folder.count("/") + 1 >= MAX_DEPTH and folder:
            return []
        return [path for path in below if path.rpartition("/")[2].lower() not in _MODEL_FOLDERS]


def _logged_tables(tag: str | None, notes: list[str]) -> tuple[str, ...]:
    if not tag:
        return ()
    try:
        listed = orjson.loads(tag)
        paths = [each["path"] for each in listed if each.get("type") == "table"]
    except (orjson.JSONDecodeError, TypeError, AttributeError, KeyError):
        notes.append(
            "The tag mlflow.loggedArtifacts cannot be read; tables were looked for by listing artifacts."
        )
        return ()
    return tuple(dict.fromkeys(path for path in paths if isinstance(path, str) and is_table(path)))


def is_table(path: str) -> bool:
    """Whether a file can be a table, by the end of its name."""
    return path.lower().endswith(SUFFIXES)


def is_promising(folder: str, promising: Sequence[str]) -> bool:
    """Whether a part of a folder's path begins with one of the promising names."""
    return folder_rank(folder, promising)[0] < len(promising)


def folder_rank(folder: str, promising: Sequence[str]) -> tuple[int, int, str]:
    """Order folders by the best of their names, then the shallow ones."""
    places = (
        place
        for place, name in enumerate(promising)
        for part in folder.lower().split("/")
        if part.startswith(name)
    )
    return min(places, default=len(promising)), folder.count("/"), folder


def suffix_rank(path: str) -> int:
    """Order the formats of one table: Parquet, JSON, CSV."""
    return (".parquet", ".json", ".csv").index(PurePosixPath(path).suffix.lower())

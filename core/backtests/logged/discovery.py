"""Which artifacts of a run are tables of a backtest: from MLflow's own list of tables, and by looking around."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Protocol

import orjson

from core.backtests.logged.column_names import is_trade_name, name_words
from core.backtests.logged.tables import SUFFIXES
from core.errors import GreenroomError, NotFoundError

MAX_DEPTH = 2
MAX_ENTRIES = 200
MAX_FOLDERS = 12
CONTRACT_FOLDER, CONTRACT_NAME = "backtest", "portfolio_values"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FOLDERS = (
    "backtest",
    "evaluation",
    "eval",
    "results",
    "report",
    "validation",
    "test",
    "performance",
    "trading",
)
_CURVE_WORDS = (
    "portfolio",
    "equity",
    "nav",
    "networth",
    "balance",
    "returns",
    "return",
    "curve",
    "account",
    "backtest",
    "performance",
)
_BESIDES = _words(
    "benchmark market monthly yearly annual weekly rolling drawdown drawdowns distribution train "
    "training stats metrics summary"
)
_OTHER_TABLES = _words(
    "predictions prediction forecast forecasts importance features feature params config schema "
    "input example confusion metrics dataset requirements"
)
_RESULTS = _words("results backtest backtest_results backtest_report report")
_MODEL_FOLDERS = _words("model models checkpoints __pycache__")
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

    @property
    def is_contract(self) -> bool:
        """Whether it goes by the name that curves are logged under."""
        return PurePosixPath(self.path).stem.lower() == CONTRACT_NAME


@dataclass(frozen=True, slots=True)
class Found:
    """What a run has for a backtest, best first.

    Attributes
    ----------
    curves, trades, results : tuple of TableFile
        By name only; what is in them is not known yet.
    others : tuple of str
        Other tables and images, for a run that has no curve.
    notes : tuple of str
        What could not be looked at.
    """

    curves: tuple[TableFile, ...] = ()
    trades: tuple[TableFile, ...] = ()
    results: tuple[TableFile, ...] = ()
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_tables(artifacts: Artifacts, logged_artifacts_tag: str | None) -> Found:
    """Find the tables of a run that can hold its backtest. No file is opened.

    Folders named like a backtest are looked into first, others only while no curve is found; at most 200
    entries of a folder, 12 folders, two levels deep. Folders of models are left out.

    Parameters
    ----------
    artifacts : Artifacts
    logged_artifacts_tag : str, optional
        The run's tag ``mlflow.loggedArtifacts``.

    Raises
    ------
    ArtifactError
        The run's artifacts cannot be listed.
    """
    notes: list[str] = []
    logged = _logged_tables(logged_artifacts_tag, notes)
    look = _Look(artifacts, notes)
    look.around()
    files = {path: TableFile(path, look.files.get(path), logged=True) for path in logged}
    tables = (path for path in look.files if _is_table(path))
    files |= {path: TableFile(path, look.files[path], path in logged) for path in tables}
    results = [file for file in files.values() if _is_results(file.path)]
    trades = [file for file in files.values() if file not in results and is_trade_name(file.path)]
    curves = [
        file for file in files.values() if file not in results and file not in trades and _may_be_curve(file)
    ]
    taken = {file.path for file in (*results, *trades, *curves)}
    others = (path for path in {**look.files, **files} if path not in taken)
    return Found(
        tuple(sorted(curves, key=_curve_rank)),
        tuple(sorted(trades, key=_trades_rank)),
        tuple(sorted(results, key=_trades_rank)),
        tuple(path for path in others if _is_table(path) or path.lower().endswith(_IMAGES)),
        tuple(notes),
    )


@dataclass(slots=True)
class _Look:
    """A walk through the folders of a run, the promising ones first, that ends early."""

    artifacts: Artifacts
    notes: list[str]
    files: dict[str, int | None] = field(default_factory=dict)
    listed: int = 0

    def around(self) -> None:
        waiting = self._into("")
        while waiting:
            waiting.sort(key=_folder_rank)
            folder = waiting.pop(0)
            promising = _folder_rank(folder)[0] < len(_FOLDERS)
            if not promising and any(map(names_curve, self.files)):
                return
            if self.listed >= MAX_FOLDERS:
                self.notes.append(
                    f"Only the first {MAX_FOLDERS} folders of the run's artifacts were looked into; "
                    f"{len(waiting) + 1:,} more were not. A table in backtest/ is always found."
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
            if not folder and CONTRACT_FOLDER not in below:
                below.append(CONTRACT_FOLDER)
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
    return tuple(dict.fromkeys(path for path in paths if isinstance(path, str) and _is_table(path)))


def _is_table(path: str) -> bool:
    return path.lower().endswith(SUFFIXES)


def _is_results(path: str) -> bool:
    file = PurePosixPath(path.lower())
    return file.suffix == ".json" and file.stem in _RESULTS


def names_curve(path: str) -> bool:
    """Whether a table is called what curves are called."""
    return _is_table(path) and not is_trade_name(path) and _curve_word(path) < len(_CURVE_WORDS)


def _curve_word(path: str) -> int:
    """Give the place of the best word in its name that curves go by; past the last one without any."""
    words = name_words(path)
    joined = re.sub(r"[^a-z]", "", PurePosixPath(path).stem.lower())
    return next(
        (place for place, word in enumerate(_CURVE_WORDS) if word in words or word == joined),
        len(_CURVE_WORDS),
    )


def _may_be_curve(file: TableFile) -> bool:
    """Take a name that tells; without one, MLflow's own tables and those in promising folders."""
    if names_curve(file.path):
        return True
    promising = _folder_rank(file.folder)[0] < len(_FOLDERS)
    return (file.logged or promising) and _OTHER_TABLES.isdisjoint(name_words(file.path))


def _folder_rank(path: str) -> tuple[int, int, str]:
    """Order folders by the best of their names, then the shallow ones."""
    places = (
        place
        for place, name in enumerate(_FOLDERS)
        for part in path.lower().split("/")
        if part.startswith(name)
    )
    return min(places, default=len(_FOLDERS)), path.count("/"), path


def _curve_rank(file: TableFile) -> tuple[object, ...]:
    contract = file.is_contract and file.folder == CONTRACT_FOLDER
    besides = len(_BESIDES & name_words(file.path))
    place = (*_folder_rank(file.folder), not file.logged, _suffix_rank(file.path), file.path)
    return (not contract, not file.is_contract, besides, _curve_word(file.path), *place)


def _trades_rank(file: TableFile) -> tuple[object, ...]:
    exact = PurePosixPath(file.path).stem.lower() in ("trades", "results")
    return (not exact, *_folder_rank(file.folder), not file.logged, _suffix_rank(file.path), file.path)


def _suffix_rank(path: str) -> int:
    return (".parquet", ".json", ".csv").index(PurePosixPath(path).suffix.lower())

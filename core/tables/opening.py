"""Opening the tables of a run: none larger than a limit, and those that stand inside other JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from core.tables.discovery import Artifacts, TableFile
from core.tables.errors import NotATableError, TableError
from core.tables.json_tables import parse_json, table_from_json
from core.tables.reading import read_table

_TIME_KEYS = ("time", "times", "dates", "date", "timestamps", "index")


@dataclass(frozen=True, slots=True)
class TableOpener:
    """Opens tables of one run that are no larger than a limit, in bytes."""

    artifacts: Artifacts
    max_bytes: int

    def frame(self, file: TableFile, keys: Sequence[str]) -> pl.DataFrame:
        """Read a table; in JSON that is none, take what stands under one of the keys.

        Values alone under a key, by date or beside a list of dates, become the columns time and value.

        Raises
        ------
        EmptyTableError
            The table, or what stands under a key, has no rows.
        NotATableError
            It holds something else, and none of the keys.
        TableError
            It is too large, damaged, or has values without dates.
        NotFoundError, ArtifactError
            It is gone, or cannot be reached.
        """
        size = file.size if file.size is not None else self.artifacts.stat(file.path).size
        if size is not None and size > self.max_bytes:
            raise TableError(
                f"The table {file.path} has {_megabytes(size)}, above the limit of {_megabytes(self.max_bytes)}; "
                "nothing of it was read. Log fewer rows, or Parquet instead of text."
            )
        content = self.artifacts.read(file.path, self.max_bytes)
        if not file.path.lower().endswith(".json") or not content.strip():
            return read_table(file.path, content)
        return _frame_within(file.path, parse_json(file.path, content), keys)


def _frame_within(path: str, value: Any, keys: Sequence[str]) -> pl.DataFrame:
    """Make a frame of a table, or of one that stands in a dict under one of the keys."""
    parts = {key: value[key] for key in keys if key in value} if isinstance(value, dict) else {}
    for part in parts.values():
        if part == [] or _is_table_like(part):
            return table_from_json(path, part)
    try:
        return table_from_json(path, value)
    except NotATableError:
        if not parts:
            raise
    name, part = next(iter(parts.items()))
    if isinstance(part, dict):  # from dates to values
        return table_from_json(path, {"time": list(part), "value": list(part.values())})
    times = next((value[key] for key in _TIME_KEYS if key in value), None)
    if isinstance(part, list) and isinstance(times, list) and len(times) == len(part):
        return table_from_json(path, {"time": times, "value": part})
    raise TableError(
        f"{path} has {name} without a date for each value. Log records with a time and a value instead."
    )


def _is_table_like(part: Any) -> bool:
    if isinstance(part, list):
        return bool(part) and isinstance(part[0], dict)
    return isinstance(part, dict) and any(isinstance(each, (list, dict)) for each in part.values())


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"

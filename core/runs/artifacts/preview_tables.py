"""Tables made from the bytes of an artifact: CSV, Parquet and MLflow's log_table, cut to what a page shows."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MAX_ROWS = 1_000
MAX_COLUMNS = 200
_SEPARATORS = (",", ";", "\t")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?|[+-]?inf")
_NAMES_SOMETHING = re.compile(r"[+-]?0[0-9]")  # 007 is a store, not the number 7
_LOSES_DIGITS = re.compile(r"[+-]?[0-9]{16}")
_MISSING = frozenset({"", "nan", "NaN", "NA", "N/A", "null", "NULL", "None"})
_TRUTHS = {"true": True, "false": False}
_MAX_UNPACKED = 500_000_000  # a few kilobytes of Parquet can promise any amount


class NoTableError(ValueError):
    """The bytes hold no table that can be shown, for the reason given."""


@dataclass(frozen=True, slots=True, eq=False)
class TableHead:
    """The first rows and columns of a table, and how many it has; `total_rows` is None where not known."""

    frame: pd.DataFrame
    total_rows: int | None
    total_columns: int


def csv_table(text: str, *, truncated: bool = False) -> TableHead:
    """Read text separated by commas, semicolons or tabs; the first row names the columns.

    A column becomes int64, float64 or bool when every value is one; empty cells and words such as NA are
    then missing. Numbers with a leading zero, and those that a float would round, stay text.

    Raises
    ------
    NoTableError
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
    try:
        header = next(reader, [])
        rows = list(islice(filter(None, reader), MAX_ROWS))
        more = sum(1 for row in reader if row)
    except csv.Error as error:
        raise NoTableError(str(error)) from error
    if not header:
        raise NoTableError("it has no header")
    if truncated and not more:
        rows = rows[:-1]  # the text ends somewhere within this row
    width = max(map(len, [header, *rows]))
    columns = [
        _typed([row[index] if index < len(row) else "" for row in rows])
        for index in range(min(width, MAX_COLUMNS))
    ]
    return TableHead(_frame(header, columns), None if truncated else len(rows) + more, width)


def json_table(value: object) -> TableHead | None:
    """Read what `mlflow.log_table` writes, {"columns": [...], "data": [[...]]}; None for anything else."""
    if not isinstance(value, dict) or not {"columns", "data"} <= value.keys() <= {"columns", "data", "index"}:
        return None
    names, data = value["columns"], value["data"]
    if not isinstance(names, list) or not isinstance(data, list) or not names:
        return None
    if any(not isinstance(row, list) or len(row) != len(names) for row in data):
        return None
    shown = range(min(len(names), MAX_COLUMNS))
    columns = [pd.Series([row[index] for row in data[:MAX_ROWS]]) for index in shown]
    return TableHead(_frame([str(name) for name in names], columns), len(data), len(names))


def parquet_table(data: bytes) -> TableHead:
    """Read a whole Parquet file; only the row groups that are shown are unpacked.

    Raises
    ------
    NoTableError
    """
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            names, total = file.schema_arrow.names, file.metadata.num_rows
            batches, rows = [], 0
            for batch in file.iter_batches(MAX_ROWS, _first_groups(file.metadata), names[:MAX_COLUMNS]):
                batches.append(batch.slice(0, MAX_ROWS - rows))
                rows += batches[-1].num_rows
                if rows >= MAX_ROWS:
                    break
            empty = file.schema_arrow.empty_table()
        table = pa.Table.from_batches(batches) if batches else empty
        table.validate(full=True)  # text that is no Unicode would fail later, where it is drawn
        columns = [column.to_pandas() for column in table.columns[:MAX_COLUMNS]]
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise NoTableError(str(error).partition("\n")[0][:200]) from error
    return TableHead(_frame(table.column_names, columns), total, len(names))


def _first_groups(metadata: pq.FileMetaData) -> list[int]:
    groups: list[int] = []
    rows = size = 0
    for index in range(metadata.num_row_groups):
        if rows >= MAX_ROWS:
            break
        group = metadata.row_group(index)
        rows, size = rows + group.num_rows, size + group.total_byte_size
        groups.append(index)
    if size > _MAX_UNPACKED:
        raise NoTableError(f"its first rows unpack to {size / 1e6:,.0f} MB")
    return groups


def _separator(text: str) -> str:
    sample = text[:50_000]

    def fitting_rows(separator: str) -> tuple[int, int]:
        try:
            rows = [
                row
                for row in islice(csv.reader(io.StringIO(sample, newline=""), delimiter=separator), 20)
                if row
            ]
        except csv.Error:
            return 0, 0
        width = len(rows[0]) if rows else 0
        return (sum(1 for row in rows if len(row) == width), width) if width > 1 else (0, 0)

    return max(_SEPARATORS, key=fitting_rows)


def _typed(values: Sequence[str]) -> pd.Series:
    words = [value.strip() for value in values]
    present = [word for word in words if word not in _MISSING]
    if present and len(present) == len(words) and all(word.lower() in _TRUTHS for word in present):
        return pd.Series([_TRUTHS[word.lower()] for word in words])
    if any(_NAMES_SOMETHING.match(word) for word in present):
        return _text(values)
    if present and len(present) == len(words) and all(map(_WHOLE.fullmatch, present)):
        numbers = [int(word) for word in words]
        return pd.Series(numbers, dtype="int64") if max(map(abs, numbers)) < 2**63 else _text(values)
    if all(_NUMBER.fullmatch(word) and not _LOSES_DIGITS.match(word) for word in present):
        return pd.Series(
            [float("nan") if word in _MISSING else float(word) for word in words], dtype="float64"
        )
    return _text(values)


def _text(values: Sequence[str]) -> pd.Series:
    return pd.Series([value or None for value in values], dtype="str")


def _frame(names: Sequence[str], columns: Iterable[pd.Series]) -> pd.DataFrame:
    """Put columns together under names that are text, not empty and not repeated."""
    named: dict[str, pd.Series] = {}
    for number, column in enumerate(columns, 1):
        name = names[number - 1].strip() if number <= len(names) else ""
        unique = name = name or f"column {number}"
        repeat = 2
        while unique in named:
            unique, repeat = f"{name} ({repeat})", repeat + 1
        named[unique] = column
    return pd.DataFrame(named)

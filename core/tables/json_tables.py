"""Tables of JSON: the layouts that MLflow, pandas and people write, parsed and made into a frame."""

from __future__ import annotations

import gc
import re
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

import orjson
import polars as pl

from core.tables.errors import TableError, no_table, not_utf8, refuse_empty, refuse_wide

INDEX = "index"
_BARE_NAN = re.compile(rb"(?<=[\[,:\s])(?:-?Infinity|NaN)(?=[\],}\s])")  # Python's json writes these


def parse_json(path: str, content: bytes) -> Any:
    """Parse JSON, one value or one a line; NaN and Infinity, which Python writes, become null.

    Raises
    ------
    TableError
        It is cut off, damaged or not UTF-8.
    """
    text = content.removeprefix(BOM_UTF8)
    try:
        return _loads(text)
    except orjson.JSONDecodeError as error:
        failure = error
    lines = text.strip().split(b"\n")
    if len(lines) > 1 and lines[0].startswith(b"{") and lines[0].rstrip().endswith(b"}"):
        text = b"[" + b",\n".join(line for line in lines if line.strip()) + b"]"
    for clean in (bytes, partial(_BARE_NAN.sub, b"null")):
        try:
            return _loads(clean(text))
        except orjson.JSONDecodeError as error:
            failure = error
    line = f"line {failure.lineno:,}"
    if "UTF-8" in failure.msg:
        raise not_utf8(path, content)
    if failure.msg == "unexpected end of data" or failure.pos >= len(failure.doc) - 1:
        raise TableError(
            f"The JSON of {path} is cut off in the middle, at byte {len(content):,} ({line}). Logging it was "
            "probably interrupted; log the table again."
        )
    raise TableError(f"{path} is no valid JSON: {failure.msg} in {line}. Log the table again.")


def _loads(text: bytes) -> Any:
    """Parse without collecting garbage: to look through a list a row for circles takes as long as parsing."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(text)
    finally:
        if collecting:
            gc.enable()


def table_from_json(path: str, value: Any) -> pl.DataFrame:
    """Make a frame of parsed JSON; the layouts are those of `read_table`.

    Raises
    ------
    NotATableError
        It has no layout of a table.
    EmptyTableError
        It has no rows.
    TableError
        Its rows do not fit its columns.
    """
    if isinstance(value, list):
        return _frame(path, _columns_of_records(path, value))
    if isinstance(value, dict):
        data = value.get("data")
        if isinstance(value.get("columns"), list) and isinstance(data, list):
            return _frame(path, _columns_of_split(path, value["columns"], data, value.get("index")))
        if isinstance(data, list) and data and isinstance(data[0], dict):
            return _frame(path, _columns_of_records(path, data))
        kinds = set(map(type, value.values()))
        if kinds == {list} and len(set(map(len, value.values()))) == 1:
            return _frame(path, value)
        if kinds == {dict}:
            return _frame(path, _columns_of_columns(path, value))
    raise no_table(path)


def unique_names(names: Sequence[Any]) -> list[str]:
    """Write names as text, and number those that come again: a, a (2)."""
    seen: dict[str, None] = {}
    for each in map(str, names):
        name, repeat = each, 2
        while name in seen:
            name, repeat = f"{each} ({repeat})", repeat + 1
        seen[name] = None
    return list(seen)


def _columns_of_split(path: str, names: list[Any], data: list[Any], index: Any) -> dict[str, Sequence[Any]]:
    if not data:
        return {}
    if set(map(type, data)) != {list} or set(map(len, data)) != {len(names)}:
        row = next(n for n, row in enumerate(data, 1) if not isinstance(row, list) or len(row) != len(names))
        raise TableError(f"Row {row:,} of {path} does not have the {len(names)} cells that its columns name.")
    cells, width = list(chain.from_iterable(data)), len(names)  # a tenth of the time of zip(*data)
    columns: dict[str, Sequence[Any]] = {
        name: cells[place::width] for place, name in enumerate(unique_names(names))
    }
    if isinstance(index, list) and len(index) == len(data):
        return {INDEX if INDEX not in columns else f"__{INDEX}__": index, **columns}
    return columns


def _columns_of_records(path: str, records: list[Any]) -> dict[str, Sequence[Any]]:
    if not records:
        return {}
    if set(map(type, records)) != {dict}:
        raise no_table(path)
    names = dict.fromkeys(chain.from_iterable(records))
    refuse_wide(path, len(names))
    if set(map(len, records)) == {len(names)}:
        return {name: list(map(itemgetter(name), records)) for name in names}
    return {name: [record.get(name) for record in records] for name in names}


def _columns_of_columns(path: str, columns: dict[str, dict[str, Any]]) -> dict[str, Sequence[Any]]:
    """Read {column: {index: cell}}, or {index: {column: cell}} when that is taller than wide."""
    rows = next(iter(columns.values()))
    if len(columns) > len(rows):
        return {INDEX: list(columns), **_columns_of_records(path, list(columns.values()))}
    refuse_wide(path, len(columns))
    index = list(dict.fromkeys(chain.from_iterable(columns.values())))
    name = INDEX if INDEX not in columns else f"__{INDEX}__"
    return {name: index, **{key: list(map(cells.get, index)) for key, cells in columns.items()}}


def _frame(path: str, columns: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    refuse_wide(path, len(columns))
    return refuse_empty(path, pl.DataFrame([_series(name, values) for name, values in columns.items()]))


def _series(name: str, values: Sequence[Any]) -> pl.Series:
    first = next((value for value in values if value is not None), None)
    if not isinstance(first, (dict, list)):
        for dtype in (None, pl.Float64):
            try:
                return pl.Series(name, values, dtype=dtype)
            except (TypeError, OverflowError, pl.exceptions.PolarsError):
                continue
    return pl.Series(name, list(map(_as_text, values)), dtype=pl.String)


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, (dict, list)) else str(value)

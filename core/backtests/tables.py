"""Tables from the bytes of an artifact: JSON, Parquet and CSV to a polars frame, and cells of text to numbers."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import BadInputError

SUFFIXES = (".json", ".parquet", ".csv")
MAX_COLUMNS = 1_000
MAX_UNPACKED = 500_000_000  # a few kilobytes of Parquet can promise any amount
INDEX = "index"
NO_VALUE = ("", "nan", "na", "n/a", "#n/a", "nat", "none", "null", "-", "--")
_CSV_MISSING = ("", "NA", "NaN", "nan", "null", "None")
_DECIMAL_COMMAS = "with decimal commas"
_BOM = b"\xef\xbb\xbf"
_BARE_NAN = re.compile(rb"(?<=[\[,:\s])(?:-?Infinity|NaN)(?=[\],}\s])")  # Python's json writes these
_QUOTED = re.compile(r'"[^"]*"')
_SPACES = r"[\s\u00a0\u202f\u2009'’]"
_CURRENCY = r"(?i)[$€£¥₹]|\b(?:usd|eur|gbp|jpy|chf|cop)\b"


class TableError(BadInputError):
    """An artifact holds no table that can be used, for the reason given."""


class EmptyTableError(TableError):
    """The table is there, with no row in it."""


class NotATableError(TableError):
    """The file is whole, and holds something else."""


def read_table(path: str, content: bytes) -> pl.DataFrame:
    """Read a table; what kind of file it is follows from the path.

    Parameters
    ----------
    path : str
        Ends in .json, .parquet or .csv.
    content : bytes
        JSON: {"columns", "data"} as `mlflow.log_table` writes it, with or without "index"; a list of
        records; columns by name; one record a line. CSV: separated by comma, semicolon, tab or bar, in UTF-8.

    Returns
    -------
    polars.DataFrame
        At least one row. An index is a column: "index", its own name, or "" as CSV leaves it. Nested cells of
        JSON are text.

    Raises
    ------
    EmptyTableError
        The file or the table is empty.
    NotATableError
        It holds something else.
    TableError
        It is cut off, damaged, in another encoding, or too large once unpacked.
    """
    suffix = PurePosixPath(path).suffix.lower()
    readers = {".json": _read_json, ".parquet": _read_parquet, ".csv": _read_csv}
    if suffix not in readers:
        raise NotATableError(f"{path} is no table: tables end in {', '.join(SUFFIXES)}.")
    if not content.removeprefix(_BOM).strip():
        raise EmptyTableError(
            f"The file {path} is empty. Log the table again; the run wrote nothing into it."
        )
    return _filled(path, readers[suffix](path, content))


def parse_json(path: str, content: bytes) -> Any:
    """Parse JSON, one value or one a line; NaN and Infinity, which Python writes, become null.

    Raises
    ------
    TableError
        It is cut off, damaged or not UTF-8.
    """
    text = content.removeprefix(_BOM)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        failure = error
    lines = text.strip().split(b"\n")
    if len(lines) > 1 and lines[0].startswith(b"{") and lines[0].rstrip().endswith(b"}"):
        text = b"[" + b",\n".join(line for line in lines if line.strip()) + b"]"
    for clean in (bytes, partial(_BARE_NAN.sub, b"null")):
        try:
            return orjson.loads(clean(text))
        except orjson.JSONDecodeError as error:
            failure = error
    line = f"line {failure.lineno:,}"
    if "UTF-8" in failure.msg:
        raise _not_utf8(path, content)
    if failure.msg == "unexpected end of data" or failure.pos >= len(failure.doc) - 1:
        raise TableError(
            f"The JSON of {path} is cut off in the middle, at byte {len(content):,} ({line}). Logging it was "
            "probably interrupted; log the table again."
        )
    raise TableError(f"{path} is no valid JSON: {failure.msg} in {line}. Log the table again.")


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
    raise _no_table(path)


def _read_json(path: str, content: bytes) -> pl.DataFrame:
    return table_from_json(path, parse_json(path, content))


def _columns_of_split(path: str, names: list[Any], data: list[Any], index: Any) -> dict[str, Sequence[Any]]:
    if not data:
        return {}
    if set(map(type, data)) != {list} or set(map(len, data)) != {len(names)}:
        row = next(n for n, row in enumerate(data, 1) if not isinstance(row, list) or len(row) != len(names))
        raise TableError(f"Row {row:,} of {path} does not have the {len(names)} cells that its columns name.")
    cells, width = list(chain.from_iterable(data)), len(names)  # a tenth of the time of zip(*data)
    columns: dict[str, Sequence[Any]] = {
        name: cells[place::width] for place, name in enumerate(_unique(names))
    }
    if isinstance(index, list) and len(index) == len(data):
        return {INDEX if INDEX not in columns else f"__{INDEX}__": index, **columns}
    return columns


def _columns_of_records(path: str, records: list[Any]) -> dict[str, Sequence[Any]]:
    if not records:
        return {}
    if set(map(type, records)) != {dict}:
        raise _no_table(path)
    names = dict.fromkeys(chain.from_iterable(records))
    _refuse_wide(path, len(names))
    if set(map(len, records)) == {len(names)}:
        return {name: list(map(itemgetter(name), records)) for name in names}
    return {name: [record.get(name) for record in records] for name in names}


def _columns_of_columns(path: str, columns: dict[str, dict[str, Any]]) -> dict[str, Sequence[Any]]:
    """Read {column: {index: cell}}, or {index: {column: cell}} when that is taller than wide."""
    rows = next(iter(columns.values()))
    if len(columns) > len(rows):
        return {INDEX: list(columns), **_columns_of_records(path, list(columns.values()))}
    _refuse_wide(path, len(columns))
    index = list(dict.fromkeys(chain.from_iterable(columns.values())))
    name = INDEX if INDEX not in columns else f"__{INDEX}__"
    return {name: index, **{key: list(map(cells.get, index)) for key, cells in columns.items()}}


def _frame(path: str, columns: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    _refuse_wide(path, len(columns))
    return _filled(path, pl.DataFrame([_series(name, values) for name, values in columns.items()]))


def _filled(path: str, frame: pl.DataFrame) -> pl.DataFrame:
    if not frame.height or not frame.width:
        raise EmptyTableError(f"The table {path} has no rows. The run logged it before it had any results.")
    return frame


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


def _read_parquet(path: str, content: bytes) -> pl.DataFrame:
    try:
        with pq.ParquetFile(io.BytesIO(content)) as file:
            meta = file.metadata
            size = sum(meta.row_group(number).total_byte_size for number in range(meta.num_row_groups))
            _refuse_wide(path, meta.num_columns)
            if size > MAX_UNPACKED:
                raise TableError(f"The table {path} unpacks to {size / 1e6:,.0f} MB, which is not read.")
            table = file.read()
        table.validate(full=True)
        names = [INDEX if name.startswith("__index_level_") else name for name in table.column_names]
        frame = pl.from_arrow(table.rename_columns(_unique(names)))
    except (
        pa.ArrowException,
        pl.exceptions.PolarsError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
    ) as error:
        reason = str(error).partition("\n")[0][:200].rstrip(".")
        raise TableError(
            f"{path} is no readable Parquet file: {reason}. Logging it was probably interrupted; log it again."
        ) from error
    if not isinstance(frame, pl.DataFrame):
        raise _no_table(path)
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _read_csv(path: str, content: bytes) -> pl.DataFrame:
    content = content.removeprefix(_BOM)
    try:
        head = content.decode("utf-8")[:20_000]
    except UnicodeDecodeError:
        raise _not_utf8(path, content) from None
    separator = _separator(head)
    try:  # all as text first: a guess from the first rows fails where 100 is followed by 100.5 later
        frame = pl.read_csv(content, separator=separator, infer_schema=False)
    except pl.exceptions.NoDataError as error:
        raise EmptyTableError(f"The table {path} has no rows.") from error
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0][:200]
        raise TableError(
            f"{path} cannot be read as CSV: {reason}. Every row needs the cells of the header."
        ) from error
    _refuse_wide(path, frame.width)
    frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    return frame.with_columns(_typed(column, decimal_comma=separator != ",") for column in frame)


def _separator(text: str) -> str:
    lines = [_QUOTED.sub("", line) for line in text.splitlines() if line.strip()][:2] or [""]

    def fit(separator: str) -> tuple[bool, int]:
        counts = [line.count(separator) for line in lines]
        return counts[0] > 0 and counts[0] == counts[-1], counts[0]

    return max((",", ";", "\t", "|"), key=fit)


def _typed(column: pl.Series, *, decimal_comma: bool) -> pl.Series:
    words = column.set(column.is_in(_CSV_MISSING).fill_null(value=False), None)
    for dtype in (pl.Int64, pl.Float64):
        numbers = words.cast(dtype, strict=False)
        if numbers.null_count() == words.null_count():
            return numbers
    if decimal_comma:
        numbers, reading = text_to_numbers(column)
        if reading == _DECIMAL_COMMAS and numbers.null_count() == words.null_count():
            return numbers
    return words


def text_to_numbers(column: pl.Series) -> tuple[pl.Series, str]:
    """Read a column of text as numbers.

    Returns
    -------
    polars.Series of Float64
        Null where a cell is missing, and where it is no number beyond doubt: percentages beside plain
        numbers, "12 34", commas that are thousands in one row and decimals in another.
    str
        How text was read: "" for plain numbers, else a few words.
    """
    words = column.str.strip_chars()
    words = words.set(words.str.to_lowercase().is_in(NO_VALUE).fill_null(value=False), None)
    plain = words.cast(pl.Float64, strict=False)
    if plain.null_count() == words.null_count():
        return plain, ""
    words = words.str.replace_all(_CURRENCY, "").str.strip_chars().str.replace("−", "-", literal=True)
    words = words.str.replace(r"^\((.+)\)$", "-$1").str.replace(r"^([+-])\s+", "$1")
    grouped = words.str.contains(rf"^[+-]?\d{{1,3}}(?:{_SPACES}\d{{3}})+(?:[.,]\d*)?%?$").fill_null(
        value=False
    )
    words = words.zip_with(~grouped, words.str.replace_all(_SPACES, ""))
    percent = words.str.ends_with("%").fill_null(value=False)
    words = words.str.replace(r"\s*%$", "")
    words, reading = _without_commas(words)
    numbers = words.cast(pl.Float64, strict=False)
    if percent.any():
        numbers = (numbers / 100).set(~percent & (numbers != 0), None)
        reading = " and ".join(filter(None, ("as percentages", reading)))
    return numbers, reading or "without signs and spaces"


def _without_commas(words: pl.Series) -> tuple[pl.Series, str]:
    commas = words.str.contains(",", literal=True).fill_null(value=False)
    if not commas.any():
        return words, ""
    with_comma = words.filter(commas)
    thousands = with_comma.str.contains(r"^[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?$")
    decimals = with_comma.str.contains(r"^[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d*$")
    if thousands.all():  # "1,234" throughout can be either; a scale of 1000 leaves returns as they are
        return words.str.replace_all(",", "", literal=True), "with commas between thousands"
    if not decimals.all():
        return words, ""
    dots = words.str.contains(r"^[+-]?\d{1,3}(?:\.\d{3})+(?:,|$)").fill_null(value=False)
    words = words.zip_with(~dots, words.str.replace_all(".", "", literal=True))
    return words.str.replace(",", ".", literal=True), _DECIMAL_COMMAS


def numbers_of(frame: pl.DataFrame, name: str, path: str) -> tuple[pl.Series, str]:
    """Take a column as Float64, null where it is missing or infinite, with a note on how text was read.

    Raises
    ------
    TableError
        Cells are no numbers; the first three are named.
    """
    column, note = frame[name], ""
    if column.dtype == pl.String:
        numbers, reading = text_to_numbers(column)
        words = column.str.strip_chars().str.to_lowercase()
        bad = (numbers.is_null() & ~words.is_in(NO_VALUE)).fill_null(value=False).arg_true()
        if len(bad):
            raise cells_error(column, bad, path, "numbers")
        note = f"Text in the column {name} was read as numbers, {reading}." if reading else ""
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        numbers = column.cast(pl.Float64)
    else:
        raise TableError(
            f"The column {name} of {path} holds {column.dtype}, not numbers. Choose another column."
        )
    return numbers.set(~numbers.is_finite().fill_null(value=False), None), note


def cells_error(column: pl.Series, rows: pl.Series, path: str, wanted: str) -> TableError:
    """Say which cells of a column are not what is wanted, the first three by row and content."""
    shown = ", ".join(f"row {row + 1:,}: {str(column[row])[:40]!r}" for row in rows[:3])
    more = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
    return TableError(
        f"The column {column.name} of {path} has cells that cannot be read as {wanted} ({shown}{more}). "
        "Log it in one format, or choose another column."
    )


def _unique(names: Sequence[Any]) -> list[str]:
    seen: dict[str, None] = {}
    for each in map(str, names):
        name, repeat = each, 2
        while name in seen:
            name, repeat = f"{each} ({repeat})", repeat + 1
        seen[name] = None
    return list(seen)


def _refuse_wide(path: str, width: int) -> None:
    if width > MAX_COLUMNS:
        raise TableError(f"The table {path} has {width:,} columns, above the limit of {MAX_COLUMNS:,}.")


def _no_table(path: str) -> NotATableError:
    return NotATableError(
        f"{path} holds JSON that is no table. Log a table with mlflow.log_table, or a list of records."
    )


def _not_utf8(path: str, content: bytes) -> TableError:
    try:
        content.decode("utf-8")
        place = ""
    except UnicodeDecodeError as error:
        place = f" (byte {error.start + 1:,})"
    return TableError(f"The file {path} is not in UTF-8{place}. Save it in UTF-8 and log it again.")

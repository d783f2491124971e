"""Tables from the bytes of an artifact: JSON, Parquet or CSV, by the end of its name, to a polars frame."""

from __future__ import annotations

import io
import re
from codecs import BOM_UTF8
from pathlib import PurePosixPath

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from core.tables.cells import DECIMAL_COMMAS, text_to_numbers
from core.tables.errors import (
    EmptyTableError,
    NotATableError,
    TableError,
    no_table,
    not_utf8,
    refuse_empty,
    refuse_wide,
)
from core.tables.json_tables import INDEX, parse_json, table_from_json, unique_names

SUFFIXES = (".json", ".parquet", ".csv")
MAX_UNPACKED = 500_000_000  # a few kilobytes of Parquet can promise any amount
_CSV_MISSING = ("", "NA", "NaN", "nan", "null", "None")
_QUOTED = re.compile(r'"[^"]*"')


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
    if not content.removeprefix(BOM_UTF8).strip():
        raise EmptyTableError(
            f"The file {path} is empty. Log the table again; the run wrote nothing into it."
        )
    return refuse_empty(path, readers[suffix](path, content))


def _read_json(path: str, content: bytes) -> pl.DataFrame:
    return table_from_json(path, parse_json(path, content))


def _read_parquet(path: str, content: bytes) -> pl.DataFrame:
    try:
        with pq.ParquetFile(io.BytesIO(content)) as file:
            meta = file.metadata
            size = sum(meta.row_group(number).total_byte_size for number in range(meta.num_row_groups))
            refuse_wide(path, meta.num_columns)
            if size > MAX_UNPACKED:
                raise TableError(f"The table {path} unpacks to {size / 1e6:,.0f} MB, which is not read.")
            table = file.read()
        table.validate(full=True)
        names = [INDEX if name.startswith("__index_level_") else name for name in table.column_names]
        frame = pl.from_arrow(table.rename_columns(unique_names(names)))
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
        raise no_table(path)
    return frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))


def _read_csv(path: str, content: bytes) -> pl.DataFrame:
    content = content.removeprefix(BOM_UTF8)
    try:
        head = content.decode("utf-8")[:20_000]
    except UnicodeDecodeError:
        raise not_utf8(path, content) from None
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
    refuse_wide(path, frame.width)
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
        if reading == DECIMAL_COMMAS and numbers.null_count() == words.null_count():
            return numbers
    return words

"""What is said of a logged table that cannot be used: its errors, and the checks that end in them."""

from __future__ import annotations

import polars as pl

from core.errors import BadInputError

MAX_COLUMNS = 1_000


class TableError(BadInputError):
    """An artifact holds no table that can be used, for the reason given."""


class EmptyTableError(TableError):
    """The table is there, with no row in it."""


class NotATableError(TableError):
    """The file is whole, and holds something else."""


def refuse_empty(path: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Hand the frame on, if it has a row."""
    if not frame.height or not frame.width:
        raise EmptyTableError(f"The table {path} has no rows. The run logged it before it had any results.")
    return frame


def refuse_wide(path: str, width: int) -> None:
    """Raise a TableError for more columns than anybody logs on purpose."""
    if width > MAX_COLUMNS:
        raise TableError(f"The table {path} has {width:,} columns, above the limit of {MAX_COLUMNS:,}.")


def no_table(path: str) -> NotATableError:
    """Say that the layout is none of a table."""
    return NotATableError(
        f"{path} holds JSON that is no table. Log a table with mlflow.log_table, or a list of records."
    )


def not_utf8(path: str, content: bytes) -> TableError:
    """Say where the encoding is another one."""
    try:
        content.decode("utf-8")
        place = ""
    except UnicodeDecodeError as error:
        place = f" (byte {error.start + 1:,})"
    return TableError(f"The file {path} is not in UTF-8{place}. Save it in UTF-8 and log it again.")

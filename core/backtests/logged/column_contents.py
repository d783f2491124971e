"""What the cells of columns tell: times or steps, numbers or words, levels or returns, copies of another column."""

from __future__ import annotations

import polars as pl

from core.backtests.logged.cells import numbers_of, text_to_numbers
from core.backtests.logged.column_names import BENCHMARK_RETURNS, TIME, VALUE, WEAK_VALUE, matching, plain
from core.backtests.logged.table_errors import TableError
from core.backtests.logged.times import epoch_unit

_DATE_TEXT = (
    r"^\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{8}\b"
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}|[A-Za-z]{3,9} \d{1,2}, ?\d{4})"
)
_SAMPLE = 50


def time_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Name the candidates; columns of a date type count under any name, and "" is what to_csv calls an index."""
    named = matching(frame.columns, TIME) + tuple(name for name in frame.columns if not name.strip())
    return named + tuple(n for n in frame.columns if n not in named and _is_dates(frame[n]))


def value_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Find the columns that could be the value; the weak names, and those without numbers, only for want."""
    strong, weak = matching(frame.columns, VALUE), matching(frame.columns, WEAK_VALUE)
    for names in (strong, weak):
        if filled := tuple(name for name in names if _has_numbers(frame[name])):
            return filled
    return strong or weak


def time_kind(column: pl.Series) -> str:
    """Tell whether a column holds "times", counts "steps", or is "unreadable" as either."""
    if _is_dates(column):
        return "times"
    present = column.drop_nulls()
    if column.dtype == pl.String:
        words = present.head(_SAMPLE).str.strip_chars()
        if not words.str.contains(r"^-?\d+(?:\.0)?$").all():
            return "times" if words.str.contains(_DATE_TEXT).any() else "unreadable"
        present = words.cast(pl.Float64)
    elif not column.dtype.is_numeric():
        return "unreadable"
    return "steps" if epoch_unit(present) is None else "times"


def _is_dates(column: pl.Series) -> bool:
    return column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime)


def is_numeric(column: pl.Series) -> bool:
    """Whether it holds numbers, or text of which at least half can be read as numbers."""
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    sample = column.drop_nulls().head(_SAMPLE)
    return len(sample) > 0 and text_to_numbers(sample)[0].count() * 2 >= len(sample)


def _has_numbers(column: pl.Series) -> bool:
    return is_numeric(column) and column.null_count() < len(column)


def holds_returns(frame: pl.DataFrame, name: str, *, beside_value: bool) -> bool:
    """Whether a benchmark holds returns: its name says so, or it is small as the returns beside it are."""
    if plain(name) in BENCHMARK_RETURNS:
        return True
    try:
        numbers = numbers_of(frame, name, "")[0].drop_nulls()
    except TableError:
        return False
    small = len(numbers) > 0 and bool((numbers.abs() < 1).all())
    return small and (not beside_value or bool((numbers <= 0).any()))  # no level is zero or less


def without_copies(frame: pl.DataFrame, names: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out columns with the same numbers as an earlier one; nothing is left out beside our own name."""
    kept: dict[str, pl.Series] = {}
    for name in names:
        try:
            numbers = numbers_of(frame, name, "")[0]
        except TableError:
            numbers = frame[name]
        if not any(numbers.equals(other) for other in kept.values()):
            kept[name] = numbers
    return tuple(kept)

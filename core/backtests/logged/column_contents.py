"""What the cells of columns tell: a value, levels or returns, copies of another column."""

from __future__ import annotations

import polars as pl

from core.backtests.logged.column_names import BENCHMARK_RETURNS, VALUE, WEAK_VALUE
from core.tables.cells import numbers_of
from core.tables.contents import is_numeric
from core.tables.errors import TableError
from core.tables.names import matching, plain


def value_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Find the columns that could be the value; the weak names, and those without numbers, only for want."""
    strong, weak = matching(frame.columns, VALUE), matching(frame.columns, WEAK_VALUE)
    for names in (strong, weak):
        if filled := tuple(name for name in names if _has_numbers(frame[name])):
            return filled
    return strong or weak


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

"""What the cells of columns tell, whatever they are for: times or steps, numbers or words."""

from __future__ import annotations

import polars as pl

from core.tables.cells import text_to_numbers
from core.tables.names import TIME, matching
from core.tables.times import epoch_unit

_DATE_TEXT = (
    r"^\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{8}\b"
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}|[A-Za-z]{3,9} \d{1,2}, ?\d{4})"
)
_SAMPLE = 50


def time_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Name the candidates; columns of a date type count under any name, and "" is what to_csv calls an index."""
    named = matching(frame.columns, TIME) + tuple(name for name in frame.columns if not name.strip())
    return named + tuple(n for n in frame.columns if n not in named and _is_dates(frame[n]))


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

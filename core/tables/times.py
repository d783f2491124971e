"""Cells of a column as times in UTC: dates in the spellings people log, and numbers that count since 1970."""

from __future__ import annotations

import polars as pl

from core.tables.cells import NO_VALUE, cells_error
from core.tables.errors import TableError

MICROSECONDS = pl.Datetime("us")
_PER_UNIT = {"s": 1_000_000.0, "ms": 1_000.0, "us": 1.0, "ns": 0.001}
_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%d %H%M%S",
    "%Y-%m-%d %I:%M %p",
    "%Y-%m-%d %I:%M:%S %p",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_NUMBER_FIRST = r"^(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})"
_DAY_NUMBER = r"^(\d{4})(\d{2})(\d{2})(?:[T ]|$)"
_FIRST_YEAR, _LAST_YEAR = 1800, 2200  # a date outside is a misreading


def times_of(frame: pl.DataFrame, name: str, path: str) -> tuple[pl.Series, str]:
    """Take a column as times in UTC, datetime[us] without a zone, with a note on dates that could be read twice.

    Raises
    ------
    TableError
        It counts steps, or has cells that are no times.
    """
    column, note = frame[name], ""
    if isinstance(column.dtype, pl.Datetime):
        zoned = column.dtype.time_zone is not None
        times = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else column
        times = times.cast(MICROSECONDS)
    elif column.dtype == pl.Date:
        times = column.cast(MICROSECONDS)
    elif column.dtype == pl.String:
        words = column.str.strip_chars()
        words = words.set(words.str.to_lowercase().is_in(NO_VALUE).fill_null(value=False), None)
        if words.str.contains(r"^-?\d+(?:\.0)?$").all():
            numbers = words.str.replace(".0", "", literal=True).cast(pl.Int64, strict=False)
            times = _from_numbers(numbers, name, path)
        else:
            times, note = _from_text(words, path)
    elif column.dtype.is_numeric():
        times = _from_numbers(column, name, path)
    else:
        raise TableError(
            f"The column {name!r} of {path} holds {column.dtype}, not times. Choose another one."
        )
    sane = times.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR).fill_null(value=False)
    nothing = column.is_nan() if column.dtype.is_float() else column.is_null()
    if column.dtype == pl.String:
        nothing = words.is_null()
    bad = (~sane & ~nothing & column.is_not_null()).arg_true()
    if len(bad):
        raise cells_error(column, bad, path, "times")
    return times, note


def epoch_unit(numbers: pl.Series) -> str | None:
    """Tell what whole numbers count, by their size: "s", "ms", "us", "ns", "days" for 20240131, None for steps."""
    typical = numbers.abs().median()
    if not isinstance(typical, (int, float)):
        return None
    if 19_000_101 <= typical <= 21_001_231:
        days = numbers.drop_nulls().cast(pl.Int64)
        month, day = days // 100 % 100, days % 100
        return "days" if (month.is_between(1, 12) & day.is_between(1, 31)).all() else None
    for unit, limit in (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", 1e20)):
        if typical < limit:
            return unit if typical >= 1e8 else None
    return None


def _from_numbers(numbers: pl.Series, name: str, path: str) -> pl.Series:
    unit = epoch_unit(numbers.drop_nans() if numbers.dtype.is_float() else numbers)
    if unit is None:
        raise TableError(
            f"The column {name!r} of {path} counts steps, not dates, so nothing can be said per year. Log the "
            "date of each row in a column named time."
        )
    if unit == "days":
        words = numbers.cast(pl.Int64, strict=False).cast(pl.String)
        return words.str.to_datetime("%Y%m%d", strict=False, time_unit="us")
    if numbers.dtype.is_integer():
        factor = int(_PER_UNIT[unit])
        numbers = numbers.cast(pl.Int64, strict=False)
        return (numbers * factor if factor else numbers // 1_000).cast(MICROSECONDS)
    return (numbers * _PER_UNIT[unit]).round().cast(pl.Int64, strict=False).cast(MICROSECONDS)


def _from_text(words: pl.Series, path: str) -> tuple[pl.Series, str]:
    note, column = "", words
    if words.str.contains(_NUMBER_FIRST).any():
        first = words.str.extract(_NUMBER_FIRST, 1).cast(pl.Int32)
        second = words.str.extract(_NUMBER_FIRST, 3).cast(pl.Int32)
        dotted = (words.str.extract(_NUMBER_FIRST, 2) == ".").all()
        if (first > 12).any() and (second > 12).any():
            raise cells_error(column, (second > 12).fill_null(value=False).arg_true(), path, "day/month/year")
        day_first = bool((first > 12).any()) or (dotted and not (second > 12).any())
        if not day_first and not (second > 12).any():
            note = f"Dates such as {words.drop_nulls()[0]} were read as month/day/year; no row tells which it is."
        words = words.str.replace(_NUMBER_FIRST, "${4}-${3}-${1}" if day_first else "${4}-${1}-${3}")
    times = _parsed(words)
    rest = (times.is_null() & words.is_not_null()).arg_true()
    if len(rest):
        again = words.gather(rest).str.replace(r"^(\d{4})[/.](\d{1,2})[/.]", "${1}-${2}-")
        again = again.str.replace(_DAY_NUMBER, "${1}-${2}-${3} ").str.strip_chars()
        again = again.str.replace(r"\s*(?:UTC|GMT|z)$", "Z").str.replace(r"(:\d{2}),(\d)", "${1}.${2}")
        times = times.scatter(rest, _parsed(again))
    return times, note


def _parsed(words: pl.Series) -> pl.Series:
    """Try the formats, those that fit the first cell first, each on what is left."""
    times = pl.Series(words.name, [None], dtype=MICROSECONDS).new_from_index(0, len(words))
    sample = words.drop_nulls().head(1)
    fitting = [each for each in _FORMATS if _parsed_as(sample, each).null_count() == 0]
    for each in dict.fromkeys((*fitting, *_FORMATS)):
        left = (times.is_null() & words.is_not_null()).arg_true()
        if not len(left):
            break
        times = times.scatter(left, _parsed_as(words.gather(left), each))
    return times


def _parsed_as(words: pl.Series, written: str) -> pl.Series:
    times = words.str.to_datetime(written, strict=False, time_unit="us")
    return times.dt.replace_time_zone(None)

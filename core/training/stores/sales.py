"""Sales of many stores from a file: read, checked, and refused with the rows that are wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from core.errors import BadInputError
from core.tables.cells import numbers_of
from core.tables.errors import EmptyTableError
from core.tables.names import natural_key
from core.tables.reading import SUFFIXES, read_table
from core.tables.times import times_of
from core.training.stores.calendar import Frequency, find_frequency
from core.training.stores.columns import ColumnNames, GivenColumns, find_columns

_SHOWN: Final = 3
_CLOSED: Final = ("0", "0.0", "false", "f", "no", "n", "closed")
_ZONE: Final = r"(:\d{2}(?:\.\d+)?)\s*(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"
_ROW = "row"


@dataclass(frozen=True, slots=True, eq=False)
class Sales:
    """Checked sales.

    Attributes
    ----------
    frame : DataFrame
        A row a store and period in which it was open, by store, then date: store (String), date (Date), sales
        (Float64, no nulls), and the known columns as Float32 (texts as the place of their value in order).
    stores : tuple of str
        In natural order: 2 before 10.
    partners : dict of str to str
        For the stores that have one.
    columns : ColumnNames
    frequency : Frequency
    notes : tuple of str
        What was left out or assumed.
    """

    frame: pl.DataFrame
    stores: tuple[str, ...]
    partners: dict[str, str]
    columns: ColumnNames
    frequency: Frequency
    notes: tuple[str, ...]


def read_sales(
    path: Path,
    given: GivenColumns | None = None,
    *,
    encoding: str = "utf-8",
    drop_negative: bool = False,
    most: int | None = None,
) -> Sales:
    """Read a CSV, Parquet or JSON file of sales.

    Parameters
    ----------
    given : GivenColumns, optional
        Columns by name; those that are not given are recognised.
    encoding : str
        Of a text file.
    drop_negative : bool
        Whether negative sales are taken as missing instead of refused.
    most : int, optional
        Only so many stores, the first in natural order.

    Raises
    ------
    BadInputError
        If the file, a column, a date or a value cannot be used. It names the rows, counted from 1 below the
        header.
    """
    try:
        raw = read_table(path.name, _content(path, encoding))
    except EmptyTableError as error:
        raise BadInputError(f"{path.name} has no rows of sales. Export them again.") from error
    columns = find_columns(raw.columns, given or GivenColumns(), path.name)
    notes: list[str] = []
    frame = _typed(raw, columns, path.name, notes)
    frame = _without_unusable(frame, columns, path.name, drop_negative, notes)
    stores = sorted(frame["store"].unique(), key=natural_key)
    if most is not None and most < len(stores):
        stores = stores[:most]
        frame = frame.filter(pl.col("store").is_in(stores))
        notes.append(f"Only the first {most:,} stores are used.")
    _refuse_doubles(frame, path.name)
    frequency = find_frequency(frame.select("store", "date", _ROW), path.name)
    if columns.left_out:
        notes.append(
            f"Not known in advance, so not used: {', '.join(columns.left_out)}. Name what is known with --known."
        )
    return Sales(
        frame.drop(_ROW, "partner").sort("store", "date"),
        tuple(stores),
        _partners(frame, notes),
        columns,
        frequency,
        tuple(notes),
    )


def _content(path: Path, encoding: str) -> bytes:
    if path.suffix.lower() not in SUFFIXES:
        raise BadInputError(f"{path.name} is no file of sales: give one that ends in {', '.join(SUFFIXES)}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.") from error
    if path.suffix.lower() == ".parquet":
        return content
    try:
        text = content.decode(encoding)
        if "\0" in text:
            raise ValueError("it has zero bytes")
        return text.encode()
    except (ValueError, LookupError) as error:
        raise BadInputError(
            f"{path.name} is not in the encoding {encoding}: {error}. Name its own with --encoding, such as utf-16 or "
            "latin-1, or save it in UTF-8."
        ) from error


def _typed(raw: pl.DataFrame, columns: ColumnNames, path: str, notes: list[str]) -> pl.DataFrame:
    """Take the columns in our names and types, and number the rows from 1."""
    times, note = times_of(raw.with_columns(_local(raw[columns.date])), columns.date, path)
    sales, reading = numbers_of(raw, columns.sales, path)
    notes += [one for one in (note, reading) if one]
    stores = _codes(raw[columns.store]).alias("store")
    days = times.cast(pl.Date).alias("date")
    _refuse_hours(stores, days, times, columns.date, path)
    parts = [
        pl.Series(_ROW, range(1, raw.height + 1), dtype=pl.Int64),
        stores,
        days,
        sales.alias("sales"),
        (
            _codes(raw[columns.partner])
            if columns.partner
            else pl.Series([None] * raw.height, dtype=pl.String)
        ).alias("partner"),
    ]
    if columns.open:
        parts.append(_is_closed(raw[columns.open]).alias("closed"))
    parts += [_known(raw[name]).alias(f"known_{place}") for place, name in enumerate(columns.known)]
    named = {f"known_{place}": name for place, name in enumerate(columns.known)}
    return pl.DataFrame(parts).rename({key: f"known:{name}" for key, name in named.items()})


def _local(column: pl.Series) -> pl.Series:
    """Leave out time zones: sales belong to the day that the store's own clock showed."""
    if column.dtype == pl.String:
        return column.str.strip_chars().str.replace(_ZONE, "${1}")
    return column.dt.replace_time_zone(None) if isinstance(column.dtype, pl.Datetime) else column


def _refuse_hours(stores: pl.Series, days: pl.Series, times: pl.Series, name: str, path: str) -> None:
    if not (times != days.cast(times.dtype)).fill_null(value=False).any():
        return
    seen = pl.DataFrame([stores, days, times.alias("time")]).drop_nulls().unique()
    several = seen.filter(pl.struct("store", "date").is_duplicated()).sort("store", "time")
    if several.height:
        raise BadInputError(
            f"{path} has several times a day in '{name}' (such as {several['time'][0]} and {several['time'][1]} of "
            f"store {several['store'][0]}). Add its sales up by day first."
        )


def _codes(column: pl.Series) -> pl.Series:
    """Write store codes as text, 7 for 7.0."""
    if column.dtype.is_float():
        column = column.fill_nan(None)
    if column.dtype.is_float() and (column.drop_nulls() % 1 == 0).all():
        column = column.cast(pl.Int64)
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _is_closed(column: pl.Series) -> pl.Series:
    if column.dtype == pl.String:
        return column.str.strip_chars().str.to_lowercase().is_in(_CLOSED)
    return column.cast(pl.Float32, strict=False) == 0


def _known(column: pl.Series) -> pl.Series:
    """Turn a column into numbers; texts become the place of their value in order."""
    if column.dtype == pl.String:
        values = column.drop_nulls().unique().sort()
        places = pl.Series(range(len(values)), dtype=pl.Float32)
        return column.replace_strict(values, places, default=None, return_dtype=pl.Float32)
    if column.dtype.is_temporal():
        return column.to_physical().cast(pl.Float32)
    return column.cast(pl.Float32, strict=False)


def _without_unusable(
    frame: pl.DataFrame, columns: ColumnNames, path: str, drop_negative: bool, notes: list[str]
) -> pl.DataFrame:
    for name, needed in (("store", columns.store), ("date", columns.date)):
        blank = frame.filter(pl.col(name).is_null())
        if blank.height:
            raise BadInputError(
                f"{path} has {blank.height:,} rows without a {name} in '{needed}' ({_rows(blank)}). Fill it in."
            )
    if "closed" in frame.columns:
        closed = int(frame["closed"].sum())
        frame = frame.filter(~pl.col("closed").fill_null(value=False)).drop("closed")
        if closed:
            notes.append(f"{closed:,} rows of closed days are neither trained on nor measured.")
    missing = frame["sales"].null_count()
    if missing:
        notes.append(f"{missing:,} rows without sales left out.")
        frame = frame.filter(pl.col("sales").is_not_null())
    negative = frame.filter(pl.col("sales") < 0)
    if negative.height and not drop_negative:
        raise BadInputError(
            f"{path} has {negative.height:,} rows with negative sales ({_rows(negative)}). Correct them, or "
            "pass --drop-negative to take them as missing."
        )
    if negative.height:
        notes.append(f"{negative.height:,} rows with negative sales left out.")
        frame = frame.filter(pl.col("sales") >= 0)
    if not frame.height:
        raise BadInputError(f"{path} has no row with a store, a date and sales.")
    return frame


def _refuse_doubles(frame: pl.DataFrame, path: str) -> None:
    double = frame.filter(pl.struct("store", "date").is_duplicated()).sort("store", "date", _ROW)
    if double.height:
        shown = "; ".join(
            f"store {store}, {day}: rows {', '.join(map(str, rows))}"
            for store, day, rows in double.group_by("store", "date", maintain_order=True)
            .agg(pl.col(_ROW))
            .head(_SHOWN)
            .iter_rows()
        )
        raise BadInputError(
            f"{path} has {double.height:,} rows whose store and date come more than once ({shown}). "
            "Keep one row a store and date, or add them up."
        )


def _partners(frame: pl.DataFrame, notes: list[str]) -> dict[str, str]:
    pairs = frame.filter(pl.col("partner").is_not_null()).group_by("store").agg(pl.col("partner").unique())
    several = pairs.filter(pl.col("partner").list.len() > 1)
    if several.height:
        notes.append(f"{several.height:,} stores have more than one partner; the first in order is used.")
    return {store: min(partners) for store, partners in pairs.iter_rows()}


def _rows(frame: pl.DataFrame) -> str:
    shown = [str(row) for row in frame[_ROW].sort().head(_SHOWN)]
    return f"rows {', '.join(shown)}{', …' if frame.height > _SHOWN else ''}"

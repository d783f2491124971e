"""Price bars from a file: read, checked, and refused with the row and time that are wrong."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError
from core.tables.cells import numbers_of
from core.tables.errors import EmptyTableError
from core.tables.names import TIME, first, matching, spellings
from core.tables.reading import SUFFIXES, read_table
from core.tables.times import times_of

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

CLOSE: Final = spellings(
    "close closeprice closingprice adjclose price last lastprice mid rate value settle settlement cierre precio tasa"
)
_SHOWN: Final = 3
_RARE_HOUR: Final = 0.2
_HOUR: Final = np.timedelta64(1, "h")
_INTRADAY_BELOW: Final = 0.75
_DAY: Final = np.timedelta64(1, "D")
_ROW: Final = "row"


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Checked bars.

    Attributes
    ----------
    times : datetime64[us] array, shape (n,)
        UTC, strictly rising.
    close : float64 array, shape (n,)
        Finite and above zero.
    name : str
        Of the file.
    notes : tuple of str
        What was assumed, repaired, or looks odd.
    """

    times: Times
    close: Floats
    name: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.close)


def read_bars(path: Path, *, repair: bool = False) -> Bars:
    """Read bars from CSV, CSV packed with gzip, Parquet or JSON.

    Only time and close are used; open, high, low and volume may stand beside them.

    Parameters
    ----------
    repair : bool
        Leave out rows without a price and, of rows with the same time, all but the last, and sort by time, instead
        of refusing the file. A price of zero or less is refused either way: nobody can say what was meant.

    Raises
    ------
    BadInputError
        It names the file, the first rows (counted from 1 below the header) with their times, and what to do.
    """
    raw = _read(path)
    name = path.name
    time_column, close_column = _columns(raw.columns, name)
    times, note = times_of(raw, time_column, name)
    close, reading = numbers_of(raw, close_column, name)
    frame = pl.DataFrame(
        [pl.Series(_ROW, range(1, raw.height + 1), dtype=pl.Int64), times.alias("time"), close.alias("close")]
    )
    notes = [one for one in (note, reading) if one]
    frame = _checked(frame, name, repair, notes)
    bars = frame["time"].to_numpy().astype("datetime64[us]")
    odd = _odd_hours(bars, name)
    return Bars(bars, frame["close"].to_numpy().astype(np.float64), name, (*notes, *([odd] if odd else [])))


def is_intraday(times: Times) -> bool:
    """Say whether there are several bars a day: the median step is under 18 hours."""
    return len(times) > 1 and bool(np.median(np.diff(times) / _DAY) < _INTRADAY_BELOW)


def written(time: np.datetime64) -> str:
    """Write a time as ISO 8601 in UTC, to the second."""
    return f"{np.datetime_as_string(time, unit='s')}Z"


def _read(path: Path) -> pl.DataFrame:
    packed = path.suffix.lower() == ".gz"
    name = path.stem if packed else path.name
    if Path(name).suffix.lower() not in SUFFIXES:
        raise BadInputError(
            f"{path.name} is no file of bars: give one that ends in {', '.join(SUFFIXES)} or .csv.gz."
        )
    try:
        content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(f"{path.name} cannot be unpacked ({error}). Export it again.") from error
    except OSError as error:
        raise BadInputError(
            f"The bars {path} cannot be read: {error.strerror or error}. Correct the path."
        ) from error
    try:
        return read_table(name, content)
    except EmptyTableError as error:
        raise BadInputError(f"{path.name} has no bars. Export them again.") from error


def _columns(names: list[str], path: str) -> tuple[str, str]:
    time, close = first(matching(names, TIME)), first(matching(names, CLOSE))
    for found, what, wanted in ((time, "time", "time"), (close, "price", "close")):
        if found is None:
            shown = ", ".join(f"'{one}'" for one in names[:20])
            raise BadInputError(
                f"{path} has no column that is known as a {what}; it has {shown}. Call it '{wanted}'."
            )
    return str(time), str(close)


def _checked(frame: pl.DataFrame, name: str, repair: bool, notes: list[str]) -> pl.DataFrame:
    timeless = frame.filter(pl.col("time").is_null())
    if timeless.height:
        raise BadInputError(f"{name} has {_rows(timeless)} without a time. Fill it in, or delete the rows.")
    worthless = frame.filter(pl.col("close") <= 0)
    if worthless.height:
        raise BadInputError(
            f"{name} has {_rows(worthless)} with a price of zero or less. Correct the price, or delete the rows."
        )
    frame = _without(frame, pl.col("close").is_null(), "without a price", name, repair, notes)
    late = frame.filter(pl.col("time") < pl.col("time").shift(1))
    if late.height and not repair:
        raise BadInputError(
            f"{name} is not sorted by time: {_rows(late)} earlier than the row before. Sort it, or pass --repair."
        )
    if late.height:
        frame = frame.sort("time", maintain_order=True)
        notes.append(f"Sorted by time: {late.height:,} rows were earlier than the row before them.")
    again = pl.col("time") == pl.col("time").shift(-1)
    return _without(frame, again, "whose time comes again", name, repair, notes)


def _without(
    frame: pl.DataFrame, bad: pl.Expr, what: str, name: str, repair: bool, notes: list[str]
) -> pl.DataFrame:
    """Refuse rows, or leave them out."""
    found = frame.filter(bad)
    if not found.height:
        return frame
    if not repair:
        raise BadInputError(
            f"{name} has {_rows(found)} {what}. Correct them, or pass --repair to leave them out."
        )
    notes.append(f"Left out: {_rows(found)} {what}.")
    return frame.filter(~bad.fill_null(value=False))


def _rows(frame: pl.DataFrame) -> str:
    shown = [
        f"row {row}" + (f" at {time}" if time is not None else "")
        for row, time in frame.select(_ROW, "time").head(_SHOWN).iter_rows()
    ]
    more = ", …" if frame.height > _SHOWN else ""
    return f"{frame.height:,} row{'' if frame.height == 1 else 's'} ({', '.join(shown)}{more})"


def _odd_hours(times: Times, name: str) -> str | None:
    """Point at bars in hours of the day that few days have: their times may be those of another zone."""
    if not is_intraday(times):
        return None
    hours: Any = (times.astype("datetime64[h]") - times.astype("datetime64[D]")) // _HOUR
    days = times.astype("datetime64[D]")
    spread = np.array([len(np.unique(days[hours == hour])) for hour in range(24)]) / len(np.unique(days))
    usual = spread >= 0.5
    odd = (spread > 0) & (spread < _RARE_HOUR)
    # Hours that few days have mean something only where the others are nearly always there.
    if not usual.any() or not odd.any() or (spread[~usual] >= _RARE_HOUR).any():
        return None
    count = int(np.isin(hours, np.flatnonzero(odd)).sum())
    begin, end = np.flatnonzero(usual)[[0, -1]]
    return (
        f"{count:,} of {len(times):,} bars of {name} lie outside the usual hours ({begin:02d}:00 to {end:02d}:59 UTC), "
        "on few days: their times may be those of another zone. They are used as they are; the feature clock is then "
        "wrong for them."
    )

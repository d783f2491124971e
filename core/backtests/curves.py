"""Equity curves and trades built from logged tables, with notes on everything that was not taken as it stood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.backtests.columns import ColumnChoice, TableKind, TradeColumns, epoch_unit, recognise
from core.backtests.tables import NO_VALUE, TableError, cells_error, numbers_of
from core.backtests.types import EquityCurve, Floats, Times, Trades

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
_DAY = 86_400_000_000
_FLOAT = pl.Float64()
_Take = Callable[[pl.DataFrame, str, str], tuple[pl.Series, str]]
_SIDES = {
    "long": 1.0,
    "buy": 1.0,
    "b": 1.0,
    "l": 1.0,
    "short": -1.0,
    "sell": -1.0,
    "s": -1.0,
    "sellshort": -1.0,
}
_POSITIONS = _SIDES | dict.fromkeys(("flat", "neutral", "out", "cash"), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class CurveReading:
    """An equity curve, and what was left out or changed to get it."""

    curve: EquityCurve
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class TradesReading:
    """Trades, and what was left out or worked out to get them."""

    trades: Trades
    notes: tuple[str, ...] = ()


def build_curve(frame: pl.DataFrame, choice: ColumnChoice, path: str) -> CurveReading:
    """Build the equity curve of a table.

    Times without an offset are UTC. Rows without a time or a value are left out, never filled; of several at
    one time the last counts. Returns are compounded from 1, which stands one typical step before the first of
    them, or at the row before it whose return is missing. The curve ends with the first value of zero or less.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows in any order.
    choice : ColumnChoice
    path : str
        For notes and errors.

    Raises
    ------
    TableError
        A named column is missing, its cells are no times or numbers, or no row is left. Only time and value
        or returns can fail it: a benchmark, position or cash that cannot be read is left out with a note.
    """
    amount = choice.value if choice.value is not None else choice.returns
    if amount is None:
        raise TableError(f"No column of {path} is named as the value or the returns. Choose one.")
    absent = [name for name in choice.named() if name not in frame.columns]
    if absent:
        raise TableError(
            f"The table {path} has no column {', '.join(map(repr, absent))}; it has "
            f"{', '.join(map(repr, frame.columns[:20]))}. Choose again."
        )
    times, *notes = times_of(frame, choice.time, path)
    amounts, note = numbers_of(frame, amount, path)
    notes.append(note)
    extras = {role: _extra(frame, role, choice, path, notes) for role in ("benchmark", "position", "cash")}
    present = {role: column for role, column in extras.items() if column is not None}
    rows = _one_row_a_time(pl.DataFrame({"time": times, "amount": amounts, **present}), notes)
    missing = int((times.is_null() | amounts.is_null()).sum())
    if choice.value is None and rows["amount"].count():
        notes += _doubtful_returns(amounts, amount)
        rows, started = _with_start(rows, notes)
        missing -= started
    if choice.benchmark_is_returns and "benchmark" in rows.columns:
        rows = _compounded(rows, "benchmark")
    rows = rows.filter(pl.col("amount").is_not_null())
    if not rows.height:
        raise TableError(f"No row of {path} has both a time and a number in {amount}. Log the table again.")
    if missing:
        notes.append(f"{_count(missing, 'row')} without a time or a number left out; nothing was filled in.")
    if choice.value is None:
        rows = rows.with_columns((pl.col("amount") + 1).cum_prod())
        if not rows["amount"].is_finite().all():
            raise TableError(
                f"The returns in {amount} of {path} compound beyond all numbers. Are they in percent?"
            )
    rows = _until_ruin(rows, amount, notes)
    arrays = {role: rows[role].to_numpy() for role in present}
    filled = {role: array for role, array in arrays.items() if np.isfinite(array).any()}
    curve = EquityCurve(rows["time"].to_numpy(), rows["amount"].to_numpy(), **filled)
    return CurveReading(curve, tuple(filter(None, notes)))


def build_trades(frame: pl.DataFrame, path: str) -> TradesReading:
    """Build the trades of a table, in order of entry.

    A side that is not logged is that of the quantity's sign; a profit that is not logged is worked out from
    prices, side and quantity, less fees. Cells that cannot be read are missing, with a note.

    Returns
    -------
    TradesReading
        Without trades, and with a note, where the table has one row for each fill: fills are not paired.

    Raises
    ------
    TableError
        It is no table of trades.
    """
    recognition = recognise(frame, path)
    if recognition.kind is TableKind.FILLS:
        note = (
            f"{path} has {_count(frame.height, 'fill')}, one a row. Fills are not paired into trades: they are "
            "counted, not drawn. Log trades with entry_time, exit_time, side, quantity, prices and pnl."
        )
        return TradesReading(no_trades(), (note,))
    names = recognition.trades
    if names is None:
        raise TableError(
            f"{path} holds no trades: those have an entry_time or exit_time, and pnl or prices. It has "
            f"{', '.join(map(repr, frame.columns[:20]))}."
        )
    notes: list[str] = []
    rows = _trade_rows(frame, names, path, notes)
    rows = rows.filter(pl.any_horizontal(pl.all().is_not_null()))
    rows = rows.sort(pl.coalesce("entry_time", "exit_time"), nulls_last=True, maintain_order=True)
    late = int((rows["exit_time"] < rows["entry_time"]).sum())
    if late:
        notes.append(f"{_count(late, 'trade')} of {path} end before they begin.")
    arrays = {name: rows[name].to_numpy() for name in rows.columns}
    return TradesReading(Trades(**(arrays if names.fees else arrays | {"fees": None})), tuple(notes))


def no_trades() -> Trades:
    """Give the trades of a backtest that made none."""
    none: Floats = np.empty(0)
    never: Times = np.empty(0, "datetime64[us]")
    return Trades(never, never, none, none, none, none, none)


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


def _extra(
    frame: pl.DataFrame, role: str, choice: ColumnChoice, path: str, notes: list[str]
) -> pl.Series | None:
    """Take a column that the curve can do without."""
    name: str | None = getattr(choice, role)
    if name is None:
        return None
    column = frame[name]
    if role == "position" and column.dtype == pl.String:
        numbers = _words_as_numbers(column, _POSITIONS)
        if numbers.null_count() == column.null_count():
            return numbers
        notes.append(f"The column {name} holds text that is no number, long, short or flat; it was left out.")
        return None
    try:
        numbers, note = numbers_of(frame, name, path)
    except TableError as error:
        notes.append(f"The {role} was left out. {error}")
        return None
    notes.append(note)
    if role == "benchmark" and choice.benchmark_is_returns:
        notes.append(f"The column {name} was read as returns of the benchmark, and compounded.")
    return numbers


def _words_as_numbers(column: pl.Series, meanings: dict[str, float]) -> pl.Series:
    words = column.str.strip_chars().str.to_lowercase().str.replace_all(r"[\s_-]+([a-z])", "${1}")
    meant = words.replace_strict(meanings, default=None, return_dtype=pl.Float64)
    return meant.fill_null(words.cast(pl.Float64, strict=False))


def _one_row_a_time(rows: pl.DataFrame, notes: list[str]) -> pl.DataFrame:
    """Sort by time, and keep the last row of each; a row without a number never wins."""
    rows = rows.filter(pl.col("time").is_not_null())
    if not rows["time"].is_sorted():
        notes.append("The rows were not in order of time, and have been sorted.")
    rows = rows.sort("time", pl.col("amount").is_not_null(), maintain_order=True)
    if rows["time"].n_unique() == rows.height:
        return rows
    distinct = rows.unique(maintain_order=True, keep="last")
    if distinct.height < rows.height:
        notes.append(
            f"{_count(rows.height - distinct.height, 'row')} left out as exact copies of another one."
        )
    known = distinct.filter(pl.col("amount").is_not_null())
    differing = known.height - known["time"].n_unique()
    if differing:
        notes.append(
            f"{_count(differing, 'row')} left out that differ from a later row of the same time; the last counts."
        )
    return distinct.unique("time", keep="last", maintain_order=True)


def _with_start(rows: pl.DataFrame, notes: list[str]) -> tuple[pl.DataFrame, bool]:
    """Give returns the point they start from: the row before them, else one typical step earlier.

    The second value tells whether it was a row.
    """
    first = int(rows["amount"].is_not_null().arg_max() or 0)
    nothing = pl.lit(0.0).alias("amount")
    if first:
        return pl.concat([rows[first - 1 : first].with_columns(nothing), rows[first:]]), True
    steps = np.diff(rows["time"].to_numpy()).astype(np.int64)
    step = int(np.quantile(steps, 0.5, method="lower")) if len(steps) else _DAY
    notes.append(
        f"The table holds returns: the curve starts at 1, one typical step ({_span(step)}) before the first row."
    )
    blanks = (pl.lit(None, pl.Float64).alias(name) for name in rows.columns[2:])
    start = rows[:1].select(pl.col("time") - pl.duration(microseconds=step), nothing, *blanks)
    return pl.concat([start, rows]), False


def _compounded(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    """Turn returns into levels that start at 1; a missing one is a missing level, and the rest goes on."""
    returns = rows[name]
    steps = (returns.fill_null(0.0) + 1.0).to_numpy().copy()
    steps[0] = 1.0
    levels = pl.Series(name, np.cumprod(steps)).set(
        returns.is_null() & (pl.arange(len(steps), eager=True) > 0), None
    )
    return rows.with_columns(levels)


def _doubtful_returns(returns: pl.Series, name: str) -> list[str]:
    sizes = returns.abs()
    typical = float(np.median(sizes.drop_nulls().to_numpy())) if sizes.count() else 0.0
    if typical > 0.5 or (typical > 0.05 and (returns < -1).any()):
        return [
            f"The returns in {name} are {typical:.2g} in the median: they may be in percent. Taken as fractions."
        ]
    return []


def _until_ruin(rows: pl.DataFrame, name: str, notes: list[str]) -> pl.DataFrame:
    ruined = (rows["amount"] <= 0).arg_true()
    if not len(ruined):
        return rows
    last = int(ruined[0])
    day = str(rows["time"][last]).removesuffix(" 00:00:00")
    after = rows.height - last - 1
    left = f", {_count(after, 'later row')} left out" if after else ""
    if last:
        notes.append(f"The account is ruined on {day}: the curve ends there{left}.")
    else:
        notes.append(
            f"{name} is {rows['amount'][0]:g} at the start ({day}), from which no return can be counted{left}. Is "
            "it a profit instead of the account's worth? Log the worth."
        )
    return rows[: last + 1]


def _trade_rows(frame: pl.DataFrame, names: TradeColumns, path: str, notes: list[str]) -> pl.DataFrame:
    def column(name: str | None, take: _Take, dtype: pl.DataType) -> pl.Series:
        missing = pl.Series([None] * frame.height, dtype=dtype)
        if name is None:
            return missing
        try:
            found, note = take(frame, name, path)
        except TableError as error:
            found, note = missing, f"Left out: {error}"
        notes.extend(filter(None, (note,)))
        return found

    fees = [column(name, numbers_of, _FLOAT) for name in names.fees]
    rows = pl.DataFrame(
        {
            "entry_time": column(names.entry_time, times_of, MICROSECONDS),
            "exit_time": column(names.exit_time, times_of, MICROSECONDS),
            "side": column(names.side, _sides_of, _FLOAT),
            "quantity": column(names.quantity, numbers_of, _FLOAT),
            "entry_price": column(names.entry_price, numbers_of, _FLOAT),
            "exit_price": column(names.exit_price, numbers_of, _FLOAT),
            "pnl": column(names.pnl, numbers_of, _FLOAT),
            "fees": _total_fees(fees, notes) if fees else column(None, numbers_of, _FLOAT),
        }
    )
    rows = _with_sides(rows, logged=names.side is not None, notes=notes)
    moved = (pl.col("exit_price") - pl.col("entry_price")) * pl.col("side") * pl.col("quantity")
    filled = rows.with_columns(pl.col("pnl").fill_null(moved - pl.col("fees").fill_null(0.0)))
    worked_out = rows["pnl"].null_count() - filled["pnl"].null_count()
    if worked_out:
        less = " less fees" if names.fees else ""
        notes.append(
            f"The profit of {_count(worked_out, 'trade')} is not logged; it was worked out from prices, side and "
            f"quantity{less}."
        )
    return filled


def _sides_of(frame: pl.DataFrame, name: str, path: str) -> tuple[pl.Series, str]:
    column, note = frame[name], ""
    if column.dtype == pl.String:
        sides = _words_as_numbers(column, _SIDES).sign()
    elif column.dtype.is_numeric():
        sides = column.cast(pl.Float64).sign()
    else:
        raise TableError(f"The column {name} of {path} holds {column.dtype}, neither long nor short.")
    sides = sides.set((sides == 0) | sides.is_nan(), None)
    other = column.filter(sides.is_null()).drop_nulls()
    if len(other):
        shown = str(other[0])[:40]
        note = f"The {name} of {_count(len(other), 'trade')} is neither long nor short, such as {shown!r}."
    return sides, note


def _with_sides(rows: pl.DataFrame, *, logged: bool, notes: list[str]) -> pl.DataFrame:
    """Move the sign of the quantity to the side where none is logged; quantities lose their sign."""
    signs = rows["quantity"].sign()
    signs = signs.set(signs == 0, None)
    if not logged and signs.count() and not (signs < 0).any():
        gross = (rows["exit_price"] - rows["entry_price"]) * rows["quantity"]
        against = ((rows["pnl"] - gross).abs() > (rows["pnl"] + gross).abs()).any()
        notes.append(
            "No side is logged, and profits do not follow from long trades; sides are not known."
            if against
            else "No side is logged; trades with a positive quantity were taken as long."
        )
        signs = pl.Series([None] * rows.height, dtype=_FLOAT) if against else signs
    elif logged:
        signs = signs.set(signs > 0, None)
    return rows.with_columns(rows["side"].fill_null(signs), rows["quantity"].abs())


def _total_fees(parts: list[pl.Series], notes: list[str]) -> pl.Series:
    table = pl.DataFrame(list(parts), schema=[str(place) for place in range(len(parts))])
    total = table.sum_horizontal().set(table.select(pl.all_horizontal(pl.all().is_null())).to_series(), None)
    if (total < 0).any() and not (total > 0).any():
        notes.append("Fees are logged as negative amounts; they were taken as costs.")
        return total.abs()
    return total


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _span(microseconds: int) -> str:
    for size, name in ((_DAY, "day"), (_DAY // 24, "hour"), (_DAY // 1440, "minute"), (1_000_000, "second")):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {name}{'' if microseconds == size else 's'}"
    return f"{microseconds:,} microseconds"

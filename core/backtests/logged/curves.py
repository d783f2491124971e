"""Equity curves built from logged tables, with notes on everything that was not taken as it stood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from core.backtests.logged.column_names import POSITIONS
from core.backtests.logged.columns import ColumnChoice
from core.backtests.periods import typical_step
from core.backtests.types import EquityCurve
from core.tables.cells import counted, numbers_of, words_as_numbers
from core.tables.errors import TableError
from core.tables.times import times_of

_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True, eq=False)
class CurveReading:
    """An equity curve, and what was left out or changed to get it."""

    curve: EquityCurve
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
        notes.append(f"{counted(missing, 'row')} without a time or a number left out; nothing was filled in.")
    if choice.value is None:
        rows = rows.with_columns((pl.col("amount") + 1).cum_prod())
        if not rows["amount"].is_finite().all():
            raise TableError(
                f"The returns in {amount} of {path} compound beyond all numbers. Are they in percent?"
            )
    rows = _until_ruin(rows, amount, notes)
    arrays = {role: rows[role].to_numpy() for role in present}
    filled = {role: array for role, array in arrays.items() if np.isfinite(array).any()}
    curve = EquityCurve(
        rows["time"].to_numpy(), rows["amount"].to_numpy(), **filled, from_returns=choice.value is None
    )
    return CurveReading(curve, tuple(filter(None, notes)))


def _extra(
    frame: pl.DataFrame, role: str, choice: ColumnChoice, path: str, notes: list[str]
) -> pl.Series | None:
    """Take a column that the curve can do without."""
    name: str | None = getattr(choice, role)
    if name is None:
        return None
    column = frame[name]
    if role == "position" and column.dtype == pl.String:
        numbers = words_as_numbers(column, POSITIONS)
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
            f"{counted(rows.height - distinct.height, 'row')} left out as exact copies of another one."
        )
    known = distinct.filter(pl.col("amount").is_not_null())
    differing = known.height - known["time"].n_unique()
    if differing:
        notes.append(
            f"{counted(differing, 'row')} left out that differ from a later row of the same time; the last counts."
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
    typical = typical_step(rows["time"].to_numpy())
    step = _DAY if typical is None else int(typical.astype(np.int64))
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
    left = f", {counted(after, 'later row')} left out" if after else ""
    if last:
        notes.append(f"The account is ruined on {day}: the curve ends there{left}.")
    else:
        notes.append(
            f"{name} is {rows['amount'][0]:g} at the start ({day}), from which no return can be counted{left}. Is "
            "it a profit instead of the account's worth? Log the worth."
        )
    return rows[: last + 1]


def _span(microseconds: int) -> str:
    for size, name in ((_DAY, "day"), (_DAY // 24, "hour"), (_DAY // 1440, "minute"), (1_000_000, "second")):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {name}{'' if microseconds == size else 's'}"
    return f"{microseconds:,} microseconds"

"""Trades built from a logged table: sides, profits and fees worked out where they are not logged, with notes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.backtests.logged.column_names import SIDES
from core.backtests.logged.columns import TableKind, recognise
from core.backtests.logged.trade_columns import TradeColumns
from core.backtests.types import Floats, Times, Trades
from core.tables.cells import counted, numbers_of, words_as_numbers
from core.tables.errors import TableError
from core.tables.times import MICROSECONDS, times_of

_FLOAT = pl.Float64()
_Take = Callable[[pl.DataFrame, str, str], tuple[pl.Series, str]]


@dataclass(frozen=True, slots=True, eq=False)
class TradesReading:
    """Trades, and what was left out or worked out to get them."""

    trades: Trades
    notes: tuple[str, ...] = ()


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
            f"{path} has {counted(frame.height, 'fill')}, one a row. Fills are not paired into trades: they are "
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
        notes.append(f"{counted(late, 'trade')} of {path} end before they begin.")
    arrays = {name: rows[name].to_numpy() for name in rows.columns}
    return TradesReading(Trades(**(arrays if names.fees else arrays | {"fees": None})), tuple(notes))


def no_trades() -> Trades:
    """Give the trades of a backtest that made none."""
    none: Floats = np.empty(0)
    never: Times = np.empty(0, "datetime64[us]")
    return Trades(never, never, none, none, none, none, none)


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
            f"The profit of {counted(worked_out, 'trade')} is not logged; it was worked out from prices, side and "
            f"quantity{less}."
        )
    return filled


def _sides_of(frame: pl.DataFrame, name: str, path: str) -> tuple[pl.Series, str]:
    column, note = frame[name], ""
    if column.dtype == pl.String:
        sides = words_as_numbers(column, SIDES).sign()
    elif column.dtype.is_numeric():
        sides = column.cast(pl.Float64).sign()
    else:
        raise TableError(f"The column {name} of {path} holds {column.dtype}, neither long nor short.")
    sides = sides.set((sides == 0) | sides.is_nan(), None)
    other = column.filter(sides.is_null()).drop_nulls()
    if len(other):
        shown = str(other[0])[:40]
        note = f"The {name} of {counted(len(other), 'trade')} is neither long nor short, such as {shown!r}."
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

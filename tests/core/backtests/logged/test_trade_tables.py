"""Trades from tables: what is taken, what is worked out, what is left out, and that a note says so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import polars as pl
import pytest

from core.backtests.logged.trade_tables import TradesReading, build_trades
from core.tables.errors import TableError
from core.tables.reading import read_table
from tests.core.backtests.logged.logged import days, note, times


def trades(path: str = "backtest/trades.csv", /, **columns: Sequence[object]) -> TradesReading:
    return build_trades(pl.DataFrame([pl.Series(k, v, strict=False) for k, v in columns.items()]), path)


def test_trades_of_our_own_format_in_order_of_entry() -> None:
    read = trades(
        entry_time=["2024-01-05", "2024-01-02"],
        exit_time=[None, "2024-01-03T15:00:00Z"],
        side=["short", "LONG"],
        quantity=[5, 10],
        entry_price=[7, 1.5],
        exit_price=[None, 2],
        pnl=[None, 4.5],
        fees=[None, 0.5],
    )
    assert read.trades.entry_time.tolist() == [each.item() for each in times("2024-01-02", "2024-01-05")]
    assert read.trades.exit_time[0] == np.datetime64("2024-01-03T15")
    assert np.isnat(read.trades.exit_time[1])
    np.testing.assert_array_equal(read.trades.side, [1, -1])
    np.testing.assert_array_equal(read.trades.pnl, [4.5, np.nan])
    np.testing.assert_array_equal(read.trades.fees, [0.5, np.nan])
    assert read.notes == ()


def test_side_and_profit_that_are_not_logged_are_worked_out() -> None:
    read = trades(
        EntryTime=days(2, 3, 4),
        ExitTime=[*days(5, 6), None],
        Size=[10, -5, 1],
        EntryPrice=[100, 50, 7],
        ExitPrice=[101, 48, None],
        Commission=[-1, -1, None],
    )
    np.testing.assert_array_equal(read.trades.side, [1, -1, 1])
    np.testing.assert_array_equal(read.trades.quantity, [10, 5, 1])
    np.testing.assert_array_equal(read.trades.pnl, [9, 9, np.nan])
    np.testing.assert_array_equal(read.trades.fees, [1, 1, np.nan])
    assert "profit of 2 trades" in note(read, "worked out")
    assert note(read, "negative amounts")


@pytest.mark.parametrize(
    ("sides", "read"),
    [
        (["buy", "SELL", "1"], [1, -1, 1]),
        ([1, -1, 0], [1, -1, np.nan]),
        (["long", "market", None], [1, np.nan, np.nan]),
    ],
)
def test_sides_in_words_and_signs(sides: list[object], read: list[float]) -> None:
    found = trades(entry_time=days(2, 3, 4), side=sides, pnl=[1, 2, 3])
    np.testing.assert_array_equal(found.trades.side, read)
    assert any("'market'" in each for each in found.notes) is ("market" in sides)


def test_unsigned_quantities_are_long_unless_profits_say_otherwise() -> None:
    columns = {"entry_time": days(2, 3), "quantity": [1, 1], "entry_price": [10, 10], "exit_price": [12, 9]}
    long = trades(**columns, pnl=[2, -1])
    np.testing.assert_array_equal(long.trades.side, [1, 1])
    assert note(long, "taken as long")
    mixed = trades(**columns, pnl=[2, 1])
    assert np.isnan(mixed.trades.side).all()
    assert note(mixed, "sides are not known")


def test_fees_of_entry_and_exit_add_up() -> None:
    read = trades(entry_time=days(2, 3), pnl=[1, 2], entry_fees=[1, None], exit_fees=[0.5, None])
    np.testing.assert_array_equal(read.trades.fees, [1.5, np.nan])


def test_fills_are_counted_and_not_paired() -> None:
    read = trades(time=days(2, 3), side=["buy", "sell"], price=[1, 2], quantity=[1, 1])
    assert len(read.trades) == 0
    assert "2 fills" in note(read, "not paired")


def test_columns_of_trades_that_cannot_be_read_are_left_out() -> None:
    read = trades(entry_time=[5, 9], pnl=[1, 2], quantity=["much", "1"])
    assert np.isnat(read.trades.entry_time).all()
    assert read.trades.pnl.tolist() == [1, 2]
    assert note(read, "steps")
    assert note(read, "'much'")


def test_trades_that_end_before_they_begin_are_counted() -> None:
    assert note(trades(entry_time=days(5), exit_time=days(4), pnl=[1]), "end before they begin")


def test_what_is_no_table_of_trades_is_refused() -> None:
    with pytest.raises(TableError, match=r"no trades: .*'date', 'value'"):
        trades(date=days(2), value=[1])


@pytest.mark.parametrize(("name", "suffix"), [("records", "json"), ("csv", "csv")])
def test_trades_round_trip_through_pandas(name: str, suffix: str) -> None:
    frame = pd.DataFrame(
        {
            "entry_time": pd.to_datetime(["2024-01-02 09:30", "2024-01-03 00:00"]),
            "exit_time": pd.to_datetime(["2024-01-02 10:00", None]),
            "side": ["long", "short"],
            "pnl": [1.25, np.nan],
        }
    )
    content = frame.to_csv() if name == "csv" else frame.to_json(orient=name, date_format="iso")
    path = f"trades.{suffix}"
    read = build_trades(read_table(path, content.encode()), path).trades
    np.testing.assert_array_equal(read.entry_time, frame["entry_time"].to_numpy().astype("datetime64[us]"))
    np.testing.assert_array_equal(read.exit_time, frame["exit_time"].to_numpy().astype("datetime64[us]"))
    np.testing.assert_array_equal(read.pnl, frame["pnl"])

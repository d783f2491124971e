"""Tables of trades: the names that several tools use, and how they are told from curves and fills."""

from __future__ import annotations

import polars as pl
import pytest

from core.backtests.logged.columns import Recognition, TableKind, recognise
from core.tables.errors import TableError

DAYS = ["2024-01-02", "2024-01-03", "2024-01-04"]
WORTH = [100.0, 101.0, 99.0]
OTHER = [100.0, 102.0, 98.0]


def told(path: str, /, **columns: object) -> Recognition:
    return recognise(pl.DataFrame(columns), path)


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (
            ["entry_time", "exit_time", "side", "quantity", "entry_price", "exit_price", "pnl", "fees"],
            ["entry_time", "exit_time", "side", "quantity", "entry_price", "exit_price", "pnl", "fees"],
        ),
        (
            ["EntryTime", "ExitTime", "Size", "EntryPrice", "ExitPrice", "PnL", "Commission"],
            ["entry_time", "exit_time", "quantity", "entry_price", "exit_price", "pnl", "fees"],
        ),
        (
            ["open_date", "close_date", "open_rate", "close_rate", "amount", "profit_abs"],
            ["entry_time", "exit_time", "entry_price", "exit_price", "quantity", "pnl"],
        ),
        (
            ["Entry Timestamp", "Exit Timestamp", "Direction", "Avg Entry Price", "Avg Exit Price", "PnL"],
            ["entry_time", "exit_time", "side", "entry_price", "exit_price", "pnl"],
        ),
    ],
)
def test_trades_of_several_tools(names: list[str], roles: list[str]) -> None:
    cells = {name: DAYS if "time" in role else WORTH for name, role in zip(names, roles, strict=True)}
    found = recognise(pl.DataFrame(cells), "anything.csv")
    assert found.kind is TableKind.TRADES
    assert found.trades is not None
    for name, role in zip(names, roles, strict=True):
        assert getattr(found.trades, role) == ((name,) if role == "fees" else name)
    with pytest.raises(TableError, match="holds trades"):
        found.choice()


def test_one_row_for_each_fill_is_told_from_trades_and_curves() -> None:
    fills = {"time": DAYS, "side": ["buy", "sell", "buy"], "price": WORTH, "quantity": [1, 1, 2]}
    assert told("a.csv", **fills).kind is TableKind.FILLS
    assert told("trades.csv", **fills, value=OTHER).kind is TableKind.FILLS
    assert told("portfolio.csv", **fills, portfolio_value=OTHER).kind is TableKind.CURVE


def test_profits_by_time_are_trades_under_such_a_name_only() -> None:
    assert told("trades.csv", date=DAYS, pnl=OTHER).trades is not None
    assert told("daily.csv", date=DAYS, pnl=OTHER).kind is TableKind.NEITHER

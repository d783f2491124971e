"""Which column of a table of trades is what, and how such a table is told from curves and from fills."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.backtests.logged.column_names import FILL_PRICE, TRADE_NAMES, is_trade_name
from core.tables.names import first, matching


@dataclass(frozen=True, slots=True)
class TradeColumns:
    """Which column of a table of trades is what."""

    entry_time: str | None = None
    exit_time: str | None = None
    side: str | None = None
    quantity: str | None = None
    entry_price: str | None = None
    exit_price: str | None = None
    pnl: str | None = None
    fees: tuple[str, ...] = ()


def find_trade_columns(
    columns: Sequence[str], time: str | None, path: str, has_value: bool
) -> TradeColumns | None:
    """Tell the columns of trades; None for a table without them, or without a time of entry or exit.

    `time` is the column of times, for exits in a table that is called trades; `has_value` says that the table
    could be a curve as well.
    """
    roles = {role: first(matching(columns, names)) for role, names in TRADE_NAMES.items() if role != "fees"}
    fees = matching(columns, TRADE_NAMES["fees"])[:1] or matching(columns, ["entryfees", "exitfees"])
    timed = roles["entry_time"] is not None or roles["exit_time"] is not None
    told = any(roles[role] is not None for role in ("pnl", "entry_price", "exit_price"))
    named = is_trade_name(path)
    if not timed and named and roles["pnl"] is not None and not is_fills(columns, path, has_value):
        roles["exit_time"], timed = time, True
    if roles["entry_time"] is None or roles["exit_time"] is None:
        timed = timed and (named or not (time is not None and has_value))
    return TradeColumns(**roles, fees=fees) if timed and told else None


def is_fills(columns: Sequence[str], path: str, has_value: bool) -> bool:
    """Whether a table has one row for each fill."""
    sized = matching(columns, [*TRADE_NAMES["side"], *TRADE_NAMES["quantity"]])
    return bool(matching(columns, FILL_PRICE) and sized) and (is_trade_name(path) or not has_value)

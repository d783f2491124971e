"""Which column of a table is what: what a table was taken for, and what a person chose instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import polars as pl

from core.backtests.logged.column_contents import holds_returns, value_names, without_copies
from core.backtests.logged.column_names import (
    BENCHMARK,
    BENCHMARK_RETURNS,
    CASH,
    POSITION,
    RETURNS,
    VALUE,
)
from core.backtests.logged.trade_columns import TradeColumns, find_trade_columns, is_fills
from core.tables.contents import is_numeric, time_kind, time_names
from core.tables.errors import TableError
from core.tables.names import first, matching, plain


class TableKind(StrEnum):
    """What a table holds."""

    CURVE = "curve"
    TRADES = "trades"
    FILLS = "fills"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Which column of a curve's table is what; where both a value and returns are named, the value counts."""

    time: str
    value: str | None = None
    returns: str | None = None
    benchmark: str | None = None
    benchmark_is_returns: bool = False
    position: str | None = None
    cash: str | None = None

    def named(self) -> tuple[str, ...]:
        """The columns that are named."""
        names = (self.time, self.value, self.returns, self.benchmark, self.position, self.cash)
        return tuple(name for name in names if name is not None)

    def to_dict(self) -> dict[str, Any]:
        """Write it as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ColumnChoice:
        """Read what `to_dict` wrote; keys that are not known are left out.

        Raises
        ------
        TableError
            A time or a name is missing, or is no text.
        """
        known = {key: values[key] for key in cls.__slots__ if values.get(key) is not None}
        is_returns = known.pop("benchmark_is_returns", False)
        if "time" not in known or not all(isinstance(name, str) for name in known.values()):
            raise TableError("The remembered choice of columns cannot be read. Choose the columns again.")
        return cls(**known, benchmark_is_returns=is_returns is True)


@dataclass(frozen=True, slots=True)
class Recognition:
    """What a table was taken for.

    Attributes
    ----------
    path : str
    kind : TableKind
    columns : tuple of str
        All columns, in their order: what a choice is remembered by.
    numeric : tuple of str
        Those with numbers, for a person to choose from.
    times, values, returns, benchmarks, positions, cash : tuple of str
        Candidates, the preferred one first.
    benchmark_is_returns : bool
        Of the first benchmark.
    ambiguous : bool
        More than one of `values`, or of `returns` where there is no value, could be meant.
    trades : TradeColumns or None
        For trades.
    problem : str
        Why it is no curve, for a table that is neither; which columns compete, for an ambiguous one.
    """

    path: str
    kind: TableKind
    columns: tuple[str, ...]
    numeric: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    returns: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    benchmark_is_returns: bool = False
    positions: tuple[str, ...] = ()
    cash: tuple[str, ...] = ()
    ambiguous: bool = False
    trades: TradeColumns | None = None
    problem: str = ""

    def suggestion(self) -> ColumnChoice | None:
        """Give the preferred column of everything, also where it is ambiguous; None when it is no curve."""
        if self.kind is not TableKind.CURVE:
            return None
        value = first(self.values)
        return ColumnChoice(
            self.times[0],
            value,
            None if value is not None else first(self.returns),
            first(self.benchmarks),
            self.benchmark_is_returns,
            first(self.positions),
            first(self.cash),
        )

    def choice(self) -> ColumnChoice:
        """Give the columns of the curve, where they are beyond doubt.

        Raises
        ------
        TableError
            It is no curve, or a person has to choose.
        """
        suggestion = self.suggestion()
        if suggestion is None or self.ambiguous:
            raise TableError(self.problem or f"The table {self.path} holds {self.kind}, no curve.")
        return suggestion


def recognise(frame: pl.DataFrame, path: str) -> Recognition:
    """Find out what the columns of a table are; case, spaces and underscores in names do not matter.

    Parameters
    ----------
    frame : polars.DataFrame
    path : str
        Its name decides where the columns fit both a curve and trades.

    Returns
    -------
    Recognition
        Nothing is raised: a table that is neither says why in `problem`.
    """
    columns = tuple(frame.columns)
    numeric = tuple(name for name in columns if is_numeric(frame[name]))
    kinds = {name: time_kind(frame[name]) for name in time_names(frame)}
    times = tuple(name for name, kind in kinds.items() if kind == "times")
    values = value_names(frame)
    returns = _only(numeric, matching(columns, RETURNS))
    trades = find_trade_columns(columns, times[0] if times else None, path, has_value=bool(values or returns))
    if trades is not None:
        kind = TableKind.TRADES
    elif times and is_fills(columns, path, has_value=bool(values or returns)):
        kind = TableKind.FILLS
    elif times and (values or returns):
        return _curve(frame, path, numeric, times, values, returns)
    else:
        problem = _why_no_curve(frame, path, kinds, has_value=bool(values or returns))
        return Recognition(path, TableKind.NEITHER, columns, numeric, times, values, returns, problem=problem)
    return Recognition(path, kind, columns, numeric, times, trades=trades)


def _curve(
    frame: pl.DataFrame,
    path: str,
    numeric: tuple[str, ...],
    times: tuple[str, ...],
    values: tuple[str, ...],
    returns: tuple[str, ...],
) -> Recognition:
    columns = tuple(frame.columns)
    values, returns = without_copies(frame, values), without_copies(frame, returns)
    competing = values or returns
    ambiguous = len(competing) > 1 and plain(competing[0]) != VALUE[0]
    benchmarks = _only(numeric, matching(columns, [*BENCHMARK, *BENCHMARK_RETURNS]))
    problem = (
        f"{' and '.join(competing)} of {path} could each be the {'value' if values else 'returns'} of the "
        "portfolio. Choose the column that is meant; the choice is remembered."
    )
    return Recognition(
        path,
        TableKind.CURVE,
        columns,
        numeric,
        times,
        values,
        returns,
        benchmarks,
        bool(benchmarks) and holds_returns(frame, benchmarks[0], beside_value=bool(values)),
        matching(columns, POSITION),
        _only(numeric, matching(columns, CASH)),
        ambiguous,
        problem=problem if ambiguous else "",
    )


def _why_no_curve(frame: pl.DataFrame, path: str, kinds: Mapping[str, str], has_value: bool) -> str:
    there = ", ".join(repr(name) for name in frame.columns[:20]) + (", …" if frame.width > 20 else "")
    if "times" in kinds.values():
        return (
            f"The table {path} has no column of values or returns; it has {there}. Accepted names are "
            "value, equity, portfolio_value, nav, total_value, balance, or returns."
        )
    if not kinds:
        wanted = "" if has_value else ", nor one of values"
        return (
            f"The table {path} has no column of times{wanted}; it has {there}. Accepted names are time, date, "
            "datetime, timestamp or index for times, and value, equity, portfolio_value, nav or returns."
        )
    name = next((name for name, kind in kinds.items() if kind == "steps"), None)
    if name is not None:
        return (
            f"The column {name!r} of {path} counts steps, not dates, so nothing can be said per year. Log the "
            "date of each row in a column named time."
        )
    name = next(iter(kinds))
    shown = frame[name].drop_nulls().head(1).to_list()
    return (
        f"The column {name!r} of {path} holds no dates"
        f"{f' (such as {str(shown[0])[:40]!r})' if shown else ''}. Log times as 2024-01-31 or 2024-01-31T09:30:00Z."
    )


def _only(allowed: Sequence[str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in allowed)

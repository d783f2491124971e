"""Which column of a table is what: names that curves and trades go by, and what a person chose instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from core.backtests.tables import TableError, numbers_of, text_to_numbers


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# In order of preference, written as `_plain` leaves them; the first of each is the name of our own format.
TIME = _names(
    "time date datetime timestamp index unnamed0 ts day dt bartime datetimeutc dates times timestamps"
)
VALUE = _names(
    "value equity portfoliovalue nav totalvalue accountvalue networth balance equitycurve totalequity "
    "portfolioequity accountequity accountbalance portfoliobalance netassetvalue netliquidation portfolio "
    "portfoliovalues values"
)
WEAK_VALUE = _names("capital wealth totalcapital totalassets assets aum")
RETURNS = _names(
    "returns return ret rets strategyreturns strategyreturn dailyreturns dailyreturn portfolioreturns "
    "portfolioreturn pnlpct returnpct returnspct pctreturn pctchange netreturns netreturn simplereturns"
)
BENCHMARK = _names(
    "benchmark benchmarkvalue benchmarkequity benchmarknav buyandhold buyhold buyandholdvalue bh spy sp500 "
    "market marketvalue"
)
BENCHMARK_RETURNS = _names(
    "benchmarkreturns benchmarkreturn benchmarkret marketreturns marketreturn spyreturns spyreturn "
    "buyandholdreturns buyholdreturns"
)
POSITION = _names("position positions netposition exposure holding holdings sharesheld")
CASH = _names("cash cashbalance cashvalue availablecash freecash")
TRADE_NAMES: Mapping[str, Sequence[str]] = {
    "entry_time": _names(
        "entrytime opentime entrydate opendate entrydatetime entrytimestamp opendatetime opentimestamp "
        "openedat entryat timein datein"
    ),
    "exit_time": _names(
        "exittime closetime exitdate closedate exitdatetime exittimestamp closedatetime closetimestamp "
        "closedat exitat timeout dateout"
    ),
    "side": _names("side direction type tradetype positiontype tradeside action"),
    "quantity": _names("quantity qty size shares units amount volume lots contracts positionsize tradesize"),
    "entry_price": _names("entryprice openprice avgentryprice priceopen openrate entry pricein entryrate"),
    "exit_price": _names("exitprice closeprice avgexitprice priceclose closerate exit priceout exitrate"),
    "pnl": _names(
        "pnl netpnl profit pl netprofit profitloss realizedpnl realisedpnl profitabs pandl profitandloss "
        "tradepnl grosspnl gain"
    ),
    "fees": _names("fees fee commission commissions costs cost totalfees transactioncosts transactioncost"),
}
FILL_PRICE = _names("price fillprice executionprice executedprice avgprice averageprice rate")
_TRADE_WORDS = frozenset(_names("trade trades fill fills order orders transaction transactions deals"))
_DATE_TEXT = (
    r"^\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{8}\b"
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}|[A-Za-z]{3,9} \d{1,2}, ?\d{4})"
)
_SAMPLE = 50


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
        value = _first(self.values)
        return ColumnChoice(
            self.times[0],
            value,
            None if value is not None else _first(self.returns),
            _first(self.benchmarks),
            self.benchmark_is_returns,
            _first(self.positions),
            _first(self.cash),
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
    numeric = tuple(name for name in columns if _is_numeric(frame[name]))
    kinds = {name: _time_kind(frame[name]) for name in _time_names(frame)}
    times = tuple(name for name, kind in kinds.items() if kind == "times")
    values = _values(frame)
    returns = _only(numeric, _matching(columns, RETURNS))
    trades = _trade_columns(columns, times[0] if times else None, path, has_value=bool(values or returns))
    if trades is not None:
        kind = TableKind.TRADES
    elif times and _is_fills(columns, path, has_value=bool(values or returns)):
        kind = TableKind.FILLS
    elif times and (values or returns):
        return _curve(frame, path, numeric, times, values, returns)
    else:
        problem = _why_no_curve(frame, path, kinds, has_value=bool(values or returns))
        return Recognition(path, TableKind.NEITHER, columns, numeric, times, values, returns, problem=problem)
    return Recognition(path, kind, columns, numeric, times, trades=trades)


def name_words(path: str) -> frozenset[str]:
    """Take the name of a file apart: "backtest/PortfolioValues_2024.json" has portfolio, values, 2024."""
    stem = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", PurePosixPath(path).stem)
    return frozenset(re.findall(r"[a-z]+|[0-9]+", stem.lower()))


def is_trade_name(path: str) -> bool:
    """Whether a file is called trades, or alike."""
    return not _TRADE_WORDS.isdisjoint(name_words(path))


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


def _curve(
    frame: pl.DataFrame,
    path: str,
    numeric: tuple[str, ...],
    times: tuple[str, ...],
    values: tuple[str, ...],
    returns: tuple[str, ...],
) -> Recognition:
    columns = tuple(frame.columns)
    values, returns = _without_copies(frame, values), _without_copies(frame, returns)
    competing = values or returns
    ambiguous = len(competing) > 1 and _plain(competing[0]) != VALUE[0]
    benchmarks = _only(numeric, _matching(columns, [*BENCHMARK, *BENCHMARK_RETURNS]))
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
        bool(benchmarks) and _is_returns(frame, benchmarks[0], beside_value=bool(values)),
        _matching(columns, POSITION),
        _only(numeric, _matching(columns, CASH)),
        ambiguous,
        problem=problem if ambiguous else "",
    )


def _values(frame: pl.DataFrame) -> tuple[str, ...]:
    """Find the columns that could be the value; the weak names, and those without numbers, only for want."""
    strong, weak = _matching(frame.columns, VALUE), _matching(frame.columns, WEAK_VALUE)
    for names in (strong, weak):
        if filled := tuple(name for name in names if _has_numbers(frame[name])):
            return filled
    return strong or weak


def _trade_columns(
    columns: Sequence[str], time: str | None, path: str, has_value: bool
) -> TradeColumns | None:
    roles = {role: _first(_matching(columns, names)) for role, names in TRADE_NAMES.items() if role != "fees"}
    fees = _matching(columns, TRADE_NAMES["fees"])[:1] or _matching(columns, ["entryfees", "exitfees"])
    timed = roles["entry_time"] is not None or roles["exit_time"] is not None
    told = any(roles[role] is not None for role in ("pnl", "entry_price", "exit_price"))
    named = is_trade_name(path)
    if not timed and named and roles["pnl"] is not None and not _is_fills(columns, path, has_value):
        roles["exit_time"], timed = time, True
    if roles["entry_time"] is None or roles["exit_time"] is None:
        timed = timed and (named or not (time is not None and has_value))
    return TradeColumns(**roles, fees=fees) if timed and told else None


def _is_fills(columns: Sequence[str], path: str, has_value: bool) -> bool:
    sized = _matching(columns, [*TRADE_NAMES["side"], *TRADE_NAMES["quantity"]])
    return bool(_matching(columns, FILL_PRICE) and sized) and (is_trade_name(path) or not has_value)


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


def _time_names(frame: pl.DataFrame) -> tuple[str, ...]:
    """Name the candidates; columns of a date type count under any name, and "" is what to_csv calls an index."""
    named = _matching(frame.columns, TIME) + tuple(name for name in frame.columns if not name.strip())
    return named + tuple(n for n in frame.columns if n not in named and _is_dates(frame[n]))


def _time_kind(column: pl.Series) -> str:
    if _is_dates(column):
        return "times"
    present = column.drop_nulls()
    if column.dtype == pl.String:
        words = present.head(_SAMPLE).str.strip_chars()
        if not words.str.contains(r"^-?\d+(?:\.0)?$").all():
            return "times" if words.str.contains(_DATE_TEXT).any() else "unreadable"
        present = words.cast(pl.Float64)
    elif not column.dtype.is_numeric():
        return "unreadable"
    return "steps" if epoch_unit(present) is None else "times"


def _is_dates(column: pl.Series) -> bool:
    return column.dtype == pl.Date or isinstance(column.dtype, pl.Datetime)


def _is_numeric(column: pl.Series) -> bool:
    if column.dtype != pl.String:
        return column.dtype.is_numeric()
    sample = column.drop_nulls().head(_SAMPLE)
    return len(sample) > 0 and text_to_numbers(sample)[0].count() * 2 >= len(sample)


def _has_numbers(column: pl.Series) -> bool:
    return _is_numeric(column) and column.null_count() < len(column)


def _is_returns(frame: pl.DataFrame, name: str, *, beside_value: bool) -> bool:
    """Whether a benchmark holds returns: its name says so, or it is small as the returns beside it are."""
    if _plain(name) in BENCHMARK_RETURNS:
        return True
    try:
        numbers = numbers_of(frame, name, "")[0].drop_nulls()
    except TableError:
        return False
    small = len(numbers) > 0 and bool((numbers.abs() < 1).all())
    return small and (not beside_value or bool((numbers <= 0).any()))  # no level is zero or less


def _without_copies(frame: pl.DataFrame, names: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out columns with the same numbers as an earlier one; nothing is left out beside our own name."""
    kept: dict[str, pl.Series] = {}
    for name in names:
        try:
            numbers = numbers_of(frame, name, "")[0]
        except TableError:
            numbers = frame[name]
        if not any(numbers.equals(other) for other in kept.values()):
            kept[name] = numbers
    return tuple(kept)


def _matching(columns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Give the columns that go by these names, in the order of the names."""
    plain = {name: _plain(name) for name in columns}
    exact = [name for name in columns if name == names[0]]
    found = [column for wanted in names for column, name in plain.items() if name == wanted]
    return tuple(dict.fromkeys((*exact, *found)))


def _only(allowed: Sequence[str], names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in allowed)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", name.lower().replace("%", "pct"))


def _first(names: Sequence[str]) -> str | None:
    return names[0] if names else None

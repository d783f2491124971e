"""Reading the backtest of a run: find its tables, read them, tell their columns, build the curve and the trades."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from core.backtests.logged.columns import ColumnChoice, Recognition, TableKind, recognise
from core.backtests.logged.curves import build_curve
from core.backtests.logged.discovery import Artifacts, Found, TableFile, find_tables, names_curve
from core.backtests.logged.json_tables import parse_json, table_from_json
from core.backtests.logged.table_errors import EmptyTableError, NotATableError, TableError
from core.backtests.logged.tables import read_table
from core.backtests.logged.trade_tables import build_trades, no_trades
from core.backtests.types import EquityCurve, Trades
from core.errors import GreenroomError

MAX_UNNAMED = 6  # tables that are opened although their names do not tell of a curve
_CURVE_KEYS = ("portfolio_values", "equity_curve", "portfolio_value", "equity", "portfolio")
_TRADE_KEYS = ("trades", "trade_log", "closed_trades")
_TIME_KEYS = ("time", "times", "dates", "date", "timestamps", "index")


@dataclass(frozen=True, slots=True, eq=False)
class BacktestReading:
    """The backtest of a run, as far as it could be read.

    Attributes
    ----------
    table : str or None
        Path of the table that the curve is from, or would be from once a person chose its columns.
    curve : EquityCurve or None
    trades : Trades or None
        None where none were logged or could be read; empty where none were made, or fills were logged.
    trades_table : str or None
    tables : tuple of TableFile
        Every table that could hold a curve by its name, best first.
    recognition : Recognition or None
        What the columns of `table` were taken for.
    choice : ColumnChoice or None
        The columns that were used; where a person needs to choose, those to start from.
    needs_choice : bool
        It takes a person to say which column is what; there is no curve until then.
    notes : tuple of str
        What was left out, changed or assumed.
    problems : tuple of str
        What could not be read, one sentence each; the rest is there all the same.
    """

    table: str | None = None
    curve: EquityCurve | None = None
    trades: Trades | None = None
    trades_table: str | None = None
    tables: tuple[TableFile, ...] = ()
    recognition: Recognition | None = None
    choice: ColumnChoice | None = None
    needs_choice: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_backtest(
    artifacts: Artifacts,
    logged_artifacts_tag: str | None,
    *,
    table: str | None = None,
    choice: ColumnChoice | None = None,
    max_bytes: int,
) -> BacktestReading:
    """Read the curve and the trades of a run.

    A table that turns out to hold no curve makes room for the next. Nothing stands in for a table named
    portfolio_values that cannot be used, except the same one in another format. Trades are looked for beside
    the curve first.

    Parameters
    ----------
    artifacts : Artifacts
    logged_artifacts_tag : str, optional
        The run's tag ``mlflow.loggedArtifacts``.
    table : str, optional
        The table that a person chose; no other is tried.
    choice : ColumnChoice, optional
        The columns that a person chose; left out, with a note, where the table does not have them.
    max_bytes : int
        Larger tables are not read.

    Raises
    ------
    NotFoundError
        There is no such `table`.
    ArtifactError
        The run's artifacts cannot be listed, or the path of `table` is refused.
    """
    found = find_tables(artifacts, logged_artifacts_tag)
    search = _Search(_Opener(artifacts, max_bytes), choice, chosen=table)
    if table is None:
        reading = search.through((*found.curves, *found.results))
    else:
        reading = search.through((TableFile(table, artifacts.stat(table).size),))
    tables = found.curves
    if reading.table is not None and all(file.path != reading.table for file in tables):
        tables += (TableFile(reading.table),)
    given_up = table is not None or any(file.is_contract for file in found.curves)
    if reading.curve is None and not reading.needs_choice and not given_up:
        reading = replace(reading, problems=(*reading.problems, _no_curve(found)))
    reading = replace(reading, tables=tables, notes=(*found.notes, *reading.notes))
    return _with_trades(reading, search.opener, found)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Opens tables that are no larger than a limit."""

    artifacts: Artifacts
    max_bytes: int

    def frame(self, file: TableFile, keys: Sequence[str]) -> pl.DataFrame:
        """Read a table; in JSON that is none, take what stands under one of the keys."""
        size = file.size if file.size is not None else self.artifacts.stat(file.path).size
        if size is not None and size > self.max_bytes:
            raise TableError(
                f"The table {file.path} has {_megabytes(size)}, above the limit of {_megabytes(self.max_bytes)}; "
                "nothing of it was read. Log fewer rows, or Parquet instead of text."
            )
        content = self.artifacts.read(file.path, self.max_bytes)
        if not file.path.lower().endswith(".json") or not content.strip():
            return read_table(file.path, content)
        return _frame_within(file.path, parse_json(file.path, content), keys)


@dataclass(slots=True)
class _Search:
    """Goes through tables until one gives a curve, and keeps what was wrong with the others."""

    opener: _Opener
    choice: ColumnChoice | None
    chosen: str | None
    problems: list[str] = field(default_factory=list)
    rejected: list[BacktestReading] = field(default_factory=list)

    def through(self, files: Iterable[TableFile]) -> BacktestReading:
        broken: TableFile | None = None
        unnamed = 0
        for file in files:
            if broken is not None and _without_suffix(file.path) != _without_suffix(broken.path):
                continue
            named = names_curve(file.path) or file.path == self.chosen
            unnamed += not named
            if unnamed > MAX_UNNAMED and not named:
                continue
            counts = file.is_contract or file.path == self.chosen
            try:
                reading = self._read(file)
            except NotATableError as error:
                if counts:
                    self.problems.append(str(error))
                    broken = file
                continue
            except GreenroomError as error:
                self.problems.append(str(error))
                broken = file if counts else broken
                continue
            if reading.curve is not None or (reading.needs_choice and (counts or reading.choice is not None)):
                return replace(reading, problems=(*self.problems, *reading.problems))
            if reading.choice is not None:  # a curve by its columns, with cells that cannot be read
                self.problems += reading.problems
                reading = replace(reading, problems=())
            if named:
                self.rejected.append(reading)
            broken = file if counts else broken
        reasons = (reason for each in self.rejected[:3] for reason in each.problems)
        first = self.rejected[0] if self.rejected else BacktestReading()
        return replace(first, needs_choice=False, problems=(*self.problems, *reasons))

    def _read(self, file: TableFile) -> BacktestReading:
        frame = self.opener.frame(file, _CURVE_KEYS)
        recognition = recognise(frame, file.path)
        reading = BacktestReading(file.path, recognition=recognition)
        notes: tuple[str, ...] = ()
        choice = self.choice
        if choice is not None and not set(choice.named()) <= set(frame.columns):
            choice, notes = (
                None,
                ("The columns that were chosen are not in this table; it was read without them.",),
            )
        if choice is None and (recognition.kind is not TableKind.CURVE or recognition.ambiguous):
            problem = recognition.problem or f"The table {file.path} holds {recognition.kind}, no curve."
            choosable = recognition.ambiguous or bool(
                recognition.kind is TableKind.NEITHER and recognition.times and recognition.numeric
            )
            start = recognition.suggestion()
            return replace(reading, choice=start, needs_choice=choosable, notes=notes, problems=(problem,))
        choice = choice or recognition.choice()
        try:
            built = build_curve(frame, choice, file.path)
        except TableError as error:
            return replace(reading, choice=choice, notes=notes, problems=(str(error),))
        return replace(reading, curve=built.curve, choice=choice, notes=(*notes, *built.notes))


def _with_trades(reading: BacktestReading, opener: _Opener, found: Found) -> BacktestReading:
    """Add the trades: of the curve's folder first, and never those beside another curve."""
    home = _folder(reading.table)
    elsewhere = {file.folder for file in found.curves if file.is_contract} - {home}
    files = sorted(
        (file for file in found.trades if file.folder not in elsewhere), key=lambda file: file.folder != home
    )
    inside = [file for file in found.results if file.folder not in elsewhere]
    files = [file for file in inside if file.path == reading.table] + files
    for file in dict.fromkeys((*files, *inside)):
        try:
            built = build_trades(opener.frame(file, _TRADE_KEYS), file.path)
        except EmptyTableError:
            note = f"{file.path} has no trade in it: none was made."
            return replace(reading, trades=no_trades(), trades_table=file.path, notes=(*reading.notes, note))
        except NotATableError:
            continue
        except GreenroomError as error:
            if file not in inside and reading.curve is not None:
                reading = replace(reading, problems=(*reading.problems, f"No trades: {error}"))
            continue
        notes = (*reading.notes, *built.notes)
        return replace(reading, trades=built.trades, trades_table=file.path, notes=notes)
    return reading


def _frame_within(path: str, value: Any, keys: Sequence[str]) -> pl.DataFrame:
    """Make a frame of a table, or of one that stands in a dict under one of the keys."""
    parts = {key: value[key] for key in keys if key in value} if isinstance(value, dict) else {}
    for part in parts.values():
        if part == [] or _is_table_like(part):
            return table_from_json(path, part)
    try:
        return table_from_json(path, value)
    except NotATableError:
        if not parts:
            raise
    name, part = next(iter(parts.items()))
    if isinstance(part, dict):  # from dates to values
        return table_from_json(path, {"time": list(part), "value": list(part.values())})
    times = next((value[key] for key in _TIME_KEYS if key in value), None)
    if isinstance(part, list) and isinstance(times, list) and len(times) == len(part):
        return table_from_json(path, {"time": times, "value": part})
    raise TableError(
        f"{path} has {name} without a date for each value. Log records with a time and a value instead."
    )


def _is_table_like(part: Any) -> bool:
    if isinstance(part, list):
        return bool(part) and isinstance(part[0], dict)
    return isinstance(part, dict) and any(isinstance(each, (list, dict)) for each in part.values())


def _no_curve(found: Found) -> str:
    paths = [file.path for file in (*found.curves, *found.trades, *found.results)]
    every = [*paths, *found.others]
    more = f" and {len(every) - 8:,} more" if len(every) > 8 else ""
    has = f"It has {', '.join(every[:8])}{more}." if every else "It has no tables and no images."
    return (
        "No equity curve was found: neither a table backtest/portfolio_values nor one whose name tells of a "
        f"portfolio, equity, NAV or returns. {has} Log one with MLflowLogger.log_backtest_results."
    )


def _folder(path: str | None) -> str:
    return (path or "").rpartition("/")[0]


def _without_suffix(path: str) -> str:
    return path.rpartition(".")[0]


def _megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"

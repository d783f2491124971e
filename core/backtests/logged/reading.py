"""Reading the backtest of a run: find its tables, read them, tell their columns, build the curve and the trades."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from core.backtests.logged.columns import ColumnChoice, Recognition, TableKind, recognise
from core.backtests.logged.curves import build_curve
from core.backtests.logged.discovery import Found, find_tables, is_contract, names_curve
from core.backtests.logged.trade_tables import build_trades, no_trades
from core.backtests.types import EquityCurve, Trades
from core.errors import GreenroomError
from core.tables.discovery import Artifacts, TableFile
from core.tables.errors import EmptyTableError, NotATableError, TableError
from core.tables.opening import TableOpener

MAX_UNNAMED = 6  # tables that are opened although their names do not tell of a curve
_CURVE_KEYS = ("portfolio_values", "equity_curve", "portfolio_value", "equity", "portfolio")
_TRADE_KEYS = ("trades", "trade_log", "closed_trades")


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
    search = _Search(TableOpener(artifacts, max_bytes), choice, chosen=table)
    if table is None:
        reading = search.through((*found.curves, *found.results))
    else:
        reading = search.through((TableFile(table, artifacts.stat(table).size),))
    tables = found.curves
    if reading.table is not None and all(file.path != reading.table for file in tables):
        tables += (TableFile(reading.table),)
    given_up = table is not None or any(is_contract(file) for file in found.curves)
    if reading.curve is None and not reading.needs_choice and not given_up:
        reading = replace(reading, problems=(*reading.problems, _no_curve(found)))
    reading = replace(reading, tables=tables, notes=(*found.notes, *reading.notes))
    return _with_trades(reading, search.opener, found)


@dataclass(slots=True)
class _Search:
    """Goes through tables until one gives a curve, and keeps what was wrong with the others."""

    opener: TableOpener
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
            counts = is_contract(file) or file.path == self.chosen
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


def _with_trades(reading: BacktestReading, opener: TableOpener, found: Found) -> BacktestReading:
    """Add the trades: of the curve's folder first, and never those beside another curve."""
    home = _folder(reading.table)
    elsewhere = {file.folder for file in found.curves if is_contract(file)} - {home}
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

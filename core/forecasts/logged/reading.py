"""Read the forecast of a run: find its table, tell its columns, and bring its rows into one form."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

import polars as pl

from core.errors import GreenroomError
from core.forecasts.logged.columns import ForecastColumns, find_columns
from core.forecasts.types import PREDICTIONS
from core.tables.cells import counted, numbers_of
from core.tables.discovery import (
    Artifacts,
    TableFile,
    find_files,
    folder_rank,
    is_promising,
    is_table,
    suffix_rank,
)
from core.tables.errors import NotATableError, TableError
from core.tables.names import name_words, spellings
from core.tables.opening import TableOpener
from core.tables.times import MICROSECONDS, times_of

CONTRACT_FOLDER: Final = "forecast"
CONTRACT_NAME: Final = "predictions"
_FOLDERS: Final = (
    CONTRACT_FOLDER,
    *("predictions", "prediction", "evaluation", "eval", "results", "test", "validation"),
)
_WORDS: Final = ("predictions", "prediction", "forecasts", "forecast", "predicted", "yhat")
_BESIDES: Final = frozenset(spellings("train training metrics summary stats importance by overall stores"))
_MOST_OPENED: Final = 6
_KEYS: Final = ("predictions", "forecast", "forecasts")


@dataclass(frozen=True, slots=True, eq=False)
class ForecastReading:
    """The forecast of a run, as far as it could be read.

    Attributes
    ----------
    rows : DataFrame
        With the columns of `PREDICTIONS`; empty where nothing could be read.
    table : str or None
        Path of the table that the rows are from.
    columns : ForecastColumns or None
        What its columns were taken for.
    tables : tuple of TableFile
        Every table that could hold a forecast by its name, best first; that of the contract alone where it was read.
    notes : tuple of str
        What was left out or assumed.
    problems : tuple of str
        What could not be read, one sentence each.
    """

    rows: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PREDICTIONS))
    table: str | None = None
    columns: ForecastColumns | None = None
    tables: tuple[TableFile, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_forecast(
    artifacts: Artifacts,
    logged_artifacts_tag: str | None,
    *,
    store: str,
    table: str | None = None,
    max_bytes: int,
) -> ForecastReading:
    """Read the forecast of a run.

    A table that turns out to hold no forecast makes room for the next one by name; so does one that cannot be read,
    which is then a problem.

    Parameters
    ----------
    logged_artifacts_tag : str, optional
        The run's tag ``mlflow.loggedArtifacts``.
    store : str
        What the forecast is of, where its table has no column that says so.
    table : str, optional
        The table that a person chose; no other is tried.
    max_bytes : int
        Larger tables are not read.

    Raises
    ------
    NotFoundError
        There is no such `table`.
    ArtifactError
        The run's artifacts cannot be listed.
    """
    opener = TableOpener(artifacts, max_bytes)
    if table is not None:
        file = TableFile(table, artifacts.stat(table).size)
        return replace(_first_that_reads([file], opener, store), tables=(file,))
    # The name that the contract gives is looked for first, which spares a walk through all folders.
    contract = _contract_table(artifacts, logged_artifacts_tag)
    if contract is not None:
        reading = _first_that_reads([contract], opener, store)
        if reading.table is not None:
            return replace(reading, tables=(contract,))
    found = find_files(
        artifacts,
        logged_artifacts_tag,
        promising=_FOLDERS,
        contract_folder=CONTRACT_FOLDER,
        is_enough=lambda paths: any(_names_forecast(path) for path in paths),
    )
    tables = tuple(sorted((file for file in found.tables if _may_be_forecast(file)), key=_rank))
    reading = _first_that_reads(tables, opener, store)
    problems = reading.problems
    if reading.table is None and not problems:
        problems = (
            "No forecast can be read: the run logged no table of predictions. Log one as "
            "forecast/predictions.parquet with the columns date, actual and predicted.",
        )
    return replace(reading, tables=tables, notes=(*found.notes, *reading.notes), problems=problems)


def _contract_table(artifacts: Artifacts, tag: str | None) -> TableFile | None:
    for suffix in (".parquet", ".json", ".csv"):
        path = f"{CONTRACT_FOLDER}/{CONTRACT_NAME}{suffix}"
        if tag and path in tag:
            try:
                return TableFile(path, artifacts.stat(path).size, logged=True)
            except GreenroomError:
                return None
    return None


def _first_that_reads(
    files: tuple[TableFile, ...] | list[TableFile], opener: TableOpener, store: str
) -> ForecastReading:
    problems: list[str] = []
    passed_over: list[str] = []
    for file in files[:_MOST_OPENED]:
        try:
            frame = opener.frame(file, _KEYS)
            columns = find_columns(frame, file.path)
            rows, notes = forecast_rows(frame, columns, file.path, store)
        except NotATableError as error:
            passed_over.append(str(error))
            continue
        except GreenroomError as error:
            problems.append(str(error))
            continue
        return ForecastReading(rows, file.path, columns, notes=notes, problems=tuple(problems))
    if len(files) > _MOST_OPENED:
        passed_over.append(
            f"Only {_MOST_OPENED} of {len(files)} tables were opened. A table in {CONTRACT_FOLDER}/ named "
            f"{CONTRACT_NAME} is always the first."
        )
    return ForecastReading(problems=(*problems, *passed_over))


def forecast_rows(
    frame: pl.DataFrame, columns: ForecastColumns, path: str, store: str
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Bring a table into the form of `PREDICTIONS`.

    Raises
    ------
    TableError
        Cells are no times or numbers, or no row has a time.
    """
    notes: list[str] = []
    times, note = times_of(frame, columns.time, path)
    notes.append(note)
    numbers = {}
    for role in ("actual", "predicted", "lower", "upper"):
        name = getattr(columns, role)
        if name is None:
            numbers[role] = pl.Series(role, [None] * frame.height, dtype=pl.Float64)
            continue
        values, note = numbers_of(frame, name, path)
        numbers[role] = values.alias(role)
        notes.append(note)
    rows = pl.DataFrame(
        [
            _stores(frame, columns, store),
            times.cast(MICROSECONDS).alias("time"),
            _splits(frame, columns),
            *numbers.values(),
        ]
    )
    timed = rows.filter(pl.col("time").is_not_null() & pl.col("store").is_not_null())
    if not timed.height:
        raise TableError(f"No row of {path} has a date. Log the table again.")
    if timed.height < rows.height:
        notes.append(f"{counted(rows.height - timed.height, 'row')} without a date or a store left out.")
    repeated = timed.height - timed.n_unique(["store", "time", "split"])
    if repeated:
        notes.append(
            f"{counted(repeated, 'row')} of {path} for a time that their store already has; every row is measured."
        )
    if columns.actual is None:
        notes.append(f"{path} has predictions without actuals: nothing can be measured yet.")
    elif timed["actual"].is_null().all():
        notes.append(f"The column {columns.actual} of {path} is empty: nothing can be measured yet.")
    return timed.sort("store", "time", maintain_order=True), tuple(filter(None, notes))


def _stores(frame: pl.DataFrame, columns: ForecastColumns, store: str) -> pl.Series:
    if columns.store is None:
        return pl.Series("store", [store] * frame.height, dtype=pl.String)
    return frame[columns.store].cast(pl.String).str.strip_chars().alias("store")


def _splits(frame: pl.DataFrame, columns: ForecastColumns) -> pl.Series:
    if columns.split is None:
        return pl.Series("split", ["test"] * frame.height, dtype=pl.String)
    words = frame[columns.split].str.to_lowercase().fill_null("")
    trained = words.str.contains(r"^(?:train|fit|in.?sample)")
    return pl.select(
        pl.when(trained).then(pl.lit("train")).otherwise(pl.lit("test")).alias("split")
    ).to_series()


def _names_forecast(path: str) -> bool:
    return is_table(path) and not name_words(path).isdisjoint(_WORDS)


def _may_be_forecast(file: TableFile) -> bool:
    return _names_forecast(file.path) or is_promising(file.folder, _FOLDERS) or file.logged


def _rank(file: TableFile) -> tuple[object, ...]:
    words = name_words(file.path)
    exact = PurePosixPath(file.path).stem.lower() == CONTRACT_NAME
    place = next((place for place, word in enumerate(_WORDS) if word in words), len(_WORDS))
    return (
        not (exact and file.folder == CONTRACT_FOLDER),
        len(_BESIDES & words),
        place,
        *folder_rank(file.folder, _FOLDERS),
        not file.logged,
        suffix_rank(file.path),
        file.path,
    )

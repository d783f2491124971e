"""Which tables of a run can hold its backtest, by their names and folders, and which of them come first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from core.backtests.logged.column_names import is_trade_name
from core.tables.discovery import (
    Artifacts,
    TableFile,
    find_files,
    folder_rank,
    is_promising,
    is_table,
    suffix_rank,
)
from core.tables.names import name_words

CONTRACT_FOLDER, CONTRACT_NAME = "backtest", "portfolio_values"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FOLDERS = (
    "backtest",
    "evaluation",
    "eval",
    "results",
    "report",
    "validation",
    "test",
    "performance",
    "trading",
)
_CURVE_WORDS = (
    "portfolio",
    "equity",
    "nav",
    "networth",
    "balance",
    "returns",
    "return",
    "curve",
    "account",
    "backtest",
    "performance",
)
_BESIDES = _words(
    "benchmark market monthly yearly annual weekly rolling drawdown drawdowns distribution train "
    "training stats metrics summary"
)
_OTHER_TABLES = _words(
    "predictions prediction forecast forecasts importance features feature params config schema "
    "input example confusion metrics dataset requirements"
)
_RESULTS = _words("results backtest backtest_results backtest_report report")


@dataclass(frozen=True, slots=True)
class Found:
    """What a run has for a backtest, best first.

    Attributes
    ----------
    curves, trades, results : tuple of TableFile
        By name only; what is in them is not known yet.
    others : tuple of str
        Other tables and images, for a run that has no curve.
    notes : tuple of str
        What could not be looked at.
    """

    curves: tuple[TableFile, ...] = ()
    trades: tuple[TableFile, ...] = ()
    results: tuple[TableFile, ...] = ()
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find_tables(artifacts: Artifacts, logged_artifacts_tag: str | None) -> Found:
    """Find the tables of a run that can hold its backtest. No file is opened.

    Folders named like a backtest are looked into first, others only while no curve is found; at most 200
    entries of a folder, 12 folders, two levels deep. Folders of models are left out.

    Parameters
    ----------
    artifacts : Artifacts
    logged_artifacts_tag : str, optional
        The run's tag ``mlflow.loggedArtifacts``.

    Raises
    ------
    ArtifactError
        The run's artifacts cannot be listed.
    """
    found = find_files(
        artifacts,
        logged_artifacts_tag,
        promising=_FOLDERS,
        contract_folder=CONTRACT_FOLDER,
        is_enough=lambda paths: any(map(names_curve, paths)),
    )
    results = [file for file in found.tables if _is_results(file.path)]
    trades = [file for file in found.tables if file not in results and is_trade_name(file.path)]
    curves = [
        file for file in found.tables if file not in results and file not in trades and _may_be_curve(file)
    ]
    return Found(
        tuple(sorted(curves, key=_curve_rank)),
        tuple(sorted(trades, key=_trades_rank)),
        tuple(sorted(results, key=_trades_rank)),
        found.others((*results, *trades, *curves)),
        found.notes,
    )


def is_contract(file: TableFile) -> bool:
    """Whether it goes by the name that curves are logged under."""
    return PurePosixPath(file.path).stem.lower() == CONTRACT_NAME


def _is_results(path: str) -> bool:
    file = PurePosixPath(path.lower())
    return file.suffix == ".json" and file.stem in _RESULTS


def names_curve(path: str) -> bool:
    """Whether a table is called what curves are called."""
    return is_table(path) and not is_trade_name(path) and _curve_word(path) < len(_CURVE_WORDS)


def _curve_word(path: str) -> int:
    """Give the place of the best word in its name that curves go by; past the last one without any."""
    words = name_words(path)
    joined = re.sub(r"[^a-z]", "", PurePosixPath(path).stem.lower())
    return next(
        (place for place, word in enumerate(_CURVE_WORDS) if word in words or word == joined),
        len(_CURVE_WORDS),
    )


def _may_be_curve(file: TableFile) -> bool:
    """Take a name that tells; without one, MLflow's own tables and those in promising folders."""
    if names_curve(file.path):
        return True
    promising = is_promising(file.folder, _FOLDERS)
    return (file.logged or promising) and _OTHER_TABLES.isdisjoint(name_words(file.path))


def _curve_rank(file: TableFile) -> tuple[object, ...]:
    contract = is_contract(file)
    own = contract and file.folder == CONTRACT_FOLDER
    besides = len(_BESIDES & name_words(file.path))
    place = (*folder_rank(file.folder, _FOLDERS), not file.logged, suffix_rank(file.path), file.path)
    return (not own, not contract, besides, _curve_word(file.path), *place)


def _trades_rank(file: TableFile) -> tuple[object, ...]:
    exact = PurePosixPath(file.path).stem.lower() in ("trades", "results")
    return (
        not exact,
        *folder_rank(file.folder, _FOLDERS),
        not file.logged,
        suffix_rank(file.path),
        file.path,
    )

"""The use cases of backtests: read the backtest of a run, remember what its columns are, count the trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.backtests.logged.columns import ColumnChoice
from core.backtests.logged.reading import BacktestReading, read_backtest
from core.backtests.trials import SHARPE_METRICS, Trials, count_trials
from core.backtests.types import Floats
from core.errors import ArtifactError, GreenroomError
from core.tables.discovery import Artifacts


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """What a backtest needs to know of a run.

    Attributes
    ----------
    logged_tables : str or None
        MLflow's tag ``mlflow.loggedArtifacts``.
    """

    run_id: str
    experiment_id: str
    logged_tables: str | None
    artifacts: Artifacts


class ColumnMemory(Protocol):
    """Where the choices of people are kept; see `core.backtests.logged.remembered`."""

    def find(self, experiment_id: str, columns: Sequence[str]) -> ColumnChoice | None: ...

    def remember(self, experiment_id: str, columns: Sequence[str], choice: ColumnChoice, by: str) -> None: ...


OpenRun = Callable[[str], LoggedRun]
ValuesOfOthers = Callable[[str, Sequence[str]], tuple[int, Mapping[str, Floats]]]
"""From a run's id and metric keys to how many other runs its experiment has, and their last values."""


class BacktestDesk:
    """Reads the backtests of one tracking store. Safe for many threads.

    Parameters
    ----------
    open_run : callable
        From a run id, or the beginning of one, to the run.
    values_of_others : callable
    memory : ColumnMemory
    max_table_bytes : int
        Larger tables are not read.
    """

    def __init__(
        self, open_run: OpenRun, values_of_others: ValuesOfOthers, memory: ColumnMemory, max_table_bytes: int
    ) -> None:
        self._open_run = open_run
        self._values_of_others = values_of_others
        self._memory = memory
        self._max_table_bytes = max_table_bytes

    def read(self, run_id: str, table: str | None = None) -> BacktestReading:
        """Read the backtest of a run, with the columns that a person chose for tables like its own.

        Parameters
        ----------
        run_id : str
        table : str, optional
            Path of the table with the curve, where a run has several.

        Raises
        ------
        NotFoundError
            If there is no such run, or no such table in it.
        """
        run = self._open_run(run_id)
        try:
            reading = self._read(run, table, None)
        except ArtifactError as error:
            return BacktestReading(problems=(f"No equity curve can be read. {error}",))
        if reading.recognition is None:
            return reading
        try:
            remembered = self._memory.find(run.experiment_id, reading.recognition.columns)
        except GreenroomError as error:
            return replace(reading, problems=(*reading.problems, str(error)))
        return reading if remembered is None else self._read(run, reading.table, remembered)

    def remember(self, run_id: str, columns: Sequence[str], choice: ColumnChoice, by: str) -> None:
        """Remember which column is what, for all tables of the run's experiment that have these columns.

        Raises
        ------
        NotFoundError, GreenroomError
        """
        self._memory.remember(self._open_run(run_id).experiment_id, columns, choice, by)

    def trials(self, run_id: str) -> Trials:
        """Count the runs of a run's experiment as tries for the best Sharpe ratio.

        Raises
        ------
        NotFoundError
        """
        return count_trials(*self._values_of_others(run_id, SHARPE_METRICS))

    def _read(self, run: LoggedRun, table: str | None, choice: ColumnChoice | None) -> BacktestReading:
        return read_backtest(
            run.artifacts, run.logged_tables, table=table, choice=choice, max_bytes=self._max_table_bytes
        )

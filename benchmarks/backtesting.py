"""Backtests: read and measure a long one, overlay twenty, log a large one."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Times, timed, times, use_store
from benchmarks.rerunning import APP, run_page

BARS = 91_157
_RUNS, _POINTS = 20, 5_000
_LOGGED, _TRADES = 100_000, 2_000


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds for five-minute bars: reading the logged table and measuring; measuring alone; quantstats."""

    read_and_measured: Times
    measured: Times
    quantstats: Times
    measures: int
    rival_measures: int


def five_minute_bars(given: Path | None) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]]:
    """Return times and closes of a file with the columns time and close, else a random walk of the same shape."""
    if given is not None:
        import pandas as pd

        frame = pd.read_csv(given, usecols=["time", "close"])
        moments = pd.to_datetime(frame["time"], utc=True).dt.tz_localize(None).to_numpy()
        return moments.astype("datetime64[us]"), frame["close"].to_numpy(dtype=np.float64)
    # Five hours of each business day, as the peso is traded.
    days = np.arange(np.datetime64("2020-01-02"), np.datetime64("2026-12-31"))
    days = days[np.is_busday(days)]
    bars = 60
    moments = (days[:, None] + np.arange(bars) * np.timedelta64(5, "m") + np.timedelta64(13, "h")).ravel()
    moves = np.random.default_rng(1).normal(0, 0.0006, BARS - 1)
    closes = 3_300 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))
    return moments[:BARS].astype("datetime64[us]"), closes


def long_one(folder: Path, given: Path | None, repetitions: int) -> Measured:
    """Log five-minute bars as a backtest, read and measure them; measure the same returns with quantstats."""
    import pandas as pd

    from core.backtests.annualisation import annualise
    from core.backtests.catalogue import CATALOGUE
    from core.backtests.measures import measure
    from core.backtests.tear_sheet import tear_sheet
    from core.backtests.types import EquityCurve
    from core.workspace import open_workspace

    moments, closes = five_minute_bars(given)
    _store(folder)
    logger = _logger("bars")
    with logger.start_run("five-minute bars") as run:
        frame = pd.DataFrame({"time": moments, "value": closes, "benchmark": closes[::-1]})
        logger.log_backtest_results({"portfolio_values": frame, "trades": _trades(moments, closes)})
    run_id = run.run_id
    workspace = open_workspace()
    workspace.runs.sync()

    def read_and_measure() -> int:
        reading = workspace.backtests.read(run_id)
        sheet = tear_sheet(reading.curve, reading.trades)
        return sum(getattr(sheet.measures, each.key) is not None for each in CATALOGUE)

    # The libraries are loaded by then, as they are in a dashboard.
    read_and_measure()
    both = times([read_and_measure] * repetitions)
    ours = Times(
        tuple(
            timed(lambda: measure(EquityCurve(moments, closes), None, annualise(moments)))[0]
            for _ in range(repetitions)
        )
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantstats

        returns = pd.Series(closes[1:] / closes[:-1] - 1.0, index=pd.DatetimeIndex(moments[1:]))

        def theirs() -> Any:
            return quantstats.reports.metrics(returns, mode="full", display=False)

        rival_measures = len(theirs())
        rival = times([theirs] * repetitions)
    return Measured(both, ours, rival, read_and_measure(), rival_measures)


@dataclass(frozen=True, slots=True)
class Overlaid:
    """Twenty runs over each other: the first run of the page, its reruns, and what the charts weigh in bytes."""

    first: float
    reruns: Times
    payload: int


def overlay(folder: Path, repetitions: int) -> Overlaid:
    """Rerun the Backtests page with twenty runs of 5,000 points, with another risk-free rate each time."""
    import pandas as pd
    from streamlit.testing.v1 import AppTest

    from core.workspace import open_workspace

    _store(folder)
    logger = _logger("overlay")
    moments = pd.bdate_range("1999-01-04", periods=_POINTS)
    ids = []
    for number in range(_RUNS):
        moves = np.random.default_rng(number).normal(0.0003, 0.01, _POINTS)
        with logger.start_run(f"rule {number}") as run:
            values = 1e5 * np.exp(np.cumsum(moves))
            logger.log_backtest_results(
                {"portfolio_values": pd.DataFrame({"time": moments, "value": values})}
            )
        ids.append(run.run_id)
    workspace = open_workspace()
    workspace.runs.sync()
    workspace.close()
    page = AppTest.from_file(str(APP), default_timeout=120)
    run_page(page)
    page.query_params["runs"] = ",".join(ids)
    page.switch_page("views/backtests.py")
    first = run_page(page)
    seconds = []
    for turn in range(repetitions):
        # Nothing of what is drawn can be taken from the last rerun: every measure changes with the rate.
        page.number_input(key="rf").set_value(0.25 * (turn + 1))
        seconds.append(run_page(page))
    charts = page.get("plotly_chart")
    if len(charts) != 2:
        raise RuntimeError(f"The page shows {len(charts)} charts instead of two.")
    return Overlaid(first, Times(tuple(seconds)), sum(len(one.proto.spec) for one in charts))


def logging_one(folder: Path, repetitions: int) -> tuple[Times, Times]:
    """Log a backtest of 100,000 points until it is stored, and write the same three files with pandas."""
    import pandas as pd

    moments = pd.date_range("2020-01-01", periods=_LOGGED, freq="5min")
    random = np.random.default_rng(3)
    values = 1e5 * np.exp(np.cumsum(random.normal(0, 0.001, _LOGGED)))
    portfolio = pd.DataFrame(
        {
            "time": moments,
            "value": values,
            "benchmark": values[::-1],
            "position": random.integers(-1, 2, _LOGGED).astype(float),
        }
    )
    trades = _trades(moments.to_numpy(), values)
    _store(folder)
    logger = _logger("large")
    logger.start_run("large")
    logger.flush()

    def ours() -> None:
        logger.log_backtest_results({"portfolio_values": portfolio, "trades": trades})
        if not logger.flush(120):
            raise RuntimeError("The backtest was not stored.")

    def theirs() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            portfolio.to_json(Path(place) / "portfolio_values.json", orient="split", index=False)
            trades.to_json(Path(place) / "trades.json", orient="split", index=False)
            full = {
                "portfolio_values": json.loads(portfolio.to_json(orient="records", date_format="iso")),
                "trades": json.loads(trades.to_json(orient="records", date_format="iso")),
            }
            (Path(place) / "results.json").write_text(json.dumps(full))

    ours()
    theirs()
    found = times([ours] * repetitions), times([theirs] * repetitions)
    logger.end_run()
    return found


def _trades(moments: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64]) -> Any:
    """Return 2,000 trades of forty bars each, as a frame."""
    import pandas as pd

    entries = np.sort(np.random.default_rng(4).choice(len(values) - 50, _TRADES, replace=False))
    exits = entries + 40
    return pd.DataFrame(
        {
            "entry_time": moments[entries],
            "exit_time": moments[exits],
            "side": "long",
            "quantity": 1.0,
            "entry_price": values[entries],
            "exit_price": values[exits],
            "pnl": values[exits] - values[entries],
        }
    )


def _store(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    use_store(f"sqlite:///{folder / 'mlflow.db'}", folder / "home")
    os.chdir(folder)


def _logger(experiment: str) -> Any:
    from core.tracking import MLflowLogger

    return MLflowLogger(experiment)

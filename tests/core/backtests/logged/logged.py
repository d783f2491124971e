"""Small tables as people log them, and what the tests of curves, times and trades say of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from core.backtests.logged.columns import ColumnChoice, recognise
from core.backtests.logged.curves import CurveReading, build_curve
from core.backtests.logged.trade_tables import TradesReading

PATH = "backtest/portfolio_values.csv"
TIMED = ColumnChoice("time", "value")


def curve(
    path: str = PATH, /, choice: ColumnChoice | None = None, **columns: Sequence[object]
) -> CurveReading:
    frame = pl.DataFrame([pl.Series(name, values, strict=False) for name, values in columns.items()])
    return build_curve(frame, choice or recognise(frame, path).choice(), path)


def days(*numbers: int) -> list[str]:
    return [f"2024-01-{number:02}" for number in numbers]


def times(*written: str) -> list[np.datetime64]:
    return [np.datetime64(each, "us") for each in written]


def note(reading: CurveReading | TradesReading, word: str) -> str:
    found = [each for each in reading.notes if word in each]
    assert len(found) == 1, reading.notes
    return found[0]

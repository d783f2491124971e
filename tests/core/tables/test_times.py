"""Times from cells: the spellings that are read, in UTC, and the cells that are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

from core.tables.errors import TableError
from core.tables.times import times_of

PATH = "backtest/portfolio_values.csv"


def read(*written: object) -> tuple[list[object], str]:
    times, note = times_of(pl.DataFrame({"time": written}), "time", PATH)
    return times.to_list(), note


def meaning(*written: str) -> list[object]:
    return [np.datetime64(each, "us").item() for each in written]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["2024-01-02", "2024-01-03"], ["2024-01-02", "2024-01-03"]),
        (["2024-1-2", "2024-01-03"], ["2024-01-02", "2024-01-03"]),
        (["2024-01-02T09:30:00Z", "2024-01-02 09:31:00+00:00"], ["2024-01-02T09:30", "2024-01-02T09:31"]),
        (
            ["2024-01-02T09:30:00+02:00", "2024-01-02T09:30:00-05:00"],
            ["2024-01-02T07:30", "2024-01-02T14:30"],
        ),
        (["2024-01-02 09:30:00.125", "2024-01-02 09:30"], ["2024-01-02T09:30:00.125", "2024-01-02T09:30"]),
        (["2024-01-02 09:30:00.123456789 UTC"], ["2024-01-02T09:30:00.123456"]),
        (["2024/01/02 10:00:00", "2024.01.03 10:00"], ["2024-01-02T10", "2024-01-03T10"]),
        (["13/02/2024", "01/03/2024"], ["2024-02-13", "2024-03-01"]),
        (["02/13/2024", "03/01/2024 16:00"], ["2024-02-13", "2024-03-01T16"]),
        (["1/31/2024 4:05 PM", "1/2/2024 9:00:01 AM"], ["2024-01-31T16:05", "2024-01-02T09:00:01"]),
        (["02.01.2024", "03.01.2024"], ["2024-01-02", "2024-01-03"]),
        (["02-Jan-2024", "Jan 03, 2024"], ["2024-01-02", "2024-01-03"]),
        (["20240102", "20240103"], ["2024-01-02", "2024-01-03"]),
        (["20240102 093000", "20240103T093000"], ["2024-01-02T09:30", "2024-01-03T09:30"]),
        (["1704153600000", "1704240000000"], ["2024-01-02", "2024-01-03"]),
        ([1_704_153_600, 1_704_240_000], ["2024-01-02", "2024-01-03"]),
        ([1_704_153_600.5, 1_704_240_000.0], ["2024-01-02T00:00:00.5", "2024-01-03"]),
        ([1_704_153_600_000, -631_152_000_000], ["2024-01-02", "1950-01-01"]),
        ([1_704_153_600_123_456], ["2024-01-02T00:00:00.123456"]),
        ([1_704_153_600_123_456_789], ["2024-01-02T00:00:00.123456"]),
        ([20240102, 20240103], ["2024-01-02", "2024-01-03"]),
    ],
)
def test_times_in_many_spellings_are_utc(written: list[object], meant: list[str]) -> None:
    assert read(*written)[0] == meaning(*meant)


def test_zoned_times_become_utc_and_missing_ones_stay_missing() -> None:
    zoned = pl.Series("time", [pd.Timestamp("2024-01-02 09:30", tz="America/Bogota"), None])
    assert times_of(zoned.to_frame(), "time", PATH)[0].to_list() == [pd.Timestamp("2024-01-02 14:30"), None]


def test_dates_that_could_be_read_twice_are_month_first_and_said() -> None:
    times, note = read("01/02/2024", "01/03/2024")
    assert times == meaning("2024-01-02", "2024-01-03")
    assert "01/02/2024 were read as month/day/year" in note
    assert read("01/02/2024", "31/01/2024") == (meaning("2024-02-01", "2024-01-31"), "")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["13/02/2024", "02/13/2024"], "row 2: '02/13/2024'"),
        (["2024-01-02", "soon", "2024-13-01"], "row 2: 'soon', row 3: '2024-13-01'"),
        (["2024-01-02", "0024-01-02"], "row 2"),
        ([1_704_153_600, 1_704_153_600, 10**17], f"row 3: '{10**17}'"),
    ],
)
def test_cells_that_are_no_times_are_named(written: list[object], said: str) -> None:
    with pytest.raises(TableError, match=said):
        read(*written)

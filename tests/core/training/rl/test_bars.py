"""Files of bars: what is read, and the sentence for what is not."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from core.errors import BadInputError
from core.training.rl.bars import read_bars

ROWS = "time,close\n2024-01-01,10\n2024-01-02,11\n2024-01-03,12\n"


def write(folder: Path, text: str, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "header", ["time,close", "Date,Close", "timestamp,price", "datetime,last", "Date,Adj Close"]
)
def test_the_usual_names_of_columns_are_recognised(tmp_path: Path, header: str) -> None:
    bars = read_bars(write(tmp_path, ROWS.replace("time,close", header)))
    assert bars.close.tolist() == [10, 11, 12]
    assert bars.times[0] == np.datetime64("2024-01-01")
    assert bars.notes == ()


def test_packed_csv_and_parquet_are_read_like_csv(tmp_path: Path) -> None:
    packed = tmp_path / "bars.csv.gz"
    packed.write_bytes(gzip.compress(ROWS.encode()))
    parquet = tmp_path / "bars.parquet"
    pl.DataFrame({"date": [1, 2], "close": [5.0, 6.0]}).with_columns(
        date=pl.date(2024, 1, pl.col("date"))
    ).write_parquet(parquet)
    assert read_bars(packed).close.tolist() == [10, 11, 12]
    assert read_bars(parquet).close.tolist() == [5, 6]


def test_times_with_an_offset_become_utc(tmp_path: Path) -> None:
    bars = read_bars(
        write(tmp_path, "time,close\n2024-01-01 08:00:00-05:00,10\n2024-01-01 09:00:00-05:00,11\n")
    )
    assert bars.times[0] == np.datetime64("2024-01-01T13:00")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("2024-01-01,10\n2024-01-02,\n", r"1 row \(row 2 at 2024-01-02 00:00:00\) without a price.*--repair"),
        ("2024-01-01,10\n2024-01-02,nan\n", "without a price"),
        (
            "2024-01-01,10\n2024-01-01,11\n",
            r"row 1 at 2024-01-01 00:00:00\) whose time comes again.*--repair",
        ),
        (
            "2024-01-02,10\n2024-01-01,11\n",
            r"not sorted by time: 1 row \(row 2 at 2024-01-01 00:00:00\).*--repair",
        ),
        ("2024-01-01,10\n2024-01-02,0\n", r"row 2 at 2024-01-02 00:00:00\) with a price of zero or less"),
        ("2024-01-01,10\n2024-01-02,-3\n", "zero or less"),
        ("2024-01-01,10\n,11\n", r"row 2\) without a time"),
        ("2024-01-01,10\n2024-01-02,ten\n", "row 2.*ten"),
    ],
)
def test_bars_that_cannot_be_used_are_named_with_row_and_time(tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said) as refused:
        read_bars(write(tmp_path, f"time,close\n{rows}"))
    assert "bars.csv" in str(refused.value)


def test_repair_leaves_out_what_is_missing_or_double_and_sorts_and_says_so(tmp_path: Path) -> None:
    rows = "2024-01-03,12\n2024-01-01,9\n2024-01-01,10\n2024-01-02,\n2024-01-02,11\n"
    bars = read_bars(write(tmp_path, f"time,close\n{rows}"), repair=True)
    # Of rows with the same time the last one counts.
    assert bars.close.tolist() == [10, 11, 12]
    assert [note.split(":")[0] for note in bars.notes] == ["Left out", "Sorted by time", "Left out"]
    assert "1 row (row 4 at 2024-01-02 00:00:00) without a price" in bars.notes[0]


def test_repair_does_not_guess_prices_of_zero(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="zero or less"):
        read_bars(write(tmp_path, "time,close\n2024-01-01,10\n2024-01-02,0\n"), repair=True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("bars.csv", "", "has no bars"),
        (
            "bars.csv",
            "time,volume\n2024-01-01,3\n",
            "no column that is known as a price; it has 'time', 'volume'",
        ),
        ("bars.csv", "row,close\n1,3\n", "no column that is known as a time"),
        ("bars.txt", ROWS, "no file of bars"),
        ("bars.csv.gz", ROWS, "cannot be unpacked"),
        ("bars.csv", "time,close\n1,10\n2,11\n", "counts steps"),
    ],
)
def test_files_that_hold_no_bars_are_refused(tmp_path: Path, name: str, content: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        read_bars(write(tmp_path, content, name))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"gone\.csv cannot be read: No such file"):
        read_bars(tmp_path / "gone.csv")


def test_hours_that_few_days_have_are_pointed_at(tmp_path: Path) -> None:
    rows = []
    for day in range(1, 29):
        hours = (8, 9) if day == 7 else (13, 14)
        rows += [
            f"2024-01-{day:02d} {hour:02d}:{minute:02d}:00,10" for hour in hours for minute in range(0, 60, 5)
        ]
    bars = read_bars(write(tmp_path, "time,close\n" + "\n".join(rows)))
    (note,) = bars.notes
    assert "24 of 672 bars of bars.csv lie outside the usual hours (13:00 to 14:59 UTC)" in note


def test_hours_around_the_clock_are_not_odd(tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02d} {hour:02d}:00:00,10" for day in range(1, 29) for hour in range(24)]
    assert read_bars(write(tmp_path, "time,close\n" + "\n".join(rows))).notes == ()


@pytest.mark.parametrize(
    ("name", "count", "notes"),
    [
        ("usdcop_daily_2020_2026.csv", 1565, 0),
        ("usdcop_m5_2020_2026.csv.gz", 91157, 1),
        ("sp500_daily_1999_2018.csv.gz", 5031, 0),
    ],
)
def test_real_bars(shared_data: Path, name: str, count: int, notes: int) -> None:
    bars = read_bars(shared_data / "fx" / name)
    assert (len(bars), len(bars.notes)) == (count, notes)
    if notes:
        assert "4,446 of 91,157" in bars.notes[0]

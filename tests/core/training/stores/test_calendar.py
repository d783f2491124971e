"""Daily and weekly sales are told apart by their dates; dates that were misread are refused."""

from __future__ import annotations

import random
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from core.errors import BadInputError
from core.training.stores.calendar import DAILY, WEEKLY
from core.training.stores.sales import read_sales
from tests.core.training.stores import kit

FRIDAY = date(2012, 1, 6)


def dated(*stores: list[date]) -> pl.DataFrame:
    """Sales of stores on these dates."""
    rows = [(number, day, 100 + number) for number, days in enumerate(stores, 1) for day in days]
    return pl.DataFrame(rows, schema=["store", "date", "sales"], orient="row")


def days(first: date, count: int, step: int = 1) -> list[date]:
    return [first + timedelta(step * number) for number in range(count)]


def swapped(day: date) -> date:
    """What a reader that takes the month first makes of dd-mm-yyyy, where it can."""
    return day.replace(month=day.day, day=day.month) if day.day <= 12 else day


def test_every_day_is_daily_and_every_week_is_weekly(tmp_path: Path) -> None:
    daily = read_sales(kit.csv(tmp_path / "d.csv", dated(days(FRIDAY, 40), days(FRIDAY, 35))))
    weekly = read_sales(kit.csv(tmp_path / "w.csv", dated(days(FRIDAY, 40, 7), days(FRIDAY, 35, 7))))
    assert (daily.frequency, weekly.frequency) == (DAILY, WEEKLY)


def test_stores_may_have_weeks_that_end_on_other_days(tmp_path: Path) -> None:
    frame = dated(days(FRIDAY, 30, 7), days(FRIDAY + timedelta(1), 30, 7), days(FRIDAY - timedelta(4), 30, 7))
    assert read_sales(kit.csv(tmp_path / "w.csv", frame)).frequency == WEEKLY


def test_gaps_are_allowed(tmp_path: Path) -> None:
    pick = random.Random(1)
    weekly = [day for day in days(FRIDAY, 100, 7) if pick.random() < 0.7]
    assert max((b - a).days for a, b in pairwise(weekly)) >= 21
    daily = [day for day in days(FRIDAY, 200) if day.weekday() < 6 and pick.random() < 0.8]
    assert read_sales(kit.csv(tmp_path / "w.csv", dated(weekly))).frequency == WEEKLY
    assert read_sales(kit.csv(tmp_path / "d.csv", dated(daily))).frequency == DAILY


def test_a_shop_that_opens_on_three_days_a_week_is_daily(tmp_path: Path) -> None:
    frame = dated([day for day in days(FRIDAY, 200) if day.weekday() in (3, 4, 5)])
    assert read_sales(kit.csv(tmp_path / "d.csv", frame)).frequency == DAILY


@pytest.mark.parametrize(
    ("step", "said"),
    [(28, "28 days apart"), (14, "14 days apart"), (30, "30 days apart"), (10, "10 days apart")],
)
def test_other_steps_are_refused(tmp_path: Path, step: int, said: str) -> None:
    data = kit.csv(tmp_path / "s.csv", dated(days(FRIDAY, 60, step), days(FRIDAY, 60, step)))
    with pytest.raises(
        BadInputError, match=f"dates of s.csv are {said} as a rule: sales must be daily or weekly"
    ):
        read_sales(data)


def test_months_are_refused(tmp_path: Path) -> None:
    months = [date(2010 + number // 12, number % 12 + 1, 1) for number in range(60)]
    with pytest.raises(BadInputError, match=r"31 days apart as a rule.*days and months were not swapped"):
        read_sales(kit.csv(tmp_path / "s.csv", dated(months, months)))


def test_weekly_dates_with_day_and_month_swapped_are_refused_with_the_dates_that_would_fit(
    tmp_path: Path,
) -> None:
    right = days(FRIDAY, 104, 7)
    wrong = [swapped(day) for day in right]
    off = [row for row, day in enumerate(wrong, 1) if day.weekday() != 4]
    assert len(off) > 20
    with pytest.raises(BadInputError) as caught:
        read_sales(kit.csv(tmp_path / "s.csv", dated(wrong)))
    said = str(caught.value)
    assert f"{len(off)} rows do not fall on the day of the week of their store's other dates" in said
    for row in off[:5]:
        assert f"row {row}: {wrong[row - 1]} (would fit as {right[row - 1]})" in said
    assert f"and {len(off) - 5} more" in said
    assert said.endswith("write dates as 2012-10-26.")


def test_a_weekly_date_that_is_simply_wrong_is_told_without_a_better_one(tmp_path: Path) -> None:
    right = days(FRIDAY, 30, 7)
    right[20] += timedelta(1)
    assert right[20].day > 12 or swapped(right[20]).weekday() != 4
    with pytest.raises(BadInputError, match=rf"1 rows do not .*\(row 21: {right[20]}\)\. Day"):
        read_sales(kit.csv(tmp_path / "s.csv", dated(right)))


def test_stores_of_a_single_day_do_not_make_daily_sales_weekly(tmp_path: Path) -> None:
    lonely = [[FRIDAY] for _ in range(20)]
    assert read_sales(kit.csv(tmp_path / "d.csv", dated(days(FRIDAY, 10), *lonely))).frequency == DAILY
    assert read_sales(kit.csv(tmp_path / "w.csv", dated(days(FRIDAY, 10, 7), *lonely))).frequency == WEEKLY


def test_real_weeks_misread_month_first_are_refused(shared_data: Path, tmp_path: Path) -> None:
    original = shared_data / "stores" / "walmart_weekly_45_stores.csv"
    assert read_sales(original).frequency == WEEKLY
    frame = pd.read_csv(original)
    right = pd.to_datetime(frame["Date"], format="%d-%m-%Y")
    month_first = pd.to_datetime(frame["Date"], format="%m-%d-%Y", errors="coerce")
    frame["Date"] = month_first.fillna(right)
    data = tmp_path / "walmart.csv"
    frame.to_csv(data, index=False, date_format="%Y-%m-%d")
    off = int((frame["Date"].dt.day_of_week != 4).sum())
    assert off > 1000
    with pytest.raises(BadInputError) as caught:
        read_sales(data)
    said = str(caught.value)
    assert f"weekly dates of walmart.csv are not evenly spaced: {off:,} rows" in said
    assert "row 1: 2010-05-02 (would fit as 2010-02-05)" in said

"""Daily or weekly: found out from the dates, which are refused where they are neither or were read wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
import polars as pl

from core.errors import BadInputError

# So many of a store's dates on one day of the week make it weekly: of daily dates a seventh is.
_WEEKLY_SHARE: Final = 0.5
# Days from a date to the next as a rule, gaps included.
_LONGEST_STEP: Final = {"daily": 3, "weekly": 13}
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Frequency:
    """How sales are counted.

    Attributes
    ----------
    name : {"daily", "weekly"}
    days : int
        Length of a period in days.
    season : int
        Periods after which sales repeat: 7 days, 52 weeks.
    horizon : int
        Periods ahead that are forecast unless told otherwise.
    """

    name: str
    days: int
    season: int
    horizon: int

    @property
    def step(self) -> timedelta:
        """Length of a period."""
        return timedelta(days=self.days)

    @property
    def season_length(self) -> np.timedelta64:
        """Length of a season."""
        return np.timedelta64(self.season * self.days, "D")


DAILY: Final = Frequency("daily", 1, 7, 42)
WEEKLY: Final = Frequency("weekly", 7, 52, 13)


def find_frequency(dates: pl.DataFrame, path: str) -> Frequency:
    """Find out whether sales are daily or weekly.

    Parameters
    ----------
    dates : DataFrame
        store, date, row; no store has a date twice.

    Raises
    ------
    BadInputError
        If a weekly series has dates that are not whole weeks apart (day and month swapped, as a rule), or if
        sales are neither daily nor weekly.
    """
    days = dates.with_columns(pl.col("date").dt.weekday().alias("weekday"))
    counts = days.group_by("store", "weekday").len().sort("len", "weekday", descending=[True, False])
    usual = counts.group_by("store", maintain_order=True).agg(
        pl.col("weekday").first().alias("usual"), pl.col("len").first(), pl.col("len").sum().alias("all")
    )
    found = DAILY
    # A store's first date fixes its day of the week; only others can agree with it.
    agreeing, others = (int((usual[name] - 1).sum()) for name in ("len", "all"))
    if agreeing > _WEEKLY_SHARE * others:
        found = WEEKLY
        off = days.join(usual.select("store", "usual"), on="store").filter(
            pl.col("weekday") != pl.col("usual")
        )
        if off.height:
            raise _not_whole_weeks(off, path)
    step = _typical_step(dates)
    if step > _LONGEST_STEP[found.name]:
        raise BadInputError(
            f"The dates of {path} are {step:g} days apart as a rule: sales must be daily or weekly. "
            "Check that days and months were not swapped, or bring them to weeks first."
        )
    return found


def _typical_step(dates: pl.DataFrame) -> float:
    """Return the median distance in days between neighbouring dates of a store; 1 where no store has two."""
    steps = dates.sort("store", "date").select(
        pl.col("date").diff().over("store").dt.total_days().alias("step")
    )["step"]
    median = steps.drop_nulls().median()
    return float(median) if isinstance(median, int | float) else 1.0


def _not_whole_weeks(off: pl.DataFrame, path: str) -> BadInputError:
    rows = off.sort("row").head(_SHOWN)
    shown = "; ".join(
        f"row {row}: {day}{_swapped(day, usual)}"
        for row, day, usual in rows.select("row", "date", "usual").iter_rows()
    )
    more = f" and {off.height - _SHOWN:,} more" if off.height > _SHOWN else ""
    return BadInputError(
        f"The weekly dates of {path} are not evenly spaced: {off.height:,} rows do not fall on the day of the week "
        f"of their store's other dates ({shown}{more}). Day and month may be swapped: write dates as 2012-10-26."
    )


def _swapped(day: date, usual: int) -> str:
    """Say whether the date fits once its day and month change places."""
    if day.day > 12:
        return ""
    other = day.replace(month=day.day, day=day.month)
    return f" (would fit as {other})" if other.isoweekday() == usual else ""

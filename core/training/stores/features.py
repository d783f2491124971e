"""Features of every store and period: from sales at least a horizon old, from the calendar, and from what is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError
from core.training.stores.calendar import Frequency
from core.training.stores.sales import Sales

LEVEL: Final = "level"
"""The feature that all predictions are relative to: the mean of log sales over a quarter (daily) or a year (weekly)."""

_KEYS: Final = ("store", "date", "sales", "is_test")
_LEVEL_WINDOWS: Final = {"daily": 91, "weekly": 52}
_WINDOWS: Final = {"daily": (7, 28, 364), "weekly": (4, 8, 13, 26)}


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What models are trained on.

    Attributes
    ----------
    frame : DataFrame
        A row a store and open period, by store, then date: store, date, sales, is_test, and the features as
        Float32, null where there is no past to take one from.
    features : tuple of str
        Names of the features.
    cutoff : date
        The last date of the training period.
    horizon : int
        Periods of the test period.
    """

    frame: pl.DataFrame
    features: tuple[str, ...]
    cutoff: date
    horizon: int


def build_design(sales: Sales, horizon: int) -> Design:
    """Build the features of every row and split by time.

    The last `horizon` periods of the whole file are the test period. Every feature of a row is known `horizon`
    periods before it: a forecast for the whole test period can be made on the day it begins, and the features of
    a test row come from the training period alone.

    Sales enter as x = log(1 + sales). With h the horizon, the features are the mean of x over windows that end h
    periods earlier (closed days do not count), its standard deviation, x at lags of at least h that fall into the
    same season (same weekday; same weeks of the year before), each relative to `LEVEL`; weekday, day, month, week
    and day of the year; and the columns known in advance.

    Raises
    ------
    BadInputError
        If there is no row before or after the split.
    """
    frequency = sales.frequency
    last = sales.frame["date"].max()
    if not isinstance(last, date):
        raise BadInputError("There are no sales to train on.")
    cutoff = last - horizon * frequency.step
    if not (sales.frame["date"] <= cutoff).any():
        first = min(sales.frame["date"])
        raise BadInputError(
            f"Sales from {first} to {last} are too short for a horizon of {horizon} periods "
            f"({frequency.name}): nothing is left to train on. Give a smaller --horizon."
        )
    grid = _on_grid(sales.frame, frequency)
    x = pl.col("x")
    made = {**_past(x, frequency, horizon), **_calendar(frequency)}
    known = [name for name in sales.frame.columns if name.startswith("known:")]
    for name in known:
        plain = name.removeprefix("known:")
        made[f"{plain} (known)" if plain in made or plain in _KEYS else plain] = pl.col(name)
    frame = (
        grid.with_columns(pl.col("sales").log1p().alias("x"))
        .with_columns(
            pl.col("sales").is_not_null().alias("observed"),
            *(one.cast(pl.Float32).alias(f"feature:{name}") for name, one in made.items()),
        )
        .filter("observed")
        .with_columns(
            _relative(name) for name in _past(x, frequency, horizon) if name not in (LEVEL, "spread")
        )
        .select(
            "store",
            "date",
            "sales",
            (pl.col("date") > cutoff).alias("is_test"),
            *(pl.col(f"feature:{name}").alias(name) for name in made),
        )
    )
    return Design(frame, tuple(made), cutoff, horizon)


def _relative(name: str) -> pl.Expr:
    return (pl.col(f"feature:{name}") - pl.col(f"feature:{LEVEL}")).alias(f"feature:{name}")


def _on_grid(frame: pl.DataFrame, frequency: Frequency) -> pl.DataFrame:
    """Give every store a row for each period between its first and its last, without sales where it had none."""
    spans = frame.group_by("store", maintain_order=True).agg(
        pl.date_range(pl.col("date").min(), pl.col("date").max(), f"{frequency.days}d").alias("date")
    )
    grid = spans.explode("date")
    return grid.join(frame, on=["store", "date"], how="left", maintain_order="left")


def _past(x: pl.Expr, frequency: Frequency, horizon: int) -> dict[str, pl.Expr]:
    """Return the features from past sales; the newest sales in any of them are `horizon` periods old."""
    level = _LEVEL_WINDOWS[frequency.name]
    found = {LEVEL: _mean(x, horizon, level)}
    found |= {f"mean_{width}": _mean(x, horizon, width) for width in _WINDOWS[frequency.name]}
    found["spread"] = (
        x.shift(horizon).rolling_std(28 if frequency.days == 1 else 8, min_samples=2).over("store")
    )
    if frequency.days == 1:
        same = _same_season(horizon, frequency.season)
        lags = [same, same + 7, same + 14, max(364, same)]
        weeks = [x.shift(same + 7 * week).over("store") for week in range(8)]
        found["mean_weekday"] = pl.mean_horizontal(weeks)
    else:
        year = _same_season(horizon, frequency.season)
        lags = [
            horizon,
            horizon + 1,
            horizon + 2,
            *(lag for lag in (year - 1, year, year + 1) if lag >= horizon),
        ]
    return found | {f"lag_{lag}": x.shift(lag).over("store") for lag in dict.fromkeys(lags)}


def _mean(x: pl.Expr, horizon: int, width: int) -> pl.Expr:
    return x.shift(horizon).rolling_mean(width, min_samples=1).over("store")


def _same_season(horizon: int, season: int) -> int:
    """Return the smallest lag of whole seasons that is not below the horizon."""
    return -(-horizon // season) * season


def _calendar(frequency: Frequency) -> dict[str, pl.Expr]:
    day = pl.col("date").dt
    found = {
        "month": day.month(),
        "week": day.week(),
        "day_of_year": day.ordinal_day(),
        "week_of_month": (day.day() - 1) // 7,
    }
    return found if frequency.days > 1 else {"weekday": day.weekday(), "day": day.day(), **found}


def season_values(
    days: npt.NDArray[np.datetime64],
    sales: npt.NDArray[np.float64],
    wanted: npt.NDArray[np.datetime64],
    origin: np.datetime64,
    season: np.timedelta64,
) -> npt.NDArray[np.float64]:
    """Return the seasonal naive forecast: the last sales of the same season that were known at the origin.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (periods,)
        Rising.
    sales : ndarray of float64, shape (periods,)
    wanted : ndarray of datetime64[D], shape (steps,)
    origin : datetime64[D]
        The last day whose sales are known.
    season : timedelta64

    Returns
    -------
    ndarray of float64, shape (steps,)
        NaN where no season back has sales.
    """
    found = np.full(len(wanted), np.nan)
    if not len(days):
        return found
    at = wanted - season
    while True:
        open_ = np.isnan(found) & (at >= days[0])
        if not open_.any():
            return found
        place = np.searchsorted(days, at)
        place[place == len(days)] = 0
        hit = open_ & (at <= origin) & (days[place] == at)
        found[hit] = sales[place[hit]]
        at = at - season

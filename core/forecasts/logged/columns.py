"""Which column of a forecast table is what, by the names people use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from core.tables.contents import is_numeric, time_kind, time_names
from core.tables.errors import NotATableError
from core.tables.names import first, matching, plain, spellings

ACTUAL = spellings(
    "actual y actuals ytrue truth actualsales actualvalue observed observation sales transactions demand units "
    "target real value"
)
PREDICTED = spellings(
    "predicted yhat prediction predictions forecast forecasts predictedsales ypred pred forecasted predictedmean "
    "yhat50 p50 yhatp50 fitted"
)
LOWER = spellings("lower yhatlower lo lowerbound predictedlower forecastlower predictionlower")
UPPER = spellings("upper yhatupper hi upperbound predictedupper forecastupper predictionupper")
STORE = spellings(
    "store storecode storeid storenbr shop shopid outlet location uniqueid series seriesid product productid item "
    "itemid sku tienda"
)
SPLIT = spellings("split set part")
# Names of times that are usual in forecasts only; those of all tables come before them.
PERIOD = spellings("fecha week weekstart month period")

# yhat_p10, p05, q_90, lo-80, yhat-hi-95: a quantile, or one side of an interval of so many percent.
_QUANTILE = re.compile(r"(?:yhat|pred(?:icted|iction)?|forecast)?(?:p|q)(\d{1,2})$")
_SIDE = re.compile(r".*?(lo|hi)(\d{2})$")


@dataclass(frozen=True, slots=True)
class ForecastColumns:
    """The columns of a forecast table.

    Attributes
    ----------
    actual : str or None
        None in a forecast of what has not come yet.
    lower, upper : str or None
        Both or neither.
    store : str or None
        None in the forecast of a single store.
    split : str or None
        Tells training rows (those that start with "train" or "fit") from the rest.
    """

    time: str
    predicted: str
    actual: str | None = None
    lower: str | None = None
    upper: str | None = None
    store: str | None = None
    split: str | None = None


def find_columns(frame: pl.DataFrame, path: str) -> ForecastColumns:
    """Find the columns of a forecast table.

    Raises
    ------
    NotATableError
        If it has no predictions or no times; it says what there is and which names are accepted.
    """
    numeric = [name for name in frame.columns if is_numeric(frame[name]) or frame[name].is_null().all()]
    predicted = first(matching(numeric, PREDICTED))
    there = ", ".join(repr(name) for name in frame.columns[:20])
    if predicted is None:
        raise NotATableError(
            f"The table {path} has no column of predictions; it has {there}. Accepted names are predicted, yhat, "
            "prediction or forecast."
        )
    time = _time(frame)
    if time is None:
        raise NotATableError(
            f"The table {path} has predictions but no column of dates; it has {there}. Accepted names are date, "
            "ds, time or timestamp."
        )
    actual = first(matching([name for name in numeric if name != predicted], ACTUAL))
    lower, upper = _interval(name for name in numeric if name not in (predicted, actual))
    rest = [name for name in frame.columns if name not in (time, predicted, actual, lower, upper)]
    return ForecastColumns(
        time,
        predicted,
        actual,
        lower,
        upper,
        first(matching(rest, STORE)),
        first(matching([name for name in rest if frame[name].dtype == pl.String], SPLIT)),
    )


def _time(frame: pl.DataFrame) -> str | None:
    """Return the first column named as times that has dates, else the first named so: an index only counts rows."""
    named = dict.fromkeys((*time_names(frame), *matching(frame.columns, PERIOD)))
    return next((name for name in named if time_kind(frame[name]) == "times"), first(tuple(named)))


def _interval(names: Iterable[str]) -> tuple[str | None, str | None]:
    """Return the columns of the interval: by their names, else the outermost quantiles on both sides of the middle."""
    known = list(names)
    lower, upper = first(matching(known, LOWER)), first(matching(known, UPPER))
    if lower is not None and upper is not None:
        return lower, upper
    levels: dict[str, float] = {}
    for name in known:
        written = plain(name)
        if (quantile := _QUANTILE.fullmatch(written)) is not None:
            levels[name] = int(quantile.group(1)) / 100
        elif (side := _SIDE.fullmatch(written)) is not None:
            half = int(side.group(2)) / 200
            levels[name] = 0.5 - half if side.group(1) == "lo" else 0.5 + half
    below = [name for name, level in levels.items() if level < 0.5]
    above = [name for name, level in levels.items() if level > 0.5]
    if not below or not above:
        return None, None
    return min(below, key=levels.__getitem__), max(above, key=levels.__getitem__)

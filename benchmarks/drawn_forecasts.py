"""Made-up forecasts of many stores, measured as the store trainer measures its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from core.forecasts.measures import measure, seasonal_scale
from core.training.stores import tables
from core.training.stores.fitting import StoreResult

Floats = npt.NDArray[np.float64]

_LAST_DAY = np.datetime64("2026-05-31")
_PARTNERS = ("Brightwell", "Corso", "Alder", "Dunmore", "Eastwick")
_FEATURES = tuple(f"feature {number:02d}" for number in range(24))


@dataclass(frozen=True, slots=True, eq=False)
class Sales:
    """What is forecast.

    Attributes
    ----------
    codes : tuple of str
        Of the stores.
    days, is_test : ndarray, shape (days,)
    actual : ndarray of float64, shape (stores, days)
    spread : ndarray of float64, shape (stores,)
        By how much the logarithm of a store's sales is missed, as a standard deviation.
    """

    codes: tuple[str, ...]
    days: npt.NDArray[np.datetime64]
    is_test: npt.NDArray[np.bool_]
    actual: Floats
    spread: Floats

    @property
    def cutoff(self) -> np.datetime64:
        """The last day before the test period."""
        last: np.datetime64 = self.days[~self.is_test][-1]
        return last

    def partner(self, at: int) -> str:
        """Whom a store belongs to."""
        return _PARTNERS[at % len(_PARTNERS)]


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Of these sales, one pipeline's.

    Attributes
    ----------
    predicted : ndarray of float64, shape (stores, days)
    width : ndarray of float64, shape (stores,)
        What a prediction is divided by and multiplied with for its interval.
    """

    sales: Sales
    predicted: Floats
    width: Floats


def draw_sales(stores: int, days: int, horizon: int, random: np.random.Generator) -> Sales:
    """Draw sales with a level and a week for each store; the last `horizon` days are the test period."""
    dates = _LAST_DAY - np.arange(days)[::-1]
    week = random.normal(0, 0.2, (stores, 7))[:, np.arange(days) % 7]
    level = random.normal(8.6, 0.4, (stores, 1))
    return Sales(
        tuple(f"S{number:04d}" for number in range(1, stores + 1)),
        dates,
        dates > _LAST_DAY - horizon,
        np.exp(level + week + random.normal(0, 0.08, (stores, days))).round(2),
        np.exp(random.uniform(np.log(0.03), np.log(0.4), stores)),
    )


def draw_forecast(sales: Sales, random: np.random.Generator) -> Forecast:
    """Draw a forecast with errors of its own, larger for some stores than in others' forecasts."""
    errors = sales.spread * np.exp(random.normal(0, 0.15, len(sales.codes)))
    noise = random.normal(size=sales.actual.shape)
    return Forecast(sales, sales.actual * np.exp(errors[:, None] * noise), np.exp(1.28 * errors))


def result_of(forecast: Forecast, at: int) -> StoreResult:
    """Measure the forecast of one store."""
    sales = forecast.sales
    test, known = sales.is_test, ~sales.is_test
    actual, predicted = sales.actual[at], forecast.predicted[at]
    lower, upper = predicted / forecast.width[at], predicted * forecast.width[at]
    scale = seasonal_scale(sales.days[known], actual[known], np.timedelta64(7, "D"))
    return StoreResult(
        sales.codes[at],
        days=sales.days,
        is_test=test,
        actual=actual,
        predicted=predicted,
        lower=np.where(test, lower, np.nan),
        upper=np.where(test, upper, np.nan),
        train=measure(actual[known], predicted[known], scale=scale),
        test=measure(actual[test], predicted[test], lower[test], upper[test], scale),
        n_features=len(_FEATURES),
        importance=tuple((name, 1 / len(_FEATURES)) for name in _FEATURES),
    )


def tested_rows(forecast: Forecast) -> pl.DataFrame:
    """Return the test rows of all stores at once, as `tables.tested_rows` does of one."""
    sales, width = forecast.sales, forecast.width[:, None]
    actual, predicted = sales.actual[:, sales.is_test], forecast.predicted[:, sales.is_test]
    stores, days = actual.shape
    return pl.DataFrame(
        {
            "store": np.repeat(sales.codes, days).tolist(),
            "date": pl.concat([_dates(sales.days[sales.is_test])] * stores),
            "actual": actual.ravel(),
            "predicted": predicted.ravel(),
            "lower": (predicted / width).ravel(),
            "upper": (predicted * width).ravel(),
        }
    )


def sparks(sales: Sales) -> dict[str, list[float]]:
    """Return the short line of sales of each store."""
    days = _dates(sales.days)
    lines = (pl.DataFrame({"date": days, "actual": line}) for line in sales.actual)
    return dict(zip(sales.codes, map(tables.spark, lines), strict=True))


def _dates(days: npt.NDArray[np.datetime64]) -> pl.Series:
    return pl.Series(days.astype("datetime64[ms]")).cast(pl.Date)

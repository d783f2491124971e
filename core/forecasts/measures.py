"""What a forecast is measured by: one definition each, over the periods that have both an actual and a prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError
from core.forecasts.types import PREDICTIONS

Floats = npt.NDArray[np.float64]

SMAPE_SCALE: Final = "0..200"
"""How sMAPE is written everywhere here: in percent, where 200 is a forecast of zero, or of the wrong sign."""


@dataclass(frozen=True, slots=True)
class ForecastMeasures:
    """Measures of one forecast; None where one is not defined, never 0; infinite beyond what a float holds.

    Let y be the actuals, f the predictions, e = f - y, over the n periods that have both.

    Attributes
    ----------
    samples : int
        n.
    volume : float
        Sum of y.
    mae : float or None
        Mean of \\|e\\|, in units of sales.
    rmse : float or None
        Square root of the mean of e².
    r2 : float or None
        1 - sum(e²) / sum((y - mean(y))²); None for fewer than two periods, or where y never changes.
    smape : float or None
        Mean of 200 \\|e\\| / (\\|y\\| + \\|f\\|), in percent, 0..200; a period where both are 0 counts as 0.
    wape : float or None
        100 sum(\\|e\\|) / sum(\\|y\\|), in percent; None where all y are 0.
    bias : float or None
        100 sum(e) / sum(\\|y\\|), in percent; above 0 is too much.
    mase : float or None
        MAE divided by that of the seasonal naive forecast inside the training period (Hyndman and Koehler 2006);
        None without such a scale.
    rmspe : float or None
        100 times the root of the mean of (e / y)² over periods where y is not 0, in percent.
    coverage : float or None
        Share of the periods with an interval that lie inside it, in percent; None without intervals.
    """

    samples: int
    volume: float
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    smape: float | None = None
    wape: float | None = None
    bias: float | None = None
    mase: float | None = None
    rmspe: float | None = None
    coverage: float | None = None

    def named(self, prefix: str) -> dict[str, float]:
        """Return those that are defined as MLflow metrics: ``test_mae`` and so on."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {f"{prefix}_{name}": float(value) for name, value in found.items() if value is not None}


def measure(
    actual: Floats,
    predicted: Floats,
    lower: Floats | None = None,
    upper: Floats | None = None,
    scale: float | None = None,
) -> ForecastMeasures:
    """Measure one forecast.

    Parameters
    ----------
    actual, predicted : ndarray of float64, shape (periods,)
        Periods where either is missing or infinite do not count.
    lower, upper : ndarray of float64, shape (periods,), optional
        The interval.
    scale : float, optional
        What MASE is divided by, see `seasonal_scale`.
    """
    both = np.isfinite(actual) & np.isfinite(predicted)
    y, f = actual[both], predicted[both]
    n = len(y)
    if n == 0:
        return ForecastMeasures(0, 0.0)
    error = f - y
    size = np.abs(error)
    total = float(np.abs(y).sum())
    varies = bool((y != y[0]).any())
    sizes = np.abs(y) + np.abs(f)
    known = y != 0
    # Of a model gone wrong, squares leave the range of floats.
    with np.errstate(over="ignore", invalid="ignore"):
        missed, spread = float(np.square(error).sum()), float(np.square(y - y.mean()).sum())
        relative = float(np.square(error[known] / y[known]).mean()) if known.any() else math.nan
    mae = float(size.mean())
    return ForecastMeasures(
        samples=n,
        volume=float(y.sum()),
        mae=mae,
        rmse=math.sqrt(missed / n),
        r2=_defined(1.0 - missed / spread) if varies and spread > 0 else None,
        smape=float(200.0 * np.divide(size, sizes, out=np.zeros(n), where=sizes > 0).mean()),
        wape=100.0 * float(size.sum()) / total if total > 0 else None,
        bias=100.0 * float(error.sum()) / total if total > 0 else None,
        mase=mae / scale if scale else None,
        rmspe=_defined(100.0 * math.sqrt(relative)),
        coverage=None if lower is None or upper is None else _coverage(y, lower[both], upper[both]),
    )


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _coverage(actual: Floats, lower: Floats, upper: Floats) -> float | None:
    there = np.isfinite(lower) & np.isfinite(upper)
    if not there.any():
        return None
    inside = (lower[there] <= actual[there]) & (actual[there] <= upper[there])
    return 100.0 * float(inside.mean())


def seasonal_scale(times: npt.NDArray[np.datetime64], actual: Floats, season: np.timedelta64) -> float | None:
    """Return the mean of \\|y(t) - y(t - season)\\| over the pairs that are there: what MASE is divided by.

    Parameters
    ----------
    times : ndarray of datetime64, shape (periods,)
        Of the training period only, rising.
    actual : ndarray of float64, shape (periods,)
    season : timedelta64
        7 days for daily data, 52 weeks for weekly data.

    Returns
    -------
    float or None
        None where there is no such pair, or where nothing ever changes.
    """
    known = np.isfinite(actual)
    at, y = times[known], actual[known]
    if not len(at):
        return None
    place = np.searchsorted(at, at - season)
    place[place == len(at)] = 0
    pairs = at[place] == at - season
    if not pairs.any():
        return None
    scale = float(np.abs(y[pairs] - y[place[pairs]]).mean())
    return scale if scale > 0 else None


def measures_by_store(rows: pl.DataFrame, split: str = "test") -> dict[str, ForecastMeasures]:
    """Measure the forecast of every store.

    Parameters
    ----------
    rows : DataFrame
        With the columns of `PREDICTIONS`.
    split : {"test", "train"}

    Raises
    ------
    BadInputError
        If a column is missing.
    """
    missing = [name for name in PREDICTIONS if name not in rows.columns]
    if missing:
        raise BadInputError(f"Predictions need the columns {', '.join(missing)}.")
    chosen = rows.filter(pl.col("split") == split).sort("store", "time")
    actual, predicted, lower, upper = (
        chosen[name].fill_null(np.nan).to_numpy() for name in ("actual", "predicted", "lower", "upper")
    )
    return {
        store: measure(actual[part], predicted[part], lower[part], upper[part])
        for store, part in store_slices(chosen["store"])
    }


def store_slices(stores: pl.Series) -> Iterator[tuple[str, slice]]:
    """Yield each store of a sorted column with the rows it has."""
    runs = stores.rle()
    start = 0
    for length, store in zip(runs.struct.field("len"), runs.struct.field("value"), strict=True):
        yield store, slice(start, start + length)
        start += length

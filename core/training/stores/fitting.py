"""Fit and measure one store: pure, the same in every process and on every machine."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from core.forecasts.measures import ForecastMeasures, measure, seasonal_scale
from core.training.stores.features import LEVEL, season_values
from core.training.stores.models import Inputs, Learned, ModelKind, learn

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Mask = npt.NDArray[np.bool_]

CALIBRATION_WINDOWS: Final = 2
"""Periods of one horizon each, just before the split, whose errors give the width of the intervals."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is the same for all stores of a pipeline.

    Attributes
    ----------
    period, season : timedelta64
        Length of a period (a day or a week) and of a season (a week or 52 weeks).
    cutoff : datetime64[D]
        The last day of the training period.
    horizon : int
        Periods of the test period.
    min_samples : int
        Fewer rows with a past than that are not trained on.
    interval : float
        Share of actuals that an interval is to hold, such as 0.8.
    """

    kind: ModelKind
    features: tuple[str, ...]
    period: np.timedelta64
    season: np.timedelta64
    cutoff: np.datetime64
    horizon: int
    min_samples: int
    interval: float
    seed: int

    @property
    def span(self) -> np.timedelta64:
        """Length of the horizon."""
        return self.horizon * self.period


@dataclass(frozen=True, slots=True, eq=False)
class StoreTask:
    """The rows of one store, in order of time; all arrays have shape (rows,) but `inputs` (rows, features)."""

    store: str
    days: Days
    sales: Floats
    inputs: Inputs


@dataclass(frozen=True, slots=True, eq=False)
class StoreResult:
    """What became of a store.

    Attributes
    ----------
    failure : str or None
        Why it has no model; then there are no measures and no files.
    predicted, lower, upper : ndarray of float64, shape (rows,)
        For the rows of the task; NaN where nothing is predicted.
    files : dict of str to bytes
        Of the model's folder.
    importance : tuple of (str, float)
    seconds : float
        Processor time of fitting.
    """

    store: str
    failure: str | None = None
    days: Days = field(default_factory=lambda: np.array([], dtype="datetime64[D]"))
    is_test: Mask = field(default_factory=lambda: np.array([], dtype=bool))
    actual: Floats = field(default_factory=lambda: np.array([]))
    predicted: Floats = field(default_factory=lambda: np.array([]))
    lower: Floats = field(default_factory=lambda: np.array([]))
    upper: Floats = field(default_factory=lambda: np.array([]))
    train: ForecastMeasures | None = None
    test: ForecastMeasures | None = None
    n_features: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    importance: tuple[tuple[str, float], ...] = ()
    seconds: float = 0.0


class StoreFailedError(Exception):
    """A store cannot be trained on, for the reason given."""


def fit_store(task: StoreTask, recipe: Recipe) -> StoreResult:
    """Fit, forecast and measure one store; whatever goes wrong becomes its `failure`."""
    began = time.process_time()
    try:
        result = _fitted(task, recipe, began)
    except StoreFailedError as failed:
        return StoreResult(task.store, str(failed), seconds=time.process_time() - began)
    except Exception as error:  # noqa: BLE001
        # One store must not stop the others; its reason is logged with its run.
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        return StoreResult(task.store, reason[:500], seconds=time.process_time() - began)
    return result


def _fitted(task: StoreTask, recipe: Recipe, began: float) -> StoreResult:
    training = task.days <= recipe.cutoff
    importance: tuple[tuple[str, float], ...]
    usable = refuse_unusable(task, recipe)
    if recipe.kind is ModelKind.SEASONAL_NAIVE:
        forecast = _naive(task, recipe)
        logs, files = forecast(recipe.cutoff), _naive_files(task, recipe)
        importance, n_features = (("the season before", 1.0),), 1
        trained = np.isfinite(logs) & training
    else:
        model = _learn(task, recipe, usable)
        level = task.inputs[:, recipe.features.index(LEVEL)].astype(np.float64)
        logs = model.logs(task.inputs, level)
        logs[np.isnan(level)] = np.nan
        files = {**model.files, "scaler.json": json.dumps(model.scaler).encode()}
        importance, n_features, trained = model.importance, len(recipe.features), usable
        forecast = _refitted(task, recipe, usable)
    width = calibrated_width(task, recipe, forecast)
    return finished(task, recipe, logs, width, trained, files, importance, n_features, began)


def refuse_unusable(task: StoreTask, recipe: Recipe) -> Mask:
    """Return which rows can be trained on.

    Raises
    ------
    StoreFailedError
        If they are too few, never change or hold no number, or if nothing is left to test on.
    """
    training = task.days <= recipe.cutoff
    level = task.inputs[:, recipe.features.index(LEVEL)]
    usable = training & np.isfinite(level)
    rows = int(usable.sum())
    if rows < recipe.min_samples:
        raise StoreFailedError(
            f"too few rows: {rows} before {recipe.cutoff} have a past of {recipe.horizon} periods, "
            f"{recipe.min_samples} are needed"
        )
    values = task.sales[usable]
    if not np.isfinite(values).all():
        raise StoreFailedError("its sales are not all finite numbers")
    if (values == values[0]).all():
        raise StoreFailedError(f"constant: all {rows} training values are {values[0]:g}")
    if training.all():
        raise StoreFailedError(f"no sales after {recipe.cutoff}: nothing to test on")
    return usable


def _learn(task: StoreTask, recipe: Recipe, rows: Mask) -> Learned:
    level = task.inputs[rows, recipe.features.index(LEVEL)].astype(np.float64)
    logs = np.log1p(task.sales[rows])
    return learn(recipe.kind, task.inputs[rows], logs, level, recipe.features, recipe.seed)


Forecast = Callable[[np.datetime64], Floats]
"""From an origin (the last day that is known) to log(1 + sales) of every row, NaN where nothing can be said."""


def _refitted(task: StoreTask, recipe: Recipe, usable: Mask) -> Forecast:
    level = task.inputs[:, recipe.features.index(LEVEL)].astype(np.float64)

    def forecast(origin: np.datetime64) -> Floats:
        rows = usable & (task.days <= origin)
        if rows.sum() < recipe.min_samples:
            return np.full(len(task.days), np.nan)
        return _learn(task, recipe, rows).logs(task.inputs, level)

    return forecast


def _naive(task: StoreTask, recipe: Recipe) -> Forecast:
    def forecast(origin: np.datetime64) -> Floats:
        # Inside the training period each row is forecast from a season before it.
        last = season_values(task.days, task.sales, task.days, origin, recipe.season)
        return np.log1p(last)

    return forecast


def _naive_files(task: StoreTask, recipe: Recipe) -> dict[str, bytes]:
    known = task.days <= recipe.cutoff
    season_days = int(recipe.season.astype("timedelta64[D]").astype(int))
    places = task.days[known].astype(np.int64) % season_days
    # Of each day of the season the last one that is known, however long ago: later ones replace earlier ones.
    newest = dict(zip(places.tolist(), np.flatnonzero(known).tolist(), strict=True))
    last = {str(task.days[row]): float(task.sales[row]) for row in newest.values()}
    values = {"kind": "seasonal_naive", "season_days": season_days, "last_season": last}
    scaler = {"target": "sales", "features": ["date"]}
    return {"model.json": json.dumps(values).encode(), "scaler.json": json.dumps(scaler).encode()}


def calibrated_width(task: StoreTask, recipe: Recipe, forecast: Forecast) -> float:
    """Return how far log sales lie from their forecast in `interval` of all cases; NaN where it is not known.

    The forecast is repeated from origins one and two horizons before the split, as if it were made then; the
    width is the quantile of its absolute errors that split conformal prediction takes (Lei et al. 2018): the
    ceil((n + 1) interval)-th smallest of n.
    """
    errors = []
    for window in range(1, CALIBRATION_WINDOWS + 1):
        origin = recipe.cutoff - window * recipe.span
        ahead = (task.days > origin) & (task.days <= origin + recipe.span)
        if ahead.any():
            errors.append(np.abs(forecast(origin)[ahead] - np.log1p(task.sales[ahead])))
    return conformal_quantile(np.concatenate(errors) if errors else np.array([]), recipe.interval)


def conformal_quantile(errors: Floats, share: float) -> float:
    """Return the ceil((n + 1) share)-th smallest of n absolute errors; NaN where n is too small for that."""
    known = np.sort(errors[np.isfinite(errors)])
    rank = math.ceil((len(known) + 1) * share)
    return float(known[rank - 1]) if 0 < rank <= len(known) else math.nan


def finished(
    task: StoreTask,
    recipe: Recipe,
    logs: Floats,
    width: float,
    trained: Mask,
    files: dict[str, bytes],
    importance: tuple[tuple[str, float], ...],
    n_features: int,
    began: float,
) -> StoreResult:
    """Turn predicted log sales into a measured result.

    Parameters
    ----------
    logs : ndarray of float64, shape (rows,)
        Predicted log(1 + sales).
    width : float
        Half the width of the interval of log sales.
    trained : ndarray of bool, shape (rows,)
        The training rows that are measured.

    Raises
    ------
    StoreFailedError
        If a prediction is no number.
    """
    is_test = task.days > recipe.cutoff
    # exp(700) is still a number; anything above is a model gone wrong, and the measures will say so.
    predicted = np.maximum(np.expm1(np.minimum(logs, 700.0)), 0.0)
    if not np.isfinite(predicted[is_test]).any():
        raise StoreFailedError("nothing can be predicted for its test period")
    lower = np.where(is_test, np.maximum(np.expm1(np.minimum(logs - width, 700.0)), 0.0), np.nan)
    upper = np.where(is_test, np.maximum(np.expm1(np.minimum(logs + width, 700.0)), 0.0), np.nan)
    shown = np.where(is_test | trained, predicted, np.nan)
    known = ~is_test
    scale = seasonal_scale(task.days[known], task.sales[known], recipe.season)
    return StoreResult(
        task.store,
        days=task.days,
        is_test=is_test,
        actual=task.sales,
        predicted=shown,
        lower=lower,
        upper=upper,
        train=measure(task.sales[known], shown[known], scale=scale),
        test=measure(task.sales[is_test], shown[is_test], lower[is_test], upper[is_test], scale),
        n_features=n_features,
        files=files,
        importance=importance,
        seconds=time.process_time() - began,
    )

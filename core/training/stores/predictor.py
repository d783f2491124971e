"""Predicts sales with the model of a store. It travels with every model, so it imports nothing of Greenroom.

A model folder holds `model.lgb` (LightGBM's own text), or `model.json` (ridge, seasonal naive), and `scaler.json`:
what turns features and predictions into what the model sees and says. Nothing in it is a pickle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_CYCLES = 4
_YEAR = 365.25
_CYCLIC = ("weekday", "week", "month", "day_of_year")


def _load_pyfunc(path: str) -> StoreModel:
    """Load a model for `mlflow.pyfunc`."""
    return StoreModel(Path(path))


class StoreModel:
    """The model of a store, or of all stores, as it lies in a folder."""

    def __init__(self, folder: Path) -> None:
        # MLflow gives the folder of the model or that of its data, depending on its version.
        place = folder if (folder / "scaler.json").exists() else folder / "data"
        self.scaler: dict[str, Any] = json.loads((place / "scaler.json").read_text())
        self._booster: Any = None
        self._values: dict[str, Any] = {}
        if (place / "model.lgb").exists():
            import lightgbm

            self._booster = lightgbm.Booster(model_file=str(place / "model.lgb"))
        else:
            self._values = json.loads((place / "model.json").read_text())

    def predict(self, features: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Predict sales: shape (rows,), in the unit of the sales trained on.

        Parameters
        ----------
        features : DataFrame
            The columns named in `scaler["features"]`; for the seasonal naive forecast a column ``date``; for the
            model of all stores also ``store``.
        """
        if "last_season" in self._values:
            return self._last_season(features)
        names = self.scaler["features"]
        x = features[names].to_numpy(dtype=np.float64)
        if "stores" in self.scaler:
            places = {store: place for place, store in enumerate(self.scaler["stores"])}
            codes = np.array([places.get(str(store), -1) for store in features["store"]], dtype=np.float64)
            x = np.column_stack([x, codes])
        if self._booster is not None:
            said = self._booster.predict(x, num_threads=1)
        else:
            matrix = scaled(linear_matrix(x, names, self.scaler["flags"]), self.scaler)
            said = matrix @ np.array(self._values["coefficients"]) + self._values["intercept"]
        return to_sales(said, x[:, names.index("level")], self.scaler)

    def _last_season(self, features: pd.DataFrame) -> Any:
        last = {np.datetime64(day): value for day, value in self._values["last_season"].items()}
        season = np.timedelta64(self._values["season_days"], "D")
        first = min(last)
        found = []
        for day in features["date"].to_numpy().astype("datetime64[D]"):
            at = day - season
            while at >= first and at not in last:
                at -= season
            found.append(last.get(at, np.nan))
        return np.array(found)


def to_sales(said: Any, level: Any, scaler: dict[str, Any]) -> Any:
    """Turn what a model says into sales: exp(level + mean + scale * said) - 1, not below 0."""
    logs = level + scaler["target_mean"] + scaler["target_scale"] * said
    return np.maximum(np.expm1(np.minimum(logs, 700.0)), 0.0)


def linear_matrix(x: Any, names: list[str], flags: list[str]) -> Any:
    """Return what the linear model sees: numbers as they are, the place in the week and in the year as cycles.

    Weekdays are indicator columns, also multiplied by each of the `flags`, which are only ever 0 or 1: a promotion
    works differently on a Monday. The day of the year is sines and cosines of one to four cycles a year.
    """
    columns = [x[:, at] for at, name in enumerate(names) if name not in _CYCLIC]
    if "weekday" in names:
        weekday = x[:, names.index("weekday")]
        for number in range(1, 8):
            columns.append((weekday == number).astype(np.float64))
            columns.extend((weekday == number) * x[:, names.index(flag)] for flag in flags)
    angle = 2 * np.pi * x[:, names.index("day_of_year")] / _YEAR
    for cycle in range(1, _CYCLES + 1):
        columns += [np.sin(cycle * angle), np.cos(cycle * angle)]
    return np.column_stack(columns)


def scaled(matrix: Any, scaler: dict[str, Any]) -> Any:
    """Fill what is missing with the median of the training rows, then centre and scale as scikit-learn does."""
    filled = np.where(np.isnan(matrix), np.array(scaler["fill"]), matrix)
    return (filled - np.array(scaler["mean"])) / np.array(scaler["scale"])

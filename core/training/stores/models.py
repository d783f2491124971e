"""The kinds of model: ridge and gradient boosting learn log sales relative to their level; naive repeats a season."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from core.training.stores.features import LEVEL
from core.training.stores.predictor import linear_matrix, scaled

Floats = npt.NDArray[np.float64]
Inputs = npt.NDArray[np.float32]

BOOSTING: Final = {
    "objective": "regression",
    "learning_rate": 0.06,
    "num_leaves": 15,
    "min_data_in_leaf": 10,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "verbosity": -1,
    # The same trees whatever the machine and the number of processes.
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
}
ROUNDS: Final = 150
GLOBAL_BOOSTING: Final = {**BOOSTING, "num_leaves": 63, "min_data_in_leaf": 20, "feature_fraction": 0.7}
GLOBAL_ROUNDS: Final = 500
PENALTIES: Final = (0.1, 1.0, 10.0, 100.0, 1000.0)


class ModelKind(StrEnum):
    """What is trained."""

    SEASONAL_NAIVE = "seasonal_naive"
    RIDGE = "ridge"
    GRADIENT_BOOSTING = "gradient_boosting"
    GLOBAL = "global_gradient_boosting"


@dataclass(frozen=True, slots=True)
class Learned:
    """A fitted model.

    Attributes
    ----------
    said : callable
        From inputs, shape (rows, features), to standardised log sales relative to the level, shape (rows,).
    files : dict of str to bytes
        The model's own file.
    scaler : dict
        What is done to inputs and predictions, as `scaler.json` holds it.
    importance : tuple of (str, float)
        Features by falling weight; the weights sum to 1.
    """

    said: Any
    files: dict[str, bytes] = field(repr=False)
    scaler: dict[str, Any]
    importance: tuple[tuple[str, float], ...] = ()

    def logs(self, inputs: Inputs, level: Floats) -> Floats:
        """Predict log(1 + sales)."""
        found: Floats = level + self.scaler["target_mean"] + self.scaler["target_scale"] * self.said(inputs)
        return found


def learn(
    kind: ModelKind, inputs: Inputs, logs: Floats, level: Floats, names: Sequence[str], seed: int
) -> Learned:
    """Fit a model of one store.

    Parameters
    ----------
    inputs : ndarray of float32, shape (rows, features)
        NaN where a feature is missing.
    logs : ndarray of float64, shape (rows,)
        log(1 + sales).
    level : ndarray of float64, shape (rows,)
        The feature that predictions are relative to.
    """
    relative = logs - level
    spread = float(relative.std())
    scaler: dict[str, Any] = {
        "target": "log1p(sales) - level",
        "target_mean": float(relative.mean()),
        "target_scale": spread if spread > 0 else 1.0,
        "features": list(names),
    }
    target = (relative - scaler["target_mean"]) / scaler["target_scale"]
    if kind is ModelKind.RIDGE:
        return _ridge(inputs, target, list(names), scaler)
    return boosted(inputs, target, list(names), scaler, {**BOOSTING, "seed": seed}, ROUNDS)


def boosted(
    inputs: Inputs,
    target: Floats,
    names: list[str],
    scaler: dict[str, Any],
    params: dict[str, Any],
    rounds: int,
    categories: Sequence[str] = (),
) -> Learned:
    """Fit gradient boosted trees; importance is each feature's share of the gain."""
    import lightgbm

    data = lightgbm.Dataset(
        inputs,
        target,
        feature_name=[f"f{at}" for at in range(inputs.shape[1])],
        categorical_feature=[f"f{names.index(name)}" for name in categories],
        free_raw_data=True,
    )
    booster = lightgbm.train(params, data, num_boost_round=rounds)
    text = booster.model_to_string(importance_type="gain")
    threads = params["num_threads"]
    return Learned(
        lambda x: booster.predict(x, num_threads=threads),
        {"model.lgb": text.encode()},
        scaler,
        ranked(names, booster.feature_importance("gain")),
    )


def _ridge(inputs: Inputs, target: Floats, names: list[str], scaler: dict[str, Any]) -> Learned:
    from sklearn.linear_model import RidgeCV

    flags = [
        name
        for at, name in enumerate(names)
        if name not in (LEVEL, "weekday", "week", "month", "day", "day_of_year", "week_of_month")
        and np.isin(inputs[:, at], (0.0, 1.0)).all()
    ]
    matrix = linear_matrix(inputs.astype(np.float64), names, flags)
    missing = np.isnan(matrix)
    all_missing = missing.all(axis=0)
    fill = np.zeros(matrix.shape[1])
    fill[~all_missing] = np.nanmedian(matrix[:, ~all_missing], axis=0)
    filled = np.where(missing, fill, matrix)
    spread = filled.std(axis=0)
    scaler |= {
        "flags": flags,
        "fill": fill.tolist(),
        "mean": filled.mean(axis=0).tolist(),
        "scale": np.where(spread > 1e-12, spread, 1.0).tolist(),
    }
    # The penalty is chosen by leaving out one row at a time, in closed form.
    model = RidgeCV(alphas=PENALTIES).fit(scaled(matrix, scaler), target)
    coefficients, intercept = model.coef_, float(model.intercept_)
    values = {"kind": "ridge", "coefficients": coefficients.tolist(), "intercept": intercept}
    labels = _linear_labels(names, flags)
    return Learned(
        lambda x: (
            scaled(linear_matrix(x.astype(np.float64), names, flags), scaler) @ coefficients + intercept
        ),
        {"model.json": json.dumps(values | {"penalty": float(model.alpha_)}).encode()},
        scaler,
        ranked(labels, np.abs(coefficients)),
    )


def _linear_labels(names: list[str], flags: list[str]) -> list[str]:
    """Name the feature that each column of `linear_matrix` comes from."""
    labels = [name for name in names if name not in ("weekday", "week", "month", "day_of_year")]
    if "weekday" in names:
        for _ in range(7):
            labels += ["weekday", *(f"{flag} by weekday" for flag in flags)]
    return labels + ["day_of_year"] * 8


def ranked(labels: Sequence[str], weights: npt.ArrayLike) -> tuple[tuple[str, float], ...]:
    """Add up weights by label and return shares, largest first."""
    totals: dict[str, float] = {}
    for label, weight in zip(labels, np.asarray(weights, dtype=np.float64).tolist(), strict=True):
        totals[label] = totals.get(label, 0.0) + weight
    whole = sum(totals.values())
    shares = {label: weight / whole if whole > 0 else 0.0 for label, weight in totals.items()}
    return tuple(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))

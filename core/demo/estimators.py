"""From the name of a model family and its params to a scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, SGDClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from core.demo.data import Task
from core.demo.plan import ModelKind, ParamValue

TREES: Final = frozenset(
    {ModelKind.RANDOM_FOREST, ModelKind.GRADIENT_BOOSTING, ModelKind.HIST_GRADIENT_BOOSTING}
)

Params: TypeAlias = Mapping[str, ParamValue]


def make_estimator(kind: ModelKind, task: Task, params: Params, seed: int) -> Any:
    """Build an unfitted estimator: a pipeline behind a StandardScaler, except for trees and the baseline.

    Parameters
    ----------
    kind : ModelKind
    task : Task
    params : mapping
        As in the plan of the run.
    seed : int
        The estimator's `random_state`.

    Raises
    ------
    KeyError
        If the demo has no such family for the task.
    """
    model = _MAKERS[kind, task](params, seed)
    if kind in TREES or kind is ModelKind.BASELINE:
        return model
    return make_pipeline(StandardScaler(), model)


def _logistic(params: Params, seed: int) -> Any:
    weight = None if params["class_weight"] == "none" else params["class_weight"]
    return LogisticRegression(C=params["C"], class_weight=weight, max_iter=2000, random_state=seed)


def _sgd(params: Params, seed: int) -> Any:
    return SGDClassifier(
        loss="log_loss",
        alpha=params["alpha"],
        learning_rate="constant",
        eta0=params["learning_rate"],
        random_state=seed,
    )


def _network(params: Params, seed: int) -> dict[str, Any]:
    return {
        "hidden_layer_sizes": (int(params["hidden_units"]),),
        "learning_rate_init": params["learning_rate"],
        "solver": params["solver"],
        "momentum": 0.0,
        "random_state": seed,
    }


_MAKERS: Final[dict[tuple[ModelKind, Task], Callable[[Params, int], Any]]] = {
    (ModelKind.BASELINE, Task.REGRESSION): lambda params, seed: DummyRegressor(),
    (ModelKind.RIDGE, Task.REGRESSION): lambda params, seed: Ridge(**params, random_state=seed),
    (ModelKind.LASSO, Task.REGRESSION): lambda params, seed: Lasso(
        **params, max_iter=20_000, random_state=seed
    ),
    (ModelKind.LOGISTIC_REGRESSION, Task.CLASSIFICATION): _logistic,
    (ModelKind.SVC, Task.CLASSIFICATION): lambda params, seed: SVC(**params, random_state=seed),
    (ModelKind.RANDOM_FOREST, Task.REGRESSION): lambda params, seed: RandomForestRegressor(
        **params, random_state=seed
    ),
    (ModelKind.RANDOM_FOREST, Task.CLASSIFICATION): lambda params, seed: RandomForestClassifier(
        **params, random_state=seed
    ),
    (ModelKind.GRADIENT_BOOSTING, Task.REGRESSION): lambda params, seed: GradientBoostingRegressor(
        **params, random_state=seed
    ),
    (ModelKind.HIST_GRADIENT_BOOSTING, Task.CLASSIFICATION): lambda params, seed: (
        HistGradientBoostingClassifier(**params, early_stopping=False, random_state=seed)
    ),
    (ModelKind.SGD, Task.CLASSIFICATION): _sgd,
    (ModelKind.MLP, Task.REGRESSION): lambda params, seed: MLPRegressor(**_network(params, seed)),
    (ModelKind.MLP, Task.CLASSIFICATION): lambda params, seed: MLPClassifier(**_network(params, seed)),
}

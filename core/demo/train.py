"""Trains one planned run with scikit-learn; knows nothing of MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from core.demo.data import Data, Part, Task
from core.demo.estimators import make_estimator
from core.demo.measures import loss_and_accuracy, measure
from core.demo.plan import ModelKind, RunPlan
from core.errors import GreenroomError


class TrainingDivergedError(GreenroomError):
    """The loss became infinite or NaN."""


class TrainingStoppedError(GreenroomError):
    """Somebody stopped the training."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Metrics of one epoch or boosting stage; `seconds` counts from the start of the training."""

    step: int
    seconds: float
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A fitted model with what was measured.

    Attributes
    ----------
    predicted : ndarray, shape (test rows,)
    importance : tuple of (str, float)
        Features by falling weight; empty where the model has none. Impurity decrease for trees, absolute
        standardised coefficient (mean over classes) for linear models.
    """

    estimator: Any
    metrics: Mapping[str, float]
    predicted: npt.NDArray[Any]
    importance: tuple[tuple[str, float], ...]


def train(plan: RunPlan, data: Data, on_epoch: Callable[[Epoch], None]) -> Trained:
    """Fit the model of a plan and measure it.

    Parameters
    ----------
    plan : RunPlan
    data : Data
    on_epoch : callable
        Told about each epoch (SGD, MLP) or stage (boosting), the diverged one included.

    Raises
    ------
    TrainingDivergedError
        If the loss is not finite after an epoch.
    TrainingStoppedError
        After the epoch in which the plan has somebody stop it.
    """
    # The data are so small that threads only get in each other's way, and in that of other processes.
    with threadpool_limits(limits=1):
        return _train(plan, data, on_epoch)


def _train(plan: RunPlan, data: Data, on_epoch: Callable[[Epoch], None]) -> Trained:
    started = perf_counter()
    estimator = make_estimator(plan.model, data.task, plan.params, plan.seed)
    if plan.model in (ModelKind.SGD, ModelKind.MLP):
        _fit_by_epochs(plan, data, estimator, started, on_epoch)
        seconds = perf_counter() - started
    else:
        estimator.fit(data.train.x, data.train.y)
        seconds = perf_counter() - started
        _replay_stages(plan, data, estimator, seconds, on_epoch)
    return Trained(
        estimator=estimator,
        metrics=measure(estimator, data) | {"fit_seconds": seconds},
        predicted=estimator.predict(data.test.x),
        importance=_importance(estimator, tuple(data.train.x.columns)),
    )


def _fit_by_epochs(
    plan: RunPlan, data: Data, estimator: Any, started: float, on_epoch: Callable[[Epoch], None]
) -> None:
    scaler, model = estimator[0].fit(data.train.x), estimator[-1]
    train, valid = (Part(scaler.transform(part.x), part.y) for part in (data.train, data.valid))
    first_call = {"classes": np.array(data.classes)} if data.task is Task.CLASSIFICATION else {}
    epochs = int(plan.params["epochs"])
    for step in range(1, epochs + 1):
        # A diverging network overflows on its way to a loss that is not finite; that is reported below.
        with np.errstate(over="ignore", invalid="ignore"):
            broken = _partial_fit(model, train, first_call if step == 1 else {})
            metrics = _train_and_valid(
                data.task, train, valid, _output(model, data.task, train), _output(model, data.task, valid)
            )
        on_epoch(Epoch(step, perf_counter() - started, metrics))
        if broken is not None or not math.isfinite(metrics["val_loss"]):
            message = (
                f"The validation loss was {metrics['val_loss']} after epoch {step}; lower learning_rate."
            )
            raise TrainingDivergedError(message) from broken
        if step == plan.stop_after:
            raise TrainingStoppedError(f"Stopped by hand after epoch {step} of {epochs}.")


def _partial_fit(model: Any, part: Part, first_call: Mapping[str, Any]) -> ValueError | None:
    try:
        model.partial_fit(part.x, part.y, **first_call)
    except ValueError as error:
        # scikit-learn has no class of its own for weights that overflowed.
        if "non-finite" not in str(error):
            raise
        return error
    return None


def _replay_stages(
    plan: RunPlan, data: Data, estimator: Any, seconds: float, on_epoch: Callable[[Epoch], None]
) -> None:
    if plan.model not in (ModelKind.GRADIENT_BOOSTING, ModelKind.HIST_GRADIENT_BOOSTING):
        return
    by_stage = estimator.staged_predict if data.task is Task.REGRESSION else estimator.staged_predict_proba
    stages = list(zip(by_stage(data.train.x), by_stage(data.valid.x), strict=True))
    for step, (train, valid) in enumerate(stages, start=1):
        # The stages were fitted one after the other at about the same pace.
        metrics = _train_and_valid(data.task, data.train, data.valid, train, valid)
        on_epoch(Epoch(step, seconds * step / len(stages), metrics))


def _train_and_valid(
    task: Task, train: Part, valid: Part, on_train: npt.NDArray[Any], on_valid: npt.NDArray[Any]
) -> dict[str, float]:
    measured = {"train": loss_and_accuracy(task, train, on_train)}
    measured["val"] = loss_and_accuracy(task, valid, on_valid)
    return {f"{split}_{name}": value for split, values in measured.items() for name, value in values.items()}


def _output(model: Any, task: Task, part: Part) -> npt.NDArray[Any]:
    output: npt.NDArray[Any] = (
        model.predict(part.x) if task is Task.REGRESSION else model.predict_proba(part.x)
    )
    return output


def _importance(estimator: Any, features: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    model = estimator[-1] if hasattr(estimator, "steps") else estimator
    if hasattr(model, "feature_importances_"):
        weights = model.feature_importances_
    elif hasattr(model, "coef_"):
        weights = np.abs(np.atleast_2d(model.coef_)).mean(axis=0)
    else:
        return ()
    ranked = sorted(zip(features, weights.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return tuple(ranked)

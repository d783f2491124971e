"""Measures of a fitted model on one split, and which of them are better when higher."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    log_loss,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from core.demo.data import Data, Part, Task

_DIRECTIONS: Final = {
    Task.REGRESSION: {"rmse": False, "mae": False, "r2": True},
    Task.CLASSIFICATION: {"accuracy": True, "f1": True, "roc_auc": True},
}
SELECTION: Final = {Task.REGRESSION: "val_rmse", Task.CLASSIFICATION: "val_accuracy"}
"""What a sweep chooses its best child by: a validation metric, so that the test rows stay untouched."""


def higher_is_better(task: Task) -> dict[str, bool]:
    """Tell for every metric that the demo logs for a task whether higher is better."""
    measured = {
        f"{split}_{name}": higher
        for name, higher in _DIRECTIONS[task].items()
        for split in ("train", "val", "test")
    }
    return {**measured, "train_loss": False, "val_loss": False, "fit_seconds": False}


def measure(estimator: Any, data: Data) -> dict[str, float]:
    """Measure a fitted estimator on the three splits.

    Returns
    -------
    dict
        Keys such as ``test_rmse`` or ``val_accuracy``. ROC AUC is one against the rest, averaged over the
        classes; F1 is that of the positive class, or the mean over classes where there are more than two.
    """
    splits = {"train": data.train, "val": data.valid, "test": data.test}
    measured: dict[str, float] = {}
    for split, part in splits.items():
        values = (
            _regression(estimator, part)
            if data.task is Task.REGRESSION
            else _classification(estimator, part, len(data.classes))
        )
        measured |= {f"{split}_{name}": value for name, value in values.items()}
    return measured


def loss_and_accuracy(task: Task, part: Part, predicted: npt.NDArray[Any]) -> dict[str, float]:
    """Measure predictions of one epoch or boosting stage.

    Parameters
    ----------
    task : Task
    part : Part
    predicted : ndarray
        Shape (rows,) for regression; class probabilities of shape (rows, classes) for classification.

    Returns
    -------
    dict
        `loss`: mean squared error, not finite once a training has diverged, or log loss;
        `accuracy`: for classification only.
    """
    if task is Task.REGRESSION:
        with np.errstate(over="ignore", invalid="ignore"):
            return {"loss": float(np.mean(np.square(predicted - part.y)))}
    hits = predicted.argmax(axis=1) == part.y
    labels = np.arange(predicted.shape[1])
    return {"loss": float(log_loss(part.y, predicted, labels=labels)), "accuracy": float(hits.mean())}


def _regression(estimator: Any, part: Part) -> dict[str, float]:
    predicted = estimator.predict(part.x)
    return {
        "rmse": float(root_mean_squared_error(part.y, predicted)),
        "mae": float(mean_absolute_error(part.y, predicted)),
        "r2": float(r2_score(part.y, predicted)),
    }


def _classification(estimator: Any, part: Part, classes: int) -> dict[str, float]:
    predicted = estimator.predict(part.x)
    if classes > 2:
        scores, average = estimator.predict_proba(part.x), "macro"
    elif hasattr(estimator, "decision_function"):
        scores, average = estimator.decision_function(part.x), "binary"
    else:
        scores, average = estimator.predict_proba(part.x)[:, 1], "binary"
    return {
        "accuracy": float(accuracy_score(part.y, predicted)),
        "f1": float(f1_score(part.y, predicted, average=average)),
        "roc_auc": float(roc_auc_score(part.y, scores, multi_class="ovr")),
    }

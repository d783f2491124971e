"""Figures that are logged with a run, drawn without pyplot and its global state."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from core.demo.data import Data, Task


def draw_predictions(data: Data, predicted: npt.NDArray[Any]) -> Figure:
    """Draw predicted against actual values, or the confusion matrix of a classification.

    Parameters
    ----------
    data : Data
    predicted : ndarray, shape (test rows,)
    """
    figure = Figure(figsize=(4.5, 4.0), layout="constrained")
    axes = figure.subplots()
    if data.task is Task.REGRESSION:
        limits = [
            float(min(data.test.y.min(), predicted.min())),
            float(max(data.test.y.max(), predicted.max())),
        ]
        axes.plot(limits, limits, color="0.7", linewidth=1)
        axes.scatter(data.test.y, predicted, s=12, color="#0072B2")
        axes.set(xlabel=f"actual {data.target}", ylabel=f"predicted {data.target}")
    else:
        counts = confusion_matrix(data.test.y, predicted, labels=list(data.classes))
        axes.imshow(counts, cmap="Blues")
        for (row, column), count in np.ndenumerate(counts):
            shade = "white" if count > counts.max() / 2 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=shade)
        axes.set(xlabel="predicted", ylabel="actual", xticks=data.classes, yticks=data.classes)
    axes.set_title(f"Test rows of {data.version}", fontsize=10)
    return figure

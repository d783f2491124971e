"""Values that describe what to train: runs, sweeps, experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from core.demo.data import DataVersion, Task
from core.demo.measures import higher_is_better

SEED: Final = 7

ParamValue: TypeAlias = int | float | str


class ModelKind(StrEnum):
    """Families of estimators; the task says whether the regressor or the classifier is meant."""

    BASELINE = "baseline"
    RIDGE = "ridge"
    LASSO = "lasso"
    LOGISTIC_REGRESSION = "logistic_regression"
    SVC = "svc"
    RANDOM_FOREST = "random_forest"
    GRADIENT_BOOSTING = "gradient_boosting"
    HIST_GRADIENT_BOOSTING = "hist_gradient_boosting"
    SGD = "sgd"
    MLP = "mlp"


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run to train.

    Attributes
    ----------
    params : mapping
        Hyperparameters; `epochs` is how often an SGD or MLP model sees the training rows.
    stop_after : int or None
        Epoch after which somebody stops the training.
    keeps_model : bool
        Whether the fitted model is logged.
    """

    name: str
    model: ModelKind
    data: DataVersion
    params: Mapping[str, ParamValue]
    seed: int = SEED
    note: str | None = None
    stop_after: int | None = None
    keeps_model: bool = False


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A parent run and its children, one for each point of a grid."""

    name: str
    note: str
    children: tuple[RunPlan, ...]


@dataclass(frozen=True, slots=True)
class ExperimentPlan:
    """An experiment with its runs in the order of training."""

    name: str
    note: str
    team: str
    people: tuple[str, ...]
    task: Task
    entries: tuple[RunPlan | SweepPlan, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of runs, parents of sweeps included."""
        return sum(1 + len(e.children) if isinstance(e, SweepPlan) else 1 for e in self.entries)

    @property
    def directions(self) -> dict[str, bool]:
        """Which of the logged metrics are better when higher."""
        return higher_is_better(self.task)

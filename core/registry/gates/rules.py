"""What each gate asks for, as frozen values; `configuration` reads them from greenroom.toml."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from core.registry.types import Stage


class Gate(StrEnum):
    """The gates, in the order in which they are judged and shown."""

    SMOKE = "smoke"
    STRUCTURE = "structure"
    DATASET = "dataset"
    REPRODUCIBLE = "reproducible"
    SOAK = "soak"
    METRICS = "metrics"
    CHAMPION = "champion"
    WORST_SEED = "worst_seed"


GATES: Final = tuple(Gate)


@dataclass(frozen=True, slots=True)
class SmokeLimits:
    """What a model may use up while it is tried: seconds, MiB of memory, MiB a written file, processes."""

    seconds: float = 60.0
    memory_mb: int = 4096
    file_mb: int = 64
    processes: int = 64


@dataclass(frozen=True, slots=True)
class ExpectedStructure:
    """What a model must be made of; None and empty are not looked at.

    Attributes
    ----------
    observation_dim, action_dim : int or None
        Values in one observation, and in one action.
    feature_order : tuple of str
        All features, in this order.
    layers : tuple of (str, tuple of int)
        Layers that must be there, with their shapes. Further layers do not count.
    """

    observation_dim: int | None = None
    action_dim: int | None = None
    feature_order: tuple[str, ...] = ()
    layers: tuple[tuple[str, tuple[int, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class ExpectedHash:
    """Data by their SHA-256 in hexadecimal, in full or its first 8 digits or more; lower case."""

    hash: str


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """Data as they lie in a file when the gate is judged."""

    file: Path


@dataclass(frozen=True, slots=True)
class ExpectedInput:
    """Data by the name and digest that MLflow recorded as an input of the run."""

    name: str
    digest: str


ExpectedDataset = ExpectedHash | ExpectedFile | ExpectedInput

COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}
"""MLflow's operators for metrics."""


@dataclass(frozen=True, slots=True)
class MetricRule:
    """A metric of the run, one of `COMPARISONS`, and the number it is compared with."""

    metric: str
    comparison: str
    number: float

    def holds(self, value: float) -> bool:
        """Whether a value passes; NaN never does."""
        return value == value and COMPARISONS[self.comparison](value, self.number)

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.number:g}"


class Require(StrEnum):
    """How sure it must be that a backtest is no worse than the champion's; see `champion_backtest`."""

    NOT_WORSE = "not worse"
    BETTER = "better"


@dataclass(frozen=True, slots=True)
class BacktestRule:
    """A backtest against the champion's.

    Attributes
    ----------
    require : Require
    confidence : float
        Of the two-sided interval around the difference of Sharpe ratios, between 0 and 1.
    sharpe_slack : float
        Annual Sharpe ratio that a version may lose for certain, and still not be worse.
    drawdown_slack : float
        By how much the maximum drawdown may be deeper, as a fraction: 0.02 is two percentage points.
    resamples : int
    risk_free : float
        A year, as a fraction.
    periods_per_year : float or None
        None takes it from the time stamps.
    """

    require: Require = Require.NOT_WORSE
    confidence: float = 0.95
    sharpe_slack: float = 0.0
    drawdown_slack: float = 0.02
    resamples: int = 2000
    risk_free: float = 0.0
    periods_per_year: float | None = None


FORECAST_MEASURES: Final = ("wape", "smape", "mae", "rmse", "r2")
"""The values of `core.forecasts.changes.StoreMeasure`, which would bring polars into every settings file."""


@dataclass(frozen=True, slots=True)
class ForecastRule:
    """A pipeline of forecasts against the champion's, store by store. All shares are fractions.

    Attributes
    ----------
    measure : str
        One of `FORECAST_MEASURES`, by which a store is called worse.
    tolerance : float
        A store is worse by more than this share of its old value.
    max_share_regressed : float
        Share of the stores that may be worse, or lost.
    max_volume_share_regressed : float or None
        The same, each store by its volume; None is not looked at.
    max_wape_rise : float or None
        By which share of the old value the pooled WAPE may rise; None is not looked at.
    """

    measure: str = "wape"
    tolerance: float = 0.05
    max_share_regressed: float = 0.25
    max_volume_share_regressed: float | None = None
    max_wape_rise: float | None = 0.0


@dataclass(frozen=True, slots=True)
class WorstSeedRule:
    """What the worst of all seeds must reach: one of `at_least` and `at_most` is a number, the other None."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class GateRules:
    """What the gates of one model ask for; None, 0, False and empty turn a gate off.

    Attributes
    ----------
    soak_hours : float
    staging : tuple of Gate
        Gates that count on the way to Staging already, as far as they are on.
    """

    smoke: SmokeLimits | None = field(default_factory=SmokeLimits)
    soak_hours: float = 24.0
    structure: ExpectedStructure | None = None
    dataset: ExpectedDataset | None = None
    reproducible: bool = False
    metrics: tuple[MetricRule, ...] = ()
    champion: BacktestRule | ForecastRule | None = None
    worst_seed: WorstSeedRule | None = None
    staging: tuple[Gate, ...] = ()

    @property
    def on(self) -> tuple[Gate, ...]:
        """The gates that are on."""
        asked = {
            Gate.SMOKE: self.smoke is not None,
            Gate.STRUCTURE: self.structure is not None,
            Gate.DATASET: self.dataset is not None,
            Gate.REPRODUCIBLE: self.reproducible,
            Gate.SOAK: self.soak_hours > 0,
            Gate.METRICS: bool(self.metrics),
            Gate.CHAMPION: self.champion is not None,
            Gate.WORST_SEED: self.worst_seed is not None,
        }
        return tuple(gate for gate in GATES if asked[gate])

    @property
    def trial_limits(self) -> SmokeLimits:
        """The limits of a trial; those by default where only another gate needs the trial."""
        return self.smoke or SmokeLimits()

    def names(self, to_stage: str) -> tuple[Gate, ...]:
        """Return the gates that apply on the way to a stage: none but to Staging and Production."""
        if to_stage == Stage.PRODUCTION:
            return self.on
        if to_stage == Stage.STAGING:
            return tuple(gate for gate in self.on if gate in self.staging)
        return ()

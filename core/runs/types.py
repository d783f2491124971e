"""Values of the runs feature: experiments, runs, histories, sync reports. Frozen; they know no library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class RunStatus(StrEnum):
    """MLflow's run states."""

    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class RunView(StrEnum):
    """Which runs a search looks at."""

    ACTIVE = "active"
    DELETED = "deleted"
    ALL = "all"


class MetricView(StrEnum):
    """Which point of a metric's history a table shows."""

    LAST = "last"
    MIN = "min"
    MAX = "max"


class Dialect(StrEnum):
    """Whose rules of comparing and ordering a store follows; MLflow's answer depends on it."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Experiment:
    """An MLflow experiment; `runs` counts its active runs in the index."""

    experiment_id: str
    name: str
    lifecycle_stage: str
    artifact_location: str | None = None
    created: datetime | None = None
    runs: int = 0


@dataclass(frozen=True, slots=True)
class DatasetInput:
    """A dataset that a run used, with the context MLflow recorded (training, eval, ...)."""

    name: str
    digest: str
    source_type: str = ""
    source: str = ""
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the index knows it. Times are UTC; a metric that was logged as NaN is NaN."""

    run_id: str
    experiment_id: str
    name: str
    status: str
    start_time: datetime | None
    end_time: datetime | None
    user: str
    lifecycle_stage: str
    artifact_uri: str
    parent_run_id: str | None
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[DatasetInput, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """A model of MLflow 3, kept outside the artifact folder of the run that logged it."""

    model_id: str
    name: str
    artifact_location: str


@dataclass(frozen=True, slots=True, eq=False)
class MetricHistory:
    """Every logged point of one metric of one run, ordered by step, then time.

    Attributes
    ----------
    steps : ndarray of int64, shape (points,)
    times : ndarray of datetime64[ms], shape (points,)
        UTC.
    values : ndarray of float64, shape (points,)
    """

    run_id: str
    key: str
    steps: npt.NDArray[np.int64]
    times: npt.NDArray[np.datetime64]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """How runs are read, in words for `doctor` and the Health page."""

    kind: str
    uri: str
    dialect: Dialect
    detail: str = ""
    fallback_reason: str | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What one synchronisation did. `changed` counts new and rewritten runs, `gone` the removed ones."""

    generation: int
    full: bool
    changed: int
    gone: int
    runs: int
    seconds: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How far a synchronisation has come; `total` is None while it is unknown."""

    what: str
    done: int
    total: int | None

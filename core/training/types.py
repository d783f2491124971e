"""What the training desk speaks of, as frozen values: jobs, sweeps, and what asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

BUILT_IN: Final = "greenroom"
"""Name of the project that ships with Greenroom."""

JOB_TAG: Final = "greenroom.job"
"""Tag of a run that names the job which made it."""

MOST_PRIORITY: Final = 9
"""Priorities go from minus this to this; the higher is run first."""


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in (JobState.QUEUED, JobState.RUNNING)


class EngineKind(StrEnum):
    """Where jobs run."""

    LOCAL = "local"
    RAY = "ray"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Resources:
    """What a job asks of a cluster; the machine of the worker takes no notice.

    Attributes
    ----------
    cpus, gpus : float
        How many are set apart for it; 0 leaves it to the cluster.
    """

    cpus: float = 0.0
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What shall be run.

    Attributes
    ----------
    parameters : mapping of str to str
        Those that are given; all others take the entry point's defaults.
    experiment : str or None
        Name of the MLflow experiment; None means the entry point's own name.
    name : str or None
        Name of the run.
    priority : int
        From -9 to 9; the higher is run first, of equal ones the older.
    tags : mapping of str to str
        Of the run, besides Greenroom's own.
    made_from : int or None
        The job that this one repeats, with or without changes.
    resumes : int or None
        The job whose run it goes on with.
    """

    entry_point: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    project: str = BUILT_IN
    engine: EngineKind = EngineKind.LOCAL
    resources: Resources = Resources()
    experiment: str | None = None
    name: str | None = None
    priority: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    made_from: int | None = None
    resumes: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job says it is.

    Attributes
    ----------
    done, total : float
        In whatever unit the trainer counts.
    what : str
        What it is at.
    at : datetime
        When it said so, UTC.
    """

    done: float
    total: float
    what: str
    at: datetime

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None where the total is not known."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else None


@dataclass(frozen=True, slots=True)
class Job:
    """A training that was asked for.

    Attributes
    ----------
    id : int
    parameters : mapping of str to str
        All of the entry point's.
    reason : str
        Why it failed, was stopped or was lost, in a sentence; else "".
    run_id : str or None
        Its MLflow run; None only while the run is being made.
    host : str or None
        The machine whose worker took it.
    heard_at : datetime or None
        When its supervising process last gave a sign of life.
    stop_asked_by : str or None
        Who wants it stopped.
    """

    id: int
    project: str
    entry_point: str
    parameters: Mapping[str, str]
    experiment: str
    name: str
    engine: EngineKind
    resources: Resources
    priority: int
    state: JobState
    reason: str
    asked_by: str
    asked_at: datetime
    run_id: str | None = None
    sweep_id: int | None = None
    made_from: int | None = None
    resumes: int | None = None
    host: str | None = None
    started_at: datetime | None = None
    heard_at: datetime | None = None
    ended_at: datetime | None = None
    exit_code: int | None = None
    stop_asked_by: str | None = None
    progress: Progress | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether it runs still, but somebody wants it stopped."""
        return self.state is JobState.RUNNING and self.stop_asked_by is not None

    def seconds_left(self, now: datetime) -> float | None:
        """Return how long it will take, judged by its progress; None where that cannot be said."""
        said = self.progress
        if self.state is not JobState.RUNNING or self.started_at is None or said is None or not said.share:
            return None
        passed = (said.at - self.started_at).total_seconds()
        left = passed / said.share * (1 - said.share) - (now - said.at).total_seconds()
        return max(left, 0.0)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Jobs that try every combination of some values, under one parent run.

    Attributes
    ----------
    grid : mapping of str to tuple of str
        The values of each parameter that is varied.
    states : mapping of JobState to int
        How many of its jobs are in each state.
    """

    id: int
    name: str
    grid: Mapping[str, tuple[str, ...]]
    run_id: str | None
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    states: Mapping[JobState, int]


@dataclass(frozen=True, slots=True)
class LogPart:
    """A piece of a job's log.

    Attributes
    ----------
    text : str
        Decoded; bytes that are no UTF-8 are replaced, control characters are left out.
    start, end : int
        Bytes of the file that it was made from.
    size : int
        Bytes of the whole log.
    """

    text: str
    start: int
    end: int
    size: int

"""What schedules and retrainings are, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from core.access import Actor, Role
from core.training.types import BUILT_IN, EngineKind

RETRAINING_TAG: Final = "greenroom.retraining"
"""Tag of a run and of a version that tells the retraining which made it."""

RETRAINS_TAG: Final = "greenroom.retrains"
"""Tag of a run that tells the model it is meant for."""

VALIDATION_TAG: Final = "greenroom.validation"
"""Tag of a version: ``passed``, or ``failed: `` and why."""

VERDICT_TAG: Final = "greenroom.verdict"
"""Tag of a version: the sentence that compares it with the champion of its day."""

LAST_DAYS, EPOCHS, WARM_START = "last_days", "epochs", "warm_start"
"""Parameters of an entry point that an incremental retraining sets."""


class Mode(StrEnum):
    """What is trained on: INCREMENTAL goes on from the champion with the latest days, FULL starts anew with all."""

    INCREMENTAL = "incremental"
    FULL = "full"


class Trigger(StrEnum):
    """What began a retraining."""

    SCHEDULE = "schedule"
    MISSED = "missed"
    MANUAL = "manual"
    API = "api"
    WATCH = "watch"


class Step(StrEnum):
    """What a retraining is at; of one that failed, what it failed at."""

    PREPARING = "preparing"
    TRAINING = "training"
    VALIDATING = "validating"
    REGISTERING = "registering"
    DONE = "done"


class RetrainingOutcome(StrEnum):
    """How a retraining ended. Whatever it is, the champion was not touched.

    STAGED: the new version waits in Staging. REFUSED: it did not pass, and stays in None. FAILED: there is no new
    version that could be judged. STOPPED: somebody stopped it.
    """

    STAGED = "staged"
    REFUSED = "refused"
    FAILED = "failed"
    STOPPED = "stopped"


class VerdictWord(StrEnum):
    """How a new version compares with the champion; UNKNOWN where nothing can be compared."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    FIRST = "first"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ScheduleRequest:
    """How a model shall be retrained.

    Attributes
    ----------
    parameters : mapping of str to str
        Of the entry point; those that are left out take its defaults.
    artifact_path : str
        The model's folder among the artifacts of the run.
    last_days, epochs : int
        Of an incremental retraining; given to entry points that have parameters of these names.
    time_of_day : str
        ``HH:MM`` by the clocks of `zone`.
    zone : str
        Name of the tz database, such as ``America/Bogota``.
    first_day : date or None
        The day that intervals are counted from; None: the next day on which `time_of_day` is still to come, or the
        day that the model's schedule counts from already.
    """

    entry_point: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    project: str = BUILT_IN
    engine: EngineKind = EngineKind.LOCAL
    artifact_path: str = "model"
    mode: Mode = Mode.INCREMENTAL
    last_days: int = 30
    epochs: int = 5
    interval_days: int = 7
    time_of_day: str = "02:00"
    zone: str = "UTC"
    first_day: date | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of a model; see `ScheduleRequest` for what is not said here.

    Attributes
    ----------
    next_due : datetime or None
        UTC; None while it is off.
    """

    id: int
    model: str
    entry_point: str
    parameters: Mapping[str, str]
    project: str
    engine: EngineKind
    artifact_path: str
    mode: Mode
    last_days: int
    epochs: int
    interval_days: int
    time_of_day: str
    zone: str
    first_day: date
    enabled: bool
    next_due: datetime | None
    set_by: str
    set_at: datetime


class GateVerdict(NamedTuple):
    """What a gate said of the new version."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class VerdictPoint:
    """One figure in which the new version is compared with the champion.

    Attributes
    ----------
    champion, challenger, difference : float or None
        The difference is challenger minus champion.
    better : bool or None
        None where they are the same, or it is not known which is better.
    detail : str
        What the figure rests on, such as an interval; "" where there is nothing to add.
    """

    name: str
    champion: float | None
    challenger: float | None
    difference: float | None
    better: bool | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the new version compares with the champion, and where; and what the gates said."""

    word: VerdictWord
    sentence: str
    points: tuple[VerdictPoint, ...] = ()
    gates: tuple[GateVerdict, ...] = ()


class LogLine(NamedTuple):
    """A line of a retraining's log; the level is INFO, WARNING or ERROR."""

    at: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class FrozenFile:
    """Data as they were when a retraining began.

    Attributes
    ----------
    place : str
        The path that was given.
    sha256 : str or None
        Of its content; None for a folder, whose files are not read.
    size : int or None
        Bytes; None for a folder.
    copy : str or None
        Where the copy is that is trained on; None where the data themselves are.
    """

    parameter: str
    place: str
    sha256: str | None
    size: int | None
    copy: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a retraining trains with.

    Attributes
    ----------
    parameters : mapping of str to str
        Given to the entry point.
    champion : int or None
        The version that was in Production then.
    launching : bool
        Whether a job may have been launched already.
    tries : int
        How often the registry has refused the step that the retraining is at.
    waiting_since : datetime or None
        Since when the tracking store has not answered.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    files: tuple[FrozenFile, ...] = ()
    champion: int | None = None
    launching: bool = False
    tries: int = 0
    waiting_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Retraining:
    """One retraining of a model, under way or over.

    Attributes
    ----------
    due_at : datetime or None
        When the schedule wanted it; None where a person or a program asked.
    reason : str
        How it ended, in a sentence; "" while it is under way.
    asked_as : Role
        The role in which `asked_by` asked.
    request : ScheduleRequest
        How the model was to be retrained when it began.
    """

    id: int
    model: str
    trigger: Trigger
    due_at: datetime | None
    step: Step
    outcome: RetrainingOutcome | None
    reason: str
    job_id: int | None
    version: int | None
    verdict: Verdict | None
    log: tuple[LogLine, ...]
    asked_by: str
    started_at: datetime
    ended_at: datetime | None
    asked_as: Role
    request: ScheduleRequest
    prepared: Prepared = Prepared()

    @property
    def is_open(self) -> bool:
        """Whether it is under way."""
        return self.outcome is None

    @property
    def actor(self) -> Actor:
        """In whose name it acts."""
        return Actor(self.asked_by, self.asked_as)

    @property
    def job_name(self) -> str:
        """The name of its job and run; no other retraining of this database has the same."""
        return f"{self.model} retraining {self.id}"


@dataclass(frozen=True, slots=True)
class SchedulerStatus:
    """What a model's schedule is at, as programs ask for it.

    Attributes
    ----------
    last_retrain_time : datetime or None
        When the last retraining ended that brought a version to Staging.
    interval_days : int or None
        None where the model has no schedule.
    """

    enabled: bool
    is_training: bool
    last_retrain_time: datetime | None
    next_retrain_time: datetime | None
    interval_days: int | None

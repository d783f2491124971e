"""The registered models of the demo and what happened to them, step by step; nothing is registered here.

The third version for diabetes was measured on easier patients, which is why it is rolled back. The stores' own models
have a lower error in sum than the one model for all, and still hurt every second store, so that the gate against the
champion stands in the way of their request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from core.access import Actor, Role
from core.demo.store_plans import StoreExperiment

DIABETES_MODEL: Final = "diabetes-progression"

_AMARA, _LUCIA = Actor("amara", Role.ANALYST), Actor("lucia", Role.ANALYST)
_JONAS, _MEI, _TOMAS = (Actor(name, Role.LEAD) for name in ("jonas", "mei", "tomas"))
_DEMO: Final = (
    "Part of Greenroom's demo: its versions are real and can be loaded; its history was made when the demo was built "
    "and is dated back."
)


class Deed(StrEnum):
    """What somebody does to a version. `TRY` loads it and asks it to predict."""

    REGISTER = "register"
    STAGE = "move to Staging"
    ASK = "ask for Production"
    APPROVE = "approve"
    REJECT = "reject"
    PROMOTE = "promote to Production"
    ROLL_BACK = "roll back"
    ARCHIVE = "archive"
    TRY = "load-test"


@dataclass(frozen=True, slots=True)
class Step:
    """One deed.

    Attributes
    ----------
    version : int
        Of a rollback the version that comes back; history says which one that is.
    ago : timedelta
        How long before the build of the demo; nothing is dated back where it is 0.
    words : str
        Reason or comment.
    anyway : str
        Why gates are overridden, should any not pass.
    """

    deed: Deed
    version: int
    by: Actor
    ago: timedelta = timedelta()
    words: str = ""
    anyway: str = ""


@dataclass(frozen=True, slots=True)
class TrainedBy:
    """The run that trained a version.

    Attributes
    ----------
    run : str
        Its name.
    store : int or None
        Of a pipeline the run of this store, counted from 0 among those that were trained; None is the run itself.
    note : str
        Description of the version.
    """

    run: str
    store: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """A registered model.

    Attributes
    ----------
    experiment : str
        Of the runs that trained it.
    versions : tuple of TrainedBy
        v1 first.
    gates : mapping
        As a model's table in greenroom.toml has them.
    steps : tuple of Step
        In order.
    """

    name: str
    note: str
    experiment: str
    versions: tuple[TrainedBy, ...]
    gates: Mapping[str, Any] = field(repr=False)
    steps: tuple[Step, ...] = field(repr=False)

    @property
    def size(self) -> int:
        """Number of steps."""
        return len(self.steps)


def model_plans(shops: StoreExperiment) -> tuple[ModelPlan, ...]:
    """List the models, the same at every call; that of the stores has the name of their experiment."""
    return (
        ModelPlan(
            DIABETES_MODEL,
            f"How far diabetes progresses within a year. {_DEMO}",
            "diabetes-regression",
            (
                TrainedBy("ridge alpha=100"),
                TrainedBy("ridge alpha=10"),
                TrainedBy("ridge alpha=10 (v2)"),
                TrainedBy("lasso alpha=3"),
                TrainedBy("ridge alpha=1"),
                TrainedBy("lasso alpha=0.03"),
            ),
            {"soak_hours": 24, "metrics": ["test_r2 >= 0.46"]},
            _diabetes_steps(),
        ),
        ModelPlan(
            shops.name,
            f"Daily sales of the stores, six weeks ahead. {_DEMO}",
            shops.name,
            (
                TrainedBy("last week again", store=0, note="For one store."),
                TrainedBy("one model for all", note="For every store."),
                TrainedBy("a model a store", store=0, note="For one store, from its own past."),
                TrainedBy("a model a store", store=1, note="For one store, from its own past."),
            ),
            {"soak_hours": 24, "champion": {"kind": "forecast"}},
            _store_steps(),
        ),
    )


def _days(days: int, hours: int = 0) -> timedelta:
    return timedelta(days=days, hours=hours)


def _diabetes_steps() -> tuple[Step, ...]:
    return (
        Step(Deed.REGISTER, 1, _AMARA, _days(36, 4)),
        Step(Deed.STAGE, 1, _AMARA, _days(36, 3), "First candidate"),
        Step(
            Deed.PROMOTE,
            1,
            _JONAS,
            _days(34, 2),
            "First model in use",
            "It explains less than we asked for, and far more than the mean that is used until now.",
        ),
        Step(Deed.REGISTER, 2, _AMARA, _days(27, 5)),
        Step(Deed.STAGE, 2, _AMARA, _days(27, 4), "Less shrinkage than v1"),
        Step(Deed.ASK, 2, _AMARA, _days(25, 6), "RMSE 57.7 instead of 58.5 on the test patients"),
        Step(Deed.APPROVE, 2, _MEI, _days(25, 1), "Better by every measure.", "Better than v1 all the same."),
        Step(Deed.PROMOTE, 2, _JONAS, _days(25), "Approved by mei"),
        Step(Deed.REGISTER, 3, _AMARA, _days(19, 5)),
        Step(Deed.STAGE, 3, _AMARA, _days(19, 4), "Trained without the most extreme blood sugar values"),
        Step(Deed.ASK, 3, _AMARA, _days(17, 3), "RMSE 52.3 instead of 56.6 on the validation patients"),
        Step(
            Deed.APPROVE,
            3,
            _JONAS,
            _days(16, 22),
            "Clearly better.",
            "R² of the test patients is low, but validation is far better than that of v2.",
        ),
        Step(Deed.PROMOTE, 3, _JONAS, _days(16, 21), "Approved"),
        Step(
            Deed.ROLL_BACK,
            2,
            _MEI,
            _days(14, 2),
            "Measured on easier patients: its validation rows have lost the extreme values, v2's have not",
        ),
        Step(Deed.REGISTER, 4, _AMARA, _days(11, 6)),
        Step(Deed.STAGE, 4, _AMARA, _days(11, 5), "Fewer measurements to take"),
        Step(Deed.ASK, 4, _AMARA, _days(9, 7), "Needs fewer measurements than v2"),
        Step(
            Deed.REJECT,
            4,
            _MEI,
            _days(9, 2),
            "R² falls below 0.46. Try a smaller alpha: how many measurements can go before it costs something?",
        ),
        Step(Deed.ARCHIVE, 4, _JONAS, _days(8, 20), "Rejected"),
        Step(Deed.REGISTER, 5, _AMARA, _days(3, 4)),
        Step(Deed.STAGE, 5, _AMARA, _days(3, 3), "A little less shrinkage than v2"),
        Step(Deed.REGISTER, 6, _AMARA, _days(0, 5)),
        Step(Deed.TRY, 1, _JONAS),
        Step(
            Deed.ASK,
            5,
            _AMARA,
            words="RMSE 57.66 instead of 57.70, MAE 47.1 instead of 47.4, on the same patients",
        ),
    )


def _store_steps() -> tuple[Step, ...]:
    return (
        Step(Deed.REGISTER, 1, _LUCIA, _days(30, 6)),
        Step(Deed.STAGE, 1, _LUCIA, _days(30, 5), "What a model has to beat"),
        Step(
            Deed.PROMOTE,
            1,
            _TOMAS,
            _days(28, 3),
            "Until there is something better",
            "There is nothing else yet.",
        ),
        Step(Deed.REGISTER, 2, _LUCIA, _days(22, 7)),
        Step(Deed.STAGE, 2, _LUCIA, _days(22, 6), "Learns from all stores at once"),
        Step(Deed.ASK, 2, _LUCIA, _days(20, 5), "Much closer than last week's sales"),
        Step(
            Deed.APPROVE,
            2,
            _TOMAS,
            _days(20, 1),
            "Hurts few stores.",
            "Last week's sales cannot be planned with any longer; the stores that lose are looked at by hand.",
        ),
        Step(Deed.PROMOTE, 2, _TOMAS, _days(19, 23), "Approved"),
        Step(Deed.REGISTER, 3, _LUCIA, _days(6, 3)),
        Step(Deed.STAGE, 3, _LUCIA, _days(6, 2), "Each store has a model of its own"),
        Step(Deed.REGISTER, 4, _LUCIA, _days(2, 4)),
        Step(Deed.ASK, 3, _LUCIA, words="The error of all stores together is lower"),
    )

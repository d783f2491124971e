"""The rules of stages. Pure: from what is in the registry to a plan, a value that can be printed, or a refusal.

None -> Staging -> Production. Production is never reached straight from None; from Archived a version comes back
through Staging, or at once as a rollback. Whatever moves into Production archives what was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.errors import RefusedError
from core.registry.retention.marks import DELETED_TAG, is_gone
from core.registry.types import Model, Stage, Version

_WAYS: Final = {
    Stage.STAGING: (Stage.NONE, Stage.ARCHIVED),
    Stage.PRODUCTION: (Stage.STAGING,),
    Stage.ARCHIVED: (Stage.NONE, Stage.STAGING, Stage.PRODUCTION),
    Stage.NONE: (),
}


class Act(StrEnum):
    """What is done to a model."""

    PROMOTE = "promote"
    ROLL_BACK = "roll back"
    ARCHIVE = "archive"
    SETTLE = "settle"


@dataclass(frozen=True, slots=True)
class Move:
    """One version that changes its stage."""

    version: int
    from_stage: Stage
    to_stage: Stage


@dataclass(frozen=True, slots=True)
class Plan:
    """What shall happen to a model.

    Attributes
    ----------
    version : int
        The version that it is about; the first of `moves`.
    to_stage : Stage
    moves : tuple of Move
        Empty where the version is there already and nobody else is.
    champions : tuple of int
        The versions that were in Production when the plan was made.
    why : str
        Why the rules allow it, in a few words.
    """

    model: str
    act: Act
    version: int
    to_stage: Stage
    moves: tuple[Move, ...]
    champions: tuple[int, ...]
    why: str

    @property
    def from_stage(self) -> Stage:
        """Where the version came from."""
        return self.moves[0].from_stage if self.moves else self.to_stage

    @property
    def archives(self) -> tuple[int, ...]:
        """The versions that make room."""
        return tuple(move.version for move in self.moves[1:])

    def sentence(self) -> str:
        """Say what it does."""
        up = "Promote" if self.to_stage is Stage.PRODUCTION else "Move"
        verb = {
            Act.PROMOTE: f"{up} {self.model} v{self.version} to {self.to_stage}",
            Act.ROLL_BACK: f"Roll back {self.model} from {_listed(self.champions)} to v{self.version}",
            Act.ARCHIVE: f"Archive {self.model} v{self.version}",
            Act.SETTLE: f"Keep {self.model} v{self.version} in Production",
        }[self.act]
        if self.archives and self.act is not Act.ROLL_BACK:
            return f"{verb}; {_listed(self.archives)} goes to Archived"
        return verb

    def to_json(self) -> dict[str, Any]:
        """Return the plan as values that JSON can hold."""
        return {
            "model": self.model,
            "act": str(self.act),
            "version": self.version,
            "to_stage": str(self.to_stage),
            "moves": [[one.version, str(one.from_stage), str(one.to_stage)] for one in self.moves],
            "champions": list(self.champions),
            "why": self.why,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """Return the plan that `to_json` wrote."""
        return cls(
            value["model"],
            Act(value["act"]),
            value["version"],
            Stage(value["to_stage"]),
            tuple(Move(version, Stage(was), Stage(to)) for version, was, to in value["moves"]),
            tuple(value["champions"]),
            value["why"],
        )


class Standing(StrEnum):
    """How a plan stands to what is in the registry now."""

    AHEAD = "ahead"
    PARTLY = "partly"
    DONE = "done"
    STALE = "stale"


def plan_move(model: Model, version: int, to_stage: Stage) -> Plan:
    """Plan to move a version to a stage.

    Raises
    ------
    NotFoundError
        If the model has no such version.
    RefusedError
        If the rules do not allow it; with what they allow.
    """
    one = model.version(version)
    _refuse_unready(one, to_stage)
    champions = model.in_stage(Stage.PRODUCTION)
    if to_stage is Stage.PRODUCTION and len(champions) > 1:
        raise RefusedError(conflict_sentence(model))
    act = Act.ARCHIVE if to_stage is Stage.ARCHIVED else Act.PROMOTE
    if one.stage is to_stage:
        return _plan(model, act, one, to_stage, "it is there already")
    if one.stage not in _WAYS[to_stage]:
        raise RefusedError(_refusal(one, to_stage))
    return _plan(model, act, one, to_stage, f"{one.stage} -> {to_stage} is a step of the way up")


def plan_rollback(model: Model, version: int, why: str) -> Plan:
    """Plan to bring a version back into Production, in place of whatever is there.

    Parameters
    ----------
    why : str
        How it is known that this version was in Production before.

    Raises
    ------
    NotFoundError
        If the model has no such version.
    RefusedError
        If the version was never promoted: it is in None; or if it was removed.
    """
    one = model.version(version)
    _refuse_gone(one)
    if one.stage is Stage.NONE:
        raise RefusedError(
            f"{model.name} v{version} is in None: a rollback goes to a version that was in Production before."
        )
    return _plan(model, Act.ROLL_BACK, one, Stage.PRODUCTION, why)


def plan_settlement(model: Model, keep: int) -> Plan:
    """Plan to end a conflict: of the versions in Production one is kept, the others are archived.

    Raises
    ------
    NotFoundError
        If the model has no such version.
    RefusedError
        If that version is not in Production.
    """
    one = model.version(keep)
    if one.stage is not Stage.PRODUCTION:
        inside = _listed(tuple(each.version for each in model.in_stage(Stage.PRODUCTION))) or "none"
        raise RefusedError(f"{model.name} v{keep} is in {one.stage}; in Production: {inside}.")
    return _plan(model, Act.SETTLE, one, Stage.PRODUCTION, "one version alone may be in Production")


def standing(plan: Plan, model: Model) -> Standing:
    """Compare a plan with what is in the registry now.

    Returns
    -------
    Standing
        AHEAD: everything is as the plan expected, and nothing has moved. DONE: every move was made. PARTLY: some
        were, as a file store may leave it. STALE: something else has changed.
    """
    now = {one.version: one.stage for one in model.versions}
    at_start = [now.get(move.version) is move.from_stage for move in plan.moves]
    at_end = [now.get(move.version) is move.to_stage for move in plan.moves]
    champions = {one.version for one in model.in_stage(Stage.PRODUCTION)}
    reached = set(plan.champions) - set(plan.archives)
    if plan.to_stage is Stage.PRODUCTION:
        reached.add(plan.version)
    elif plan.to_stage is Stage.ARCHIVED:
        reached.discard(plan.version)
    if all(at_end) and champions == reached:
        return Standing.DONE
    if all(at_start) and champions == set(plan.champions):
        return Standing.AHEAD
    if all(a or b for a, b in zip(at_start, at_end, strict=True)) and champions <= reached | set(
        plan.champions
    ):
        return Standing.PARTLY
    return Standing.STALE


def stale_sentence(plan: Plan, model: Model) -> str:
    """Say what has changed since a plan was made."""
    now = {one.version: str(one.stage) for one in model.versions}
    moved = [
        f"v{move.version} is in {now.get(move.version, 'no stage, for it is gone')} instead of {move.from_stage}"
        for move in plan.moves
        if now.get(move.version) != move.from_stage
    ]
    champions = tuple(one.version for one in model.in_stage(Stage.PRODUCTION))
    if champions != plan.champions and not moved:
        moved = [
            f"{_listed(champions) or 'nothing'} is in Production instead of {_listed(plan.champions) or 'nothing'}"
        ]
    return f"{model.name} has changed meanwhile: {'; '.join(moved)}. Look at it again and decide anew."


def conflict_sentence(model: Model) -> str:
    """Say that two versions are in Production, and the way out."""
    inside = model.in_stage(Stage.PRODUCTION)
    latest = max(inside, key=lambda one: one.updated)
    return (
        f"{model.name} has {len(inside)} versions in Production: {_listed(tuple(one.version for one in inside))}. "
        f"MLflow gives v{max(one.version for one in inside)} to who asks for Production; v{latest.version} moved last. "
        "Keep one and archive the others first."
    )


def _plan(model: Model, act: Act, one: Version, to_stage: Stage, why: str) -> Plan:
    champions = tuple(each.version for each in model.in_stage(Stage.PRODUCTION))
    moves = []
    if one.stage is not to_stage:
        moves.append(Move(one.version, one.stage, to_stage))
    if to_stage is Stage.PRODUCTION:
        leaving = [each for each in champions if each != one.version]
        if leaving and not moves:
            moves.append(Move(one.version, one.stage, to_stage))
        moves.extend(Move(each, Stage.PRODUCTION, Stage.ARCHIVED) for each in leaving)
    return Plan(model.name, act, one.version, to_stage, tuple(moves), champions, why)


def _refuse_gone(one: Version) -> None:
    if is_gone(one):
        raise RefusedError(
            f"{one.model} v{one.version} was removed at {one.tags[DELETED_TAG]}. `greenroom retention trash` lists it, "
            "and `greenroom retention undo` brings it back."
        )


def _refuse_unready(one: Version, to_stage: Stage) -> None:
    if to_stage not in (Stage.STAGING, Stage.PRODUCTION):
        return
    _refuse_gone(one)
    if one.status != "READY":
        raise RefusedError(
            f"{one.model} v{one.version} is not ready: MLflow says {one.status}. Register it again if it stays so."
        )


def _refusal(one: Version, to_stage: Stage) -> str:
    what = f"{one.model} v{one.version} cannot go from {one.stage} to {to_stage}"
    if to_stage is Stage.NONE:
        return f"{what}: no version goes back to None. Archive it instead."
    if to_stage is Stage.PRODUCTION and one.stage is Stage.NONE:
        return f"{what}: it has to pass through Staging. Move it to Staging first."
    if to_stage is Stage.PRODUCTION:
        return f"{what}: move it to Staging first, or roll back to it if it was in Production before."
    return f"{what}: archive it, or roll back to another version."


def _listed(versions: tuple[int, ...]) -> str:
    return " and ".join(f"v{one}" for one in versions)

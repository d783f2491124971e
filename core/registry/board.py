"""Models and versions as pages and commands show them: with their history, gates aside. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.audit import AuditEvent
from core.registry import history
from core.registry.history import RollbackTarget
from core.registry.load_tests import LoadTest
from core.registry.promotion import ACTIONS
from core.registry.requests import Request
from core.registry.retention.marks import is_gone
from core.registry.rules import Act, conflict_sentence
from core.registry.seen import How, SeenVersions
from core.registry.types import PRODUCTION_ALIAS, Model, Stage, Version


@dataclass(frozen=True, slots=True)
class VersionCard:
    """A version with what is recorded of it.

    Attributes
    ----------
    since : datetime or None
        When it entered its stage, UTC.
    exact : bool
        False where `since` is an upper bound: MLflow's time of the version's last change.
    by : str or None
        Who moved it there, where Greenroom did it.
    reason : str
    override : str or None
        Why gates were overridden when it was last promoted; the mark stays with the version.
    overridden : tuple of str
        Which gates these were.
    """

    version: Version
    since: datetime | None
    exact: bool
    by: str | None = None
    reason: str = ""
    override: str | None = None
    overridden: tuple[str, ...] = ()

    @property
    def is_gone(self) -> bool:
        """Whether it was removed, and can be brought back for a while."""
        return is_gone(self.version)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model on one page.

    Attributes
    ----------
    versions : tuple of VersionCard
        Newest first.
    conflict : str or None
        Two versions are in Production: what that means, and the way out.
    drift : tuple of str
        Where aliases and stages say different things.
    target : RollbackTarget or None
        What a rollback would bring back.
    target_test : LoadTest or None
        The latest load test of that version.
    requests : tuple of Request
        Open ones, newest first.
    events : tuple of AuditEvent
        Newest first.
    """

    model: Model
    versions: tuple[VersionCard, ...]
    conflict: str | None
    drift: tuple[str, ...]
    target: RollbackTarget | None
    target_test: LoadTest | None
    load_tests: Mapping[int, LoadTest]
    requests: tuple[Request, ...]
    events: tuple[AuditEvent, ...]

    @property
    def champion(self) -> VersionCard | None:
        """The version in Production; None where there is none, or where there are two."""
        inside = self.in_stage(Stage.PRODUCTION)
        return inside[0] if len(inside) == 1 else None

    def in_stage(self, stage: Stage) -> tuple[VersionCard, ...]:
        """Return the versions in a stage that were not removed, newest first."""
        return tuple(card for card in self.versions if card.version.stage is stage and not card.is_gone)

    def card(self, number: int) -> VersionCard:
        """Return a version by its number.

        Raises
        ------
        NotFoundError
        """
        self.model.version(number)
        return next(card for card in self.versions if card.version.version == number)


def model_card(
    model: Model,
    known: SeenVersions,
    events: Sequence[AuditEvent],
    load_tests: Mapping[int, LoadTest],
    requests: Sequence[Request],
) -> ModelCard:
    """Put a model together with what is recorded of it.

    Parameters
    ----------
    events : sequence of AuditEvent
        Oldest first.
    """
    moved, promoted = _last_moves(events), _last_promotions(events)
    cards = tuple(_version_card(one, known, moved, promoted) for one in reversed(model.versions))
    target = history.rollback_target(model, events)
    return ModelCard(
        model,
        cards,
        conflict_sentence(model) if len(model.in_stage(Stage.PRODUCTION)) > 1 else None,
        drift(model),
        target,
        load_tests.get(target.version) if target is not None else None,
        load_tests,
        tuple(requests),
        tuple(reversed(events)),
    )


def drift(model: Model) -> tuple[str, ...]:
    """Say where aliases and stages say different things."""
    inside = [one.version for one in model.in_stage(Stage.PRODUCTION)]
    pointed = model.aliases.get(PRODUCTION_ALIAS)
    if pointed is None or pointed in inside:
        return ()
    stage = f"v{' and v'.join(map(str, inside))}" if inside else "nothing"
    return (
        f"The alias '{PRODUCTION_ALIAS}' points at v{pointed}, but {stage} is in the stage Production: who loads "
        f"models:/{model.name}@{PRODUCTION_ALIAS} gets another model than who loads models:/{model.name}/Production. "
        "The next promotion or rollback puts the alias in step.",
    )


def _version_card(
    one: Version,
    known: SeenVersions,
    moved: Mapping[int, AuditEvent],
    promoted: Mapping[int, AuditEvent],
) -> VersionCard:
    # What was overridden to let it up stays with it, whatever happens to it afterwards.
    details = promoted[one.version].details if one.version in promoted else {}
    override, overridden = details.get("override"), tuple(details.get("overridden", ()))
    seen = known.get(one.version)
    if seen is None or seen.stage is not one.stage:
        return VersionCard(one, None, False, override=override, overridden=overridden)
    event = moved.get(one.version)
    if event is None or seen.how is not How.GREENROOM:
        exact = one.stage is Stage.NONE
        return VersionCard(one, seen.since, exact, override=override, overridden=overridden)
    return VersionCard(one, seen.since, True, event.actor, event.reason, override, overridden)


def _last_moves(events: Sequence[AuditEvent]) -> dict[int, AuditEvent]:
    return {version: event for event in events for version, *_ in event.details.get("moves", ())}


def _last_promotions(events: Sequence[AuditEvent]) -> dict[int, AuditEvent]:
    """Return the event that last brought each version up a stage by the gates."""
    return {
        event.version: event
        for event in events
        if event.action == ACTIONS[Act.PROMOTE] and event.version is not None
    }

"""What was in Production when: from recorded events, and from MLflow's own times where nothing was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core import clock
from core.audit import AuditEvent
from core.registry.retention.marks import is_gone
from core.registry.types import Model, Stage, Version

FIRST_SEEN: Final = "first seen"
OUTSIDE: Final = "changed outside"
DELETED_OUTSIDE: Final = "deleted outside"
_ROLLED_BACK: Final = "rolled back"
_PRODUCTION: Final = str(Stage.PRODUCTION)


@dataclass(frozen=True, slots=True)
class Reign:
    """A time during which a version was in Production.

    Attributes
    ----------
    start : datetime
        UTC; an upper bound where `exact` is false.
    end : datetime or None
        None while it lasts.
    how : str
        The action that began it: ``promoted``, ``rolled back``, ``changed outside``, ``first seen``.
    by : str
        Who began it; "" where it is not known.
    exact : bool
        Whether the start was recorded when it happened.
    """

    version: int
    start: datetime
    end: datetime | None
    how: str
    by: str
    reason: str
    exact: bool


@dataclass(frozen=True, slots=True)
class InProduction:
    """What was in Production at a time.

    Attributes
    ----------
    versions : tuple of int
        None: nothing was, or nothing is known; `sentence` says which. Several: a conflict.
    known : bool
    """

    at: datetime
    versions: tuple[int, ...]
    known: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class RollbackTarget:
    """The version that a rollback would bring back, and how it is known."""

    version: int
    why: str


def stages_first_seen(model: Model, since: dict[int, datetime]) -> dict[str, Any]:
    """Return the details of a ``first seen`` event: each version that is not in None, its stage, since when."""
    return {
        "stages": {
            str(one.version): [str(one.stage), clock.text(since[one.version])]
            for one in model.versions
            if one.stage is not Stage.NONE
        }
    }


def reigns(events: Sequence[AuditEvent]) -> tuple[Reign, ...]:
    """Return who was in Production, by start.

    Parameters
    ----------
    events : sequence of AuditEvent
        Of one model, oldest first.
    """
    found: list[Reign] = []
    for event in events:
        at = _happened(event)
        for version, was, now, start in _moves(event):
            if now == _PRODUCTION and was != _PRODUCTION:
                exact = event.action not in (FIRST_SEEN, OUTSIDE)
                by = event.actor if exact else ""
                found.append(Reign(version, start or at, None, event.action, by, event.reason, exact))
            elif was == _PRODUCTION and now != _PRODUCTION:
                found = [_ended(one, version, at) for one in found]
    return tuple(sorted(found, key=lambda one: one.start))


def in_production_at(events: Sequence[AuditEvent], at: datetime) -> InProduction:
    """Say what was in Production at a time.

    Parameters
    ----------
    events : sequence of AuditEvent
        Of one model, oldest first.
    """
    inside = [one for one in reigns(events) if one.start <= at and (one.end is None or at < one.end)]
    day = f"{at:%Y-%m-%d %H:%M} UTC"
    if inside:
        names = " and ".join(f"v{one.version}" for one in inside)
        first = inside[0]
        how = f"{first.how} {first.start:%Y-%m-%d %H:%M} UTC" + (f" by {first.by}" if first.by else "")
        if not first.exact:
            how = (
                f"in Production since {first.start:%Y-%m-%d %H:%M} UTC at the latest, by MLflow's last change"
            )
        return InProduction(at, tuple(one.version for one in inside), True, f"{day}: {names} ({how}).")
    known_since = _known_since(events)
    if known_since is None or at < known_since:
        since = f"; what is known begins {known_since:%Y-%m-%d %H:%M} UTC" if known_since else ""
        return InProduction(at, (), False, f"{day}: not known{since}.")
    return InProduction(at, (), True, f"{day}: nothing was in Production.")


def rollback_target(model: Model, events: Sequence[AuditEvent]) -> RollbackTarget | None:
    """Return the version that a rollback brings back; None where no version was in Production before.

    Recorded history decides. Versions that were rolled back from do not come back, so that a second rollback goes
    one step further. Where nothing was recorded it is the version that MLflow archived last.

    Parameters
    ----------
    events : sequence of AuditEvent
        Of one model, oldest first.
    """
    usable = {one.version: one for one in model.versions if one.stage is not Stage.NONE and not is_gone(one)}
    stack = _stack(events)
    champions = {one.version for one in model.in_stage(Stage.PRODUCTION)}
    top = stack.pop() if stack and stack[-1][0] in champions else None
    rejected = _rolled_back_from(events) - {version for version, _ in stack}
    conflict = len(champions) > 1
    for version, when in reversed(stack):
        if version in usable and (conflict or version not in champions):
            return RollbackTarget(version, f"it was in Production before, since {when:%Y-%m-%d %H:%M} UTC")
    if conflict and top is None:
        return None
    archived = [
        one
        for one in usable.values()
        if one.stage is Stage.ARCHIVED and one.version not in rejected and _may_have_reigned(one, events)
    ]
    if not archived:
        return None
    last = max(archived, key=lambda one: (one.updated, one.version))
    return RollbackTarget(last.version, f"MLflow archived it last, {last.updated:%Y-%m-%d %H:%M} UTC")


def was_in_production(model: Model, events: Sequence[AuditEvent], version: int) -> bool:
    """Say whether a version was in Production, as recorded, or may have been before anybody recorded anything.

    Parameters
    ----------
    events : sequence of AuditEvent
        Of one model, oldest first.
    """
    one = model.version(version)
    if one.stage is Stage.PRODUCTION or any(reign.version == version for reign in reigns(events)):
        return True
    return one.stage is Stage.ARCHIVED and _may_have_reigned(one, events)


def _stack(events: Sequence[AuditEvent]) -> list[tuple[int, datetime]]:
    """Return the champions that a rollback can go through, the current one last, each with its start."""
    stack: list[tuple[int, datetime]] = []
    for event in events:
        at = _happened(event)
        for version, was, now, start in _moves(event):
            if now != _PRODUCTION or was == _PRODUCTION:
                continue
            if event.action == _ROLLED_BACK:
                known = [one for one, _ in stack]
                stack = stack[: known.index(version)] if version in known else stack[:-1]
            stack = [one for one in stack if one[0] != version]
            stack.append((version, start or at))
        if event.action == _ROLLED_BACK and event.from_stage == _PRODUCTION and event.version is not None:
            # A conflict was ended by keeping the older one.
            left = {version for version, was, now, _ in _moves(event) if now != _PRODUCTION}
            stack = [one for one in stack if one[0] not in left]
    return stack


def _rolled_back_from(events: Sequence[AuditEvent]) -> set[int]:
    return {
        version
        for event in events
        if event.action == _ROLLED_BACK
        for version, was, now, _ in _moves(event)
        if was == _PRODUCTION and now != _PRODUCTION
    }


def _may_have_reigned(one: Version, events: Sequence[AuditEvent]) -> bool:
    """Say whether an archived version may have been in Production before anybody recorded anything."""
    for event in events:
        for version, was, now, _ in _moves(event):
            if version == one.version and now == str(Stage.ARCHIVED):
                return was in (_PRODUCTION, None)
    return True


def _moves(event: AuditEvent) -> list[tuple[int, str | None, str | None, datetime | None]]:
    """Return version, stage before, stage after, and since when where the event is about an earlier time."""
    if event.action == FIRST_SEEN:
        found: list[tuple[int, str | None, str | None, datetime | None]] = [
            (int(version), None, stage, clock.moment(since))
            for version, (stage, since) in event.details.get("stages", {}).items()
        ]
        return sorted(found, key=lambda one: one[3] or event.at)
    if "moves" in event.details:
        return [(version, was, now, None) for version, was, now in event.details["moves"]]
    if event.action in (OUTSIDE, DELETED_OUTSIDE) and event.version is not None:
        return [(event.version, event.from_stage, event.to_stage, None)]
    return []


def _happened(event: AuditEvent) -> datetime:
    """Return when something happened that may have been noticed later."""
    noted = event.details.get("happened")
    return clock.moment(noted) if noted else event.at


def _known_since(events: Sequence[AuditEvent]) -> datetime | None:
    starts = [start or _happened(event) for event in events for _, _, _, start in _moves(event)]
    seen = [event.at for event in events if event.action == FIRST_SEEN]
    return min([*seen, *starts], default=None)


def _ended(one: Reign, version: int, at: datetime) -> Reign:
    if one.version != version or one.end is not None:
        return one
    return Reign(one.version, one.start, at, one.how, one.by, one.reason, one.exact)

"""What Greenroom last saw of each version: its stage, and since when. What differs was changed outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core import clock
from core.database import put, row_of
from core.registry.types import Model, Stage, Version
from core.schema import seen_versions


class How(StrEnum):
    """How the time is known at which a version entered its stage."""

    GREENROOM = "greenroom"
    OUTSIDE = "outside"
    FIRST_SEEN = "first seen"


@dataclass(frozen=True, slots=True)
class Seen:
    """The stage in which a version was last seen.

    Attributes
    ----------
    since : datetime
        When it entered the stage, UTC. Where nobody recorded it: MLflow's time of its last change, which is never
        earlier than that.
    """

    stage: Stage
    since: datetime
    how: How


@dataclass(frozen=True, slots=True)
class OutsideChange:
    """A version that plain MLflow moved, made in a stage, or deleted.

    Attributes
    ----------
    from_stage : Stage or None
        None where the version is new.
    to_stage : Stage or None
        None where it was deleted.
    """

    version: int
    from_stage: Stage | None
    to_stage: Stage | None
    at: datetime


SeenVersions = Mapping[int, Seen]


def all_seen(connection: Connection, store_key: str) -> dict[str, dict[int, Seen]]:
    """Return what was seen of every model."""
    found: dict[str, dict[int, Seen]] = {}
    query = sa.select(seen_versions).where(seen_versions.c.store_key == store_key)
    for _, model, version, stage, since, how in connection.execute(query):
        found.setdefault(model, {})[version] = Seen(Stage(stage), clock.moment(since), How(how))
    return found


def seen_of(connection: Connection, store_key: str, model: str) -> dict[int, Seen]:
    """Return what was seen of one model."""
    query = sa.select(seen_versions).where(row_of(seen_versions, {"store_key": store_key, "model": model}))
    return {
        version: Seen(Stage(stage), clock.moment(since), How(how))
        for _, _, version, stage, since, how in connection.execute(query)
    }


def note(connection: Connection, store_key: str, model: str, version: int, seen: Seen) -> None:
    """Write down in which stage a version is now."""
    identity = {"store_key": store_key, "model": model, "version": version}
    put(
        connection,
        seen_versions,
        identity,
        {"stage": str(seen.stage), "since": clock.text(seen.since), "how": str(seen.how)},
    )


def note_new(connection: Connection, store_key: str, versions: Iterable[Version], how: How) -> None:
    """Write down versions that were not known yet."""
    rows = [
        {
            "store_key": store_key,
            "model": one.model,
            "version": one.version,
            "stage": str(one.stage),
            "since": clock.text(entered(one)),
            "how": str(how),
        }
        for one in versions
    ]
    if rows:
        connection.execute(sa.insert(seen_versions), rows)


def forget(connection: Connection, store_key: str, model: str, version: int) -> None:
    """Forget a version that is gone."""
    identity = {"store_key": store_key, "model": model, "version": version}
    connection.execute(sa.delete(seen_versions).where(row_of(seen_versions, identity)))


def entered(one: Version) -> datetime:
    """Return when a version entered its stage at the latest, as MLflow tells it."""
    return one.created if one.stage is Stage.NONE else one.updated


def outside_changes(model: Model, seen: SeenVersions, now: datetime) -> tuple[OutsideChange, ...]:
    """Compare a model with what was seen of it; versions that are new and in None are no change."""
    found = []
    for one in model.versions:
        known = seen.get(one.version)
        was = known.stage if known is not None else None
        if was is not one.stage and not (was is None and one.stage is Stage.NONE):
            found.append(OutsideChange(one.version, was, one.stage, min(one.updated, now)))
    there = {one.version for one in model.versions}
    found.extend(
        OutsideChange(version, known.stage, None, now)
        for version, known in seen.items()
        if version not in there
    )
    # Who left a stage comes before who entered it.
    return tuple(sorted(found, key=lambda one: (one.at, one.to_stage in (Stage.PRODUCTION, Stage.STAGING))))

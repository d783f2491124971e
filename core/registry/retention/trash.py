"""The trash: what was removed, its full record, and where each entry stands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from core import clock
from core.database import row_of, transaction
from core.errors import NotFoundError
from core.registry.retention.plan import Kind, Subject
from core.schema import trash

_OTHERWISE: Final = "the trash can be neither read nor written"


class TrashState(StrEnum):
    """Where an entry stands; those that end in -ing were written down before MLflow was asked."""

    OPENING = "opening"
    DELETED = "deleted"
    RESTORING = "restoring"
    RESTORED = "restored"
    PURGING = "purging"
    PURGED = "purged"
    KEPT = "kept"


UNFINISHED: Final = (TrashState.OPENING, TrashState.RESTORING, TrashState.PURGING)
IN_TRASH: Final = (TrashState.DELETED, *UNFINISHED)


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """A version or run that was removed.

    Attributes
    ----------
    bytes : int or None
        What comes free when it is purged, as promised; None where that could not be counted.
    record : mapping
        Everything that MLflow knew of it, and what is being done with it.
    deleted_at, purge_after : datetime
        UTC. From `purge_after` on it may be removed for good.
    note : str
        What became of it.
    """

    id: int
    subject: Subject
    bytes: int | None
    record: Mapping[str, Any]
    reason: str
    deleted_by: str
    deleted_at: datetime
    purge_after: datetime
    state: TrashState
    closed_at: datetime | None = None
    note: str = ""

    @property
    def mark(self) -> str:
        """The value of the tag that a removed version has."""
        return clock.text(self.deleted_at)


class Trash:
    """The trash of one tracking store."""

    def __init__(self, engine: Callable[[], Engine], store_key: str) -> None:
        self._engine = engine
        self._store_key = store_key

    def get(self, number: int) -> TrashEntry:
        """Return an entry.

        Raises
        ------
        NotFoundError
        """
        query = sa.select(trash).where(row_of(trash, {"store_key": self._store_key, "id": number}))
        with transaction(self._engine(), _OTHERWISE) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(
                f"There is no entry {number} in the trash. `greenroom retention trash` lists it."
            )
        return _entry(row)

    def find(
        self, states: tuple[TrashState, ...] | None = None, model: str | None = None
    ) -> tuple[TrashEntry, ...]:
        """Return entries, newest first.

        Raises
        ------
        DatabaseError
        """
        query = sa.select(trash).where(trash.c.store_key == self._store_key)
        if states is not None:
            query = query.where(trash.c.state.in_([str(one) for one in states]))
        if model is not None:
            query = query.where(trash.c.model == model)
        with transaction(self._engine(), _OTHERWISE) as connection:
            return tuple(_entry(row) for row in connection.execute(query.order_by(trash.c.id.desc())))

    def open(
        self,
        subject: Subject,
        *,
        size: int | None,
        record: Mapping[str, Any],
        reason: str,
        by: str,
        at: datetime,
        purge_after: datetime,
    ) -> TrashEntry:
        """Write down that something is about to be removed."""
        row = {
            "store_key": self._store_key,
            "kind": str(subject.kind),
            "model": subject.model,
            "version": subject.version,
            "run_id": subject.run_id,
            "bytes": size,
            "record": _line(record),
            "reason": reason,
            "deleted_by": by,
            "deleted_at": clock.text(at),
            "purge_after": clock.text(purge_after),
            "state": str(TrashState.OPENING),
            "note": "",
        }
        with transaction(self._engine(), f"{subject.name} is not removed") as connection:
            done = connection.execute(sa.insert(trash).values(**row))
        return self.get(int(done.inserted_primary_key[0]))  # type: ignore[index]

    def begin(self, entry: TrashEntry, state: TrashState, **more: Any) -> TrashEntry | None:
        """Write down what is about to be done with an entry; None where somebody else has been at it."""
        record = {**entry.record, **more}
        with transaction(self._engine(), f"{entry.subject.name} is left as it is") as connection:
            moved = self.move(connection, entry, state, record=_line(record))
        return self.get(entry.id) if moved else None

    def move(self, connection: Connection, entry: TrashEntry, state: TrashState, **values: Any) -> bool:
        """Move an entry on, if nobody else has; say whether it was done."""
        where = sa.and_(trash.c.id == entry.id, trash.c.state == str(entry.state))
        hit = connection.execute(sa.update(trash).where(where).values(state=str(state), **values))
        return bool(hit.rowcount)

    def annotate(self, entry: TrashEntry, note: str) -> None:
        """Say what stands in the way of finishing an entry."""
        where = sa.and_(trash.c.id == entry.id, trash.c.state == str(entry.state))
        with transaction(self._engine(), _OTHERWISE) as connection:
            connection.execute(sa.update(trash).where(where).values(note=note))


def being_purged(connection: Connection, store_key: str, model: str) -> frozenset[int]:
    """Return the versions of a model that are being deleted from MLflow, or were when a process died."""
    identity = {"store_key": store_key, "model": model, "state": str(TrashState.PURGING)}
    found = connection.execute(
        sa.select(trash.c.version).where(row_of(trash, identity), trash.c.kind == "version")
    )
    return frozenset(found.scalars())


def _entry(row: Row[Any]) -> TrashEntry:
    record, kind = json.loads(row.record), Kind(row.kind)
    name = (
        f"{row.model} v{row.version}"
        if kind is Kind.VERSION
        else f"run {record.get('name') or row.run_id[:8]}"
    )
    return TrashEntry(
        id=row.id,
        subject=Subject(kind, name, row.model, row.version, row.run_id),
        bytes=row.bytes,
        record=record,
        reason=row.reason,
        deleted_by=row.deleted_by,
        deleted_at=clock.moment(row.deleted_at),
        purge_after=clock.moment(row.purge_after),
        state=TrashState(row.state),
        closed_at=clock.moment(row.closed_at) if row.closed_at else None,
        note=row.note,
    )


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)

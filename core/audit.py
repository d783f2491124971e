"""The audit trail: append-only, each event carries the hash of the one before.

The hash of an event is the SHA-256 of its fields and of the hash before it, as one line of JSON. Whoever changes an
event has to change every later one, too, and the end that others may have noted (`greenroom audit --json` prints it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from core import clock
from core.access import Actor
from core.database import transaction
from core.errors import DatabaseError
from core.schema import audit_events, audit_head

FIRST_HASH: Final = "0" * 64
_OTHERWISE: Final = "the audit trail can be neither read nor written"
_PART: Final = 5_000


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened and is to be recorded.

    Attributes
    ----------
    action : str
        Such as ``promoted``, ``rolled back``, ``requested``, ``changed outside``.
    evidence_hash : str or None
        SHA-256 of the dossier that the decision was made on.
    details : mapping
        More about it; values that JSON can hold.
    """

    action: str
    model: str | None = None
    version: int | None = None
    from_stage: str | None = None
    to_stage: str | None = None
    reason: str = ""
    evidence_hash: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """A link of the chain.

    Attributes
    ----------
    seq : int
        1, 2, 3, ... over all tracking stores of the database.
    store_key : str
        Which tracking store it is about.
    previous_hash, hash : str
        64 hexadecimal digits.
    """

    seq: int
    at: datetime
    store_key: str
    actor: str
    role: str
    action: str
    model: str | None
    version: int | None
    from_stage: str | None
    to_stage: str | None
    reason: str
    evidence_hash: str | None
    details: Mapping[str, Any]
    previous_hash: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """Return the event as values that JSON can hold."""
        found = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**found, "at": clock.text(self.at), "details": dict(self.details)}


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of checking the chain.

    Attributes
    ----------
    events : int
        How many events are whole, counted from the first.
    broken_at : int or None
        Number of the first event that is not.
    reason : str
    head : str
        Hash of the last whole event.
    """

    events: int
    broken_at: int | None
    reason: str
    head: str

    @property
    def whole(self) -> bool:
        """Whether the chain holds from the first event to the last."""
        return self.broken_at is None


class AuditTrail:
    """The audit trail of one tracking store; the chain runs through all stores of the database.

    Parameters
    ----------
    engine : callable
        Opens Greenroom's database.
    now : callable
        The clock.
    """

    def __init__(self, engine: Callable[[], Engine], store_key: str, now: clock.Clock = clock.now) -> None:
        self._engine = engine
        self._store_key = store_key
        self._now = now

    def lock(self, connection: Connection) -> None:
        """Make everybody else who appends wait until this transaction ends; it must not have read anything yet."""
        # An update takes the lock for writing, which reading would not.
        connection.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(id=1))

    def append(self, connection: Connection, by: Actor, news: News) -> AuditEvent:
        """Record an event within a transaction of the caller's, which it makes wait for other appends."""
        self.lock(connection)
        head = connection.execute(sa.select(audit_head).where(audit_head.c.id == 1)).one()
        row = {
            "seq": head.seq + 1,
            "at": clock.text(self._now()),
            "store_key": self._store_key,
            "actor": by.name,
            "role": str(by.role),
            "action": news.action,
            "model": news.model,
            "version": news.version,
            "from_stage": news.from_stage,
            "to_stage": news.to_stage,
            "reason": news.reason,
            "evidence_hash": news.evidence_hash,
            "details": _line(news.details),
            "previous_hash": head.hash,
        }
        row["hash"] = hash_of(row)
        connection.execute(sa.insert(audit_events).values(**row))
        connection.execute(
            sa.update(audit_head).where(audit_head.c.id == 1).values(seq=row["seq"], hash=row["hash"])
        )
        return _event(row)

    def events(
        self,
        model: str | None = None,
        *,
        action: str | None = None,
        actor: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[AuditEvent, ...]:
        """Return events of this store, newest first.

        Raises
        ------
        DatabaseError
        """
        query = self._where(sa.select(audit_events), model, action, actor)
        query = query.order_by(audit_events.c.seq.desc()).limit(limit).offset(offset)
        with transaction(self._engine(), _OTHERWISE) as connection:
            return tuple(_event(dict(row._mapping)) for row in connection.execute(query))

    def count(self, model: str | None = None, *, action: str | None = None, actor: str | None = None) -> int:
        """Return how many events `events` would give without a limit."""
        query = self._where(sa.select(sa.func.count()).select_from(audit_events), model, action, actor)
        with transaction(self._engine(), _OTHERWISE) as connection:
            return int(connection.execute(query).scalar_one())

    def values(self, column: str) -> tuple[str, ...]:
        """Return which actions, actors or models there are."""
        wanted = audit_events.c[column]
        query = (
            sa.select(wanted)
            .distinct()
            .where(audit_events.c.store_key == self._store_key, wanted.is_not(None))
        )
        with transaction(self._engine(), _OTHERWISE) as connection:
            return tuple(connection.execute(query.order_by(wanted)).scalars())

    def export(self) -> Iterator[str]:
        """Yield the whole chain, all stores, oldest first: a line of JSON an event.

        Raises
        ------
        DatabaseError
            Also where an event cannot be read, with its number.
        """
        for part in self._parts():
            for row in part:
                try:
                    event = _event(row)
                except ValueError as error:
                    raise DatabaseError(
                        f"The audit event {row['seq']} cannot be read. `greenroom audit --verify` says more."
                    ) from error
                yield _line(event.to_json())

    def verify(self) -> Verification:
        """Check the whole chain, all stores.

        Raises
        ------
        DatabaseError
            If the database does not answer.
        """
        whole, head = 0, FIRST_HASH
        for part in self._parts():
            for row in part:
                wrong = _wrong(row, whole, head)
                if wrong:
                    return Verification(whole, whole + 1, wrong, head)
                whole, head = whole + 1, str(row["hash"])
        with transaction(self._engine(), _OTHERWISE) as connection:
            end = connection.execute(sa.select(audit_head)).one_or_none()
        if end is None or (end.seq, end.hash) != (whole, head):
            missing = "" if end is None else f" of {end.seq:,}"
            return Verification(
                whole,
                whole + 1,
                f"The chain ends after {whole:,}{missing} events, not where its recorded end is.",
                head,
            )
        return Verification(whole, None, f"All {whole:,} events are as they were written.", head)

    def _where(
        self, query: sa.Select[Any], model: str | None, action: str | None, actor: str | None
    ) -> sa.Select[Any]:
        query = query.where(audit_events.c.store_key == self._store_key)
        for column, value in (("model", model), ("action", action), ("actor", actor)):
            if value is not None:
                query = query.where(audit_events.c[column] == value)
        return query

    def _parts(self) -> Iterator[list[dict[str, Any]]]:
        """Yield rows in order, each text read byte by byte, so that a damaged one is found and not tripped over."""
        last = None
        while True:
            engine = self._engine()
            # PostgreSQL keeps nothing but valid text; SQLite keeps whatever bytes somebody put there.
            raw = _raw if engine.dialect.name == "sqlite" else _as_it_is
            query = sa.select(*(raw(column) for column in audit_events.c)).order_by(audit_events.c.seq)
            if last is not None:
                query = query.where(audit_events.c.seq > last)
            with transaction(engine, _OTHERWISE) as connection:
                rows = [_decoded(row) for row in connection.execute(query.limit(_PART))]
            if not rows:
                return
            yield rows
            last = rows[-1]["seq"]


def hash_of(row: Mapping[str, Any]) -> str:
    """Return the hash of an event's row, `hash` itself left out."""
    content = {key: value for key, value in row.items() if key != "hash"}
    return hashlib.sha256(_line(content).encode("utf-8", "surrogateescape")).hexdigest()


def _wrong(row: Mapping[str, Any], whole: int, head: str) -> str:
    """Say what is wrong with the event that follows `whole` events, or return nothing."""
    if row["seq"] != whole + 1:
        return f"Event {whole + 1} is missing: the next one has the number {row['seq']}."
    about = (
        f"Event {row['seq']} ({row['action']}{' ' + str(row['model']) if row['model'] else ''}, {row['at']})"
    )
    if hash_of(row) != row["hash"]:
        return f"{about} is not what was written: its content and its hash do not belong together."
    if row["previous_hash"] != head:
        return f"{about} does not follow the event before it: that one was replaced."
    return ""


def _raw(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.Integer):
        return column
    return sa.type_coerce(sa.cast(column, sa.LargeBinary), sa.LargeBinary).label(column.name)


def _as_it_is(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return column


def _decoded(row: Row[Any]) -> dict[str, Any]:
    return {
        key: bytes(value).decode("utf-8", "surrogateescape")
        if isinstance(value, bytes | memoryview)
        else value
        for key, value in row._mapping.items()
    }


def _event(row: Mapping[str, Any]) -> AuditEvent:
    values = {one.name: row[one.name] for one in fields(AuditEvent)}
    return AuditEvent(**{**values, "at": clock.moment(row["at"]), "details": json.loads(row["details"])})


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

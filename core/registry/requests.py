"""Promotion requests: who asked for what, what was decided, and the dossier that the decision was made on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from core import clock
from core.database import transaction
from core.errors import NotFoundError, RefusedError
from core.registry.types import Stage, Version
from core.schema import dossiers, promotion_requests

_OTHERWISE = "requests can be neither read nor written"


class RequestState(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    LAPSED = "lapsed"
    PROMOTED = "promoted"


OPEN = (RequestState.WAITING, RequestState.APPROVED)


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody's wish to have a version in a stage.

    Attributes
    ----------
    fingerprint : str
        Of the version when it was asked for; see `fingerprint`.
    dossier_hash : str or None
        SHA-256 of the evidence: as judged when asked, and frozen with the decision.
    override : str or None
        Why the lead approved although gates did not pass.
    """

    id: int
    model: str
    version: int
    to_stage: Stage
    state: RequestState
    reason: str
    asked_by: str
    asked_at: datetime
    fingerprint: str
    dossier_hash: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    comment: str | None = None
    override: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done about it."""
        return self.state in OPEN

    def sentence(self) -> str:
        """Say what is wanted."""
        return f"{self.model} v{self.version} to {self.to_stage}"


def fingerprint(version: Version) -> str:
    """Return what a request holds on to: it lapses when this changes."""
    parts = [
        version.model,
        version.version,
        version.source,
        version.run_id,
        str(version.stage),
        version.storage,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Requests:
    """The promotion requests of one tracking store."""

    def __init__(self, engine: Callable[[], Engine], store_key: str) -> None:
        self._engine = engine
        self._store_key = store_key

    def get(self, number: int) -> Request:
        """Return a request.

        Raises
        ------
        NotFoundError
        """
        query = sa.select(promotion_requests).where(
            promotion_requests.c.store_key == self._store_key, promotion_requests.c.id == number
        )
        with transaction(self._engine(), _OTHERWISE) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError(f"There is no request {number}. `greenroom requests` lists them all.")
        return _request(row)

    def find(
        self,
        model: str | None = None,
        states: tuple[RequestState, ...] | None = None,
        version: int | None = None,
        limit: int | None = None,
    ) -> tuple[Request, ...]:
        """Return requests, newest first."""
        query = sa.select(promotion_requests).where(promotion_requests.c.store_key == self._store_key)
        if model is not None:
            query = query.where(promotion_requests.c.model == model)
        if version is not None:
            query = query.where(promotion_requests.c.version == version)
        if states is not None:
            query = query.where(promotion_requests.c.state.in_([str(one) for one in states]))
        with transaction(self._engine(), _OTHERWISE) as connection:
            rows = connection.execute(query.order_by(promotion_requests.c.id.desc()).limit(limit)).all()
        return tuple(_request(row) for row in rows)

    def open(self, connection: Connection, values: dict[str, Any]) -> int:
        """Write a new request down.

        Raises
        ------
        RefusedError
            If there is one for the same version and stage that is still open.
        """
        row = {"store_key": self._store_key, "state": str(RequestState.WAITING), **values}
        try:
            with connection.begin_nested():
                done = connection.execute(sa.insert(promotion_requests).values(**row))
        except sa.exc.IntegrityError:
            what = f"{values['model']} v{values['version']} to {values['to_stage']}"
            raise RefusedError(
                f"Somebody has asked for {what} already, and that is still open. `greenroom requests` shows it."
            ) from None
        return int(done.inserted_primary_key[0])  # type: ignore[index]

    def change(self, connection: Connection, request: Request, state: RequestState, **values: Any) -> None:
        """Move a request on, if nobody else has meanwhile.

        Raises
        ------
        RefusedError
            If somebody has.
        """
        table = promotion_requests
        where = sa.and_(table.c.id == request.id, table.c.state == str(request.state))
        hit = connection.execute(sa.update(table).where(where).values(state=str(state), **values))
        if hit.rowcount:
            return
        row = connection.execute(sa.select(table).where(table.c.id == request.id)).one()
        by = f" by {row.decided_by}" if row.decided_by else ""
        raise RefusedError(f"Request {request.id} ({request.sentence()}) is {row.state}{by} already.")


def keep_dossier(connection: Connection, content: str, at: datetime) -> str:
    """Keep a dossier under the hash of its content, and return that."""
    name = hashlib.sha256(content.encode()).hexdigest()
    if connection.execute(sa.select(dossiers.c.hash).where(dossiers.c.hash == name)).one_or_none() is None:
        connection.execute(sa.insert(dossiers).values(hash=name, content=content, made_at=clock.text(at)))
    return name


def read_dossier(engine: Engine, name: str) -> str:
    """Return the content of a kept dossier, after checking that it is what was hashed.

    Raises
    ------
    NotFoundError
        If there is none of that hash.
    RefusedError
        If its content is not what was hashed.
    """
    with transaction(engine, "dossiers cannot be read") as connection:
        content = connection.execute(
            sa.select(dossiers.c.content).where(dossiers.c.hash == name)
        ).scalar_one_or_none()
    if content is None:
        raise NotFoundError(f"There is no dossier {name[:12]} in Greenroom's database.")
    if hashlib.sha256(content.encode()).hexdigest() != name:
        raise RefusedError(f"The dossier {name[:12]} was changed after it was frozen: its hash does not fit.")
    return str(content)


def _request(row: Row[Any]) -> Request:
    return Request(
        id=row.id,
        model=row.model,
        version=row.version,
        to_stage=Stage(row.to_stage),
        state=RequestState(row.state),
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=clock.moment(row.asked_at),
        fingerprint=row.fingerprint,
        dossier_hash=row.dossier_hash,
        decided_by=row.decided_by,
        decided_at=clock.moment(row.decided_at) if row.decided_at else None,
        comment=row.comment,
        override=row.override,
    )

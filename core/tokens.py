"""Tokens of the REST API: shown once when they are made, kept as hashes, each with a name and a role."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Permission, Role
from core.audit import AuditTrail, News
from core.database import transaction
from core.errors import BadInputError, NotFoundError, RefusedError
from core.schema import api_tokens

PREFIX: Final = "gr_"
"""What every token begins with, so that a scanner for secrets finds one that was left somewhere."""

_LONGEST_NAME: Final = 200
# Whoever asks every second shall not write to the database every second.
_USE_NOTED_EVERY: Final = timedelta(minutes=1)
_OTHERWISE: Final = "tokens can be neither read nor written"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; the token itself is kept nowhere.

    Attributes
    ----------
    name : str
        Who acts with it, as the audit trail shows; one token at a time has a name.
    used_at : datetime or None
        When it was last used, to the minute; UTC.
    revoked_at : datetime or None
        Since when it opens nothing.
    """

    id: int
    name: str
    role: Role
    made_by: str
    made_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class Tokens:
    """The tokens of a Greenroom, whichever tracking store is asked about. Safe for many threads and processes.

    Parameters
    ----------
    engine : callable
        Opens Greenroom's database.
    trail : AuditTrail
        Records who made and revoked what; never the token.
    now : callable
        The clock.
    """

    def __init__(self, engine: Callable[[], Engine], trail: AuditTrail, now: clock.Clock = clock.now) -> None:
        self._engine = engine
        self._trail = trail
        self._now = now

    def create(self, name: str, role: Role, by: Actor) -> str:
        """Make a token and return it: nobody can read it again.

        Parameters
        ----------
        name : str
            Of the program or person that will act with it.

        Raises
        ------
        BadInputError
            If the name cannot be used.
        RefusedError
            If another token has this name, or the actor is no admin.
        DatabaseError
        """
        by.require(Permission.TOKENS)
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise BadInputError(
                f"A token cannot be named {name[:40]!r}: give 1 to {_LONGEST_NAME} letters, digits or signs in a line."
            )
        token = PREFIX + secrets.token_urlsafe(32)
        row = {
            "name": name,
            "role": str(role),
            "hash": _hash(token),
            "made_by": by.name,
            "made_at": clock.text(self._now()),
        }
        with transaction(self._engine(), _OTHERWISE) as connection:
            self._trail.lock(connection)
            if connection.execute(sa.select(api_tokens.c.id).where(_in_use(name))).first() is not None:
                raise RefusedError(
                    f"There is a token named {name} already. Revoke it first, or choose another name."
                )
            connection.execute(sa.insert(api_tokens).values(**row))
            self._trail.append(connection, by, _news("token made", name, role))
        return token

    def verify(self, token: str) -> Actor | None:
        """Return who acts with a token; None where it is no token, or was revoked.

        The time this takes tells nothing about tokens there are: they are found by their hash.

        Raises
        ------
        DatabaseError
        """
        if not token.startswith(PREFIX):
            return None
        looked_for = _hash(token)
        valid = sa.and_(api_tokens.c.hash == looked_for, api_tokens.c.revoked_at.is_(None))
        with transaction(self._engine(), _OTHERWISE) as connection:
            row = connection.execute(sa.select(api_tokens).where(valid)).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, looked_for):
            return None
        self._note_use(row.id, row.used_at)
        return Actor(row.name, Role(row.role))

    def _note_use(self, token_id: int, used_at: str | None) -> None:
        now = self._now()
        if used_at is not None and now - clock.moment(used_at) < _USE_NOTED_EVERY:
            return
        # Not in the transaction that read it: SQLite lets none write that began by reading something older.
        with transaction(self._engine(), _OTHERWISE) as connection:
            change = sa.update(api_tokens).where(api_tokens.c.id == token_id)
            connection.execute(change.values(used_at=clock.text(now)))

    def list(self) -> tuple[Token, ...]:
        """Return all tokens, those that were revoked too, oldest first.

        Raises
        ------
        DatabaseError
        """
        with transaction(self._engine(), _OTHERWISE) as connection:
            found = connection.execute(sa.select(api_tokens).order_by(api_tokens.c.id))
            return tuple(_token(row._mapping) for row in found)

    def revoke(self, name: str, by: Actor) -> Token:
        """Take a token back: from now on it opens nothing.

        Raises
        ------
        NotFoundError
            If no token that is in use has this name.
        RefusedError
            If the actor is no admin.
        DatabaseError
        """
        by.require(Permission.TOKENS)
        with transaction(self._engine(), _OTHERWISE) as connection:
            self._trail.lock(connection)
            row = connection.execute(sa.select(api_tokens).where(_in_use(name))).first()
            if row is None:
                raise NotFoundError(
                    f"No token in use is named {name!r}. `greenroom tokens list` shows them all."
                )
            gone = {"revoked_at": clock.text(self._now())}
            connection.execute(sa.update(api_tokens).where(api_tokens.c.id == row.id).values(**gone))
            self._trail.append(connection, by, _news("token revoked", name, Role(row.role)))
        return _token({**row._mapping, **gone})


def _in_use(name: str) -> sa.ColumnElement[bool]:
    return sa.and_(api_tokens.c.name == name, api_tokens.c.revoked_at.is_(None))


def _news(action: str, name: str, role: Role) -> News:
    return News(action, details={"token": name, "role": str(role)})


def _hash(token: str) -> str:
    # A token is 32 random bytes: nobody guesses it from its hash, however fast that is computed.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: Any) -> Token:
    times = {key: clock.moment(row[key]) if row[key] else None for key in ("used_at", "revoked_at")}
    return Token(
        row["id"], row["name"], Role(row["role"]), row["made_by"], clock.moment(row["made_at"]), **times
    )

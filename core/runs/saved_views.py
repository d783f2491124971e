"""Saved views: a page's choices under a name, kept in Greenroom's database, shared by all who use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from core.database import put, row_of, transaction
from core.errors import BadInputError, NotFoundError
from core.schema import saved_views

Choices: TypeAlias = Mapping[str, str | int | float | bool | list[str] | None]


@dataclass(frozen=True, slots=True)
class SavedView:
    """A named set of choices; what they mean is the page's own affair."""

    name: str
    choices: Choices
    saved_by: str
    saved_at: datetime


class SavedViews:
    """The saved views of one page of one tracking store."""

    def __init__(self, engine: Engine, store_key: str, page: str) -> None:
        self._engine = engine
        self._store_key = store_key
        self._page = page

    @property
    def _mine(self) -> dict[str, object]:
        return {"store_key": self._store_key, "page": self._page}

    def _connection(self) -> AbstractContextManager[Connection]:
        return transaction(self._engine, "views can be neither read nor saved")

    def all(self) -> tuple[SavedView, ...]:
        """Return all views, by name."""
        query = sa.select(saved_views).where(row_of(saved_views, self._mine)).order_by(saved_views.c.name)
        with self._connection() as connection:
            rows = connection.execute(query).all()
        return tuple(
            SavedView(row.name, json.loads(row.choices), row.saved_by, _aware(row.saved_at)) for row in rows
        )

    def save(self, name: str, choices: Choices, by: str) -> SavedView:
        """Save choices under a name, over those of the same name.

        Raises
        ------
        BadInputError
            If the name is empty or longer than 200 characters.
        """
        name = name.strip()
        if not name or len(name) > 200:
            raise BadInputError("A view's name has 1 to 200 characters. Choose another name.")
        view = SavedView(name, dict(choices), by, datetime.now(UTC))
        values = {
            "choices": json.dumps(view.choices, ensure_ascii=False),
            "saved_by": view.saved_by,
            "saved_at": view.saved_at,
        }
        with self._connection() as connection:
            put(connection, saved_views, {**self._mine, "name": name}, values)
        return view

    def delete(self, name: str) -> None:
        """Delete a view; `NotFoundError` if there is none of that name."""
        with self._connection() as connection:
            mine = row_of(saved_views, {**self._mine, "name": name})
            hit = connection.execute(sa.delete(saved_views).where(mine))
        if not hit.rowcount:
            raise NotFoundError(f"There is no saved view '{name}'. Somebody may have deleted it.")


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)

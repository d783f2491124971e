"""Schedules and retrainings in Greenroom's database: every change only where nobody else made one meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from core import clock
from core.database import row_of, transaction
from core.errors import NotFoundError, RefusedError
from core.schema import retrainings, schedules
from core.training.schedule import rows
from core.training.schedule.types import LogLine, Retraining, Schedule, ScheduleRequest, Step, Trigger

_OTHERWISE: Final = "schedules and retrainings can be neither read nor written"


class Store:
    """The schedules and retrainings of one tracking store.

    Every method raises `DatabaseError` where the database does not answer.
    """

    def __init__(self, engine: Callable[[], Engine], store_key: str) -> None:
        self._engine = engine
        self._key = store_key

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Open a transaction for methods that take a connection."""
        with transaction(self._engine(), _OTHERWISE) as connection:
            yield connection

    # Schedules

    def schedules(self) -> tuple[Schedule, ...]:
        """Return all schedules, by model."""
        return self._schedules(sa.true())

    def schedule(self, model: str) -> Schedule | None:
        """Return the schedule of a model."""
        found = self._schedules(schedules.c.model == model)
        return found[0] if found else None

    def due(self, now: datetime) -> tuple[Schedule, ...]:
        """Return the schedules whose time has come, longest due first."""
        where = sa.and_(schedules.c.enabled.is_(True), schedules.c.next_due <= clock.text(now))
        return tuple(sorted(self._schedules(where), key=lambda one: one.next_due or now))

    def _schedules(self, where: sa.ColumnElement[bool]) -> tuple[Schedule, ...]:
        query = sa.select(schedules).where(schedules.c.store_key == self._key, where)
        with self.transaction() as connection:
            return tuple(map(rows.schedule_of, connection.execute(query.order_by(schedules.c.model))))

    def put_schedule(self, connection: Connection, model: str, values: dict[str, Any]) -> None:
        """Write the schedule of a model, over the one that it has.

        Raises
        ------
        RefusedError
            If somebody else gives it its first one at the same time.
        """
        identity = {"store_key": self._key, "model": model}
        hit = connection.execute(sa.update(schedules).where(row_of(schedules, identity)).values(**values))
        if hit.rowcount:
            return
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(schedules).values(**identity, **values))
        except sa.exc.IntegrityError:
            raise RefusedError(
                f"Somebody else has just scheduled {model}. Look at that, then set it again."
            ) from None

    def change_schedule(self, connection: Connection, schedule: Schedule, **values: Any) -> bool:
        """Change a schedule, if it is still what was read; say whether it was."""
        due = clock.text(schedule.next_due) if schedule.next_due else None
        where = sa.and_(
            schedules.c.id == schedule.id,
            schedules.c.enabled.is_(schedule.enabled),
            schedules.c.set_at == clock.text(schedule.set_at),
            schedules.c.next_due.is_(None) if due is None else schedules.c.next_due == due,
        )
        return bool(connection.execute(sa.update(schedules).where(where).values(**values)).rowcount)

    def remove_schedule(self, connection: Connection, model: str) -> bool:
        """Remove the schedule of a model; say whether there was one."""
        where = row_of(schedules, {"store_key": self._key, "model": model})
        return bool(connection.execute(sa.delete(schedules).where(where)).rowcount)

    # Retrainings

    def retrainings(self, model: str | None = None, limit: int | None = None) -> tuple[Retraining, ...]:
        """Return retrainings, newest first."""
        where = sa.true() if model is None else retrainings.c.model == model
        return self._retrainings(where, limit)

    def open_retrainings(self) -> tuple[Retraining, ...]:
        """Return those that are under way, oldest first."""
        return self._retrainings(retrainings.c.outcome.is_(None))[::-1]

    def last_of(self, model: str, outcome: str) -> Retraining | None:
        """Return the newest retraining of a model that ended like this."""
        where = sa.and_(retrainings.c.model == model, retrainings.c.outcome == outcome)
        found = self._retrainings(where, 1)
        return found[0] if found else None

    def retraining(self, number: int) -> Retraining:
        """Return a retraining.

        Raises
        ------
        NotFoundError
        """
        found = self._retrainings(retrainings.c.id == number)
        if not found:
            raise NotFoundError(f"There is no retraining {number}. `greenroom schedule history` lists them.")
        return found[0]

    def _retrainings(self, where: sa.ColumnElement[bool], limit: int | None = None) -> tuple[Retraining, ...]:
        query = sa.select(retrainings).where(retrainings.c.store_key == self._key, where)
        with self.transaction() as connection:
            found = connection.execute(query.order_by(retrainings.c.id.desc()).limit(limit))
            return tuple(map(rows.retraining_of, found))

    def begin(
        self,
        connection: Connection,
        model: str,
        trigger: Trigger,
        request: ScheduleRequest,
        values: dict[str, Any],
    ) -> int:
        """Write a new retraining down, and return its number.

        Raises
        ------
        RefusedError
            If one of the same model is under way.
        """
        row = {
            "store_key": self._key,
            "model": model,
            "trigger": str(trigger),
            "settings": rows.request_text(request),
            "step": str(Step.PREPARING),
            "reason": "",
            **values,
        }
        try:
            with connection.begin_nested():
                done = connection.execute(sa.insert(retrainings).values(**row))
        except sa.exc.IntegrityError:
            raise RefusedError(self._under_way(connection, model)) from None
        return int(done.inserted_primary_key[0])  # type: ignore[index]

    def _under_way(self, connection: Connection, model: str) -> str:
        table = retrainings
        query = sa.select(table.c.id, table.c.step, table.c.started_at).where(
            row_of(table, {"store_key": self._key, "model": model}), table.c.outcome.is_(None)
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            return f"{model} has just been retrained. Look at what came of it, then try again."
        since = f"{clock.moment(row.started_at):%Y-%m-%d %H:%M} UTC"
        return (
            f"{model} is being retrained already: retraining {row.id}, since {since}, is {row.step}. "
            "Two at once would compete; wait until it is over, or stop its job."
        )

    def change(
        self, connection: Connection, retraining: Retraining, lines: tuple[LogLine, ...] = (), **values: Any
    ) -> bool:
        """Change a retraining, if it is still at the step that was read; say whether it was."""
        table = retrainings
        where = sa.and_(
            table.c.id == retraining.id, table.c.step == str(retraining.step), table.c.outcome.is_(None)
        )
        if lines:
            values["log"] = rows.log_text((*retraining.log, *lines))
        return bool(connection.execute(sa.update(table).where(where).values(**values)).rowcount)

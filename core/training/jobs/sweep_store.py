"""The sweeps of a tracking store in Greenroom's database; their jobs are in `core.training.jobs.store`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from core import clock
from core.database import transaction
from core.errors import NotFoundError
from core.schema import jobs, sweeps
from core.training.jobs.rows import number_of, sweep_of
from core.training.types import JobState, Sweep

_OTHERWISE: Final = "sweeps can be neither read nor written"


class SweepStore:
    """Reads and writes sweeps. Safe for many threads and many processes.

    Every method raises `DatabaseError` where the database does not answer.
    """

    def __init__(self, engine: Callable[[], Engine], store_key: str, now: clock.Clock = clock.now) -> None:
        self._engine = engine
        self._store_key = store_key
        self._now = now

    def add(self, connection: Connection, name: str, grid: Mapping[str, Sequence[str]], asked_by: str) -> int:
        """Insert a sweep within a transaction of the caller's; return its number."""
        made = connection.execute(
            sa.insert(sweeps).values(
                store_key=self._store_key,
                name=name,
                grid=json.dumps({key: list(values) for key, values in grid.items()}),
                asked_by=asked_by,
                asked_at=clock.text(self._now()),
            )
        )
        return number_of(made)

    def set_run(self, sweep_id: int, run_id: str) -> bool:
        """Note the parent run of a sweep; return False where it has one."""
        query = sa.update(sweeps).where(self._here, sweeps.c.id == sweep_id, sweeps.c.run_id.is_(None))
        with transaction(self._engine(), _OTHERWISE) as connection:
            return bool(connection.execute(query.values(run_id=run_id)).rowcount)

    def end(self, sweep_id: int) -> None:
        """Note that all jobs of a sweep are over and MLflow knows it."""
        query = sa.update(sweeps).where(self._here, sweeps.c.id == sweep_id)
        with transaction(self._engine(), _OTHERWISE) as connection:
            connection.execute(query.values(ended_at=clock.text(self._now())))

    def sweep(self, sweep_id: int) -> Sweep:
        """Return a sweep.

        Raises
        ------
        NotFoundError
            If there is none of this number.
        """
        found = self._read(sa.select(sweeps).where(self._here, sweeps.c.id == sweep_id))
        if not found:
            raise NotFoundError(f"There is no sweep {sweep_id}.")
        return found[0]

    def sweeps(self, limit: int | None = 20) -> tuple[Sweep, ...]:
        """Return sweeps, newest first."""
        return self._read(sa.select(sweeps).where(self._here).order_by(sweeps.c.id.desc()).limit(limit))

    def not_ended(self) -> tuple[Sweep, ...]:
        """Return sweeps of which nobody has noted that all their jobs are over, newest first."""
        query = sa.select(sweeps).where(self._here, sweeps.c.ended_at.is_(None))
        return self._read(query.order_by(sweeps.c.id.desc()))

    def _read(self, query: sa.Select[tuple[object, ...]]) -> tuple[Sweep, ...]:
        with transaction(self._engine(), _OTHERWISE) as connection:
            found = connection.execute(query).all()
            counted = connection.execute(
                sa.select(jobs.c.sweep_id, jobs.c.state, sa.func.count())
                .where(jobs.c.sweep_id.in_([row.id for row in found]))
                .group_by(jobs.c.sweep_id, jobs.c.state)
            ).all()
        states: dict[int, dict[JobState, int]] = {row.id: {} for row in found}
        for sweep_id, state, count in counted:
            states[sweep_id][JobState(state)] = int(count)
        return tuple(sweep_of(row, states[row.id]) for row in found)

    @property
    def _here(self) -> sa.ColumnElement[bool]:
        return sweeps.c.store_key == self._store_key

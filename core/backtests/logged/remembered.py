"""Which columns of a logged table are what, where a person had to say it: remembered for the whole experiment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from core.backtests.logged.columns import ColumnChoice
from core.database import table_choices
from core.errors import GreenroomError


class RememberedColumns:
    """The choices of one tracking store; tables with the same columns in one experiment share one.

    Parameters
    ----------
    open_database : callable
        Called when a choice is first asked for, so that pages without one need no database.
    store_key : str
    """

    def __init__(self, open_database: Callable[[], Engine], store_key: str) -> None:
        self._open_database = open_database
        self._store_key = store_key

    def find(self, experiment_id: str, columns: Sequence[str]) -> ColumnChoice | None:
        """Return what was chosen for tables with these columns.

        Raises
        ------
        GreenroomError
            If the database does not answer.
        """
        query = sa.select(table_choices.c.choice).where(self._mine(experiment_id, columns))
        try:
            with self._open_database().connect() as connection:
                found = connection.execute(query).scalar()
        except sa.exc.SQLAlchemyError as error:
            raise _unreachable() from error
        return ColumnChoice.from_dict(json.loads(found)) if found is not None else None

    def remember(self, experiment_id: str, columns: Sequence[str], choice: ColumnChoice, by: str) -> None:
        """Keep a choice, over an earlier one.

        Raises
        ------
        GreenroomError
            If the database does not answer.
        """
        values = {
            "choice": json.dumps(choice.to_dict(), ensure_ascii=False),
            "chosen_by": by,
            "chosen_at": datetime.now(UTC),
        }
        mine = self._mine(experiment_id, columns)
        try:
            with self._open_database().begin() as connection:
                hit = connection.execute(sa.update(table_choices).where(mine).values(**values))
                if not hit.rowcount:
                    identity = {
                        "store_key": self._store_key,
                        "experiment_id": experiment_id,
                        "columns_key": _key(columns),
                    }
                    connection.execute(sa.insert(table_choices).values(**identity, **values))
        except sa.exc.SQLAlchemyError as error:
            raise _unreachable() from error

    def _mine(self, experiment_id: str, columns: Sequence[str]) -> sa.ColumnElement[bool]:
        return (
            (table_choices.c.store_key == self._store_key)
            & (table_choices.c.experiment_id == experiment_id)
            & (table_choices.c.columns_key == _key(columns))
        )


def _key(columns: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(columns)).encode()).hexdigest()


def _unreachable() -> GreenroomError:
    return GreenroomError(
        "Greenroom's database does not answer, so column choices can be neither read nor remembered. "
        "`greenroom doctor` says more."
    )

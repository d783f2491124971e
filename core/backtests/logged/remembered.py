"""Which columns of a logged table are what, where a person had to say it: remembered for the whole experiment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from core.backtests.logged.columns import ColumnChoice
from core.database import put, row_of, transaction
from core.schema import table_choices


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
        mine = row_of(table_choices, self._identity(experiment_id, columns))
        with self._connection() as connection:
            found = connection.execute(sa.select(table_choices.c.choice).where(mine)).scalar()
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
        with self._connection() as connection:
            put(connection, table_choices, self._identity(experiment_id, columns), values)

    def _identity(self, experiment_id: str, columns: Sequence[str]) -> dict[str, object]:
        return {
            "store_key": self._store_key,
            "experiment_id": experiment_id,
            "columns_key": _key(columns),
        }

    def _connection(self) -> AbstractContextManager[Connection]:
        return transaction(self._open_database(), "column choices can be neither read nor remembered")


def _key(columns: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(columns)).encode()).hexdigest()

"""Greenroom's own database: opened, brought up to date, and asked in transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.engine import Connection, Engine

from core.errors import DatabaseError, GreenroomError
from core.redaction import redact
from core.schema import REVISION

# Any number, the same in every Greenroom.
_MIGRATION_LOCK = 7_310_579_611


def open_database(uri: str | None, home: Path) -> Engine:
    """Open the database, bring its tables up to date, and return an engine.

    Parameters
    ----------
    uri : str or None
        SQLite or PostgreSQL; None means `greenroom.db` in `home`.

    Raises
    ------
    GreenroomError
        If it cannot be opened.
    """
    address = uri or f"sqlite:///{home / 'greenroom.db'}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(address, pool_pre_ping=True)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _careful_sqlite)
        # Two processes that start together must not both create the tables.
        with FileLock(home / "greenroom.db.lock"):
            if not _is_up_to_date(engine):
                _migrate(engine)
    except (sa.exc.SQLAlchemyError, ImportError, OSError, _MigrationError) as error:
        reason = str(error).splitlines()[0]
        raise GreenroomError(
            f"Greenroom's database {redact(address)} cannot be opened: {redact(reason)}. "
            "Check GREENROOM_DATABASE_URI, or that the folder can be written to."
        ) from error
    return engine


class _MigrationError(Exception):
    """Alembic's reason why the tables cannot be brought up to date."""


def _is_up_to_date(engine: Engine) -> bool:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return False
        found = connection.execute(sa.text("select version_num from alembic_version"))
        return list(found.scalars()) == [REVISION]


def _migrate(engine: Engine) -> None:
    # Hardly ever needed, and a tenth of the time of a command that only looks.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Two machines share no file to lock, and must not both create the tables, either.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise _MigrationError(str(error)) from error


@contextmanager
def transaction(engine: Engine, otherwise: str) -> Iterator[Connection]:
    """Open a transaction.

    Parameters
    ----------
    otherwise : str
        What cannot be done where the database does not answer, for the sentence that says so.

    Raises
    ------
    DatabaseError
        If the database does not answer.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise DatabaseError(
            f"Greenroom's database does not answer, so {otherwise}. `greenroom doctor` says more."
        ) from error


def put(
    connection: Connection, table: sa.Table, identity: Mapping[str, object], values: Mapping[str, object]
) -> None:
    """Write a row, over the one of the same identity."""
    hit = connection.execute(sa.update(table).where(row_of(table, identity)).values(**values))
    if not hit.rowcount:
        connection.execute(sa.insert(table).values(**identity, **values))


def row_of(table: sa.Table, identity: Mapping[str, object]) -> sa.ColumnElement[bool]:
    """Return the condition for rows that have these values."""
    return sa.and_(*(table.c[name] == value for name, value in identity.items()))


def _careful_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("pragma journal_mode=wal")
    cursor.execute("pragma busy_timeout=10000")
    cursor.execute("pragma foreign_keys=on")
    cursor.close()

"""Two databases behind one small face: read-only queries that answer with Polars frames."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

import adbc_driver_manager
import polars as pl

from core.errors import SourceError
from core.redaction import redact
from core.runs.sources import sqlite_files
from core.runs.types import Dialect

_ROWS_A_PART = 250_000
_PATIENCE_MS = 10_000


class Database(Protocol):
    """A database that is only ever read."""

    dialect: Dialect
    float_type: str
    false: str
    numbers_rows: bool
    readers: int  # how many tables may be read at the same time

    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return the columns of every table."""
        ...

    def query(self, sql: str) -> pl.DataFrame:
        """Run one SELECT and return all its rows."""
        ...

    def stream(self, table: str, columns: str) -> Iterator[pl.DataFrame]:
        """Yield a whole table in parts; at least one part, perhaps empty."""
        ...

    def fingerprint(self) -> str | None:
        """Return a value that changes with every write, or None where there is none."""
        ...

    def rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        """Return the place of each value in the database's text order, None where that is byte order."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


class SqliteDatabase:
    """A SQLite file. It is opened for each question, so that no writer waits for a page that is open.

    A writer waits only while one part of a table is read (a few hundred milliseconds); MLflow itself waits
    20 s for a lock before it gives up.
    """

    dialect = Dialect.SQLITE
    float_type = "real"
    false = "0"
    numbers_rows = True
    readers = 2

    def __init__(self, path: Path) -> None:
        self._path = path
        sqlite_files.check(path)

    def columns(self) -> Mapping[str, frozenset[str]]:
        tables = self.query(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        )
        if not tables.height:
            return {}
        rows = self.query(
            "select m.name t, p.name c from sqlite_master m, pragma_table_info(m.name) p where m.type = 'table'"
        )
        return {
            str(name[0]): frozenset(part["c"]) for name, part in rows.partition_by("t", as_dict=True).items()
        }

    def query(self, sql: str) -> pl.DataFrame:
        try:
            with ExitStack() as stack:
                return _fetch(stack.enter_context(self._cursor(stack)), sql)
        except (adbc_driver_manager.Error, sqlite3.Error, OSError) as error:
            raise SourceError(f"The database {self._path} could not be read: {_reason(error)}.") from error

    def stream(self, table: str, columns: str) -> Iterator[pl.DataFrame]:
        bounds = self.query(f"select coalesce(min(rowid), 0) a, coalesce(max(rowid), -1) b from {table}")
        low, high = int(bounds.item(0, 0)), int(bounds.item(0, 1))
        if high < low:
            yield self.query(f"select {columns} from {table} where 0")
            return
        try:
            with ExitStack() as stack:
                cursor = stack.enter_context(self._cursor(stack))
                for start in range(low, high + 1, _ROWS_A_PART):
                    end = min(start + _ROWS_A_PART - 1, high)
                    yield _fetch(
                        cursor, f"select {columns} from {table} where rowid between {start} and {end}"
                    )
        except (adbc_driver_manager.Error, sqlite3.Error, OSError) as error:
            raise SourceError(f"The database {self._path} could not be read: {_reason(error)}.") from error

    def fingerprint(self) -> str | None:
        try:
            return sqlite_files.fingerprint(self._path)
        except OSError as error:
            raise SourceError(
                f"The file {self._path} cannot be read any more: {error.strerror}. Check that it is in place."
            ) from error

    def rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        return None

    def close(self) -> None:
        """Nothing stays open between questions."""

    @contextlib.contextmanager
    def _cursor(self, stack: ExitStack) -> Iterator[Any]:
        import adbc_driver_sqlite.dbapi

        uri = stack.enter_context(sqlite_files.readable_uri(self._path))
        with (
            adbc_driver_sqlite.dbapi.connect(uri, autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            # A training that writes holds its lock for some milliseconds at each commit.
            cursor.execute(f"pragma busy_timeout = {_PATIENCE_MS}")
            cursor.fetchall()
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": 65_536})
            yield cursor


class PostgresDatabase:
    """A PostgreSQL database, in a session that the server itself holds read-only."""

    dialect = Dialect.POSTGRESQL
    float_type = "double precision"
    false = "false"
    numbers_rows = False
    readers = 1

    def __init__(self, uri: str) -> None:
        self._uri = _with_quoted_password(uri)
        self._connection: Any = None
        self._byte_order: bool | None = None

    def columns(self) -> Mapping[str, frozenset[str]]:
        rows = self.query(
            "select table_name::text t, column_name::text c from information_schema.columns "
            "where table_schema = any (current_schemas(false))"
        )
        return {
            str(name[0]): frozenset(part["c"]) for name, part in rows.partition_by("t", as_dict=True).items()
        }

    def query(self, sql: str) -> pl.DataFrame:
        try:
            return self._query(sql)
        except (adbc_driver_manager.Error, OSError) as first:
            # A server that was restarted leaves a dead connection behind: one new try.
            self.close()
            try:
                return self._query(sql)
            except (adbc_driver_manager.Error, OSError):
                self.close()
                raise SourceError(self._sentence(first)) from first

    def _query(self, sql: str) -> pl.DataFrame:
        with self._connected().cursor() as cursor:
            return _fetch(cursor, sql)

    def stream(self, table: str, columns: str) -> Iterator[pl.DataFrame]:
        import pyarrow as pa

        try:
            with self._connected().cursor() as cursor:
                cursor.execute(f"select {columns} from {table}")
                reader = cursor.fetch_record_batch()
                batches, rows = [], 0
                for batch in reader:
                    batches.append(batch)
                    rows += batch.num_rows
                    if rows >= _ROWS_A_PART:
                        yield _frame(pa.Table.from_batches(batches))
                        batches, rows = [], 0
                yield _frame(pa.Table.from_batches(batches, reader.schema))
        except (adbc_driver_manager.Error, OSError) as error:
            self.close()
            raise SourceError(self._sentence(error)) from error

    def fingerprint(self) -> str | None:
        # Which transactions are over and which under way: this moves with every write to the server, in
        # whatever table (the function of PostgreSQL 13 and later has another name, this one they keep).
        return str(self.query("select txid_current_snapshot()::text v").item())

    def rank_strings(self, values: Sequence[str]) -> Sequence[int] | None:
        if self._byte_order is None:
            row = self.query(
                "select datlocprovider::text p, datcollate::text c from pg_database "
                "where datname = current_database()"
            )
            libc = row.item(0, 0) == "c"
            self._byte_order = libc and row.item(0, 1) in ("C", "POSIX", "C.UTF-8", "C.utf8")
        if self._byte_order:
            return None
        listed = ",".join(
            f"({place},'{value.replace(chr(39), chr(39) * 2)}')" for place, value in enumerate(values)
        )
        if not listed:
            return []
        ranks = self.query(
            f"select i, cast(dense_rank() over (order by v) as bigint) r from (values {listed}) t(i, v) order by i"
        )
        return [int(rank) for rank in ranks["r"]]

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(adbc_driver_manager.Error):
                self._connection.close()
            self._connection = None

    def _connected(self) -> Any:
        if self._connection is None:
            import adbc_driver_postgresql.dbapi

            separator = "&" if urlsplit(self._uri).query else "?"
            timeout = "" if "connect_timeout" in self._uri else f"{separator}connect_timeout=10"
            self._connection = adbc_driver_postgresql.dbapi.connect(self._uri + timeout, autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute("set session characteristics as transaction read only")
        return self._connection

    def _sentence(self, error: Exception) -> str:
        password = urlsplit(self._uri).password
        reason = _reason(error)
        for secret in (password, unquote(password)) if password else ():
            reason = reason.replace(secret, "***")
        return (
            f"The database {redact(self._uri)} could not be read: {reason}. "
            "Check that the server runs and that user and password are right."
        )


def _with_quoted_password(uri: str) -> str:
    """Quote the password: MLflow takes one with / ? # [ as it is, the driver's library does not."""
    return re.sub(
        r"(://[^:@/?#\[]*):(?!\d*[/?#])([^@]*)@",
        lambda match: f"{match[1]}:{quote(unquote(match[2]), safe='')}@",
        uri,
        count=1,
    )


def _fetch(cursor: Any, sql: str) -> pl.DataFrame:
    cursor.execute(sql)
    return _frame(cursor.fetch_arrow_table())


def _frame(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a query answers with a table")
    # SQLite knows the type of a value, not of a column: without rows every column would be a number.
    return frame if frame.height else frame.cast(pl.String)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__

"""Choose how to read a tracking store: its database if there is one to read, else MLflow's client."""

from __future__ import annotations

from pathlib import Path

from core.errors import SourceError
from core.runs.sources.base import RunSource
from core.runs.sources.client import ClientSource
from core.runs.sources.database import Database, PostgresDatabase, SqliteDatabase
from core.runs.sources.sql import SqlSource
from core.runs.sources.uris import StoreAddress, StoreKind, parse


def open_source(tracking: StoreAddress, backend_uri: str | None, view_folder: Path) -> RunSource:
    """Open a run source.

    Parameters
    ----------
    backend_uri : str or None
        The database behind an MLflow server, if it was named (`GREENROOM_BACKEND_URI`).
    view_folder : Path
        Where links to a file store may be kept.

    Raises
    ------
    SourceError
        If the store cannot be read either way.
    """
    backend = parse(backend_uri) if backend_uri else tracking
    if backend.kind in (StoreKind.SQLITE, StoreKind.POSTGRESQL):
        try:
            return _sql_source(backend)
        except SourceError as error:
            # Without the server's database there is still the server. A database that is itself the
            # tracking URI is never handed to MLflow instead: MLflow would migrate it in place.
            if backend_uri is None or tracking.kind is not StoreKind.HTTP:
                raise
            return ClientSource(tracking, fallback_reason=str(error))
    reason = None
    if backend_uri is not None:
        reason = f"{backend.shown} is no SQLite or PostgreSQL database"
    elif tracking.kind is StoreKind.HTTP:
        reason = "no GREENROOM_BACKEND_URI names the server's database"
    return ClientSource(tracking, fallback_reason=reason, view_folder=view_folder)


def _sql_source(address: StoreAddress) -> SqlSource:
    database = open_database(address)
    try:
        return SqlSource(database, address.shown)
    except SourceError:
        database.close()
        raise


def open_database(address: StoreAddress) -> Database:
    """Return the database of an address whose kind is SQLite or PostgreSQL; nothing is written to it."""
    if address.path is not None:
        return SqliteDatabase(address.path)
    return PostgresDatabase(address.uri)

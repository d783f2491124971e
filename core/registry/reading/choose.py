"""Choose how to read a registry: its database if there is one to read, its files, else MLflow's client."""

from __future__ import annotations

from core.errors import SourceError
from core.registry.reading.base import RegistrySource
from core.registry.reading.client import ClientRegistry
from core.registry.reading.files import FileRegistry
from core.registry.reading.sql import SqlRegistry
from core.runs.sources.choose import open_database
from core.runs.sources.uris import StoreAddress, StoreKind, parse

_READABLE = (StoreKind.SQLITE, StoreKind.POSTGRESQL)


def open_registry_source(tracking: StoreAddress, backend_uri: str | None) -> RegistrySource:
    """Open the registry that belongs to a tracking store.

    Parameters
    ----------
    backend_uri : str or None
        The database behind an MLflow server, if it was named (`GREENROOM_BACKEND_URI`).

    Raises
    ------
    SourceError
        If the registry cannot be read either way.
    """
    named = parse(backend_uri) if backend_uri else tracking
    backend = tracking if tracking.kind in _READABLE and named.kind not in _READABLE else named
    if backend.kind in _READABLE:
        try:
            return _sql_registry(backend, tracking)
        except SourceError as error:
            # Without the server's database there is still the server. A database that is itself the
            # tracking URI is never handed to MLflow: MLflow would migrate it in place.
            if backend_uri is None or tracking.kind is not StoreKind.HTTP:
                raise
            return ClientRegistry(tracking, fallback_reason=str(error))
    if tracking.kind is StoreKind.FILE and tracking.path is not None:
        return FileRegistry(tracking.path)
    reason = None
    if backend_uri is not None:
        reason = f"{named.shown} is no SQLite or PostgreSQL database"
    elif tracking.kind is StoreKind.HTTP:
        reason = "no GREENROOM_BACKEND_URI names the server's database"
    return ClientRegistry(tracking, fallback_reason=reason)


def _sql_registry(address: StoreAddress, tracking: StoreAddress) -> SqlRegistry:
    database = open_database(address)
    try:
        return SqlRegistry(database, address, tracking)
    except SourceError:
        database.close()
        raise

"""Whether the installed MLflow would change the schema of a database by opening it."""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path
from shlex import quote

from core.runs.sources.uris import StoreAddress


def schema_problem(revision: str | None, address: StoreAddress) -> str | None:
    """Say why the schema stands in the way of writing, and what to do; None where it does not.

    Parameters
    ----------
    revision : str or None
        Alembic revision of the database.
    address : StoreAddress
        The database.
    """
    behind = revisions_behind(revision)
    installed = f"MLflow {version('mlflow')}"
    if behind == 0:
        return None
    if revision is not None and behind is None:
        return (
            f"The schema {revision} of {address.shown} is not known to {installed}: the store was written by "
            "a newer one. Reading works; install the newer MLflow to write."
        )
    found = f"has the schema {revision}, {behind} migrations older than MLflow's" if revision else ""
    found = found or "states no schema revision"
    return (
        f"The database {address.shown} {found}: {installed} would change it in place. Back it up, upgrade a "
        f"copy and point the tracking URI at that: {_command(address)}"
    )


def _command(address: StoreAddress) -> str:
    if address.path is None:
        return "mlflow db upgrade URI-OF-THE-COPY"
    copy = address.path.with_name(f"{address.path.stem}-upgraded{address.path.suffix}")
    return (
        f"cp {quote(str(address.path))} {quote(str(copy))} && mlflow db upgrade {quote(f'sqlite:///{copy}')}"
    )


@functools.lru_cache(maxsize=16)
def revisions_behind(revision: str | None) -> int | None:
    """Count the migrations from a revision to MLflow's newest; None for a revision MLflow does not know."""
    import mlflow.store.db_migrations
    from alembic.script import ScriptDirectory
    from alembic.script.revision import RevisionError

    scripts = ScriptDirectory(str(Path(mlflow.store.db_migrations.__file__).parent))
    try:
        return sum(1 for _ in scripts.iterate_revisions("head", revision)) if revision else None
    except RevisionError:
        return None

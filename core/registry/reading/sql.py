"""Read a registry straight from MLflow's own tables, read-only, on SQLite and PostgreSQL.

The tables have kept their shape from MLflow 1.26 to 3.17; what a schema lacks (tags, aliases, storage
locations, workspaces) is simply absent from the answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from core.errors import SourceError
from core.registry.reading.assemble import ModelRow, VersionRow, assemble, is_prompt, not_found
from core.registry.reading.schema import schema_problem
from core.registry.types import Model
from core.runs.sources.database import Database
from core.runs.sources.sql import literal, schema_revision
from core.runs.sources.uris import StoreAddress, StoreKind

_NEEDED = {"registered_models", "model_versions"}
# SQLite types a result column by its first rows, so that no column may begin with NULL.
_MODEL = {"name": "''", "creation_time": "0", "last_updated_time": "0", "description": "''"}
_VERSION = {
    "name": "''",
    "version": "0",
    "creation_time": "0",
    "last_updated_time": "0",
    "description": "''",
    "user_id": "''",
    "current_stage": "'None'",
    "source": "''",
    "storage_location": "''",
    "run_id": "''",
    "status": "''",
}
_MODEL_TAG = {"name": "''", "key": "''", "value": "''"}
_VERSION_TAG = {"name": "''", "version": "0", "key": "''", "value": "''"}
_ALIAS = {"name": "''", "alias": "''", "version": "0"}
_TABLES = {
    "model_version_tags": _VERSION_TAG,
    "model_versions": _VERSION,
    "registered_models": _MODEL,
    "registered_model_tags": _MODEL_TAG,
    "registered_model_aliases": _ALIAS,
}


class SqlRegistry:
    """A registry in a database.

    Parameters
    ----------
    address : StoreAddress
        The database.
    tracking : StoreAddress
        Where MLflow writes; differs from `address` where that is the database behind a server.

    Raises
    ------
    SourceError
        If the database cannot be read, or holds no registry.
    """

    def __init__(self, database: Database, address: StoreAddress, tracking: StoreAddress) -> None:
        self._database = database
        self._address = address
        self._tracking = tracking
        self._columns: Mapping[str, frozenset[str]] = {}
        self._revision: str | None = None
        self._look_at_schema()

    @property
    def info(self) -> str:
        return f"read-only SQL, MLflow schema {self._schema_revision() or 'unknown'}"

    def fingerprint(self) -> str | None:
        return self._database.fingerprint()

    def close(self) -> None:
        self._database.close()

    def schema_problem(self) -> str | None:
        if self._tracking.kind is StoreKind.HTTP:
            # The server writes, with the MLflow that its schema belongs to.
            return None
        return schema_problem(self._schema_revision(), self._address)

    def models(self) -> tuple[Model, ...]:
        return self._read("")

    def model(self, name: str) -> Model:
        found = self._read(f"name = {literal(name)}")
        if not found:
            raise not_found(name, (one.name for one in self._read("")))
        return found[0]

    def _read(self, condition: str) -> tuple[Model, ...]:
        if self._schema_revision() != self._revision:
            self._look_at_schema()
        rows = {table: self._rows(table, condition) for table in _TABLES}
        tags: dict[str, dict[str, str]] = defaultdict(dict)
        for name, key, value in rows["registered_model_tags"]:
            tags[name][key] = value
        aliases: dict[str, dict[str, int]] = defaultdict(dict)
        for name, alias, number in rows["registered_model_aliases"]:
            aliases[name][alias] = number
        version_tags: dict[str, dict[int, dict[str, str]]] = defaultdict(dict)
        for name, number, key, value in rows["model_version_tags"]:
            version_tags[name].setdefault(number, {})[key] = value
        versions: dict[str, list[VersionRow]] = defaultdict(list)
        for one in map(VersionRow._make, rows["model_versions"]):
            versions[one.model].append(one)
        models = sorted(map(ModelRow._make, rows["registered_models"]))
        return tuple(
            assemble(row, tags[row.name], aliases[row.name], versions[row.name], version_tags[row.name])
            for row in models
            if not is_prompt(tags[row.name])
        )

    def _rows(self, table: str, condition: str) -> list[tuple[Any, ...]]:
        """Return the columns that `_TABLES` names, whose defaults stand in for what is NULL or not there."""
        known = self._columns.get(table)
        if known is None:
            return []
        selected = ", ".join(
            f"coalesce({column}, {default}) {column}" if column in known else f"{default} {column}"
            for column, default in _TABLES[table].items()
        )
        # Like MLflow without workspaces, and with them until one is chosen.
        scope = "workspace = 'default'" if "workspace" in known else ""
        where = " and ".join(part for part in (scope, condition) if part)
        found = self._database.query(f"select {selected} from {table} where {where or '1 = 1'}")
        return list(zip(*(column.to_list() for column in found), strict=True))

    def _schema_revision(self) -> str | None:
        return schema_revision(self._database, self._columns)

    def _look_at_schema(self) -> None:
        """Learn the columns: at the start, and when a server has upgraded its database meanwhile."""
        self._columns = self._database.columns()
        missing = _NEEDED - self._columns.keys()
        if missing and not self._columns:
            raise SourceError(
                f"The database {self._address.shown} has no tables: MLflow has not written to it yet. Start a "
                "training run that logs to it, or check the tracking URI."
            )
        if missing:
            raise SourceError(
                f"The database {self._address.shown} holds no model registry: it has no table "
                f"{', '.join(sorted(missing))}. Check the tracking URI."
            )
        self._revision = self._schema_revision()

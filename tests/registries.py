"""Registries for tests: models in an SQLite store, a desk on it, and answers that cost no time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from sqlalchemy.engine import Engine

from core import clock
from core.access import Actor, Role
from core.audit import AuditTrail
from core.database import open_database
from core.errors import NotFoundError
from core.registry.desk import DeskRules, RegistryDesk
from core.registry.facts import Readers, Source
from core.registry.gates.configuration import GateBook, read_gates
from core.registry.load_tests import LoadTests
from core.registry.promotion import Promoter
from core.registry.reading.choose import open_registry_source
from core.registry.requests import Requests
from core.registry.watch import RegistryWatch
from core.registry.writing import MlflowRegistry
from core.runs.sources.uris import parse
from core.runs.types import Run

ANALYST = Actor("amara", Role.ANALYST)
LEAD = Actor("jonas", Role.LEAD)
OTHER_LEAD = Actor("mei", Role.LEAD)
NO_GATES: Mapping[str, Any] = {"*": {"smoke": False, "soak_hours": 0}}


@dataclass
class Hands:
    """A clock that a test moves."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        # Two events never happen at the same time.
        self.time += timedelta(milliseconds=1)
        return self.time

    def pass_hours(self, hours: float) -> None:
        self.time += timedelta(hours=hours)


def run_of(run_id: str, **values: Any) -> Run:
    """Return a run as the index gives it."""
    known: dict[str, Any] = {
        "experiment_id": "1",
        "name": f"run {run_id}",
        "status": "FINISHED",
        "start_time": None,
        "end_time": None,
        "user": "amara",
        "lifecycle_stage": "active",
        "artifact_uri": f"/artifacts/{run_id}/artifacts",
        "parent_run_id": None,
        "metrics": {"sharpe": 1.0},
    }
    return Run(run_id=run_id, **{**known, **values})


def _nothing(*_: Any) -> Any:
    raise NotFoundError("There is none in this test.")


def readers(runs: Mapping[str, Run] | None = None) -> Readers:
    """Return readers over runs that are given, without any artifacts."""
    known = runs or {}

    def run(run_id: str) -> Run:
        return known[run_id] if known else run_of(run_id)

    return Readers(
        run=run,
        whole=lambda one: one,
        curve=_nothing,
        measures=lambda _: None,
        forecast_changes=_nothing,
        seed_runs=lambda one: (one,),
        source=lambda one, path: Source(f"{one.artifact_uri}/{path}", None),
        fetch=_nothing,
        file_hash=_nothing,
    )


def new_desk(
    uri: str,
    home: Path,
    *,
    gates: Mapping[str, Any] = NO_GATES,
    two_person_rule: bool = False,
    now: clock.Clock = clock.now,
    on_step: Callable[[str], None] = lambda _: None,
    engine: Engine | None = None,
    database_uri: str | None = None,
    given: Readers | None = None,
) -> RegistryDesk:
    """Open a desk on a tracking store, with a database of its own in `home`."""
    address = parse(uri)
    opened = engine or open_database(database_uri, home)
    trail = AuditTrail(lambda: opened, address.key, now)
    registry = cache(lambda: MlflowRegistry(address))
    promoter = Promoter(lambda: opened, address.key, registry, trail, now, on_step)
    watch = RegistryWatch(
        lambda: open_registry_source(address, None), lambda: opened, address.key, trail, promoter, now
    )
    return RegistryDesk(
        watch,
        promoter,
        trail,
        Requests(lambda: opened, address.key),
        LoadTests(lambda: opened, address.key),
        registry,
        given or readers(),
        DeskRules(two_person_rule, read_gates(gates, "the test") if gates else GateBook()),
        lambda: opened,
        now,
    )


def make_versions(client: MlflowClient, name: str, count: int) -> None:
    """Register versions without files."""
    client.create_registered_model(name)
    for number in range(1, count + 1):
        run_id = f"{number:032x}"
        client.create_model_version(name, f"s3://bucket/1/{run_id}/artifacts/model", run_id)


def put(client: MlflowClient, name: str, version: int, stage: str, *, archive: bool = False) -> None:
    """Move a version as plain MLflow does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, str(version), stage, archive_existing_versions=archive)


def stages(client: MlflowClient, name: str) -> dict[int, str]:
    """Return the stage of each version as plain MLflow says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        found = client.search_model_versions(f"name = '{name}'")
        return {int(one.version): one.current_stage for one in found}


def in_production(client: MlflowClient, name: str) -> list[int]:
    """Return the versions in Production as plain MLflow says."""
    return sorted(version for version, stage in stages(client, name).items() if stage == "Production")


def aliases(client: MlflowClient, name: str) -> dict[str, int]:
    """Return the aliases as plain MLflow says."""
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}

"""Fixtures shared by all tests: stores written by MLflow, a PostgreSQL server, an MLflow server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Before anything imports MLflow: no telemetry, no agent hints, quiet migrations.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
for name in ("MLFLOW_TRACKING_URI", "GREENROOM_BACKEND_URI", "MLFLOW_EXPERIMENT_NAME"):
    os.environ.pop(name, None)

from mlflow import MlflowClient  # noqa: E402
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore  # noqa: E402

from tests import servers, stores  # noqa: E402

# The longest first: a long file that is begun last is waited for by processes that have nothing left to do.
_LONGEST = (
    "tests/test_readme.py",
    "tests/core/test_demo.py",
    "tests/browser/test_training.py",
    "tests/contract/test_search_equals_mlflow.py",
    "tests/core/training/engines/test_ray.py",
    "tests/core/training/test_desk.py",
    "tests/core/training/jobs/test_crashes.py",
    "tests/browser/test_registry.py",
    "tests/browser/test_accessibility.py",
    "tests/browser/test_journey.py",
    "tests/browser/test_backtests.py",
    "tests/browser/test_stores.py",
    "tests/core/registry/test_crashes.py",
    "tests/core/training/stores/test_kill.py",
    "tests/core/training/stores/test_ray.py",
    "tests/core/registry/retention/test_crashes.py",
    "tests/core/runs/index/test_kill.py",
    "tests/core/training/rl/test_training.py",
    "tests/dashboard/test_training_page.py",
    "tests/core/api/test_schemathesis.py",
    "tests/core/api/test_served.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first, each file's in their order."""
    order = {name: place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real stores for trying; they are not part of the project."""
    # Where it really is: messages name resolved paths, and beside a checkout it may be a link.
    place = (Path(__file__).resolve().parents[2] / "shared" / "data").resolve()
    if not place.is_dir():
        pytest.skip("the real data sets are not beside this checkout")
    return place


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A filled SQLite store; read it, do not write to it."""
    uri = stores.new_sqlite(tmp_path_factory.mktemp("sqlite"))
    stores.fill(MlflowClient(uri))
    return uri


@pytest.fixture(scope="session")
def file_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A filled file store; read it, do not write to it."""
    uri = (tmp_path_factory.mktemp("file") / "ml runs").as_uri()
    stores.fill(MlflowClient(uri))
    return uri


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Postgres]:
    """A PostgreSQL server of our own."""
    with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def new_postgres(postgres: servers.Postgres) -> Callable[[], str]:
    """Makes databases with MLflow's tables and no runs; returns their URIs."""
    uri = postgres.create("migrated", "template template0 lc_collate 'C' lc_ctype 'C.UTF-8'")
    MlflowClient(uri).search_experiments()
    SqlAlchemyStore._get_or_create_engine(uri).dispose()
    numbers = itertools.count()
    return lambda: postgres.create(f"empty_{next(numbers)}", "template migrated")


@pytest.fixture(scope="session")
def postgres_store(postgres: servers.Postgres) -> str:
    """A filled store on PostgreSQL that sorts text by bytes; read it, do not write to it."""
    uri = postgres.create("filled", "template template0 lc_collate 'C' lc_ctype 'C.UTF-8'")
    stores.fill(MlflowClient(uri))
    return uri


@pytest.fixture(scope="session")
def icu_store(postgres: servers.Postgres) -> str:
    """A filled store on PostgreSQL that sorts text as people do (ICU, en-US)."""
    uri = postgres.create("filled_icu", "template template0 locale_provider icu icu_locale 'en-US'")
    stores.fill(MlflowClient(uri), seed=1)
    return uri


@pytest.fixture(scope="session")
def http_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A filled store behind a real MLflow server; write to experiments of your own only."""
    folder = tmp_path_factory.mktemp("http")
    backend = stores.new_sqlite(folder)
    stores.fill(MlflowClient(backend))
    with servers.mlflow_server(folder, backend) as uri:
        yield uri

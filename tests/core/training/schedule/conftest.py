"""A room whose model `m` has a champion."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests import registries, stores
from tests.core.training.schedule.room import Room


@pytest.fixture(scope="session")
def champion_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models `m` and `n` with two versions, the first in Production; Greenroom's database beside them."""
    folder = tmp_path_factory.mktemp("schedules")
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    for name in ("m", "n"):
        registries.make_versions(client, name, 2)
        registries.put(client, name, 1, "Production")
    room = Room(uri, folder / "home")
    room.registry.look()
    room.engine.dispose()
    return folder


@pytest.fixture
def new_place(champion_template: Path, tmp_path: Path) -> Callable[[], tuple[str, Path]]:
    """Return the store and the home of a copy of its own."""
    numbers = iter(range(1000))

    def copy() -> tuple[str, Path]:
        target = tmp_path / f"place-{next(numbers)}"
        shutil.copytree(champion_template, target)
        return f"sqlite:///{target / 'mlflow.db'}", target / "home"

    return copy


@pytest.fixture
def room(new_place: Callable[[], tuple[str, Path]]) -> Iterator[Room]:
    opened = Room(*new_place())
    yield opened
    opened.engine.dispose()

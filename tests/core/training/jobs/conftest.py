"""A training desk and a worker that many tests share, and desks of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.training import Toys


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    """A desk with a worker at work; jobs of other tests may be on it, too."""
    found = Toys(tmp_path_factory.mktemp("toys"), jobs_at_once=4, max_hours=72)
    with found.worker():
        yield found
    found.close()


@pytest.fixture
def new_toys(tmp_path: Path) -> Iterator[Callable[..., Toys]]:
    """Makes desks without a worker."""
    made: list[Toys] = []

    def make(**options: Any) -> Toys:
        made.append(Toys(tmp_path / f"toys-{len(made)}", **options))
        return made[-1]

    yield make
    for one in made:
        one.close()

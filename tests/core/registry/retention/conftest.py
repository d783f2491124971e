"""Registries of 50 versions, copied from one that was made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import clock
from tests.core.registry.retention import registry_of_50
from tests.core.registry.retention.registry_of_50 import NOW, Registry
from tests.registries import Hands


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """The clock of everything, in June 2026."""
    hands = Hands(NOW)
    monkeypatch.setattr(clock, "now", hands)
    return hands


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Ten versions."""
    return registry_of_50.make(tmp_path / "store", 10)

"""The registry in memory does what MLflow does, whatever the order of writes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from core.registry.types import Model, Stage
from core.registry.writing import MlflowRegistry
from core.runs.sources.uris import parse
from tests.fake_registry import FakeRegistry


def shape(model: Model) -> Any:
    return (
        dict(model.aliases),
        [(one.version, one.stage, one.aliases, dict(one.tags)) for one in model.versions],
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_writes_leave_the_same_registry(new_registry: Callable[[], str], seed: int) -> None:
    draw = random.Random(seed)
    real, fake = MlflowRegistry(parse(new_registry())), FakeRegistry()
    for _ in range(25):
        version = draw.randint(1, 8)
        match draw.choice(["move", "move", "point", "unpoint", "tag"]):
            case "move":
                stage = draw.choice(list(Stage))
                archive = stage in (Stage.STAGING, Stage.PRODUCTION) and draw.random() < 0.5
                for one in (real, fake):
                    one.move(one.model("m"), version, stage, archive_others=archive)
            case "point":
                for one in (real, fake):
                    one.point("m", "production", version)
            case "unpoint":
                for one in (real, fake):
                    one.point("m", "production", None)
            case _:
                for one in (real, fake):
                    one.tag("m", version, {"greenroom.stage": str(version)})
        assert shape(real.model("m")) == shape(fake.model("m"))
    real.close()

"""Load tests of versions: when a version was last loaded and asked to predict, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from core import clock
from core.database import transaction
from core.registry.sandbox.types import Structure, Trial
from core.schema import load_tests

_OTHERWISE = "load tests can be neither read nor written"


@dataclass(frozen=True, slots=True)
class LoadTest:
    """A trial of a version that was recorded; a `core.registry.gates.judging.Trial`.

    Attributes
    ----------
    at : datetime
        UTC.
    evidence : mapping
        See `core.registry.sandbox.types.Trial`, with ``kind``, ``seconds`` and ``digest``.
    """

    at: datetime
    passed: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    structure: Structure = field(default_factory=Structure)


class LoadTests:
    """The load tests of one tracking store."""

    def __init__(self, engine: Callable[[], Engine], store_key: str) -> None:
        self._engine = engine
        self._store_key = store_key

    def record(
        self, model: str, version: int, trial: Trial, at: datetime, has_signature: bool | None
    ) -> LoadTest:
        """Write a trial down."""
        made_of = trial.structure
        evidence = {
            **trial.evidence,
            "kind": trial.kind,
            "seconds": round(trial.seconds, 3),
            "digest": trial.digest,
            "tested_at": clock.text(at),
            "has_signature": has_signature,
        }
        structure = {
            "observation_dim": made_of.observation_dim,
            "action_dim": made_of.action_dim,
            "layers": [[name, list(shape)] for name, shape in made_of.layers],
            "inputs": list(made_of.inputs),
            "feature_order": None if made_of.feature_order is None else list(made_of.feature_order),
        }
        row = {
            "store_key": self._store_key,
            "model": model,
            "version": version,
            "at": clock.text(at),
            "passed": trial.passed,
            "reason": trial.reason,
            "evidence": json.dumps({"evidence": evidence, "structure": structure}, ensure_ascii=False),
        }
        with transaction(self._engine(), _OTHERWISE) as connection:
            connection.execute(sa.insert(load_tests).values(**row))
        return LoadTest(at, trial.passed, trial.reason, evidence, made_of)

    def latest(self, model: str) -> dict[int, LoadTest]:
        """Return the latest load test of each version of a model that has any."""
        table = load_tests
        query = (
            sa.select(table.c.version, table.c.at, table.c.passed, table.c.reason, table.c.evidence)
            .where(table.c.store_key == self._store_key, table.c.model == model)
            .order_by(table.c.id)
        )
        with transaction(self._engine(), _OTHERWISE) as connection:
            return {version: _load_test(*rest) for version, *rest in connection.execute(query)}


def _load_test(at: str, passed: bool, reason: str, text: str) -> LoadTest:
    kept = json.loads(text)
    made_of = kept["structure"]
    order = made_of["feature_order"]
    structure = Structure(
        made_of["observation_dim"],
        made_of["action_dim"],
        tuple((name, tuple(shape)) for name, shape in made_of["layers"]),
        tuple(made_of["inputs"]),
        None if order is None else tuple(order),
    )
    return LoadTest(clock.moment(at), bool(passed), reason, kept["evidence"], structure)

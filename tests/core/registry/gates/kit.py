"""Runs, curves and verdicts for the tests of gates."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.backtests.types import EquityCurve
from core.registry.gates.types import GateResult
from core.runs.types import DatasetInput, Run

FULL = "3f2a9c41d07be885" + "5d" * 24
COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678"


def a_run(
    run_id: str = "0123456789abcdef",
    *,
    name: str = "ppo",
    params: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    datasets: tuple[DatasetInput, ...] = (),
) -> Run:
    return Run(
        run_id=run_id,
        experiment_id="1",
        name=name,
        status="FINISHED",
        start_time=None,
        end_time=None,
        user="ana",
        lifecycle_stage="active",
        artifact_uri="",
        parent_run_id=None,
        params=params or {},
        metrics=metrics or {},
        tags=tags or {},
        datasets=datasets,
    )


def a_curve(returns: Sequence[float] | np.ndarray, start: str = "2020-01-01", step: int = 1) -> EquityCurve:
    """A curve that starts at 100 and has a point every `step` days."""
    values = 100.0 * np.cumprod(np.concatenate(([1.0], 1.0 + np.asarray(returns, dtype=np.float64))))
    days = np.datetime64(start, "us") + np.arange(len(values)) * np.timedelta64(step, "D")
    return EquityCurve(times=days, values=values)


@dataclass(frozen=True, slots=True)
class FakeStructure:
    observation_dim: int | None = None
    action_dim: int | None = None
    layers: tuple[tuple[str, tuple[int, ...]], ...] = ()
    feature_order: tuple[str, ...] | None = None
    inputs: tuple[str, ...] = ()


def verdict(result: GateResult) -> str:
    """Return "passed", "failed" or "not judged", having looked at what every result must keep."""
    json.dumps(dict(result.evidence), allow_nan=False)
    assert result.reason.endswith(".")
    assert "\n" not in result.reason
    if result.reason.startswith("It cannot be judged: "):
        assert not result.passed
        return "not judged"
    return "passed" if result.passed else "failed"


def evidence(result: GateResult) -> dict[str, Any]:
    """Return evidence as it comes back from JSON."""
    back: dict[str, Any] = json.loads(json.dumps(dict(result.evidence), allow_nan=False))
    return back

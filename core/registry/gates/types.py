"""What a gate says: a verdict, a reason in one sentence, and its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate said of one version.

    Attributes
    ----------
    name : str
        Such as ``smoke``, ``soak``, ``champion``.
    passed : bool
        A gate that cannot be judged has not passed.
    reason : str
        One sentence.
    evidence : mapping
        What it was judged by; values that JSON can hold.
    eligible_at : datetime or None
        UTC time at which it will pass if nothing changes, for gates that only wait.
    """

    name: str
    passed: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    eligible_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GateReport:
    """What all gates of a model said of one version on its way to a stage."""

    model: str
    version: int
    to_stage: str
    at: datetime
    gates: tuple[GateResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(gate.passed for gate in self.gates)

    @property
    def failed(self) -> tuple[GateResult, ...]:
        """The gates that did not pass."""
        return tuple(gate for gate in self.gates if not gate.passed)

"""A plan of what goes and what stays: a value that can be printed, promised and compared."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What can go."""

    VERSION = "version"
    RUN = "run"


@dataclass(frozen=True, slots=True)
class Subject:
    """A version or a run.

    Attributes
    ----------
    name : str
        For people: ``ppo_usdcop v3``, or the run's name.
    model, version : str and int, or None
        None of a run.
    run_id : str or None
        The run itself, or the run that a version came from.
    """

    kind: Kind
    name: str
    model: str | None = None
    version: int | None = None
    run_id: str | None = None

    @property
    def identity(self) -> tuple[str, str, int]:
        """What tells one from another."""
        if self.kind is Kind.RUN:
            return (str(self.kind), self.run_id or "", 0)
        return (str(self.kind), self.model or "", self.version or 0)


@dataclass(frozen=True, slots=True)
class Going:
    """What goes, and what comes free with it.

    Attributes
    ----------
    bytes, files : int or None
        Of the files that nothing else uses; None where they cannot be counted, and `note` says why.
    """

    subject: Subject
    reason: str
    bytes: int | None = None
    files: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Staying:
    """What stays, and everything that keeps it."""

    subject: Subject
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """What retention would do.

    Attributes
    ----------
    model : str or None
        The one model that it is about; None: all models, and the runs.
    made_at : datetime
        The moment to which ages are counted, UTC. It is part of the promise: a plan that is carried out later lets
        nothing go that has become old enough meanwhile.
    """

    model: str | None
    made_at: datetime
    goes: tuple[Going, ...]
    stays: tuple[Staying, ...]

    @property
    def bytes(self) -> int:
        """How many bytes come free, at least: those that could be counted."""
        return sum(one.bytes or 0 for one in self.goes)

    @property
    def uncounted(self) -> int:
        """Of how many that go the bytes could not be counted."""
        return sum(one.bytes is None for one in self.goes)

    @property
    def fingerprint(self) -> str:
        """Of what goes: equal where the same versions and runs go. 16 hexadecimal digits."""
        return fingerprint(self.goes)


def fingerprint(goes: tuple[Going, ...]) -> str:
    """Return what is equal where the same versions and runs go."""
    identities = sorted(one.subject.identity for one in goes)
    return hashlib.sha256(json.dumps(identities).encode()).hexdigest()[:16]


def difference(promised: tuple[Going, ...], now: tuple[Going, ...]) -> tuple[str, ...]:
    """Say what is not as it was promised; nothing where the same versions and runs go."""
    before = {one.subject.identity: one.subject.name for one in promised}
    after = {one.subject.identity: one.subject.name for one in now}
    return tuple(
        [f"{name} was to go and stays now" for key, name in before.items() if key not in after]
        + [f"{name} would go now, too" for key, name in after.items() if key not in before]
    )

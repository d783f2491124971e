"""What a trial of a model may take, and what it found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import BadInputError

Layers = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a trial may take before it is stopped.

    Attributes
    ----------
    seconds : float
        Of the whole trial, by the wall clock.
    memory_mb : int
        Resident memory of all its processes together, in MiB.
    file_mb : int
        All that it has written at any one time, in MiB.
    processes : int
        Processes at one time, threads not counted.
    """

    seconds: float = 60.0
    memory_mb: int = 4096
    file_mb: int = 64
    processes: int = 64

    def __post_init__(self) -> None:
        """Refuse limits under which nothing can be tried."""
        for name in ("seconds", "memory_mb", "file_mb", "processes"):
            if not 0 < getattr(self, name) < 1e9:
                raise BadInputError(
                    f"A trial's limit {name} must be a positive number: {getattr(self, name)}."
                )


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Structure:
    """What a model is made of, as far as it can be told.

    Attributes
    ----------
    observation_dim, action_dim : int or None
        Numbers in one observation and in one action, of models that act.
    layers : tuple of (str, tuple of int)
        Names and shapes of the state dict, in its order; () where there is none.
    inputs : tuple of str
        Names of the signature's inputs, in order.
    feature_order : tuple of str or None
        From ``model_signature.json``.
    """

    observation_dim: int | None = None
    action_dim: int | None = None
    layers: Layers = ()
    inputs: tuple[str, ...] = ()
    feature_order: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a model that was tried.

    Attributes
    ----------
    passed : bool
        Whether it loaded and answered what it was asked, in form.
    reason : str
        One sentence for people.
    kind : str or None
        Such as ``pyfunc (sklearn)``; None where it cannot be told.
    seconds : float
        By the wall clock.
    digest : str
        SHA-256 of all its files: relative path, size and bytes of each, sorted; "" where they were refused unread.
    evidence : mapping
        Values that JSON can hold. Its ``walls`` say which protections were in force, and whatever the model itself
        has said is in ``said_by_the_model``.
    """

    passed: bool
    reason: str
    kind: str | None
    seconds: float
    structure: Structure = field(default_factory=Structure)
    digest: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

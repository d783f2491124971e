"""The protocol of a registry source: who reads registered models, whatever keeps them."""

from __future__ import annotations

from typing import Protocol

from core.registry.types import Model


class RegistrySource(Protocol):
    """A model registry that can be read. Implementations never write to it.

    Prompts, which MLflow keeps among its models, and deleted versions are left out. Every method raises
    `SourceError` with a sentence when the registry cannot be reached or read. A source is used by one thread
    at a time.
    """

    @property
    def info(self) -> str:
        """How this source reads, in a few words for people."""
        ...

    def fingerprint(self) -> str | None:
        """Return a cheap value that differs whenever anything in the store does; None if there is none."""
        ...

    def models(self) -> tuple[Model, ...]:
        """Return all models with all their versions, aliases and tags, ordered by name (byte order)."""
        ...

    def model(self, name: str) -> Model:
        """Read one model anew.

        Raises
        ------
        NotFoundError
            If there is no such model; the message gives names close to it.
        """
        ...

    def schema_problem(self) -> str | None:
        """Say why a write through the installed MLflow would change the schema, and what to do; else None."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...

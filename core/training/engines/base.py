"""What an engine does: start a job, hand over its output, say when it is over, end it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.errors import GreenroomError
from core.training.types import Resources


class EngineError(GreenroomError):
    """The engine cannot start a job, or nothing is known of it any more."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A job, ready to be started.

    Attributes
    ----------
    name : str
        Of this job alone, among all stores; letters, digits and dashes.
    arguments : tuple of str
        The program and its arguments.
    folder : Path
        Where it is started.
    environment : mapping of str to str
        What is added to the environment.
    mark : str
        The value of `core.training.jobs.processes.MARK`.
    log : Path
        Where its output is kept: an engine that finds a job again hands over what comes after that.
    address : str or None
        Of the cluster.
    runtime_env : mapping
        For Ray.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str]
    mark: str
    log: Path
    resources: Resources
    address: str | None = None
    runtime_env: Mapping[str, Any] | None = None


class Running(Protocol):
    """A job that was started. Used by one thread."""

    def pump(self, write: Callable[[bytes], None], seconds: float) -> None:
        """Hand over what it has printed since; wait at most so long for something."""

    def poll(self) -> int | None:
        """Return its exit code once it is over, negative for a signal.

        Raises
        ------
        EngineError
            If nothing is known of it any more.
        """

    def stop(self) -> bool:
        """End it with all its processes, within five seconds; return whether none is left."""

    def close(self) -> None:
        """Give back what was taken for it; a job that runs goes on where it does not run here."""


class Engine(Protocol):
    """Starts jobs, and finds one again that goes on without who started it."""

    def start(self, launch: Launch) -> Running:
        """Start a job.

        Raises
        ------
        EngineError
            If it cannot be started: with the reason and what to do.
        """

    def find(self, launch: Launch) -> Running | None:
        """Return a job that was started before and may go on; None where it cannot."""

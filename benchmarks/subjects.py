"""The stores that are measured, and the indexes that several measurements share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import pipelines, registries, stores, syncing
from benchmarks.measuring import in_child, timed


@dataclass(frozen=True)
class Subject:
    """One store, which nobody writes to, and a folder for what is made from it.

    Attributes
    ----------
    given : Path or None
        A store that somebody has; else one is made in `kept`, unless it is there from an earlier run.
    work : Path
        For what is made from it.
    make : callable
        Makes a store of a shape at a path.
    """

    name: str
    shape: stores.Shape | pipelines.Shape | registries.Shape
    given: Path | None
    kept: Path
    work: Path
    make: Callable[[Path, Any], None] = stores.make

    @cached_property
    def store(self) -> Path:
        """The store's file; made when it is first asked for."""
        store = self.given or self.kept / self.shape.file_name
        if not store.exists():
            if self.given:
                raise SystemExit(f"There is no store {self.given}.")
            seconds, _ = timed(lambda: in_child(self.make, store, self.shape))
            print(f"Made a store of {self.name} in {seconds:.0f} s.", flush=True)
        return store.resolve()

    @property
    def home(self) -> Path:
        """A home folder whose index is built."""
        home = self.work / f"home of {self.name}"
        if not home.exists():
            in_child(syncing.first, self.store, home)
        return home

    def empty_home(self, name: str) -> Path:
        """Return a home folder that nobody has used."""
        return self.work / f"{name} of {self.name}"

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """Copy the store, for whoever writes to it; the copy is removed afterwards."""
        path = stores.copy(self.store, self.work)
        try:
            yield path
        finally:
            path.unlink()

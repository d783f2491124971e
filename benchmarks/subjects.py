"""The stores that are measured, and the indexes that several measurements share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stores, syncing
from benchmarks.measuring import in_child, timed


@dataclass(frozen=True, slots=True)
class Subject:
    """One store, which nobody writes to, and a folder for what is made from it."""

    name: str
    shape: stores.Shape
    store: Path
    work: Path

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


def prepare(name: str, shape: stores.Shape, given: Path | None, kept: Path, work: Path) -> Subject:
    """Take the store that was given, else the one kept from an earlier run, else make it."""
    store = given or kept / shape.file_name
    if not store.exists():
        if given:
            raise SystemExit(f"There is no store {given}.")
        seconds, _ = timed(lambda: in_child(stores.make, store, shape))
        print(f"Made a store of {name} in {seconds:.0f} s.", flush=True)
    return Subject(name, shape, store.resolve(), work)

"""Bring the index up to date: for the first time, with one new run, with nothing new."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Times, in_child, timed
from benchmarks.searching import open_store
from benchmarks.stores import add_run

_LOOKS, _LOOK_SECONDS = 5, 2.0


@dataclass(frozen=True, slots=True)
class Synced:
    """Times of syncing one store; `peak` is the memory of a process that did the first sync alone, bytes."""

    first: Times
    peak: int
    nothing: Times
    one_run: Times
    afterwards: Times


def measure(path: Path, copy: Path, empty_home: Callable[[str], Path]) -> Synced:
    """Sync a store into new homes, then go on with a copy of it, to which runs are added."""
    homes = [(path, empty_home("sync 1")), (path, empty_home("sync 2")), (copy, empty_home("copy"))]
    firsts = [in_child(first, *one) for one in homes]
    (nothing, one_run, afterwards), _ = in_child(again, *homes[-1])
    return Synced(
        Times(tuple(seconds for seconds, _ in firsts)),
        max(peak for _, peak in firsts),
        nothing,
        one_run,
        afterwards,
    )


def first(path: Path, home: Path) -> float:
    """Sync into an empty home."""
    workspace = open_store(path, home)
    return timed(workspace.runs.sync)[0]


def again(path: Path, home: Path) -> tuple[Times, Times, Times]:
    """Sync with nothing new, with one new run each time, and again after those.

    Each look comes two seconds after the one before, as on an open page: the longer the pause, the more
    runs are read again to find edits of old ones.
    """
    workspace = open_store(path, home)
    # The first sync of a process compares the index with its checksums, once.
    workspace.runs.sync()
    nothing = [timed(workspace.runs.sync)[0] for _ in range(20)]
    one_run, afterwards = [], []
    for number in range(_LOOKS):
        add_run(path, number)
        time.sleep(_LOOK_SECONDS)
        seconds, report = timed(workspace.runs.sync)
        if report is None or report.changed < 1:
            raise RuntimeError("The new run was not found.")
        one_run.append(seconds)
    for _ in range(_LOOKS):
        time.sleep(_LOOK_SECONDS)
        afterwards.append(timed(workspace.runs.sync)[0])
    return Times(tuple(nothing)), Times(tuple(one_run)), Times(tuple(afterwards))

"""Bring the index up to date: for the first time, with one new run, with nothing new."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Times, in_child, timed
from benchmarks.searching import open_store
from benchmarks.stores import add_run

_LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Synced:
    """Times of syncing one store; `peak` is the memory of a process that did the first sync alone, bytes."""

    first: Times
    peak: int
    nothing: Times
    one_run: Times
    afterwards: Times


def measure(path: Path, homes: list[Path], looks: int) -> Synced:
    """Sync a store into each of `homes`, then go on with the last of them.

    Parameters
    ----------
    path : Path
        A copy: runs are added to it.
    looks : int
        How many runs are added, one a sync.
    """
    firsts = [in_child(first, path, home) for home in homes]
    (nothing, one_run, afterwards), _ = in_child(again, path, homes[-1], looks)
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


def again(path: Path, home: Path, looks: int) -> tuple[Times, Times, Times]:
    """Sync with nothing new, with one new run each time, and again after those.

    Each look comes two seconds after the one before, as on an open page: the longer the pause, the more
    runs are read again to find edits of old ones.
    """
    workspace = open_store(path, home)
    # The first sync of a process compares the index with its checksums, once.
    workspace.runs.sync()
    nothing = [timed(workspace.runs.sync)[0] for _ in range(20)]
    one_run, afterwards = [], []
    for number in range(looks):
        add_run(path, number)
        time.sleep(_LOOK_SECONDS)
        seconds, report = timed(workspace.runs.sync)
        if report is None or report.changed < 1:
            raise RuntimeError("The new run was not found.")
        one_run.append(seconds)
    for _ in range(looks):
        time.sleep(_LOOK_SECONDS)
        afterwards.append(timed(workspace.runs.sync)[0])
    return Times(tuple(nothing)), Times(tuple(one_run)), Times(tuple(afterwards))

"""Read full histories of one metric of several runs, straight from the store."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measuring import Times, times
from benchmarks.searching import open_store
from core.runs.explorer import RunsRequest

METRIC = "metric_00"


def traced_runs(path: Path, home: Path, count: int) -> list[str]:
    """Return the ids of the first runs of the store, which have the long histories."""
    runs = open_store(path, home).runs
    return runs.find(RunsRequest(order_by=("attributes.start_time ASC",))).run_ids[:count]


def measure(path: Path, home: Path, run_ids: list[str], repetitions: int) -> tuple[Times, int]:
    """Read them again and again; return times and points."""
    runs = open_store(path, home).runs
    points = 0

    def read() -> None:
        nonlocal points
        points = sum(len(one.values) for one in runs.histories(run_ids, METRIC))

    return times([read] * repetitions), points

"""Find one page of runs: filter on a metric and a param, order by another metric, a hundred rows, all columns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from benchmarks.measuring import Times, timed, times, use_store
from benchmarks.stores import uri
from core.runs.explorer import RunsRequest
from core.workspace import Workspace, open_workspace

PAGE_ROWS = 100
# What the Runs page shows before somebody chooses columns.
DEFAULT_COLUMNS = (
    *(f"metrics.metric_{number:02d}" for number in range(6)),
    *(f"params.param_{number:02d}" for number in range(4)),
)


@dataclass(frozen=True, slots=True)
class Query:
    """A filter and an order in MLflow's grammar, which both sides answer."""

    filter: str
    order_by: str


def queries(count: int) -> list[Query]:
    """Return queries of which no two are alike, so that no answer is one that was kept."""
    return [
        Query(
            f"metrics.metric_{at % 25:02d} > {-0.5 + at / 1000} "
            f"AND params.param_{3 * (at % 5):02d} = '{('ppo', 'a2c', 'sac')[at % 3]}'",
            f"metrics.metric_{(at * 7 + 3) % 25:02d} {'DESC' if at % 2 else 'ASC'}",
        )
        for at in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Found:
    """Times of finding pages, with the ids of the runs on each, to hold against MLflow's.

    `first` is what the very first filter of the process took, in seconds.
    """

    first: float
    times: Times
    pages: tuple[tuple[str, ...], ...]


def open_store(path: Path, home: Path) -> Workspace:
    """Open a workspace in this process."""
    use_store(uri(path), home)
    return open_workspace()


def pages(path: Path, home: Path, count: int, columns: tuple[str, ...] | None = None) -> Found:
    """Find `count` pages with these columns, by default every column there is."""
    runs = open_store(path, home).runs
    snapshot = runs.snapshot()
    if columns is None:
        tables = ("params", "metrics", "tags")
        columns = tuple(f"{table}.{key}" for table in tables for key in snapshot.keys(table))
    ids: list[tuple[str, ...]] = []

    def page(query: Query) -> None:
        matches = runs.find(RunsRequest(filter=query.filter, order_by=(query.order_by,)))
        table = runs.table(matches, columns, matches.places[:PAGE_ROWS].tolist())
        ids.append(tuple(table["run_id"]))

    first, _ = timed(lambda: runs.find(RunsRequest(filter="tags.model_type = 'ppo'")))
    found = times([lambda query=query: page(query) for query in queries(count)])
    return Found(first, found, tuple(ids))


def everything(path: Path, home: Path, expected: int) -> float:
    """Read all runs into one pandas frame, sync included; return seconds."""
    # MLflow brings pandas along with its own import, which is not timed either.
    import_module("pandas")
    began = time.perf_counter()
    runs = open_store(path, home).runs
    runs.sync()
    frame = runs.export(runs.find(RunsRequest())).to_pandas()
    seconds = time.perf_counter() - began
    if len(frame) != expected:
        raise RuntimeError(f"Greenroom gave {len(frame)} of {expected} runs.")
    return seconds

"""Find one page of runs: filter on a metric and a param, order by another metric, a hundred rows, all columns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Times, times, use_store
from benchmarks.stores import uri
from core.runs.explorer import RunsRequest
from core.workspace import Workspace, open_workspace

PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Query:
    """A filter and an order in MLflow's grammar, which both sides answer."""

    filter: str
    order_by: str


def queries(count: int, metrics: int = 25) -> list[Query]:
    """Return queries of which no two are alike, so that no answer is one that was kept."""
    return [
        Query(
            f"metrics.metric_{at % metrics:02d} > {-0.5 + at / 1000} "
            f"AND params.param_{3 * (at % 5):02d} = '{('ppo', 'a2c', 'sac')[at % 3]}'",
            f"metrics.metric_{(at * 7 + 3) % metrics:02d} {'DESC' if at % 2 else 'ASC'}",
        )
        for at in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Found:
    """Times of finding pages, with the ids of the runs on each, to hold against MLflow's."""

    times: Times
    pages: tuple[tuple[str, ...], ...]


def open_store(path: Path, home: Path) -> Workspace:
    """Open a workspace in this process."""
    use_store(uri(path), home)
    return open_workspace()


def pages(path: Path, home: Path, count: int) -> Found:
    """Find `count` pages with every column there is."""
    workspace = open_store(path, home)
    snapshot = workspace.runs.snapshot()
    columns = tuple(f"{table}.{key}" for table in ("params", "metrics", "tags") for key in snapshot.keys(table))
    return find_pages(workspace, columns, queries(count))


def find_pages(workspace: Workspace, columns: tuple[str, ...], asked: list[Query]) -> Found:
    """Find pages with these columns."""
    found: list[tuple[str, ...]] = []

    def page(query: Query) -> None:
        matches = workspace.runs.find(RunsRequest(filter=query.filter, order_by=(query.order_by,)))
        table = workspace.runs.table(matches, columns, matches.places[:PAGE_ROWS].tolist())
        found.append(tuple(table["run_id"]))

    return Found(times([lambda query=query: page(query) for query in asked]), tuple(found))


def everything(path: Path, home: Path) -> tuple[float, int]:
    """Read all runs into one pandas frame, sync included; return seconds and rows."""
    began = time.perf_counter()
    workspace = open_store(path, home)
    workspace.runs.sync()
    frame = workspace.runs.export(workspace.runs.find(RunsRequest())).to_pandas()
    return time.perf_counter() - began, len(frame)

"""Rerun the whole script of the Runs page, as Streamlit does at every click, without a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Times, timed, use_store
from benchmarks.searching import Query, queries
from benchmarks.stores import uri
from core.workspace import open_workspace

APP = Path(__file__).resolve().parents[1] / "dashboard" / "app.py"
SECONDS_AT_MOST = 60
# The page lets nobody choose many more of one kind.
MOST_COLUMNS = 100


@dataclass(frozen=True, slots=True)
class Reran:
    """The first run of the page in a new process, later reruns, and reruns with every column shown."""

    first: float
    plain: Times
    all_columns: Times


def pages(path: Path, home: Path, count: int) -> Reran:
    """Rerun the Runs page with another filter and another order each time."""
    from streamlit.testing.v1 import AppTest

    use_store(uri(path), home)
    test = AppTest.from_file(str(APP), default_timeout=SECONDS_AT_MOST)
    # Leaves the Overview as the page that was open before, as a person would.
    run_page(test)
    test.switch_page("views/runs.py")
    first = run_page(test)
    asked = queries(2 * count)
    plain = [_ask(test, query) for query in asked[:count]]
    runs = open_workspace().runs
    for table in ("metrics", "params", "tags"):
        test.session_state[table] = [key for key, _ in runs.keys(table)][:MOST_COLUMNS]
    run_page(test)
    all_columns = [_ask(test, query) for query in asked[count:]]
    return Reran(first, Times(tuple(plain)), Times(tuple(all_columns)))


def _ask(test: Any, query: Query) -> float:
    field, _, direction = query.order_by.partition(" ")
    test.session_state["q"] = query.filter
    test.session_state["sort"] = field
    test.session_state["desc"] = direction == "DESC"
    seconds = run_page(test)
    if not len(test.dataframe) or not len(test.dataframe[0].value):
        raise RuntimeError(f"The Runs page shows no rows for {query}.")
    return seconds


def run_page(test: Any) -> float:
    """Run a page and return the seconds it took; an error on it is one here."""
    seconds, _ = timed(test.run)
    troubles = [*test.exception, *test.error]
    if troubles:
        raise RuntimeError(f"The page shows an error: {troubles[0].value}")
    return seconds

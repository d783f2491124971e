"""Look at pipelines: the page Stores rerun with one thing changed each time, and tables of stores from the desk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.measuring import Times, timed
from benchmarks.rerunning import APP, SECONDS_AT_MOST, run_page
from benchmarks.searching import open_store

_ORDERS = ("Worst sMAPE first", "Lowest R² first", "Largest sales first", "Largest bias first", "Store")
# Every store, most, most, some, two partners.
_SEARCHES = ("", "s0", "0", "1", "or")
_PARTNERS = ((), ("Alder", "Corso", "Dunmore", "Eastwick"))
_MEASURES = ("WAPE", "sMAPE", "RMSE", "MAE", "R²")
_FIGURES_OF_STORE = 3


@dataclass(frozen=True, slots=True)
class Browsed:
    """Seconds of the page's first run in a process, and of its reruns.

    Attributes
    ----------
    filtered : Times
        The table of every store with another search, filter and order each time.
    pipelines : Times
        Another pipeline each time, none of them seen before; they have no tables.
    own_table, whole_table : Times
        Another store each time: its forecast is in a table of its own run, or among others in the pipeline's.
    compared : Times
        The latest two pipelines with another measure or tolerance each time, and the test of every store.
    """

    first: float
    filtered: Times
    pipelines: Times
    own_table: Times
    whole_table: Times
    compared: Times


@dataclass(frozen=True, slots=True)
class Tabled:
    """Seconds until the desk has a pipeline's table of stores, and test_smape by run for each of `parents`.

    `first` is the very first of the process, with the list of pipelines.
    """

    first: float
    times: Times
    parents: tuple[str, ...]
    smape: tuple[dict[str, float], ...]


def pages(path: Path, home: Path, count: int, comparisons: int) -> Browsed:
    """Rerun the page Stores: `count` times for each kind of change, `comparisons` times to compare."""
    desk = open_store(path, home).forecasts
    latest, before, *others = desk.candidates()
    stores = desk.pipeline(latest).stores["store"].to_list()
    # Not the first one: the page has opened it by then.
    chosen = stores[1 :: max(1, len(stores) // count)][:count]
    test = _opened(latest)
    first = run_page(test)
    filtered = [_filter(test, at) for at in range(count)]
    return Browsed(
        first,
        Times(tuple(filtered)),
        Times(tuple(_other_pipelines(latest, others[:count]))),
        Times(tuple(_one_store(latest, chosen))),
        Times(tuple(_one_store(before, chosen))),
        Times(tuple(_compare(latest, before, comparisons))),
    )


def _opened(run_id: str, **chosen: str) -> Any:
    """Return the page of a pipeline, yet to be run; the Overview was open before, as with a person."""
    from streamlit.testing.v1 import AppTest

    test = AppTest.from_file(str(APP), default_timeout=SECONDS_AT_MOST)
    run_page(test)
    test.query_params["run"] = run_id
    for name, value in chosen.items():
        test.query_params[name] = value
    test.switch_page("views/stores.py")
    return test


def _filter(test: Any, at: int) -> float:
    test.session_state["store_order"] = _ORDERS[at % len(_ORDERS)]
    test.session_state["store_q"] = _SEARCHES[at // len(_ORDERS) % len(_SEARCHES)]
    test.session_state["partners"] = list(_PARTNERS[at % len(_PARTNERS)])
    seconds = run_page(test)
    _expect(len(test.dataframe) == 1 and "Sales" in test.dataframe[0].value, "a table with lines of sales")
    return seconds


def _other_pipelines(latest: str, others: Sequence[str]) -> Iterator[float]:
    test = _opened(latest)
    run_page(test)
    for run_id in others:
        test.query_params["run"] = run_id
        yield run_page(test)
        _expect(len(test.dataframe) == 1, "a table of stores")


def _one_store(run_id: str, stores: Sequence[str]) -> Iterator[float]:
    test = _opened(run_id, show="One store")
    # The first one loads what the others find loaded, in a dashboard, too.
    run_page(test)
    for store in stores:
        test.query_params["store"] = store
        yield run_page(test)
        _expect(len(test.get("plotly_chart")) == _FIGURES_OF_STORE, "a forecast")
        _expect(any("measures follow from" in one.value for one in test.caption), "measures that follow")


def _compare(new: str, old: str, count: int) -> Iterator[float]:
    test = _opened(new, against=old, show="Changes")
    run_page(test)
    ways = [(measure, tolerance) for tolerance, measure in product(range(1, count + 1), _MEASURES)]
    for measure, tolerance in ways[:count]:
        test.session_state["change_measure"] = measure
        test.session_state["tolerance"] = float(tolerance)
        yield run_page(test)
        _expect(any(one.label == "Worse beyond chance" for one in test.metric), "a test of every store")


def _expect(there: bool, what: str) -> None:
    if not there:
        raise RuntimeError(f"The page Stores does not show {what}.")


def tables(path: Path, home: Path, kept: int) -> Tabled:
    """Make the table of stores of each pipeline, none of them twice; keep the figures of a few."""
    desk = open_store(path, home).forecasts
    first, _ = timed(lambda: desk.pipeline(desk.candidates()[0]))
    others = desk.candidates()[1:]
    seconds, smape = [], []
    for run_id in others:
        took, pipeline = timed(partial(desk.pipeline, run_id))
        seconds.append(took)
        smape.append(dict(pipeline.stores.select("run_id", "smape").iter_rows()))
    return Tabled(first, Times(tuple(seconds)), others[:kept], tuple(smape[:kept]))

"""Open the Runs page in Chromium and sort it, and the same in MLflow's own pages.

Greenroom's table is a canvas: a run is on the screen once its name has been drawn into it. So the canvas is
told to note when it first drew each text, and the clock is the page's own, which starts with the navigation.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.measuring import Times
from benchmarks.searching import open_store
from core.runs.explorer import RunsRequest

SORTED_BY = tuple(f"metric_{number:02d}" for number in (7, 11, 15, 19, 23))
_WINDOW = {"width": 1440, "height": 900}
_NOTE_DRAWING = """
window.drawn = {};
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  if (!(text in window.drawn)) window.drawn[text] = performance.now();
  return fillText.call(this, text, ...rest);
};
"""
_NOTE_CHOICE = """
window.addEventListener("pointerdown", () => { window.chosen = performance.now(); window.drawn = {}; }, true)
"""
_FIRST_ROW = """
name => [...document.querySelectorAll('.ag-row[row-index="0"]')].some(row => row.innerText.includes(name))
"""
_PATIENCE = 90_000


@dataclass(frozen=True, slots=True)
class Browsed:
    """Seconds until rows are seen, and bytes that the server sent over the page's connection.

    Attributes
    ----------
    coldest : float
        The first visit after the server's start.
    opened : Times
        Visits with a browser that has stored nothing.
    sorted : Times
        From pressing on an option of "Sort by" until the run that comes first then is drawn.
    """

    coldest: float
    opened: Times
    sorted: Times
    opened_bytes: int
    sorted_bytes: int


def available() -> bool:
    """Say whether there is a Chromium."""
    return _chromium() is not None


def greenroom(store: Path, home: Path, visits: int) -> Browsed:
    """Visit Greenroom's Runs page, whose index is built."""
    runs = open_store(store, home).runs
    newest = _first(runs, "attributes.start_time DESC")
    firsts = {metric: _first(runs, f"metrics.{metric} DESC") for metric in SORTED_BY}
    total = f"{len(runs.find(RunsRequest())):,} runs"
    opened, sent = [], []
    with servers.greenroom(store, home) as address, new_browser() as browser:
        for visit in range(visits + 1):
            page = new_page(browser, sent)
            page.add_init_script(_NOTE_DRAWING)
            page.goto(f"{address}/runs", wait_until="commit")
            page.wait_for_function("name => window.drawn[name]", arg=newest)
            opened.append(page.evaluate("name => window.drawn[name]", newest) / 1000)
            page.get_by_text(total).first.wait_for()
            if visit < visits:
                page.context.close()
        page.wait_for_timeout(1000)
        page.evaluate(_NOTE_CHOICE)
        opened_bytes, before = sent[-1], sum(sent)
        sortings = [_sort(page, metric, firsts[metric]) for metric in SORTED_BY]
        page.wait_for_timeout(500)
        sorted_bytes = (sum(sent) - before) // len(sortings)
    return Browsed(opened[0], Times(tuple(opened[1:])), Times(tuple(sortings)), opened_bytes, sorted_bytes)


def mlflow(store: Path, folder: Path, names: tuple[str, str]) -> tuple[float, float, float]:
    """Visit MLflow's page of runs: seconds of the first visit, of a second one, and until it is sorted.

    Its table is made of elements: the run that comes first is there once the first row has its name.

    Parameters
    ----------
    names : tuple of str
        The run that comes first by start, and by `SORTED_BY[0]`.
    """
    opened = []
    place = "#/experiments/1/runs"
    with servers.mlflow(store, folder) as address, new_browser() as browser:
        for _ in range(2):
            page = new_page(browser, [])
            page.goto(f"{address}/{place}", wait_until="commit")
            page.wait_for_function(_FIRST_ROW, arg=names[0])
            opened.append(page.evaluate("performance.now()") / 1000)
        page.wait_for_timeout(1000)
        began = page.evaluate("performance.now()")
        order = f"orderByKey=metrics.%60{SORTED_BY[0]}%60&orderByAsc=false"
        page.evaluate("place => { location.hash = place }", f"{place}?{order}")
        page.wait_for_function(_FIRST_ROW, arg=names[1])
        return *opened, (page.evaluate("performance.now()") - began) / 1000


def first_names(store: Path, home: Path) -> tuple[str, str]:
    """Return the name of the run that comes first by start, and by the first of the metrics sorted by."""
    runs = open_store(store, home).runs
    return _first(runs, "attributes.start_time DESC"), _first(runs, f"metrics.{SORTED_BY[0]} DESC")


def _first(runs: Any, order: str) -> str:
    matches = runs.find(RunsRequest(order_by=(order,)))
    return str(runs.table(matches, (), matches.places[:1].tolist())["name"][0])


def _sort(page: Any, metric: str, expected: str) -> float:
    box = page.get_by_role("combobox", name="Sort by")
    box.click()
    box.fill(metric)
    page.get_by_role("option", name=f"metrics.{metric}", exact=True).click()
    page.wait_for_function("name => window.drawn[name]", arg=expected)
    return float(page.evaluate("name => window.drawn[name] - window.chosen", expected)) / 1000


def new_page(browser: Any, sent: list[int]) -> Any:
    """Open a page in a browser without any memory; what its connection receives is added to `sent`."""
    page = browser.new_context(viewport=_WINDOW).new_page()
    page.set_default_timeout(_PATIENCE)
    sent.append(0)
    place = len(sent) - 1

    def count(frame: str | bytes) -> None:
        sent[place] += len(frame)

    page.on("websocket", lambda socket: socket.on("framereceived", count))
    return page


@contextmanager
def new_browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

"""Reading a backtest: from the table of runs to the tear sheet, a period by dragging, and a file to take away."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Dashboard, OpenPage, settle

pytestmark = pytest.mark.browser


def _total_return(page: Page) -> str:
    metric = page.get_by_test_id("stMetric").filter(has_text=re.compile("^Total return"))
    return metric.get_by_test_id("stMetricValue").inner_text()


def test_dragging_over_the_curve_picks_a_period_that_the_address_keeps(
    open_page: OpenPage, dashboard: Dashboard
) -> None:
    page = open_page(f"/backtests?runs={dashboard.run_ids[-2]}")
    whole = _total_return(page)
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    page.wait_for_url(re.compile("from="))
    settle(page)
    assert re.search(r"from=2011-\d\d-\d\d", page.url)
    assert re.search(r"to=201[23]-\d\d-\d\d", page.url)
    part = _total_return(page)
    assert part != whole
    elsewhere = open_page(page.url.removeprefix(dashboard.url))
    assert _total_return(elsewhere) == part
    page.get_by_role("button", name="Whole period").click()
    page.wait_for_url(lambda url: "from=" not in url)
    settle(page)
    assert _total_return(page) == whole


def test_the_file_opens_without_a_network(
    open_page: OpenPage, dashboard: Dashboard, chromium: Browser, tmp_path: Path
) -> None:
    page = open_page(f"/backtests?runs={dashboard.run_ids[-2]}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Tear sheet (HTML)").click()
    file = tmp_path / "sheet.html"
    download.value.save_as(file)
    context = chromium.new_context(offline=True)
    sheet = context.new_page()
    asked: list[str] = []
    troubles: list[str] = []
    sheet.on("request", lambda request: asked.append(request.url))
    sheet.on("pageerror", lambda error: troubles.append(str(error)))
    sheet.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    sheet.goto(file.as_uri())
    expect(sheet.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    assert sheet.locator(".js-plotly-plot").count() == 3
    assert sheet.locator(".scatterlayer .trace path.js-line").count() >= 3
    expect(sheet.get_by_text("Monthly returns")).to_be_visible()
    assert _total_return(page) in sheet.locator("dl").inner_text()
    assert asked == [file.as_uri()]
    assert troubles == []
    context.close()

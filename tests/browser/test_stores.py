"""Store by store in a browser: from the table to a store and back, and what a new pipeline changes."""

from __future__ import annotations

import re

import pytest
from mlflow import MlflowClient
from playwright.sync_api import expect

from tests import pipelines
from tests.browser.conftest import Dashboard, OpenPage, settle

pytestmark = pytest.mark.browser


def test_from_the_worst_store_to_its_forecast_and_on_to_what_changed(
    open_page: OpenPage, dashboard: Dashboard
) -> None:
    client = MlflowClient(dashboard.tracking_uri)
    naive, ridge = dashboard.pipelines
    runs = {
        code: client.get_run(run_id).data.metrics
        for code, run_id in pipelines.children(client, ridge).items()
    }
    worst = max(
        (code for code in runs if "test_smape" in runs[code]), key=lambda code: runs[code]["test_smape"]
    )

    page = open_page(f"/stores?run={ridge}", height=1600)
    expect(page.get_by_text(f"{pipelines.STORES} stores", exact=True)).to_be_visible()
    box = page.get_by_test_id("stDataFrame").first.bounding_box()
    assert box is not None
    # The worst store is the first row: tick it.
    page.mouse.click(box["x"] + 16, box["y"] + 35 + 17)
    page.wait_for_url(re.compile(f"store={worst}"))
    settle(page)
    smape = page.get_by_test_id("stMetric").filter(has_text=re.compile("^sMAPE"))
    expect(smape.get_by_test_id("stMetricValue")).to_have_text(f"{runs[worst]['test_smape']:.2f}%")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()

    page.get_by_role("combobox", name=re.compile("Compared with")).click()
    page.get_by_role("option", name=re.compile("last week again")).click()
    page.wait_for_url(re.compile(f"against={naive}"))
    settle(page)
    page.get_by_text("Changes", exact=True).click()
    settle(page)
    expect(page.get_by_text("Stores regressed")).to_be_visible()

    elsewhere = open_page(page.url.removeprefix(dashboard.url))
    expect(elsewhere.get_by_text("Stores regressed")).to_be_visible()


def test_a_mark_of_the_scatter_opens_its_store(open_page: OpenPage, dashboard: Dashboard) -> None:
    page = open_page(f"/stores?run={dashboard.pipelines[1]}")
    mark = page.locator(".js-plotly-plot .points path.point").first
    mark.hover(force=True)
    box = mark.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url(re.compile("store=S0"))
    settle(page)
    expect(page.get_by_text("The store's run")).to_be_visible()


def test_the_table_can_be_taken_away(open_page: OpenPage, dashboard: Dashboard) -> None:
    page = open_page(f"/stores?run={dashboard.pipelines[1]}")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0].startswith("store,partner,run_id,quality,r2,smape")
    assert len(lines) == 1 + pipelines.STORES

"""The analyst's way: filter, sort, choose three, compare, share the address, open it elsewhere."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect

from tests.browser.conftest import EXPERIMENT, Dashboard, OpenPage, settle

pytestmark = pytest.mark.browser


def _choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=re.compile(rf"{label}\b")).first.click()
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def test_filter_sort_select_compare_and_share(open_page: OpenPage, dashboard: Dashboard) -> None:
    client = MlflowClient(dashboard.tracking_uri)
    page = open_page(f"/runs?exp={quote(EXPERIMENT)}")
    expect(page.get_by_text("130 runs")).to_be_visible()

    page.get_by_label("Filter", exact=True).fill("params.model = 'ridge' AND metrics.score > 0.5")
    page.keyboard.press("Enter")
    settle(page)
    theirs = client.search_runs(
        [dashboard.experiment],
        "params.model = 'ridge' AND metrics.score > 0.5",
        order_by=["metrics.score DESC"],
    )
    expect(page.get_by_text(f"{len(theirs)} runs")).to_be_visible()

    _choose(page, "Sort by", "metrics.score")
    # The first three rows of the table are the best three by MLflow's account: tick them.
    table = page.get_by_test_id("stDataFrame").first
    box = table.bounding_box()
    assert box is not None
    for row in range(3):
        page.mouse.click(box["x"] + 16, box["y"] + 35 + 17 + 35 * row)
        settle(page)
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    page.get_by_role("button", name="Compare", exact=True).click()
    page.wait_for_url("**/compare**")
    settle(page)
    for run in theirs[:3]:
        assert run.info.run_id in page.url
    expect(page.get_by_text("Metrics", exact=False).first).to_be_visible()

    elsewhere = open_page(page.url.removeprefix(dashboard.url))
    for run in theirs[:3]:
        expect(elsewhere.get_by_text(re.compile(re.escape(str(run.info.run_name)))).first).to_be_visible()
    assert elsewhere.get_by_test_id("stDataFrame").count() >= 2


def test_address_of_a_filtered_sorted_table_opens_the_same_table(open_page: OpenPage) -> None:
    page = open_page(f"/runs?exp={quote(EXPERIMENT)}")
    page.get_by_label("Filter", exact=True).fill("attributes.status = 'FAILED'")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.get_by_text("5 runs")).to_be_visible()
    _choose(page, "Sort by", "metrics.loss")
    again = open_page("/runs?" + page.url.partition("?")[2])
    expect(again.get_by_text("5 runs")).to_be_visible()
    expect(again.get_by_label("Filter", exact=True)).to_have_value("attributes.status = 'FAILED'")
    assert "sort=" in again.url


def test_new_run_appears_while_the_page_is_open(open_page: OpenPage, dashboard: Dashboard) -> None:
    page = open_page("/runs?q=tags.journey+%3D+%27fresh%27")
    expect(page.get_by_text("No run matches")).to_be_visible()
    client = MlflowClient(dashboard.tracking_uri)
    run = client.create_run(dashboard.experiment, run_name="just now", tags={"journey": "fresh"})
    try:
        expect(page.get_by_text("1 run", exact=True)).to_be_visible(timeout=5_000)
    finally:
        client.delete_run(run.info.run_id)
    expect(page.get_by_text("No run matches")).to_be_visible(timeout=5_000)


def test_mistake_in_the_filter_is_marked(open_page: OpenPage) -> None:
    page = open_page("/runs")
    page.get_by_label("Filter", exact=True).fill("metrics.score > 0.5 AND params.model ~ 'x'")
    page.keyboard.press("Enter")
    settle(page)
    expect(page.get_by_test_id("stAlert")).to_contain_text("at character 25")
    expect(page.get_by_label("Filter", exact=True)).to_be_visible()


def test_artifacts_are_shown_and_never_executed(open_page: OpenPage, dashboard: Dashboard) -> None:
    page = open_page(f"/run?run={dashboard.run_ids[-1]}&section=Artifacts&path=notes/readme.html")
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    expect(page.get_by_text("<script>alert('no')</script> plain text")).to_be_visible()
    page = open_page(f"/run?run={dashboard.run_ids[-1]}&section=Artifacts&path=tables/predictions.json")
    expect(page.get_by_text("40 of 40 rows")).to_be_visible()

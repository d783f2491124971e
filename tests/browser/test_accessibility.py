"""axe finds no serious violation on any page, wide and narrow, light and dark."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Dashboard, OpenPage

pytestmark = pytest.mark.browser


PLACES = [
    *("overview", "runs", "charts", "run", "artifacts", "compare", "health"),
    *("backtest", "returns", "significance", "overlay"),
    *("stores", "partners", "store", "changes"),
    *("registry", "stages", "version", "history", "approvals", "request", "audit", "dossier"),
    *("training", "job", "launch", "schedules", "retention"),
]


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
@pytest.mark.parametrize("place", PLACES)
def test_no_serious_violation(
    open_page: OpenPage, dashboard: Dashboard, place: str, width: int, scheme: str
) -> None:
    ids = dashboard.run_ids
    old, new = dashboard.pipelines
    path = {
        "overview": "/",
        "runs": "/runs",
        "charts": "/runs?show=Charts",
        "run": f"/run?run={ids[-1]}",
        "artifacts": f"/run?run={ids[-1]}&section=Artifacts&path=config.json",
        "compare": f"/compare?runs={','.join(ids[:4])}",
        "health": "/health",
        "backtest": f"/backtests?runs={ids[-2]}&marks=true",
        "returns": f"/backtests?runs={ids[-2]}&section=Returns",
        "significance": f"/backtests?runs={ids[-2]}&section=Significance",
        "overlay": f"/backtests?runs={','.join(ids[-4:-1])}",
        "stores": f"/stores?run={new}",
        "partners": f"/stores?run={new}&show=Partners",
        "store": f"/stores?run={new}&against={old}&show=One+store&store=S002",
        "changes": f"/stores?run={new}&against={old}&show=Changes",
        "registry": "/registry",
        "stages": "/registry?model=shops",
        "version": "/registry?model=shops&version=3",
        "history": "/registry?model=shops&part=History",
        "approvals": "/approvals?requests_shown=All",
        "request": f"/approvals?request={dashboard.request}",
        "audit": "/audit",
        "dossier": f"/audit?dossier={dashboard.dossier}",
        "training": "/training",
        "job": f"/training?job={dashboard.job}",
        "launch": "/training?tab=Launch&entry=rl",
        "schedules": "/training?tab=Schedules",
        "retention": "/training?tab=Retention",
    }[place]
    page = open_page(path, width=width, scheme=scheme)
    found = Axe().run(page).response["violations"]
    serious = [
        (one["id"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not serious
    # Nothing may be wider than the screen, or a phone scrolls sideways.
    assert page.evaluate("document.documentElement.scrollWidth") <= width

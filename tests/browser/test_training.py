"""A newcomer in a browser, on an empty home folder: launch, watch, open the run; stop, and retry."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, expect

from core.demo.generated_sales import generate_sales
from tests import servers
from tests.browser.conftest import settle
from tests.browser.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Home:
    """A dashboard with its worker, and files to train on."""

    url: str
    uri: str
    sales: Path
    bars: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("training")
    sales, bars = folder / "sales.csv", folder / "bars.csv"
    generate_sales(6).write_csv(sales)
    days = np.arange("2015-01-01", "2021-01-01", dtype="datetime64[D]")
    prices = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, len(days))))
    pl.DataFrame({"time": days, "close": prices}).write_csv(bars)
    port = servers.free_port()
    command = [sys.executable, "-m", "core.cli", "up", "--port", str(port)]
    # Empty means as if it were not set: the store in the home folder, which is not there yet.
    environment = {"GREENROOM_HOME": str(folder / "home"), "MLFLOW_TRACKING_URI": ""}
    with servers.process(command, folder / "dashboard.log", **environment) as running:
        servers.wait_for(f"http://127.0.0.1:{port}/_stcore/health", running)
        uri = f"sqlite:///{folder / 'home' / 'mlflow.db'}"
        yield Home(f"http://127.0.0.1:{port}", uri, sales, bars)


@pytest.fixture
def person(chromium: Browser, home: Home) -> Iterator[Person]:
    one = Person(chromium, home.url)
    yield one
    one.close()


def status(home: Home, run_id: str) -> str:
    return str(MlflowClient(home.uri).get_run(run_id).info.status)


def run_of(person: Person) -> str:
    """Return the run that the page of a job links to."""
    address = person.page.get_by_role("link", name=re.compile("Open its run")).get_attribute("href")
    return str(address).rpartition("run=")[2]


def test_a_pipeline_is_launched_watched_and_opened(home: Home, person: Person) -> None:
    person.open("/training?tab=Launch&project=greenroom&entry=stores")
    person.write("Sales", str(home.sales))
    person.page.get_by_role("combobox", name=re.compile("^model")).click()
    person.page.get_by_role("option", name="ridge", exact=True).click()
    settle(person.page)
    person.press("Launch stores")
    person.sees("Job 1 is launched")
    person.sees("✓ Finished", within=120_000)
    run_id = run_of(person)
    assert status(home, run_id) == "FINISHED"
    assert MlflowClient(home.uri).get_run(run_id).data.params["model"] == "ridge"
    person.page.get_by_role("link", name=re.compile("Open its run")).click()
    settle(person.page)
    expect(person.page).to_have_url(re.compile(f"/run.*run={run_id}"))
    person.sees("Finished")
    person.sees("store-forecasts")


def test_an_agent_is_stopped_and_retried(home: Home, person: Person) -> None:
    person.open("/training?tab=Launch&project=greenroom&entry=rl")
    person.write("Bars", str(home.bars))
    timesteps = person.page.get_by_role("spinbutton", name=re.compile("^timesteps"))
    timesteps.fill("50000000")
    timesteps.press("Tab")
    settle(person.page)
    person.press("Launch rl")
    person.sees("Running", within=60_000)
    # It learns: a metric has come.
    expect(person.page.get_by_test_id("stMetric").first).to_be_visible(timeout=120_000)
    run_id = run_of(person)
    person.do("Stop job", "Yes, stop it")
    person.sees("■ Stopped", within=20_000)
    assert status(home, run_id) == "KILLED"
    person.press("Retry")
    person.sees("takes up job")
    person.sees("Running", within=60_000)
    again = run_of(person)
    assert again != run_id
    person.do("Stop job", "Yes, stop it")
    person.sees("■ Stopped", within=30_000)

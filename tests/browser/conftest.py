"""A dashboard in a real browser: Chromium over `greenroom up`, on stores written by MLflow."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow.data
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core.registry.types import Stage
from core.settings import Settings
from core.training.projects.types import ProjectSetting
from core.training.schedule.types import ScheduleRequest
from core.training.stores.models import ModelKind
from core.training.types import LaunchRequest
from core.workspace import Workspace
from tests import pipelines, registries, servers, stores, training

EXPERIMENT = "预测 <b>shops</b>"


@dataclass(frozen=True)
class Dashboard:
    """A served dashboard and the store it shows."""

    url: str
    tracking_uri: str
    experiment: str
    run_ids: list[str]
    pipelines: tuple[str, str]
    request: int
    dossier: str
    job: int


def _fill_registry(uri: str, home: Path, run_ids: list[str]) -> tuple[int, str]:
    """Register versions in every stage, with a rollback, an override and a request; return it and its evidence."""
    client = MlflowClient(uri)
    client.create_registered_model("shops")
    for run_id in run_ids:
        client.create_model_version("shops", f"{client.get_run(run_id).info.artifact_uri}/model", run_id)
    lead, analyst = registries.LEAD, registries.ANALYST
    runs = {one: registries.run_of(one) for one in run_ids}
    gates = {"*": {"smoke": False, "soak_hours": 24}}
    desk = registries.new_desk(uri, home, gates=gates, given=registries.readers(runs))
    for version in (1, 2):
        desk.promote("shops", version, Stage.STAGING, "ready", analyst)
        desk.promote("shops", version, Stage.PRODUCTION, "better", lead, override="the old one is broken")
    desk.rollback("shops", "worse in the north", lead)
    desk.promote("shops", 3, Stage.STAGING, "ready", analyst)
    request = desk.ask("shops", 3, Stage.PRODUCTION, "better in the north", analyst)
    return request.id, str(request.dossier_hash)


def _fill(client: MlflowClient, folder: Path, runs: int = 130) -> tuple[str, list[str]]:
    """Log an experiment that has a bit of everything: seeds, parents, curves, artifacts, awkward names."""
    experiment = client.create_experiment(EXPERIMENT, artifact_location=str(folder / "artifacts"))
    data = mlflow.data.from_numpy(np.arange(20), name="sales")._to_mlflow_entity()
    ids = []
    for number in range(runs):
        run = client.create_run(
            experiment, start_time=1_700_000_000_000 + 60_000 * number, run_name=f"run {number:03d}"
        )
        run_id = run.info.run_id
        ids.append(run_id)
        points = [
            Metric("loss", 1 / (1 + step) + number / 1000, 1_700_000_000_000 + step, step)
            for step in range(30)
        ]
        score = [Metric("score", (number * 37 % 101) / 100, 1_700_000_000_100, 0)]
        params = [
            Param("model", "ridge" if number % 2 else "forest"),
            Param("seed", str(number % 3)),
            Param("depth", str(number % 7)),
        ]
        tags = [RunTag("team", "alpha" if number % 3 else "beta")]
        if 0 < number < 6:
            tags.append(RunTag("mlflow.parentRunId", ids[0]))
        client.log_batch(run_id, points + score, params, tags)
        if number % 10 == 0:
            client.log_inputs(run_id, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
        client.set_terminated(
            run_id, "FAILED" if number % 25 == 24 else "FINISHED", 1_700_000_030_000 + 60_000 * number
        )
    client.log_table(ids[-1], stores.frame_of(40), "tables/predictions.json")
    client.log_text(ids[-1], "<script>alert('no')</script> plain text", "notes/readme.html")
    client.log_dict(ids[-1], {"alpha": [1, 2, 3], "nested": {"a": None}}, "config.json")
    for run_id in ids[-4:-1]:
        _log_backtest(client, run_id, seed=int(run_id[:6], 16))
    return experiment, ids


def _fill_training(uri: str, folder: Path) -> int:
    """Run a job that fails, launch one that waits, and schedule a retraining; return the first."""
    project = training.write_project(folder / "toy")
    settings = Settings(
        tracking_uri=uri, home=folder / "home", projects=(ProjectSetting("toy", str(project)),)
    )
    workspace = Workspace(settings)
    desk, worker = workspace.training, workspace.training_parts.worker()
    job = desk.launch(LaunchRequest("fail", project="toy"), registries.ANALYST)
    thread = threading.Thread(target=worker.run)
    thread.start()
    training.wait_for(lambda: desk.job(job.id).state.is_over)
    worker.stop()
    thread.join()
    desk.launch(LaunchRequest("count", {"n": "7"}, project="toy"), registries.ANALYST)
    request = ScheduleRequest("count", {"n": "7"}, project="toy", zone="America/Bogota")
    desk.schedules.set("shops", request, registries.LEAD)
    workspace.close()
    return job.id


def _log_backtest(client: MlflowClient, run_id: str, seed: int) -> None:
    days = pd.bdate_range("2010-01-04", periods=1_500)
    moves = np.random.default_rng(seed).normal(0.0004, 0.01, (2, len(days)))
    value, benchmark = 100_000 * np.exp(np.cumsum(moves, axis=1))
    # As objects: MLflow 3.17 makes pandas 3 warn about its own texts.
    times = days.strftime("%Y-%m-%d").astype(object)
    frame = pd.DataFrame({"time": times, "value": value, "benchmark": benchmark})
    client.log_table(run_id, frame, "backtest/portfolio_values.json")
    first, last = [0, 500, 1000], [500, 1000, 1499]
    trades = pd.DataFrame({"entry_time": times[first], "exit_time": times[last]}).astype(object)
    trades = trades.assign(quantity=1.0, pnl=value[last] - value[first])
    client.log_table(run_id, trades, "backtest/trades.json")


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard on a store of 130 runs and two pipelines of store forecasts."""
    folder = tmp_path_factory.mktemp("browser")
    uri = stores.new_sqlite(folder)
    client = MlflowClient(uri)
    # Before the others, which are made to look older: pages show the latest first.
    trained = [
        pipelines.train(client, folder, kind, name, "store forecasts")
        for kind, name in ((ModelKind.SEASONAL_NAIVE, "last week again"), (ModelKind.RIDGE, "ridge"))
    ]
    experiment, ids = _fill(client, folder)
    request, dossier = _fill_registry(uri, folder / "home", ids[-4:])
    job = _fill_training(uri, folder)
    port = servers.free_port()
    command = [sys.executable, "-m", "core.cli", "up", "--port", str(port), "--tracking-uri", uri]
    environment = {"GREENROOM_HOME": str(folder / "home")}
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with servers.process(command, folder / "dashboard.log", **environment) as running:
        servers.wait_for(f"http://127.0.0.1:{port}/_stcore/health", running)
        url = f"http://127.0.0.1:{port}"
        yield Dashboard(url, uri, experiment, ids, (trained[0], trained[1]), request, dossier, job)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Chromium, as Debian packages it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            raise RuntimeError("Chromium is not installed: apt-get install chromium")
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, dashboard: Dashboard) -> Iterator[OpenPage]:
    """Open a page in a browser of its own, wait until it is drawn, and fail on any script exception."""
    contexts = []

    def opened(path: str, width: int = 1440, height: int = 900, scheme: str = "light") -> Page:
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.goto(dashboard.url + path)
        settle(page)
        return page

    yield opened
    for context in contexts:
        for page in context.pages:
            expect(page.get_by_test_id("stException")).to_have_count(0)
        context.close()


def settle(page: Page) -> None:
    """Wait until the script has run and nothing is being redrawn."""
    page.wait_for_selector('[data-testid="stMainBlockContainer"]', timeout=30_000)
    quiet_since = time.monotonic()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        busy = page.locator(
            '[data-testid="stStatusWidget"], [data-stale="true"], [data-testid="stSkeleton"], '
            # A script that has not drawn anything yet leaves no other sign of it.
            '[data-test-script-state]:not([data-test-script-state="notRunning"])'
        ).count()
        if busy:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > 0.5:
            return
        page.wait_for_timeout(50)
    raise TimeoutError("the page does not come to rest")

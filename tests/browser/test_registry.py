"""From a trained model to Production and back in a browser, as analyst and as lead; plain MLflow sees each step."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, expect
from sklearn.linear_model import LinearRegression

from tests import registries, servers, stores
from tests.browser.conftest import settle
from tests.browser.people import Person

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

MODEL = "demand 预测"
GATES = '[gates."*"]\nsmoke = true\nsoak_hours = 24\nmetrics = ["rmse < 10"]\n[registry]\ntwo_person_rule = true\n'


@dataclass(frozen=True)
class Desks:
    """Two dashboards on one store, one for each person, and their clock."""

    uri: str
    analyst: str
    lead: str
    hours: Path


@pytest.fixture(scope="module")
def desks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desks]:
    folder = tmp_path_factory.mktemp("desk")
    uri = stores.new_sqlite(folder)
    hours, config = folder / "hours", folder / "greenroom.toml"
    hours.write_text("0")
    config.write_text(GATES)
    root = Path(__file__).parents[2]
    with ExitStack() as stack:
        urls = []
        for person, role in (("amara", "analyst"), ("jonas", "lead")):
            port = servers.free_port()
            command = [sys.executable, "-m", "tests.browser.fast_forward", "up", "--port", str(port)]
            environment = {
                "GREENROOM_HOME": str(folder / "home"),
                "GREENROOM_CONFIG": str(config),
                "GREENROOM_USER": person,
                "GREENROOM_ROLE": role,
                "HOURS_AHEAD": str(hours),
                "PYTHONPATH": str(root),
            }
            command += ["--tracking-uri", uri]
            running = stack.enter_context(servers.process(command, folder / f"{person}.log", **environment))
            servers.wait_for(f"http://127.0.0.1:{port}/_stcore/health", running)
            urls.append(f"http://127.0.0.1:{port}")
        yield Desks(uri, urls[0], urls[1], hours)


@contextmanager
def plain_mlflow(uri: str) -> Iterator[None]:
    """Use MLflow as anybody does, with a store that is set for the process, and without its many warnings."""
    before = mlflow.get_tracking_uri()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        mlflow.set_tracking_uri(uri)
        yield
        mlflow.set_tracking_uri(before)


def train(uri: str, slope: float) -> str:
    """Train a model, log it and return its run."""
    with plain_mlflow(uri):
        mlflow.set_experiment("demand")
        with mlflow.start_run(run_name=f"slope {slope:g}") as run:
            x = np.random.default_rng(1).normal(size=(50, 3))
            model = LinearRegression().fit(x, slope * x.sum(axis=1))
            mlflow.log_metric("rmse", 1.0)
            mlflow.sklearn.log_model(model, name="model", input_example=x[:3], pip_requirements=[])
            return str(run.info.run_id)


def loaded(uri: str) -> float:
    """Return the slope of the model that plain MLflow gives to who asks for Production."""
    with plain_mlflow(uri):
        model = mlflow.pyfunc.load_model(f"models:/{MODEL}/Production")
        return float(model.predict(np.ones((1, 3)))[0]) / 3


@pytest.fixture
def people(chromium: Browser, desks: Desks) -> Iterator[tuple[Person, Person]]:
    both = Person(chromium, desks.analyst), Person(chromium, desks.lead)
    yield both
    for one in both:
        one.close()


def to_production(
    desks: Desks, people: tuple[Person, Person], run_id: str, version: int, request: int
) -> None:
    """Register a run's model and bring it into Production, each with the pages of who may."""
    analyst, lead = people
    client = MlflowClient(desks.uri)
    plan = f"Promote {MODEL} v{version} to Production"

    analyst.open(f"/run?run={run_id}&section=Data+and+hashes")
    analyst.page.get_by_text("Register this model").click()
    settle(analyst.page)
    analyst.write("Register as", MODEL)
    analyst.press("Register")
    analyst.sees(f"{MODEL} v{version} is registered.")
    assert registries.stages(client, MODEL)[version] == "None"

    analyst.open(f"/registry?model={MODEL}&version={version}")
    analyst.do(f"Move {MODEL} v{version} to Staging", "Yes, move to Staging", "Why", "trained on new weeks")
    analyst.sees(f"{MODEL} v{version} is in Staging now.")
    assert registries.stages(client, MODEL)[version] == "Staging"
    assert registries.aliases(client, MODEL)["staging"] == version

    analyst.do(
        f"Ask for {MODEL} v{version}",
        "Yes, ask",
        "What is better about this version?",
        "it is nearer to the truth",
    )
    analyst.sees(f"Request {request} asks for {MODEL} v{version} to Production.")
    assert registries.stages(client, MODEL)[version] == "Staging"
    expect(analyst.page.get_by_role("button", name=re.compile(re.escape(plan))).first).to_be_disabled()

    lead.open(f"/approvals?request={request}")
    lead.sees("In Staging for 0 min of 24 h")
    lead.do(f"Approve {MODEL} v{version}", "Yes, approve", "Comment", "looks good")
    lead.sees("does not pass these gates: soak")

    desks.hours.write_text(str(float(desks.hours.read_text()) + 25))
    lead.open(f"/approvals?request={request}")
    lead.do(f"Approve {MODEL} v{version}", "Yes, approve", "Comment", "looks good")
    lead.sees(f"Request {request} ({MODEL} v{version} to Production) is approved.")
    assert registries.stages(client, MODEL)[version] == "Staging"

    lead.do(plan, "Yes, promote now")
    lead.sees(f"{MODEL} v{version} is in Production now")
    assert registries.in_production(client, MODEL) == [version]
    assert registries.aliases(client, MODEL)["production"] == version


def test_from_training_to_production_and_back(desks: Desks, people: tuple[Person, Person]) -> None:
    client = MlflowClient(desks.uri)
    to_production(desks, people, train(desks.uri, 1.0), 1, 1)
    assert loaded(desks.uri) == pytest.approx(1.0)
    to_production(desks, people, train(desks.uri, 2.0), 2, 2)
    assert loaded(desks.uri) == pytest.approx(2.0)
    assert registries.stages(client, MODEL) == {1: "Archived", 2: "Production"}

    # Worse news.
    analyst, lead = people
    analyst.open(f"/registry?model={MODEL}")
    effect = f"Roll back {MODEL} from v2 to v1"
    expect(analyst.page.get_by_role("button", name=re.compile(re.escape(effect)))).to_be_disabled()
    lead.open(f"/registry?model={MODEL}")
    lead.sees("Rollback-ready: v1")
    lead.do(effect, "Yes, roll back", "Why", "twice as much as was sold")
    lead.sees(f"{MODEL} is rolled back: v1 is in Production now; v2 went to Archived.")
    assert registries.stages(client, MODEL) == {1: "Production", 2: "Archived"}
    assert registries.aliases(client, MODEL) == {"production": 1}
    assert loaded(desks.uri) == pytest.approx(1.0)

    lead.open("/audit")
    lead.press("Check the chain")
    lead.sees("events are as they were written")

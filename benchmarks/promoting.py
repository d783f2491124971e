"""Act on a large registry: look at it, promote, roll back, rerun its page, check a long audit trail."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import Times, timed, times, use_store
from benchmarks.registries import Shape, model_name
from benchmarks.rerunning import APP, SECONDS_AT_MOST, run_page
from benchmarks.stores import uri
from core.access import Actor, Role
from core.audit import AuditTrail, News
from core.database import open_database, transaction
from core.registry.types import Stage
from core.workspace import Workspace, open_workspace

LEAD = Actor("bench", Role.LEAD)
# Models that nobody else here acts on.
_DESK, _PLAIN, _OUTSIDE = model_name(0), model_name(1), 2
_OTHERWISE = "events cannot be recorded"


@dataclass(frozen=True, slots=True)
class Looked:
    """Seconds of a registry's first look, of looks with nothing new, and with one version moved by plain MLflow."""

    first: float
    nothing: Times
    outside: Times


@dataclass(frozen=True, slots=True)
class Promoted:
    """Seconds of promotions to Production and of rollbacks by the desk, and of transitions by plain MLflow."""

    promotions: Times
    rollbacks: Times
    transitions: Times


@dataclass(frozen=True, slots=True)
class Browsed:
    """Seconds of the Registry page: its first run in a process, and reruns.

    Attributes
    ----------
    models : Times
        All models, with another search each time.
    chosen : Times
        Another model each time, on its board of stages.
    version, history : Times
        Another version of one model each time, and the history of one model on another day each time.
    """

    first: float
    models: Times
    chosen: Times
    version: Times
    history: Times


def _open(path: Path, home: Path) -> Workspace:
    use_store(uri(path), home)
    return open_workspace(gates={"*": {"smoke": False, "soak_hours": 0}})


def look(path: Path, home: Path, shape: Shape, count: int) -> Looked:
    """Look at a registry that Greenroom has never seen, then again and again."""
    from mlflow import MlflowClient

    desk = _open(path, home).registry
    first, _ = timed(desk.look)
    _expect(sum(map(len, desk.watch.seen().values())) == shape.total, "every version has been seen")
    nothing = times([desk.look] * count)
    client = MlflowClient(uri(path))
    return Looked(first, nothing, Times(tuple(_outside(desk, client, shape, count))))


def _outside(desk: Any, client: Any, shape: Shape, count: int) -> Iterator[float]:
    for at in range(count):
        _transition(client, model_name(_OUTSIDE + at), shape.staging, "Archived", archive=False)
        before = desk.trail.count(action="changed outside")
        yield timed(desk.look)[0]
        _expect(desk.trail.count(action="changed outside") == before + 1, "the change is recorded")


def promote(path: Path, home: Path, shape: Shape, count: int) -> Promoted:
    """Promote a version to Production and roll it back, again and again; and move one with plain MLflow."""
    from mlflow import MlflowClient

    desk = _open(path, home).registry
    desk.look()
    client = MlflowClient(uri(path))
    promotions, rollbacks, transitions = [], [], []
    new, old = shape.staging, shape.production
    # The first ones load what the others find loaded.
    for _ in range(count + 1):
        if desk.watch.model(_DESK).version(new).stage is not Stage.STAGING:
            desk.promote(_DESK, new, Stage.STAGING, "Once more", LEAD)
        promotions.append(timed(lambda: desk.promote(_DESK, new, Stage.PRODUCTION, "Better", LEAD))[0])
        rollbacks.append(timed(lambda: desk.rollback(_DESK, "Worse after all", LEAD))[0])
        champion = desk.watch.model(_DESK).champion
        _expect(champion is not None and champion.version == old, "the champion is back")
        _transition(client, _PLAIN, new, "Staging", archive=False)
        move = partial(_transition, client, _PLAIN, new, "Production", archive=True)
        transitions.append(timed(move)[0])
        _transition(client, _PLAIN, old, "Production", archive=True)
    return Promoted(*(Times(tuple(one[1:])) for one in (promotions, rollbacks, transitions)))


def _transition(client: Any, name: str, version: int, stage: str, *, archive: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, str(version), stage, archive_existing_versions=archive)


def search(path: Path, shape: Shape, count: int) -> Times:
    """Read all versions with `MlflowClient.search_model_versions`, page by page."""
    from mlflow import MlflowClient

    client = MlflowClient(uri(path))

    def read() -> None:
        found, token = 0, None
        while True:
            page = client.search_model_versions(max_results=10_000, page_token=token)
            found, token = found + len(page), page.token
            if not token:
                break
        _expect(found == shape.total, "MLflow finds every version")

    return times([read] * count)


def read(path: Path, home: Path, shape: Shape, count: int) -> Times:
    """Read all models and versions anew, as after a change, from the database."""
    source = _open(path, home).registry.watch.source()

    def all_models() -> None:
        found = sum(len(one.versions) for one in source.models())
        _expect(found == shape.total, "every version is read")

    return times([all_models] * count)


def pages(path: Path, home: Path, shape: Shape, count: int) -> Browsed:
    """Rerun the Registry page with one thing changed each time."""
    from streamlit.testing.v1 import AppTest

    use_store(uri(path), home)
    test = AppTest.from_file(str(APP), default_timeout=SECONDS_AT_MOST)
    # Leaves the Overview as the page that was open before, as a person would.
    run_page(test)
    test.switch_page("views/registry.py")
    first = run_page(test)
    models = [_search(test, "model_"[: at % 7], at) for at in range(count)]
    test.query_params["model"] = model_name(3)
    run_page(test)
    chosen = [_choose(test, shape, model=model_name(4 + at)) for at in range(count)]
    test.query_params["model"] = _DESK
    _part(test, "Version")
    version = [_choose(test, shape, version=str(1 + at % shape.versions)) for at in range(count)]
    _part(test, "History")
    history = [_day(test, at) for at in range(count)]
    return Browsed(first, *(Times(tuple(one)) for one in (models, chosen, version, history)))


def _search(test: Any, text: str, at: int) -> float:
    test.session_state["model_q"] = text
    test.session_state["models_shown"] = ("All", "Has Production")[at % 2]
    seconds = run_page(test)
    _expect(len(test.dataframe) == 1 and len(test.dataframe[0].value) > 1, "the page lists models")
    return seconds


def _choose(test: Any, shape: Shape, **choices: str) -> float:
    for name, value in choices.items():
        test.query_params[name] = value
    seconds = run_page(test)
    said = {one.label: one.value for one in test.metric}
    shown = {one.label: one.value for one in test.selectbox}
    _expect(said.get("Versions") == f"{shape.versions}", "the page shows a model")
    _expect(choices.get("model", shown["Model"]) == shown["Model"], "it is the chosen one")
    if "version" in choices:
        _expect(shown["Version"] == choices["version"], "it is the chosen version")
    return seconds


def _part(test: Any, name: str) -> None:
    test.session_state["part"] = name
    run_page(test)


def _day(test: Any, at: int) -> float:
    test.session_state["on"] = date(2026, 1, 1) + timedelta(days=at)
    seconds = run_page(test)
    _expect(len(test.date_input) == 1, "the page shows the history")
    return seconds


def verify(home: Path, events: int, count: int) -> Times:
    """Check a chain of so many events."""
    engine = open_database(None, home)
    trail = AuditTrail(lambda: engine, "benchmark")
    with transaction(engine, _OTHERWISE) as connection:
        for number in range(events):
            moves = [[number % 25, "Staging", "Production"], [number % 25 + 1, "Production", "Archived"]]
            news = News(
                "promoted",
                model_name(number % 200),
                number % 25,
                "Staging",
                "Production",
                "Better by every measure",
                details={"moves": moves, "champions": [number % 25 + 1]},
            )
            trail.append(connection, LEAD, news)

    def check() -> None:
        found = trail.verify()
        _expect(found.whole and found.events == events, "the chain is whole")

    return times([check] * count)


def _expect(there: bool, what: str) -> None:
    if not there:
        raise RuntimeError(f"It does not hold that {what}.")

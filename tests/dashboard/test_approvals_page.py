"""The Approvals page: one page of evidence for each request, and the decision in the roles that may make it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.registry.requests import RequestState
from core.registry.types import Stage
from tests.dashboard import registries
from tests.dashboard.conftest import OpenApp, texts
from tests.dashboard.registries import AMARA, ANA, MODEL, Registry, do, everything


@pytest.fixture
def registry(tmp_path: Path, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return registries.make(tmp_path, monkeypatch)


def frame(at: AppTest, column: str) -> Any:
    return next(one.value for one in at.dataframe if column in one.value.columns)


def ask(registry: Registry, version: int, reason: str = "it is better") -> int:
    """Bring a version into Staging and ask for Production."""
    registry.workspace.runs.sync()
    registry.desk.look()
    registry.desk.promote(MODEL, version, Stage.STAGING, "a first look", ANA)
    return registry.desk.ask(MODEL, version, Stage.PRODUCTION, reason, ANA).id


def log_backtest(registry: Registry, run_id: str, drift: float) -> None:
    days = pd.bdate_range("2024-01-01", periods=300)
    moves = np.random.default_rng(7).normal(drift, 0.01, len(days))
    times = days.strftime("%Y-%m-%d").astype(object)
    table = pd.DataFrame({"time": times, "value": 1000 * np.exp(np.cumsum(moves))})
    registry.client.log_table(run_id, table, "backtest/portfolio_values.json")


def test_without_a_request_it_says_how_to_ask(registry: Registry) -> None:
    registry.add_version()
    at = registry.open("approvals")
    assert "Nobody has asked for a promotion yet" in texts(at)
    assert "greenroom request MODEL VERSION" in texts(at)


def test_requests_are_listed_those_that_wait_first(registry: Registry) -> None:
    for _ in range(2):
        registry.add_version()
    first, second = ask(registry, 1), ask(registry, 2, "*bold* <b>")
    registry.desk.reject(first, "too few trades", AMARA)
    at = registry.open("approvals")
    assert frame(at, "Asked by")["Request"].tolist() == [second]
    assert frame(at, "Asked by")["Why"].tolist() == ["*bold* <b>"]
    at.radio(key="requests_shown").set_value("Decided").run()
    assert frame(at, "Asked by")["State"].tolist() == ["✕ Rejected"]
    at.radio(key="requests_shown").set_value("All").run()
    assert frame(at, "Asked by")["Request"].tolist() == [second, first]
    at.selectbox(key="request:").set_value(str(first)).run()
    assert at.query_params["request"] == str(first)
    assert "too few trades" in everything(at)
    at.button(key="all_requests").click().run()
    assert "request" not in at.query_params


def test_a_request_that_is_not_there_is_said(registry: Registry) -> None:
    registry.add_version()
    ask(registry, 1)
    at = registry.open("approvals", request="99")
    assert "There is no request 99" in at.error[0].value
    at = registry.open("approvals", request="x*")
    assert "is no number of a request" in at.error[0].value
    assert len(frame(at, "Asked by")) == 1


def test_the_evidence_lays_champion_and_challenger_side_by_side(registry: Registry) -> None:
    registry.add_version(sharpe=1.0, loss=0.5)
    registry.add_version(sharpe=1.5, loss=0.7)
    for run_id, drift in zip(registry.runs, (0.0002, 0.0009), strict=True):
        log_backtest(registry, run_id, drift)
    registry.promote(1)
    number = ask(registry, 2, "sharpe is up")
    at = registry.open("approvals", request=str(number))
    assert "sharpe is up" in texts(at)
    assert "ana" in texts(at)
    metrics = frame(at, "Metric").set_index("Metric")
    assert metrics.loc["sharpe"].tolist() == ["1.5", "1", "+0.5", "▲ better"]
    assert metrics.loc["loss"].tolist() == ["0.7", "0.5", "+0.2", "▼ worse"]
    measures = frame(at, "Measure").set_index("Measure")
    assert measures.loc["Sharpe ratio", "Judgement"] == "▲ better"
    assert measures.loc["Total return", "Change"].endswith(" points")
    (chart,) = at.get("plotly_chart")
    assert "v1 (champion)" in chart.proto.spec
    assert "No gate stands on the way to Production" in texts(at)
    at.button(key="judge").click().run()
    assert not at.exception
    assert not at.error


def test_what_is_missing_is_named(registry: Registry) -> None:
    registry.add_version()
    number = ask(registry, 1)
    registry.client.delete_run(registry.runs[0])
    registry.workspace.runs.sync()
    at = registry.open("approvals", request=str(number))
    assert "Missing evidence" in at.warning[0].value
    assert registry.runs[0][:8] in at.warning[0].value


def test_an_analyst_does_not_decide_but_takes_back(registry: Registry) -> None:
    registry.add_version()
    number = ask(registry, 1)
    at = registry.open("approvals", ANA, request=str(number))
    for key in ("approve", "reject"):
        assert at.button(key=key).disabled
        assert "that takes the role lead" in at.button(key=key).help
    at.button(key="withdraw").click().run()
    at.button(key="withdraw_yes").click().run()
    assert "is withdrawn" in at.success[0].value
    assert registry.desk.request(number).state is RequestState.WITHDRAWN


def test_a_rejection_needs_a_comment(registry: Registry) -> None:
    registry.add_version()
    number = ask(registry, 1)
    at = registry.open("approvals", request=str(number))
    do(at, "reject", "")
    assert "A rejection needs a comment" in at.error[0].value
    at.text_input(key="reject_reason").set_value("costs are left out").run()
    at.button(key="reject_yes").click().run()
    assert "is rejected" in at.success[0].value
    assert "costs are left out" in everything(at)
    assert not at.error


def test_failed_gates_are_approved_with_an_override_alone(registry: Registry) -> None:
    registry.configure('[gates."*"]\nsmoke = false\nsoak_hours = 0\nmetrics = ["sharpe >= 5"]\n')
    registry.add_version(sharpe=1.0)
    number = ask(registry, 1)
    at = registry.open("approvals", request=str(number))
    assert "✕ Failed" in at.table[0].value["Verdict"].tolist()[0]
    do(at, "approve", "fine")
    assert "does not pass these gates: metrics" in at.error[0].value
    at.checkbox(key="approve_override").check().run()
    at.text_input(key="approve_override_reason").set_value("the metric is wrong").run()
    at.button(key="approve_yes").click().run()
    request = registry.desk.request(number)
    assert (request.state, request.override) == (RequestState.APPROVED, "the metric is wrong")
    assert "⚠ Gates overridden" in everything(at)


def test_what_was_decided_on_is_frozen_and_can_be_taken_away(registry: Registry) -> None:
    registry.add_version(sharpe=1.0)
    number = ask(registry, 1)
    registry.desk.approve(number, "as agreed", AMARA)
    at = registry.open("approvals", request=str(number))
    kept = registry.desk.request(number).dossier_hash
    assert kept in [one.value for one in at.code]
    assert json.loads(registry.desk.frozen(kept).text)["decision"]["comment"] == "as agreed"
    do(at, "promote", "now")
    assert f"Open {MODEL}".replace("_", "") in everything(at).replace("\\", "").replace("_", "")
    assert registry.desk.request(number).state is RequestState.PROMOTED
    assert not [one for one in at.button if one.key in ("approve", "promote", "withdraw")]


def test_a_decision_on_evidence_that_has_changed_is_refused(registry: Registry) -> None:
    for _ in range(2):
        registry.add_version()
    registry.promote(2)
    number = ask(registry, 1)
    at = registry.open("approvals", request=str(number))
    at.button(key="approve").click().run()
    at.text_input(key="approve_reason").set_value("fine").run()
    # Between the last look and the click the champion goes.
    approve = registry.desk.approve

    def later(*given: Any, **more: Any) -> Any:
        registry.move(2, Stage.ARCHIVED)
        return approve(*given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry.desk, "approve", later)
        at.button(key="approve_yes").click().run()
    assert "has changed since you opened it" in at.error[0].value
    assert registry.desk.request(number).state is RequestState.WAITING

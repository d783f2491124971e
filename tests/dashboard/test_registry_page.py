"""The Registry page: every model, one model's stages, versions and history, and what can be done to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from streamlit.testing.v1 import AppTest

from core.access import Actor, Role
from core.errors import SourceError
from core.registry.desk import RegistryDesk
from core.registry.promotion import Promoter
from core.registry.types import Stage
from core.registry.watch import RegistryWatch
from tests.dashboard import registries
from tests.dashboard.conftest import OpenApp, texts
from tests.dashboard.registries import AMARA, ANA, MODEL, Registry, do, everything

STRICT = '[gates."*"]\nsmoke = false\nsoak_hours = 0\nmetrics = ["sharpe >= 5"]\n'


@pytest.fixture
def registry(tmp_path: Path, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return registries.make(tmp_path, monkeypatch)


def stages(client: MlflowClient, model: str = MODEL) -> dict[int, str]:
    found = client.search_model_versions(f"name = '{model}'")
    return {int(one.version): one.current_stage for one in found}


def frame(at: AppTest, column: str) -> Any:
    return next(one.value for one in at.dataframe if column in one.value.columns)


def test_an_empty_registry_says_how_to_fill_it(registry: Registry) -> None:
    registry.add_run()
    at = registry.open("registry")
    assert "No model is registered yet" in texts(at)
    assert "greenroom register RUN --name MODEL" in texts(at)
    assert "Acting as amara (lead)" in texts(at)


def test_the_table_shows_searches_and_filters_models(registry: Registry) -> None:
    for name in ("alpha", "beta <b>", MODEL):
        registry.add_version(name)
    registry.add_version()
    registry.promote(1)
    registry.desk.promote(MODEL, 2, Stage.STAGING, "next", ANA)
    registry.desk.ask(MODEL, 2, Stage.PRODUCTION, "better", ANA)
    at = registry.open("registry")
    shown = frame(at, "Champion").set_index("Model")
    assert set(shown.index) == {"alpha", "beta <b>", MODEL}
    assert shown.index[0] == MODEL
    row = shown.loc[MODEL]
    assert (row["Champion"], row["In Staging"], row["Open requests"], row["Versions"]) == ("★ v1", "v2", 1, 2)
    assert row["Known"] == "exactly"
    at.text_input(key="model_q").set_value("BETA").run()
    assert list(frame(at, "Champion")["Model"]) == ["beta <b>"]
    at.text_input(key="model_q").set_value("").run()
    for shown_by, names in (("Has Production", [MODEL]), ("Waiting request", [MODEL]), ("Conflict", None)):
        at.radio(key="models_shown").set_value(shown_by).run()
        if names is None:
            assert "No model is like that" in texts(at)
        else:
            assert list(frame(at, "Champion")["Model"]) == names
    at.selectbox(key="model:").set_value("alpha").run()
    assert at.query_params["model"] == "alpha"
    assert "○ Nothing to roll back to" in texts(at)
    at.button(key="all_models").click().run()
    assert "model" not in at.query_params


def test_a_model_that_is_not_there_is_said_beside_the_table(registry: Registry) -> None:
    registry.add_version()
    at = registry.open("registry", model="ppo_usdcpo")
    assert "ppo_usdcpo" in at.error[0].value
    assert len(frame(at, "Champion")) == 1


def test_from_a_run_to_production_and_back(registry: Registry) -> None:
    """Register, Staging, ask, approve, promote, and a rollback, each in the role that it takes."""
    for _ in range(2):
        registry.add_run(sharpe=1.0 + len(registry.runs))
    at = registry.open("run", ANA, run=registry.runs[0], section="Data and hashes")
    assert at.selectbox(key="register_folder").value == "model"
    at.text_input(key="register_name").set_value(MODEL).run()
    at.button(key="register").click().run()
    assert f"{MODEL} v1 is registered" in at.success[0].value.replace("\\", "")
    assert frame(at, "Registered model")["Page"].tolist() == [f"registry?model={MODEL}&version=1"]
    registry.desk.register(registry.runs[1], MODEL, "model", ANA)

    for version in (1, 2):
        at = registry.open("registry", ANA, model=MODEL, version=str(version))
        do(at, "stage", "its drawdown is small")
        assert stages(registry.client)[version] == "Staging"
        assert f"{MODEL} v{version} is in Staging now" in at.success[0].value
        assert at.button(key="promote").disabled
        assert "ana acts as analyst" in at.button(key="promote").help
        do(at, "ask", "better in every month")
        assert at.button(key="ask").disabled
        number = registry.desk.requests(MODEL)[0].id

        at = registry.open("approvals", AMARA, request=str(number))
        assert "better in every month" in everything(at)
        do(at, "approve", "as agreed")
        assert "is approved" in at.success[0].value
        assert stages(registry.client)[version] == "Staging"
        do(at, "promote", "now")
        assert stages(registry.client)[version] == "Production"
        assert "v" + str(version) in at.success[0].value

    assert stages(registry.client) == {1: "Archived", 2: "Production"}
    at = registry.open("registry", AMARA, model=MODEL)
    assert "v1 was never load-tested" in texts(at)
    assert at.button(key="load_test").label == "Load-test v1"
    assert at.button(key="rollback").label == f"Roll back {MODEL} from v2 to v1"
    do(at, "rollback", "live losses <b>")
    assert stages(registry.client) == {1: "Production", 2: "Archived"}
    assert "is rolled back: v1 is in Production now" in at.success[0].value
    aliases = registry.client.get_registered_model(MODEL).aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"production": 1}

    at.radio(key="part").set_value("History").run()
    events = frame(at, "From and to")
    assert events["What"].tolist()[0] == "↶ Rolled back"
    assert events["Reason"].tolist()[0] == "live losses <b>"
    assert sorted(events["What"].tolist()).count("▲ Promoted") == 4
    assert len(at.get("vega_lite_chart")) == 1


def test_a_rollback_without_a_reason_is_refused_and_the_form_stays(registry: Registry) -> None:
    for _ in range(2):
        registry.add_version()
    for version in (1, 2):
        registry.promote(version)
    at = registry.open("registry", model=MODEL)
    do(at, "rollback", " ")
    assert "A rollback needs a reason" in at.error[0].value
    assert stages(registry.client) == {1: "Archived", 2: "Production"}
    at.button(key="rollback_no").click().run()
    assert not at.error
    assert at.button(key="rollback").label.startswith("Roll back")


def test_a_rollback_that_came_too_late_changes_nothing(registry: Registry) -> None:
    for _ in range(3):
        registry.add_version()
    for version in (1, 2, 3):
        registry.promote(version)
    at = registry.open("registry", model=MODEL)
    at.button(key="rollback").click().run()
    at.text_input(key="rollback_reason").set_value("losses").run()
    registry.desk.rollback(MODEL, "I was faster", AMARA, from_version=3)
    at.button(key="rollback_yes").click().run()
    # The first button names other versions by now, so nothing was asked of them.
    assert stages(registry.client) == {1: "Archived", 2: "Production", 3: "Archived"}


def test_gates_that_fail_are_overridden_with_a_reason_and_the_mark_stays(registry: Registry) -> None:
    registry.configure(STRICT)
    for _ in range(2):
        registry.add_version(sharpe=1.0)
    registry.workspace.runs.sync()
    registry.desk.look()
    registry.desk.promote(MODEL, 1, Stage.STAGING, "first", ANA)
    at = registry.open("registry", model=MODEL, version="1")
    table = at.table[0].value
    assert table["Gate"].tolist() == ["Metrics"]
    assert "✕ Failed" in table["Verdict"].tolist()[0]
    do(at, "promote", "needed today")
    assert "does not pass these gates: metrics" in at.error[0].value
    assert "sharpe" in at.error[0].value
    assert stages(registry.client)[1] == "Staging"
    at.checkbox(key="promote_override").check().run()
    at.text_input(key="promote_override_reason").set_value("the old one lost its data").run()
    at.button(key="promote_yes").click().run()
    assert stages(registry.client)[1] == "Production"
    at.radio(key="part").set_value("Stages").run()
    assert "⚠ Gates overridden: metrics" in texts(at)
    registry.desk.promote(MODEL, 2, Stage.STAGING, "next", ANA)
    registry.desk.promote(MODEL, 2, Stage.PRODUCTION, "next", AMARA, override="the same")
    at = registry.open("registry", model=MODEL)
    assert texts(at).count("⚠ Gates overridden: metrics") == 2
    assert "the old one lost its data" in texts(at)


def test_a_conflict_is_said_and_ended(registry: Registry) -> None:
    for _ in range(3):
        registry.add_version()
    for version in (1, 2):
        registry.move(version, Stage.PRODUCTION)
    at = registry.open("registry", model=MODEL)
    assert "2 versions in Production: v1 and v2" in at.warning[0].value
    assert next(one.value for one in at.metric if one.label == "In Production") == "⚠ v1 and v2"
    assert at.button(key="settle_1").label == f"Keep {MODEL} v1, archive v2"
    do(at, "settle_1", "v2 was a mistake")
    assert stages(registry.client) == {1: "Production", 2: "Archived", 3: "None"}
    assert not at.warning


def test_what_is_changed_outside_is_noticed_and_drift_named(registry: Registry) -> None:
    for _ in range(2):
        registry.add_version()
    registry.promote(1)
    registry.move(1, Stage.ARCHIVED)
    registry.move(2, Stage.PRODUCTION)
    at = registry.open("registry", model=MODEL, part="History")
    assert "The alias 'production' points at v1" in at.warning[0].value
    events = frame(at, "From and to")
    assert events["What"].tolist()[:2] == ["⚑ Changed outside", "⚑ Changed outside"]
    at.radio(key="part").set_value("Stages").run()
    assert "at the latest" in texts(at)


def test_what_was_in_production_on_a_date_is_in_the_address(registry: Registry) -> None:
    registry.add_version()
    registry.promote(1)
    at = registry.open("registry", model=MODEL, part="History", on="2020-01-01", at="10:30")
    assert "2020-01-01 10:30 UTC: not known" in texts(at)
    assert at.query_params["on"] == "2020-01-01"
    later = f"{datetime.now(UTC) + timedelta(days=400):%Y-%m-%d}"
    at = registry.open("registry", model=MODEL, part="History", on=later, at="00:00")
    assert f"★ {later} 00:00 UTC: v1 (promoted" in texts(at)
    assert "by amara" in texts(at)


def test_a_viewer_may_look_and_do_nothing(registry: Registry) -> None:
    for _ in range(2):
        registry.add_version()
    for version in (1, 2):
        registry.promote(version)
    viewer = Actor("vic", Role.VIEWER)
    at = registry.open("registry", viewer, model=MODEL, version="1")
    assert "Acting as vic (viewer)" in texts(at)
    for key in ("rollback", "stage"):
        assert at.button(key=key).disabled
        assert "vic acts as viewer" in at.button(key=key).help
    at = registry.open("run", viewer, run=registry.runs[0], section="Data and hashes")
    assert at.button(key="register").disabled


def test_with_the_two_person_rule_production_takes_a_request(registry: Registry) -> None:
    registry.configure(registries.QUICK + "[registry]\ntwo_person_rule = true\n")
    registry.add_version()
    registry.workspace.runs.sync()
    registry.desk.look()
    registry.desk.promote(MODEL, 1, Stage.STAGING, "first", ANA)
    at = registry.open("registry", model=MODEL, version="1")
    assert at.button(key="promote").disabled
    assert "two-person rule" in at.button(key="promote").help
    do(at, "ask", "it is ready")
    number = registry.desk.requests(MODEL)[0].id
    at = registry.open("approvals", request=str(number))
    assert at.button(key="approve").disabled
    assert at.button(key="reject").disabled
    assert "who asked does not decide" in texts(at)
    do(at, "withdraw")
    assert "is withdrawn" in at.success[0].value


def test_a_time_in_staging_is_counted_down(registry: Registry) -> None:
    registry.configure('[gates."*"]\nsmoke = false\nsoak_hours = 24\n')
    registry.add_version()
    registry.workspace.runs.sync()
    registry.desk.look()
    registry.desk.promote(MODEL, 1, Stage.STAGING, "first", ANA)
    at = registry.open("registry", model=MODEL)
    assert "◷ eligible" in texts(at)
    at.button(key="open_1").click().run()
    assert at.query_params["version"] == "1"
    assert "◷ Waiting until" in at.table[0].value["Verdict"].tolist()[0]
    at.button(key="judge").click().run()
    assert not at.exception
    assert "Judged just now" in texts(at)


def test_a_promotion_that_was_interrupted_is_finished_and_said(registry: Registry) -> None:
    registry.add_version()
    registry.workspace.runs.sync()
    registry.desk.look()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Promoter, "_finish", dies)
        registry.desk.promote(MODEL, 1, Stage.STAGING, "first", ANA)
    at = registry.open("registry", model=MODEL)
    assert "finished after an interruption" in at.info[0].value


def test_a_registry_that_cannot_be_read_is_said_and_other_pages_live(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add_version()
    registry.promote(1)

    def down(*_: object) -> None:
        raise SourceError("The registry does not answer. Start MLflow.")

    monkeypatch.setattr(RegistryDesk, "look", down)
    at = registry.open("registry", model=MODEL)
    assert "is not recorded right now" in at.warning[0].value
    assert "★ v1" in [one.value for one in at.metric]
    monkeypatch.setattr(RegistryWatch, "models", down)
    at = registry.open("registry", model=MODEL)
    assert "The registry does not answer" in at.error[0].value
    at = registry.open("overview")
    assert "What is in Production cannot be read" in texts(at)
    assert "**Latest runs**" in texts(at)
    assert not at.error


def test_the_overview_shows_champions_challengers_and_what_waits(registry: Registry) -> None:
    at = registry.open("overview")
    for sharpe in (1.0, 1.5, 2.0):
        registry.add_version(sharpe=sharpe)
    registry.add_version("conflicted")
    registry.add_version("conflicted")
    for version in (1, 2):
        registry.move(version, Stage.PRODUCTION, "conflicted")
    for version in (1, 2):
        registry.promote(version)
    registry.desk.promote(MODEL, 3, Stage.STAGING, "next", ANA)
    registry.desk.ask(MODEL, 3, Stage.PRODUCTION, "better", ANA)
    at = registry.open("overview")
    shown = frame(at, "Champion").set_index("Model")
    assert shown.loc[MODEL, "Champion"] == "★ v2"
    assert shown.loc[MODEL, "By"] == "amara"
    assert "sharpe 1.5 (+0.5 better)" in shown.loc[MODEL].tolist()
    assert shown.loc[MODEL, "In Staging"] == "v3"
    assert shown.loc["conflicted", "Champion"] == "⚠ conflict: v1 and v2"
    assert "1 request waits for a decision" in texts(at)


def test_the_overview_says_in_one_line_that_no_model_is_registered(registry: Registry) -> None:
    registry.add_run()
    at = registry.open("overview")
    assert "No model is registered yet" in texts(at)
    assert "**Latest runs**" in texts(at)


def test_a_name_that_mlflow_refuses_is_said_at_the_form(registry: Registry) -> None:
    run_id = registry.add_run()
    at = registry.open("run", ANA, run=run_id, section="Data and hashes")
    at.text_input(key="register_name").set_value("a/b").run()
    at.button(key="register").click().run()
    assert "give a name without" in at.error[0].value
    at.selectbox(key="register_folder").set_value("Another folder").run()
    at.text_input(key="register_path").set_value("nowhere").run()
    at.text_input(key="register_name").set_value("good").run()
    at.button(key="register").click().run()
    assert "has no artifact 'nowhere'" in at.error[0].value


# Marks on charts


def log_backtest(registry: Registry, run_id: str) -> None:
    now = pd.Timestamp.now(tz="UTC").tz_localize(None).normalize()
    days = pd.date_range(now - pd.Timedelta(days=200), periods=240)
    values = 1000.0 + np.arange(len(days))
    table = pd.DataFrame({"time": days.strftime("%Y-%m-%d").astype(object), "value": values})
    registry.client.log_table(run_id, table, "backtest/portfolio_values.json")


def test_promotions_are_marked_on_the_equity_of_their_runs(registry: Registry) -> None:
    for _ in range(3):
        registry.add_version()
        log_backtest(registry, registry.runs[-1])
    for version in (1, 2):
        registry.promote(version)
    registry.desk.rollback(MODEL, "losses", AMARA)
    registry.add_version("another")
    log_backtest(registry, registry.runs[3])
    at = registry.open("backtests", runs=registry.runs[0])
    spec = at.get("plotly_chart")[0].proto.spec
    for label in (f"{MODEL} v1 to Production", f"{MODEL} v2 to Production", "(rolled back)"):
        assert label in spec
    at = registry.open("backtests", runs=",".join(registry.runs[1:3]))
    assert f"{MODEL} v2 to Production" in at.get("plotly_chart")[0].proto.spec
    at = registry.open("backtests", runs=registry.runs[3])
    assert "to Production" not in at.get("plotly_chart")[0].proto.spec


def test_a_version_that_leaves_production_for_none_is_marked_too(registry: Registry) -> None:
    registry.add_version()
    log_backtest(registry, registry.runs[0])
    registry.promote(1)
    registry.desk.promote(MODEL, 1, Stage.ARCHIVED, "nothing is better than this", AMARA)
    at = registry.open("backtests", runs=registry.runs[0])
    assert f"{MODEL} v1 out of Production" in at.get("plotly_chart")[0].proto.spec


def test_promotions_before_and_after_the_curve_are_not_marked(registry: Registry) -> None:
    registry.add_version()
    days = pd.date_range("2020-01-01", periods=30).strftime("%Y-%m-%d").astype(object)
    table = pd.DataFrame({"time": days, "value": np.arange(30) + 1.0})
    registry.client.log_table(registry.runs[0], table, "backtest/portfolio_values.json")
    registry.promote(1)
    at = registry.open("backtests", runs=registry.runs[0])
    spec = at.get("plotly_chart")[0].proto.spec
    assert "to Production" not in spec
    assert "not marked" not in spec


def test_a_registry_that_is_down_leaves_the_chart(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add_version()
    log_backtest(registry, registry.runs[0])

    def down(*_: object) -> None:
        raise SourceError("The registry does not answer. Start MLflow.")

    monkeypatch.setattr(RegistryWatch, "models", down)
    at = registry.open("backtests", runs=registry.runs[0])
    assert "Promotions cannot be marked" in texts(at)
    assert len(at.get("plotly_chart")) == 2


def test_promotions_are_marked_on_the_forecast_of_a_store(registry: Registry) -> None:
    experiment = registry.client.create_experiment("stores", artifact_location=str(registry.folder / "files"))
    parent = registry.client.create_run(experiment, run_name="pipeline").info.run_id
    tags = {"mlflow.parentRunId": parent}
    child = registry.client.create_run(experiment, tags=tags, run_name="Store 7").info.run_id
    registry.client.log_batch(child, [Metric("test_smape", 5.0, 1, 0)], [Param("store_code", "7")])
    now = pd.Timestamp.now(tz="UTC").tz_localize(None).normalize()
    days = pd.date_range(now - pd.Timedelta(days=20), periods=40).strftime("%Y-%m-%d").astype(object)
    table = pd.DataFrame({"ds": days, "yhat": 1.5, "y": 1.0})
    registry.client.log_table(child, table, "forecast/predictions.json")
    registry.client.create_registered_model(MODEL)
    registry.client.create_model_version(MODEL, f"runs:/{parent}/model", parent)
    registry.promote(1)
    at = registry.open("stores", run=parent, show="One store", store="7")
    assert f"{MODEL} v1 to Production" in at.get("plotly_chart")[0].proto.spec

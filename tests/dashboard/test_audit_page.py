"""The Audit page: events to filter, the chain to check, and the evidence behind a decision."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.registry.types import Stage
from dashboard.widgets import audit_table
from tests.dashboard import registries
from tests.dashboard.conftest import OpenApp, texts
from tests.dashboard.registries import AMARA, ANA, MODEL, Registry, everything


@pytest.fixture
def registry(tmp_path: Path, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return registries.make(tmp_path, monkeypatch)


def events(at: AppTest) -> Any:
    return next(one.value for one in at.dataframe if "Hash" in one.value.columns)


def test_without_events_it_says_what_would_be_here(registry: Registry) -> None:
    registry.add_run()
    at = registry.open("audit")
    assert "Nothing is recorded yet" in texts(at)


def test_events_are_filtered_and_paged(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.add_version()
    registry.add_version("other")
    registry.promote(1)
    registry.promote(1, "other")
    at = registry.open("audit")
    shown = events(at)
    assert shown["No."].tolist() == sorted(shown["No."], reverse=True)
    assert shown["Who"].tolist()[0] == "amara (lead)"
    assert shown["From and to"].tolist()[0] == "◐ Staging → ★ Production"
    assert shown["Evidence"].tolist()[0].startswith("audit?dossier=")
    at.selectbox(key="audit_model").set_value(MODEL).run()
    assert set(events(at)["Model"]) == {MODEL}
    at.selectbox(key="audit_actor").set_value("ana").run()
    assert events(at)["From and to"].tolist() == ["○ None → ◐ Staging"]
    at.selectbox(key="audit_action").set_value("promoted").run()
    assert len(events(at)) == 1
    monkeypatch.setattr(audit_table, "PAGE_ROWS", 1)
    at = registry.open("audit")
    assert len(events(at)) == 1
    last = registry.desk.trail.count()
    at.number_input(key=f"audit_page:{last}").set_value(last).run()
    assert events(at)["No."].tolist() == [1]


def test_a_chain_that_holds_and_one_that_was_changed(registry: Registry) -> None:
    registry.add_version()
    registry.promote(1)
    at = registry.open("audit")
    at.button(key="verify").click().run()
    assert "The chain holds" in at.success[0].value
    assert registry.desk.trail.verify().head in [one.value for one in at.code]
    lines = [json.loads(line) for line in audit_table.exported(registry.desk.trail)]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    with sqlite3.connect(registry.folder / "greenroom" / "greenroom.db") as database:
        database.execute("DROP TRIGGER IF EXISTS audit_events_update")
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE audit_events SET reason = 'another' WHERE seq = 2")
    database.close()
    at.button(key="verify").click().run()
    assert "The chain is broken at event 2" in at.error[0].value
    assert "is not what was written" in at.error[0].value


def test_the_evidence_of_an_event_opens_by_its_hash(registry: Registry) -> None:
    registry.add_version(sharpe=1.0)
    registry.workspace.runs.sync()
    registry.desk.look()
    registry.desk.promote(MODEL, 1, Stage.STAGING, "first", ANA)
    number = registry.desk.ask(MODEL, 1, Stage.PRODUCTION, "ready", ANA).id
    kept = registry.desk.approve(number, "as agreed", AMARA).dossier_hash
    at = registry.open("audit", dossier=str(kept))
    assert "as agreed" in everything(at)
    assert kept in [one.value for one in at.code]
    at.button(key="all_events").click().run()
    assert "dossier" not in at.query_params
    assert len(events(at))
    at = registry.open("audit", dossier="0" * 64)
    assert "There is no dossier 000000000000" in at.error[0].value

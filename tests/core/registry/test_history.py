"""What was in Production when, and what a rollback goes to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.errors import RefusedError
from core.registry import history
from core.registry.desk import RegistryDesk
from core.registry.types import Stage
from tests import registries
from tests.registries import LEAD


class Told:
    """A desk on a registry, with a clock."""

    def __init__(self, uri: str, home: Path) -> None:
        self.client = MlflowClient(uri)
        self.hands = registries.Hands()
        self.desk: RegistryDesk = registries.new_desk(uri, home, now=self.hands)

    def promote(self, *versions: int) -> None:
        for version in versions:
            self.hands.pass_hours(1)
            self.desk.promote("m", version, Stage.STAGING, "up", LEAD)
            self.desk.promote("m", version, Stage.PRODUCTION, "up", LEAD)

    def roll_back(self) -> int:
        self.hands.pass_hours(1)
        return self.desk.rollback("m", "worse", LEAD).order.plan.version

    def at(self, moment: datetime) -> tuple[int, ...]:
        return self.desk.in_production_at("m", moment).versions


@pytest.fixture
def told(new_registry: Callable[[], str], tmp_path: Path) -> Told:
    return Told(new_registry(), tmp_path / "home")


def test_each_rollback_goes_one_step_further_back(told: Told) -> None:
    told.promote(1, 2, 3, 4)
    assert [told.roll_back(), told.roll_back(), told.roll_back()] == [3, 2, 1]
    with pytest.raises(RefusedError, match="nothing to go back to"):
        told.roll_back()
    assert registries.in_production(told.client, "m") == [1]


def test_after_a_rollback_and_a_new_promotion_the_bad_one_does_not_come_back(told: Told) -> None:
    told.promote(1, 2)
    assert told.roll_back() == 1
    told.promote(3)
    assert told.roll_back() == 1


def test_a_version_that_was_promoted_again_counts_again(told: Told) -> None:
    told.promote(1, 2)
    assert told.roll_back() == 1
    told.promote(2)
    assert told.roll_back() == 1
    told.promote(2, 3)
    assert told.roll_back() == 2


def test_an_archived_champion_is_what_a_rollback_brings_back(told: Told) -> None:
    told.promote(1, 2)
    told.desk.promote("m", 2, Stage.ARCHIVED, "retired", LEAD)
    assert registries.in_production(told.client, "m") == []
    assert registries.aliases(told.client, "m") == {}
    assert told.roll_back() == 2


def test_what_was_in_production_at_any_time(told: Told) -> None:
    start = told.hands()
    told.promote(1)
    first = told.hands()
    told.promote(2)
    second = told.hands()
    told.roll_back()
    assert told.at(start) == ()
    assert told.at(first) == (1,)
    assert told.at(second) == (2,)
    assert told.at(told.hands()) == (1,)
    answer = told.desk.in_production_at("m", second)
    assert answer.known
    assert "v2 (promoted" in answer.sentence
    assert "by jonas" in answer.sentence
    reigns = history.reigns(told.desk.events("m"))
    assert [(one.version, one.how, one.end is None) for one in reigns] == [
        (1, "promoted", False),
        (2, "promoted", False),
        (1, "rolled back", True),
    ]


def test_where_nothing_was_recorded_mlflow_tells(told: Told) -> None:
    registries.put(told.client, "m", 1, "Production")
    registries.put(told.client, "m", 2, "Archived")
    registries.put(told.client, "m", 3, "Production", archive=True)
    told.hands.pass_hours(1)
    told.desk.look()
    card = told.desk.model("m")
    assert card.champion is not None
    assert not card.champion.exact
    assert card.target is not None
    assert card.target.version == 1
    assert "MLflow archived it last" in card.target.why
    before = told.desk.in_production_at("m", datetime.fromisoformat("2020-01-01T00:00:00+00:00"))
    assert not before.known
    assert "not known" in before.sentence
    assert "at the latest" in told.desk.in_production_at("m", told.hands()).sentence


def test_what_plain_mlflow_does_is_noticed_once(told: Told) -> None:
    told.promote(1)
    registries.put(told.client, "m", 5, "Production")
    told.desk.look()
    told.desk.look()
    outside = [one for one in told.desk.events("m") if one.action == history.OUTSIDE]
    assert [(one.version, one.from_stage, one.to_stage) for one in outside] == [(5, "None", "Production")]
    assert told.desk.model("m").conflict is not None
    assert told.roll_back() == 1
    assert registries.stages(told.client, "m")[5] == "Archived"


def test_versions_that_plain_mlflow_deletes_are_noticed(told: Told) -> None:
    told.promote(1, 2)
    told.client.delete_model_version("m", "1")
    told.desk.look()
    last = told.desk.events("m")[-1]
    assert (last.action, last.version, last.from_stage) == (history.DELETED_OUTSIDE, 1, "Archived")
    with pytest.raises(RefusedError, match="nothing to go back to"):
        told.roll_back()
    told.client.delete_registered_model("m")
    told.desk.look()
    assert told.desk.events("m")[-1].version == 2
    assert told.at(told.hands()) == ()


def test_a_conflict_is_settled_by_keeping_one(told: Told) -> None:
    told.promote(1)
    registries.put(told.client, "m", 5, "Production")
    with pytest.raises(RefusedError, match="2 versions in Production: v1 and v5"):
        told.promote(3)
    outcome = told.desk.settle("m", 5, "it is the better one", LEAD)
    assert "v5 alone is in Production now; v1 went to Archived" in outcome.sentence
    assert registries.in_production(told.client, "m") == [5]
    assert told.roll_back() == 1


def test_an_alias_that_points_elsewhere_is_shown_and_put_in_step_by_the_next_promotion(told: Told) -> None:
    told.promote(1)
    told.client.set_registered_model_alias("m", "production", "4")
    told.desk.look()
    drift: Any = told.desk.model("m").drift
    assert "points at v4, but v1 is in the stage Production" in drift[0]
    told.desk.promote("m", 2, Stage.STAGING, "up", LEAD)
    assert registries.aliases(told.client, "m") == {"production": 4, "staging": 2}
    told.promote(2)
    assert told.desk.model("m").drift == ()
    assert told.desk.events("m")[-1].details["aliases"] == [
        "alias production: v4 -> v2",
        "alias staging: v2 -> –",
    ]

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.registry.retention.configuration import ModelRule, RunRule
from core.registry.retention.marks import is_gone
from core.registry.retention.rules import ModelFacts, RunCase, judge_runs, judge_versions
from core.registry.types import Model, Stage, Version
from tests.registries import run_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=31)


def version(number: int, stage: Stage = Stage.ARCHIVED, **values: Any) -> Version:
    known = {"source": "", "run_id": f"r{number}", "created": OLD, "updated": OLD}
    return Version("m", number, stage, **{**known, **values})


def facts(*versions: Version, **values: Any) -> ModelFacts:
    model = Model("m", OLD, OLD, versions)
    since = {one.version: OLD for one in versions}
    return ModelFacts(model, **{"since": since, **values})


def reasons(given: ModelFacts, number: int) -> tuple[str, ...]:
    verdicts = judge_versions(given, ModelRule(min_versions=1), NOW)
    return next(one.reasons for one in verdicts if one.version.version == number)


LAST = version(9)


def test_an_old_archived_version_goes() -> None:
    one, _ = judge_versions(facts(version(1), LAST), ModelRule(min_versions=1), NOW)
    assert one.reasons == ()
    assert one.goes == "in Archived for 31 days; 30 are kept"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (facts(version(1, Stage.NONE), LAST), "it is in None, not in Archived"),
        (facts(version(1, Stage.STAGING), LAST), "it is in Staging, not in Archived"),
        (facts(version(1, Stage.PRODUCTION), LAST), "it is the champion"),
        (
            facts(version(1, Stage.PRODUCTION), version(2, Stage.PRODUCTION), LAST),
            "it is in Production",
        ),
        (facts(version(1), LAST, since={}), "since when it is in Archived is not known"),
        (
            facts(version(1), LAST, since={1: NOW - timedelta(days=29, hours=23)}),
            "it is in Archived for 29 days; it goes after 30",
        ),
        (facts(version(1), LAST, target=1), "a rollback would bring it back"),
        (
            facts(version(1, tags={"greenroom.baseline": "yes"}), LAST),
            "baseline: the version has the tag greenroom.baseline",
        ),
        (
            facts(version(1), LAST, runs={"r1": run_of("r1", tags={"greenroom.baseline": ""})}),
            "baseline: the run has the tag greenroom.baseline",
        ),
        (
            facts(version(1, tags={"greenroom.legal_hold": "case 7"}), LAST),
            "legal hold: the version has the tag greenroom.legal_hold",
        ),
        (
            facts(version(1), LAST, runs={"r1": run_of("r1", tags={"greenroom.legal_hold": "1"})}),
            "legal hold: the run has the tag greenroom.legal_hold",
        ),
        (facts(version(1, aliases=("paper",)), LAST), "an alias points at it: paper"),
        (facts(version(1), LAST, asked={1: 12}), "request 12 about it is open"),
    ],
)
def test_what_keeps_a_version(given: ModelFacts, why: str) -> None:
    assert reasons(given, 1) == (why,)


def test_a_hold_on_the_model_keeps_all() -> None:
    given = facts(version(1), version(2), LAST)
    held = replace(given, model=replace(given.model, tags={"greenroom.legal_hold": "true"}))
    assert all(one.reasons for one in judge_versions(held, ModelRule(min_versions=1), NOW))
    off = replace(given, model=replace(given.model, tags={"greenroom.legal_hold": "False"}))
    assert reasons(off, 1) == ()


def test_the_last_three_stay_with_the_champion_among_them() -> None:
    given = facts(version(1), version(2), version(3), version(4, Stage.PRODUCTION))
    verdicts = judge_versions(given, ModelRule(min_versions=3), NOW)
    assert [one.version.version for one in verdicts if not one.reasons] == [1]


def test_everything_that_keeps_a_version_is_said() -> None:
    given = facts(version(1, aliases=("a",), tags={"greenroom.legal_hold": "1"}), LAST, target=1)
    assert len(reasons(given, 1)) == 3


def test_exactly_thirty_days_are_kept() -> None:
    day = timedelta(days=30)
    assert reasons(facts(version(1), LAST, since={1: NOW - day}), 1)
    assert not reasons(facts(version(1), LAST, since={1: NOW - day - timedelta(seconds=1)}), 1)


def test_a_marked_version_is_gone() -> None:
    assert is_gone(version(1, tags={"greenroom.deleted_at": "2026-01-01"}))
    assert not is_gone(version(1))


# Runs

RULE = RunRule("sweeps", older_than_days=30, keep=1)


def case(run_id: str, place: int = 5, rule: RunRule = RULE, **values: Any) -> RunCase:
    about = {key: values.pop(key) for key in ("registered", "children") if key in values}
    return RunCase(run_of(run_id, **{"start_time": OLD, "end_time": OLD, **values}), rule, place, **about)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (case("a", status="RUNNING"), "it is RUNNING"),
        (case("a", place=0), "it is among the newest 1 that the rule matches"),
        (case("a", end_time=NOW - timedelta(days=2)), "it ended 2 days ago; it goes after 30"),
        (case("a", start_time=None, end_time=None), "when it ended is not known"),
        (case("a", registered=("m v1", "m v2")), "m v1 and m v2 came from it"),
        (
            case("a", tags={"greenroom.legal_hold": "1"}),
            "legal hold: the run has the tag greenroom.legal_hold",
        ),
        (case("a", tags={"greenroom.baseline": "1"}), "baseline: the run has the tag greenroom.baseline"),
        (case("a", children=("z",)), "a run below it stays"),
    ],
)
def test_what_keeps_a_run(given: RunCase, why: str) -> None:
    (verdict,) = judge_runs([given], NOW)
    assert verdict.reasons == (why,)


def test_a_tree_of_runs_goes_as_a_whole_or_keeps_what_leads_to_what_stays() -> None:
    tree = [case("root", children=("a", "b")), case("a", children=("c",)), case("b"), case("c")]
    assert all(not one.reasons for one in judge_runs(tree, NOW))
    held = [*tree[:3], case("c", registered=("m v1",))]
    assert {one.run.run_id for one in judge_runs(held, NOW) if not one.reasons} == {"b"}


def test_a_run_goes_where_one_of_its_rules_lets_it() -> None:
    young = RunRule("sweeps", older_than_days=300)
    both = [case("a", rule=young), case("a")]
    assert [one.reasons for one in judge_runs(both, NOW)] == [()]
    assert [one.reasons for one in judge_runs(both[::-1], NOW)] == [()]

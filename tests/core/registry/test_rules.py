"""The rules of stages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import NotFoundError, RefusedError
from core.registry.rules import Act, Move, Plan, Standing, plan_move, plan_rollback, plan_settlement, standing
from core.registry.types import Model, Stage, Version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
N, S, P, A = Stage


def model(*stages: Stage) -> Model:
    return Model(
        "m",
        NOW,
        NOW,
        tuple(
            Version("m", number, stage, "s", "r", NOW, NOW + timedelta(hours=number))
            for number, stage in enumerate(stages, start=1)
        ),
    )


ALLOWED = {(N, S), (S, P), (A, S), (N, A), (S, A), (P, A)}


@pytest.mark.parametrize("before", list(Stage))
@pytest.mark.parametrize("after", list(Stage))
def test_which_steps_are_allowed(before: Stage, after: Stage) -> None:
    if before is after:
        assert plan_move(model(before), 1, after).moves == ()
    elif (before, after) in ALLOWED:
        assert plan_move(model(before), 1, after).moves == (Move(1, before, after),)
    else:
        with pytest.raises(RefusedError, match=rf"m v1 cannot go from {before} to {after}: "):
            plan_move(model(before), 1, after)


def test_who_moves_into_production_archives_the_champion() -> None:
    plan = plan_move(model(A, P, S), 3, P)
    assert plan.moves == (Move(3, S, P), Move(2, P, A))
    assert plan.champions == (2,)
    assert plan.sentence() == "Promote m v3 to Production; v2 goes to Archived"


def test_a_rollback_goes_straight_from_archived() -> None:
    plan = plan_rollback(model(A, P), 1, "it was there before")
    assert plan.moves == (Move(1, A, P), Move(2, P, A))
    assert plan.sentence() == "Roll back m from v2 to v1"
    with pytest.raises(RefusedError, match="is in None"):
        plan_rollback(model(N, P), 1, "")


def test_two_in_production_are_a_conflict_with_a_way_out() -> None:
    conflict = model(P, P, S)
    with pytest.raises(RefusedError, match=r"2 versions in Production: v1 and v2\. .*Keep one"):
        plan_move(conflict, 3, P)
    plan = plan_settlement(conflict, 1)
    assert plan.act is Act.SETTLE
    assert standing(plan, conflict) is Standing.AHEAD
    assert standing(plan, model(P, A, S)) is Standing.DONE
    with pytest.raises(RefusedError, match="v3 is in Staging; in Production: v1 and v2"):
        plan_settlement(conflict, 3)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ((A, P, S), Standing.AHEAD),
        ((A, A, P), Standing.DONE),
        ((A, A, S), Standing.PARTLY),
        ((A, P, P), Standing.PARTLY),
        ((P, A, S), Standing.STALE),
        ((A, P, A), Standing.STALE),
        ((P, A, P), Standing.STALE),
        ((A, S, P), Standing.STALE),
    ],
)
def test_how_a_plan_stands_to_the_registry(now: tuple[Stage, ...], expected: Standing) -> None:
    assert standing(plan_move(model(A, P, S), 3, P), model(*now)) is expected


def test_a_plan_survives_being_written_down() -> None:
    plan = plan_move(model(A, P, S), 3, P)
    assert Plan.from_json(plan.to_json()) == plan


def test_what_is_not_there_or_not_ready_is_refused() -> None:
    with pytest.raises(NotFoundError, match=r"has no version 9\. Its latest versions: 1, 2"):
        plan_move(model(N, S), 9, S)
    one = model(N)
    pending = replace(one, versions=(replace(one.versions[0], status="PENDING_REGISTRATION"),))
    with pytest.raises(RefusedError, match="PENDING_REGISTRATION"):
        plan_move(pending, 1, S)
    assert plan_move(pending, 1, A).moves

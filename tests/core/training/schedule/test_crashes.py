"""kill -9 at any line from the moment a schedule is due: afterwards it was begun, trained and registered once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.schema import schedules
from core.training.schedule.types import RetrainingOutcome, Trigger
from core.training.types import JobState
from tests.core.training.schedule.room import Room
from tests.registries import ANALYST

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "14"))
TICKS = 7
"""Begin, launch, see it trained, register, judge, move, find nothing more to do."""


class Dying:
    """The process of `dying.py`."""

    def __init__(self) -> None:
        root = Path(__file__).parents[4]
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.core.training.schedule.dying"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )

    def order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return dict(answer)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def dying() -> Iterator[Dying]:
    process = Dying()
    yield process
    process.close()


@pytest.mark.timeout(1800)
def test_kill_at_any_line(dying: Dying, new_place: Callable[[], tuple[str, Path]]) -> None:
    uri, home = new_place()
    room = Room(uri, home, finishes=True)
    room.schedule(interval_days=1)
    draw, killed, edges = random.Random(7), 0, [0]
    for number in range(ROUNDS + 1):
        # The first one lives, and tells how many lines there are.
        part = (number - 1) % TICKS
        lines = draw.randint(edges[part], edges[part + 1]) if number else None
        schedule = room.desk.of("m")
        assert schedule is not None and schedule.next_due is not None
        room.hands.time = schedule.next_due
        room.hands.pass_by(seconds=5)
        jobs, before = len(room.training.asked()), len(room.desk.retrainings(limit=1000))
        answer = dying.order(uri=uri, home=str(home), at=room.hands().isoformat(), ticks=TICKS, lines=lines)
        if not number:
            edges += answer["edges"]
        killed += answer["killed"]
        room.hands.pass_by(seconds=5)
        for _ in range(TICKS):
            room.desk.tick()

        about = f"killed after {lines} lines"
        one, *earlier = room.desk.retrainings(limit=1000)
        assert len(earlier) == before, about
        assert (one.outcome, one.trigger) == (RetrainingOutcome.STAGED, Trigger.SCHEDULE), f"{about}: {one}"
        assert len(room.training.asked()) == jobs + 1, about
        assert room.versions_of(one.id) == [one.version], about
        assert room.stages()[one.version or 0] == "Staging", about
        assert room.stages()[1] == "Production", about
        assert len(one.log) == len({line.text for line in one.log}) == 12, f"{about}: {one.log}"
        actions = [(each.action, each.details.get("retraining")) for each in room.trail.events("m", limit=9)]
        assert actions.count(("retraining started", one.id)) == 1, about
        assert actions.count(("retraining ended", one.id)) == 1, about
        assert not any(action == "changed outside" for action, _ in actions), about
    assert killed == ROUNDS
    with room.engine.begin() as connection:
        due = connection.execute(sa.select(schedules.c.next_due)).scalar_one()
    assert due > room.hands().isoformat()
    assert room.trail.verify().whole
    room.engine.dispose()


def cut_off_after(made: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same, but nobody hears of what it has done."""

    def cut_off(*given: Any, **named: Any) -> Any:
        made(*given, **named)
        raise KeyboardInterrupt

    return cut_off


@pytest.mark.parametrize("what", ["launch", "register", "promote", "tag"])
def test_what_was_done_just_before_a_crash_is_not_done_again(
    room: Room, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    owner: Any = {"launch": room.training, "tag": room}.get(what, room.registry)
    monkeypatch.setattr(owner, what, cut_off_after(getattr(owner, what)))
    room.schedule()
    one = room.desk.retrain("m", ANALYST)
    with pytest.raises(KeyboardInterrupt):
        room.tick_until_over(one.id)
    monkeypatch.undo()
    room.open()
    for job_id in range(1, 1 + len(room.training.asked())):
        room.training.end(job_id, JobState.FINISHED)
    assert room.tick_until_over(one.id).outcome is RetrainingOutcome.STAGED
    assert len(room.training.asked()) == 1
    assert room.versions_of(one.id) == [3]
    assert room.actions().count("promoted") == 1


def test_nothing_is_begun_that_is_not_in_the_audit_trail(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    room.schedule()
    monkeypatch.setattr(room.trail, "append", cut_off_after(lambda *_: None))
    with pytest.raises(KeyboardInterrupt):
        room.desk.retrain("m", ANALYST)
    assert room.desk.retrainings() == ()
    schedule = room.desk.of("m")
    assert schedule is not None and schedule.next_due is not None
    room.hands.time = schedule.next_due
    with pytest.raises(KeyboardInterrupt):
        room.desk.tick()
    assert room.desk.of("m") == schedule

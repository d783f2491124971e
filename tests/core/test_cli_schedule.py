"""The commands `greenroom schedule`: what they set, print and refuse."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from core import cli_schedule, cli_training_parts
from core.access import Actor, Role
from core.cli_parts import Group
from tests.core.training.schedule.conftest import champion_template, new_place, room  # noqa: F401
from tests.core.training.schedule.room import Room

SCHEDULE_KEYS = [
    "model",
    "enabled",
    "next_due",
    "interval_days",
    "time_of_day",
    "zone",
    "first_day",
    "project",
]
SCHEDULE_KEYS += ["entry_point", "parameters", "engine", "artifact_path", "mode", "last_days", "epochs"]
SCHEDULE_KEYS += ["set_by", "set_at"]
RETRAINING_KEYS = ["retraining", "model", "trigger", "due_at", "step", "outcome", "reason", "job", "version"]
RETRAINING_KEYS += ["verdict", "asked_by", "started_at", "ended_at", "log"]


@click.group(cls=Group)
def cli() -> None:
    """Stand in for `greenroom`."""


for one in cli_schedule.COMMANDS:
    cli.add_command(one)


class Working:
    """A worker that only looks after its chores, as often as it can."""

    def __init__(self, chores: Sequence[Callable[[], None]]) -> None:
        self._chores = chores
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            for chore in self._chores:
                chore()

    def stop(self) -> None:
        self._over.set()


@dataclass
class Beside:
    """What the commands ask of a workspace."""

    room: Room
    alive: bool = True
    role: Role = Role.LEAD
    closed: int = field(default=0)

    @property
    def training(self) -> Any:
        return self

    @property
    def training_parts(self) -> Any:
        return self

    @property
    def schedules(self) -> Any:
        return self.room.desk

    def worker(self) -> Any:
        return self

    @contextmanager
    def working(self) -> Iterator[None]:
        worker = Working((self.room.desk.tick,))
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield
        finally:
            worker.stop()
            thread.join()

    def actor(self, by: str | None = None) -> Actor:
        return Actor(by or "jonas", self.role)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def beside(room: Room, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:  # noqa: F811
    made = Beside(room)
    monkeypatch.setattr(cli_training_parts, "open_store", lambda _uri: made)
    yield made
    assert made.closed > 0


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["schedule", *arguments])


def set_one(beside: Beside, *more: str) -> Result:
    done = call("set", "m", "-e", "rl", "-P", f"data={beside.room.data()}", *more)
    assert done.exit_code == 0, done.output
    return done


def test_setting_and_listing(beside: Beside) -> None:
    assert "greenroom schedule set MODEL -e ENTRY_POINT" in call().output
    options = ["--every", "3", "--at", "04:30", "--zone", "America/Bogota", "--from", "2026-03-25"]
    said = set_one(beside, *options, "--last-days", "14", "--epochs", "2").output
    assert "m is retrained every 3 days at 04:30 America/Bogota, next on " in said
    assert "by rl, incremental: last 14 days, 2 epochs" in said
    (listed,) = json.loads(call("--json").output)
    assert list(listed) == SCHEDULE_KEYS
    assert listed["next_due"] == "2026-03-25T09:30:00.000Z"
    table = call().output
    assert "every 3 days at 04:30 America/Bogota" in table
    shown = json.loads(call("show", "m", "--json").output)
    assert shown == {**listed, "last": None}


def test_what_is_not_given_stays(beside: Beside) -> None:
    set_one(beside, "--zone", "America/Bogota", "-P", "seed=7")
    assert call("set", "m", "--epochs", "9", "-P", "seed=8").exit_code == 0
    kept = beside.room.desk.of("m")
    assert kept is not None
    assert (kept.zone, kept.epochs, kept.parameters["seed"]) == ("America/Bogota", 9, "8")
    assert (
        call("set", "m", "--mode", "full", "-e", "plain", "-P", f"data={beside.room.data()}").exit_code == 0
    )
    kept = beside.room.desk.of("m")
    assert kept is not None
    assert (kept.mode, kept.entry_point, list(kept.parameters)) == ("full", "plain", ["data"])


def test_on_off_and_remove(beside: Beside) -> None:
    set_one(beside)
    assert "switched off" in call("off", "m").output
    assert "off" in call().output
    assert "next on " in call("on", "m").output
    assert call("remove", "m").output == "m is not retrained on a schedule any more.\n"
    for refused in (call("show", "m"), call("remove", "m"), call("on", "m")):
        assert refused.exit_code == 2
        assert "m has no schedule." in refused.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["set", "m"], "give -e with what trains it"),
        (["set", "m", "-e", "rl", "-P", "data"], "'data' is no parameter"),
        (["set", "m", "-e", "rl"], "data has no default"),
        (["set", "m", "-e", "rl", "--zone", "Mars"], "There is no time zone 'Mars'"),
        (["--json", "show", "m"], "Give the options after `show`."),
    ],
)
def test_bad_input(beside: Beside, arguments: list[str], sentence: str) -> None:
    refused = call(*arguments)
    assert refused.exit_code == 2
    assert sentence in refused.output
    call()


def test_a_role_that_may_not(beside: Beside) -> None:
    set_one(beside)
    beside.role = Role.VIEWER
    for arguments in (["off", "m"], ["remove", "m"], ["run", "m"], ["set", "m", "--epochs", "2"]):
        refused = call(*arguments)
        assert refused.exit_code == 1
        assert "jonas acts as viewer" in refused.output


def test_running_without_waiting(beside: Beside) -> None:
    set_one(beside)
    said = call("run", "m", "--by", "amara")
    assert said.exit_code == 0
    assert said.output.startswith("Retraining 1 is preparing since ")
    again = call("run", "m")
    assert again.exit_code == 1
    assert "m is being retrained already" in again.output
    beside.alive = False
    beside.room.desk.stop(1, beside.actor())
    assert "No worker runs here, so it waits" in call("run", "m").output


@pytest.mark.parametrize("alive", [True, False])
def test_waiting_shows_the_log(
    beside: Beside,
    room: Room,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    alive: bool,
) -> None:
    set_one(beside)
    room.training._finishes = True
    beside.alive = alive
    monkeypatch.setattr(cli_schedule, "_LOOK_SECONDS", 0.01)
    elsewhere = Working([room.desk.tick])
    thread = threading.Thread(target=elsewhere.run)
    if alive:
        thread.start()
    try:
        done = call("run", "m", "--wait")
    finally:
        elsewhere.stop()
        if alive:
            thread.join()
    assert done.exit_code == 0, done.output
    lines = done.stderr.splitlines()
    assert len(lines) == 12
    assert lines[0].endswith(" - INFO - Starting automated retraining of m...")
    assert done.stdout.startswith("Retraining 1, staged on ")
    (kept,) = json.loads(call("history", "m", "--json").output)
    assert list(kept) == RETRAINING_KEYS
    assert kept["verdict"]["word"] == "same"
    assert list(kept["verdict"]) == ["word", "sentence", "points", "gates"]
    table = call("history").output
    assert "staged" in table
    assert "v3" in table


def test_a_retraining_that_fails_exits_with_1(beside: Beside, room: Room) -> None:  # noqa: F811
    set_one(beside)
    Path(room.home / "prices.csv").unlink()
    beside.alive = False
    done = call("run", "m", "--wait", "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["outcome"] == "failed"
    assert "Last: retraining 1, failed on " in call("show", "m").output


def test_nothing_was_retrained_yet(beside: Beside) -> None:
    assert "Begin with: greenroom schedule run MODEL" in call("history").output

"""How far a job is: a file that is always whole, and no file without the variable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.training import progress


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "progress.json"
    monkeypatch.setenv(progress.VARIABLE, str(place))
    return place


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_without_the_variable_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    progress.report(1, 2, "half")
    assert list(tmp_path.iterdir()) == []


def test_a_report_says_how_much_of_what_and_when(path: Path) -> None:
    progress.report(3, 8, "stores")
    found = json.loads(path.read_text())
    assert (found["done"], found["total"], found["what"]) == (3, 8, "stores")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found["at"])).total_seconds()) < 60
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_reports_come_every_half_second_at_most(path: Path, clock: list[float]) -> None:
    seen = []
    for done, at in ((1, 0.0), (2, 0.2), (3, 0.49), (4, 0.5), (5, 0.9), (6, 1.2)):
        clock[0] = 100.0 + at
        progress.report(done, 10, "steps")
        seen.append(json.loads(path.read_text())["done"])
    assert seen == [1, 1, 1, 4, 4, 6]


def test_the_last_report_is_never_left_out(path: Path, clock: list[float]) -> None:
    progress.report(9, 10, "steps")
    progress.report(10, 10, "steps")
    assert json.loads(path.read_text())["done"] == 10


def test_a_disk_that_refuses_does_not_end_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "gone" / "progress.json"))
    progress.report(1, 2, "half")
    assert list(tmp_path.iterdir()) == []

"""Checkpoints are whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import BadInputError
from core.training.rl.checkpoints import Checkpoints, SeedState
from core.training.rl.curves import Curves
from core.training.rl.measures import Figures
from core.training.rl.plan import SeedResult, Workshop


class Model:
    """Saves a number."""

    def __init__(self, number: int, breaks: bool = False) -> None:
        self.number = number
        self.breaks = breaks

    def save(self, path: Path) -> None:
        path.write_text(str(self.number))
        if self.breaks:
            raise KeyboardInterrupt


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "seed-1")


def test_the_last_checkpoint_has_the_model_and_the_best_so_far(checkpoints: Checkpoints) -> None:
    assert checkpoints.last() is None
    for steps, best in ((10, True), (20, True), (30, False), (40, False)):
        checkpoints.save(Model(steps), SeedState(timesteps=steps), is_best=best)
    last = checkpoints.last()
    assert last is not None
    assert (last.model.read_text(), last.best.read_text(), last.state.timesteps) == ("40", "20", 40)


def test_two_checkpoints_are_kept(checkpoints: Checkpoints, tmp_path: Path) -> None:
    for steps in (1, 10, 100):
        checkpoints.save(Model(steps), SeedState(timesteps=steps), is_best=True)
    assert [one.name for one in sorted((tmp_path / "seed-1").iterdir())] == [
        "step-000000000010",
        "step-000000000100",
    ]


def test_a_checkpoint_that_was_not_finished_is_not_there(checkpoints: Checkpoints) -> None:
    checkpoints.save(Model(1), SeedState(timesteps=1), is_best=True)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(Model(2, breaks=True), SeedState(timesteps=2), is_best=True)
    last = checkpoints.last()
    assert last is not None and last.model.read_text() == "1"
    # What is left of it is in nobody's way.
    checkpoints.save(Model(2), SeedState(timesteps=2), is_best=True)
    last = checkpoints.last()
    assert last is not None and last.model.read_text() == "2"


def test_the_end_comes_after_a_checkpoint_of_the_same_step(checkpoints: Checkpoints) -> None:
    checkpoints.save(Model(5), SeedState(timesteps=5), is_best=True)
    checkpoints.save(Model(6), SeedState(timesteps=5, finished=True), is_best=False)
    last = checkpoints.last()
    assert last is not None and last.state.finished
    assert (last.model.read_text(), last.best.read_text()) == ("6", "5")


def test_what_a_seed_came_to_is_kept(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    assert shop.result(3) is None
    result = SeedResult(3, "abc", 100, 50, 1.25, -0.5, Figures(0.1, None, -0.2), 9.5)
    shop.keep(result)
    assert shop.result(3) == result and shop.result(2) is None


def test_a_training_is_compared_with_what_it_was_started_with(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "new")
    shop.check({"gamma": 0.99, "net": "64,64"}, "abc")
    shop.check({"gamma": 0.99, "net": "64,64"}, "abc")
    with pytest.raises(BadInputError, match=r"abc was started with gamma = 0\.99, not 0\.9\."):
        shop.check({"gamma": 0.9, "net": "64,64"}, "abc")
    shutil.rmtree(tmp_path / "new")
    shop.check({"gamma": 0.9}, "abc")


class Run:
    """Takes metrics down."""

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((metrics, step))


def test_curves_never_log_a_step_twice_or_go_back() -> None:
    run = Run()
    curves = Curves(run, {"a": 20}.get)
    for step in (10, 20, 30, 30, 25):
        curves.log({"a": step, "b": step}, step)
    assert run.logged == [({"b": 10}, 10), ({"b": 20}, 20), ({"a": 30, "b": 30}, 30)]


def test_curves_leave_out_what_is_no_finite_number() -> None:
    run = Run()
    curves = Curves(run, lambda key: None)
    curves.log({"text": "ppo", "nan": float("nan"), "inf": float("inf"), "whole": 3}, 1)
    assert run.logged == [({"whole": 3.0}, 1)]

"""What is decided where a person chose nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import BadInputError
from core.training.rl.options import Algorithm, TrainingOptions, algorithm_named, effort

OPTIONS = TrainingOptions(Path("bars.csv"))


def test_epochs_are_passes_over_the_training_part() -> None:
    assert effort(replace(OPTIONS, epochs=2.5), 1001).timesteps == 2500
    assert effort(OPTIONS, 1001).timesteps == 100_000


def test_portions_fit_the_training() -> None:
    found = effort(OPTIONS, 1001)
    assert (found.n_steps, found.batch_size, found.episode_bars, found.evaluate_every) == (
        256,
        256,
        256,
        5000,
    )
    few = effort(replace(OPTIONS, timesteps=100), 50)
    assert (few.n_steps, few.episode_bars, few.evaluate_every) == (13, 49, 5)
    assert few.batch_size == 104 and 8 * few.n_steps % few.batch_size == 0


def test_a_batch_that_does_not_divide_what_is_collected_is_refused_with_one_that_does() -> None:
    with pytest.raises(BadInputError, match="Give --batch-size 64"):
        effort(replace(OPTIONS, batch_size=100), 1001)
    assert effort(replace(OPTIONS, batch_size=100, algorithm=Algorithm.SAC), 1001).batch_size == 100


def test_dqn_cannot_take_positions() -> None:
    with pytest.raises(BadInputError, match=r"DQN chooses among a few actions.*ppo, a2c, sac, td3, ddpg"):
        algorithm_named("dqn")
    with pytest.raises(BadInputError, match=r"'pro' is not known\. Choose one of ppo"):
        algorithm_named("pro")
    assert algorithm_named("PPO") is Algorithm.PPO

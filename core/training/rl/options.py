"""What a person can choose of a training, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from core.errors import BadInputError
from core.training.rl.market import Costs

DEFAULT_EXPERIMENT: Final = "trading-agents"
_EPISODE: Final = 256
_ROLLOUTS: Final = {"ppo": 256, "a2c": 16}
_LOGGED_EVERY: Final = 2048
_POINTS: Final = 50
_BATCH: Final = 256
_EVALUATIONS: Final = 20


class Algorithm(StrEnum):
    """Algorithms of stable-baselines3 whose actions are numbers of a range."""

    PPO = "ppo"
    A2C = "a2c"
    SAC = "sac"
    TD3 = "td3"
    DDPG = "ddpg"

    @property
    def is_on_policy(self) -> bool:
        """Whether it learns from what its present policy has just done."""
        return self in (Algorithm.PPO, Algorithm.A2C)


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What a person can choose; None is decided from the rest.

    Attributes
    ----------
    data : Path
        Bars.
    last_days : int or None
        Only the bars of so many days before the last one; earlier ones still warm up the features.
    timesteps : int
        Decisions to learn from, all environments together.
    epochs : float or None
        Passes over the training part, instead of `timesteps`.
    seeds, seed : int
        How many random seeds are trained, and the first of them.
    validation, test : float
        Shares of the bars.
    folds, fold : int, int or None
        Walk-forward folds, and which one is trained on, counted from 1; None is the last.
    environments : int
        Stepped at once.
    net : tuple of int
        Widths of the hidden layers.
    evaluate_every : int or None
        Timesteps between two validations; a checkpoint is kept after each.
    patience : int
        Validations without a better one after which a seed stops; 0 for never.
    warm_start : str or None
        The URI of a model to begin with.
    run_id : str or None
        Go on in this run.
    """

    data: Path
    repair: bool = False
    last_days: int | None = None
    algorithm: Algorithm = Algorithm.PPO
    timesteps: int = 100_000
    epochs: float | None = None
    seeds: int = 1
    seed: int = 1
    validation: float = 0.15
    test: float = 0.15
    folds: int = 1
    fold: int | None = None
    costs: Costs = field(default_factory=Costs)
    environments: int = 8
    episode_bars: int | None = None
    learning_rate: float = 3e-4
    gamma: float = 0.99
    n_steps: int | None = None
    batch_size: int | None = None
    net: tuple[int, ...] = (64, 64)
    evaluate_every: int | None = None
    patience: int = 5
    warm_start: str | None = None
    experiment: str = DEFAULT_EXPERIMENT
    run_name: str | None = None
    run_id: str | None = None

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds to train, in order."""
        return tuple(range(self.seed, self.seed + self.seeds))


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and in what portions is learnt.

    Attributes
    ----------
    timesteps : int
    episode_bars : int
    n_steps : int
        Steps of each environment between two updates of an on-policy algorithm.
    batch_size : int
    evaluate_every : int
    """

    timesteps: int
    episode_bars: int
    n_steps: int
    batch_size: int
    evaluate_every: int
    log_interval: int

    def params(self) -> dict[str, Any]:
        """Return what is logged of it."""
        return {
            "timesteps": self.timesteps,
            "episode_bars": self.episode_bars,
            "n_steps": self.n_steps,
            "batch_size": self.batch_size,
            "evaluate_every": self.evaluate_every,
        }


def effort(options: TrainingOptions, bars: int) -> Effort:
    """Decide what was left open.

    Parameters
    ----------
    bars : int
        Of the training part.

    Raises
    ------
    BadInputError
        If a batch does not divide what is collected for it.
    """
    steps = options.timesteps if options.epochs is None else math.ceil(options.epochs * (bars - 1))
    usual = _ROLLOUTS.get(options.algorithm, 1)
    rollout = options.n_steps or max(2, min(usual, math.ceil(steps / options.environments)))
    collected = rollout * options.environments
    batch = options.batch_size or (
        _divisor(collected, _BATCH) if options.algorithm is Algorithm.PPO else _BATCH
    )
    if options.algorithm is Algorithm.PPO and (batch > collected or collected % batch):
        raise BadInputError(
            f"Batches of {batch} do not divide the {collected} steps that {options.environments} environments collect "
            f"in {rollout} steps each. Give --batch-size {_divisor(collected, batch)}, or other --n-steps."
        )
    return Effort(
        timesteps=steps,
        episode_bars=min(options.episode_bars or _EPISODE, bars - 1),
        n_steps=rollout,
        batch_size=batch,
        evaluate_every=options.evaluate_every or max(1, steps // _EVALUATIONS),
        log_interval=(
            max(1, min(_LOGGED_EVERY, steps // _POINTS) // collected)
            if options.algorithm.is_on_policy
            else options.environments
        ),
    )


def _divisor(number: int, most: int) -> int:
    """Return the largest divisor of a number that is not above another one."""
    return next(one for one in range(min(number, most), 0, -1) if number % one == 0)


def algorithm_named(name: str) -> Algorithm:
    """Return an algorithm by its name.

    Raises
    ------
    BadInputError
        For one that cannot act in a range, or that is not known.
    """
    try:
        return Algorithm(name.lower())
    except ValueError:
        known = ", ".join(Algorithm)
        if name.lower() in ("dqn", "qrdqn"):
            raise BadInputError(
                f"{name.upper()} chooses among a few actions, and this agent's action is any position from -1 to 1. "
                f"Choose one of {known}."
            ) from None
        raise BadInputError(f"The algorithm {name!r} is not known. Choose one of {known}.") from None

"""PPO on the trading environment beside the same PPO on CartPole, and the vectorised environment alone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Times

STEPS = 100_000
ENVIRONMENTS = 8
ALONE = (64, 1024)
_BARS, _EPISODE = 5_000, 256
_STEPS_EACH, _BATCH = 256, 256
_LEARNT = 10 * _STEPS_EACH * ENVIRONMENTS
_ALONE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Speeds:
    """Seconds for 100,000 steps.

    Attributes
    ----------
    trading, cart_pole : Times
        PPO, learning included, with 8 environments; measured in turns.
    alone : dict of int to Times
        The vectorised environment with random actions, by the number of environments.
    """

    trading: Times
    cart_pole: Times
    alone: dict[int, Times]


def measure(folder: Path, rounds: int) -> Speeds:
    """Train both in turns, and step the environment alone after each."""
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    from core.training.rl.vectorised import TradingVecEnv

    torch.set_num_threads(1)
    market = _market(folder)
    trading, cart_pole = [], []
    alone: dict[int, list[float]] = {count: [] for count in ALONE}
    for _ in range(rounds):
        cart_pole.append(_learning(make_vec_env("CartPole-v1", ENVIRONMENTS, seed=1)))
        trading.append(_learning(TradingVecEnv(market, ENVIRONMENTS, _EPISODE)))
        for count, found in alone.items():
            found.append(_stepping(TradingVecEnv(market, count, _EPISODE)))
    return Speeds(
        Times(tuple(trading)),
        Times(tuple(cart_pole)),
        {count: Times(tuple(found)) for count, found in alone.items()},
    )


def _market(folder: Path) -> Any:
    """Daily bars of a random walk, prepared as the trainer prepares a file."""
    import numpy as np
    import polars as pl

    from core.training.rl.options import TrainingOptions
    from core.training.rl.preparation import prepare

    folder.mkdir(parents=True, exist_ok=True)
    days = np.busday_offset("2000-01-03", np.arange(_BARS)).astype("datetime64[us]")
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.006, _BARS)))
    path = folder / "bars.parquet"
    pl.DataFrame({"time": days, "close": close}).write_parquet(path)
    return prepare(TrainingOptions(path)).train


def _learning(env: Any) -> float:
    """Return the seconds that PPO needs for 100,000 steps: the same net, batch and steps for every environment."""
    from stable_baselines3 import PPO

    model = PPO(
        "MlpPolicy",
        env,
        n_steps=_STEPS_EACH,
        batch_size=_BATCH,
        policy_kwargs={"net_arch": [64, 64]},
        seed=1,
        device="cpu",
    )
    model.learn(_STEPS_EACH * ENVIRONMENTS)
    began = time.perf_counter()
    model.learn(_LEARNT)
    return (time.perf_counter() - began) / _LEARNT * STEPS


def _stepping(env: Any) -> float:
    """Return the seconds that the environment alone needs for 100,000 steps."""
    import numpy as np

    env.seed(1)
    env.reset()
    draw = np.random.default_rng(1)
    actions = [draw.uniform(-1, 1, (env.num_envs, 1)).astype(np.float32) for _ in range(16)]
    steps, began = 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < _ALONE_SECONDS:
        for action in actions:
            env.step(action)
        steps += len(actions) * env.num_envs
    return seconds / steps * STEPS

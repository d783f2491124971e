"""Many trading environments stepped at once in NumPy, as stable-baselines3 takes them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.utils.seeding import np_random
from stable_baselines3.common.vec_env import VecEnv

from core.training.rl.accounts import Accounts
from core.training.rl.environment import action_space, episode_length, observation_space, start_of
from core.training.rl.features import FEATURE_ORDER
from core.training.rl.market import Market
from core.training.rl.normalisation import Float32s

Infos = list[dict[str, Any]]


class TradingVecEnv(VecEnv):
    """N times `TradingEnv`, with the same numbers; all accounts move in one NumPy call.

    An episode that has ended begins anew at once: the observation is the first of the new one, ``infos`` has the
    last of the old one as ``terminal_observation``, ``TimeLimit.truncated``, and ``episode`` with reward, length and
    seconds. Python looks at single environments only where one has ended.

    Parameters
    ----------
    market : Market
    count : int
        N.
    episode_bars, random_start
        As in `TradingEnv`.
    """

    def __init__(
        self, market: Market, count: int, episode_bars: int | None = None, *, random_start: bool = True
    ) -> None:
        self.render_mode: str | None = None
        super().__init__(count, observation_space(), action_space())
        self.market = market
        self._length = episode_length(market, episode_bars)
        self._random_start = random_start
        self._accounts = Accounts(count, market.costs.per_turnover, market.return_scale)
        self._random: list[np.random.Generator | None] = [None] * count
        self._at = np.zeros(count, dtype=np.int64)
        self._end = np.zeros(count, dtype=np.int64)
        self._rewards = np.zeros(count)
        self._targets = np.zeros(count)
        self._everyone = np.arange(count)
        self._began = time.perf_counter()

    def reset(self) -> Float32s:
        for number, seed in enumerate(self._seeds):
            if seed is not None:
                self._random[number], _ = np_random(seed)
        self._reset_seeds()
        self._reset_options()
        self._begin(self._everyone)
        return self._observations()

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        self._targets = np.asarray(actions, dtype=np.float64).reshape(self.num_envs)

    def step_wait(self) -> tuple[Float32s, npt.NDArray[np.float32], npt.NDArray[np.bool_], Infos]:
        growth, _ = self._accounts.trade(self._targets, self.market.returns[self._at])
        self._at += 1
        rewards = np.log(growth) / self.market.return_scale
        self._rewards += rewards
        ruined = self._accounts.ruined
        done = ruined | (self._at >= self._end)
        seen = self._observations()
        infos: Infos = [{} for _ in range(self.num_envs)]
        if done.any():
            ended = np.flatnonzero(done)
            self._describe(ended, ruined, seen, infos)
            self._begin(ended)
            seen[ended] = self._observations()[ended]
        return seen, rewards.astype(np.float32), done, infos

    def _describe(
        self, ended: npt.NDArray[np.int64], ruined: npt.NDArray[np.bool_], seen: Float32s, infos: Infos
    ) -> None:
        seconds = round(time.perf_counter() - self._began, 6)
        for number in ended:
            infos[number] = {
                "terminal_observation": seen[number].copy(),
                "TimeLimit.truncated": not ruined[number],
                "episode": {
                    "r": float(self._rewards[number]),
                    "l": int(self._length - (self._end[number] - self._at[number])),
                    "t": seconds,
                },
            }

    def _begin(self, which: npt.NDArray[np.int64]) -> None:
        self._at[which] = [self._start(number) for number in which] if self._random_start else 0
        self._end[which] = self._at[which] + self._length
        self._rewards[which] = 0.0
        self._accounts.reset(which)

    def _start(self, number: int) -> int:
        random = self._random[number]
        if random is None:
            random, _ = np_random(None)
            self._random[number] = random
        return start_of(random, self.market, self._length)

    def _observations(self) -> Float32s:
        seen = np.empty((self.num_envs, len(FEATURE_ORDER)), dtype=np.float32)
        seen[:, :-2] = self.market.features[self._at]
        self._accounts.write(seen)
        return seen

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * len(self._which(indices))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise NotImplementedError("All environments share one market: make a new TradingVecEnv.")

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        raise NotImplementedError("There are no single environments in a TradingVecEnv to call.")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * len(self._which(indices))

    def _which(self, indices: int | Sequence[int] | None) -> list[int]:
        return [int(number) for number in self._get_indices(indices)]

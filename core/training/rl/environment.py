"""The trading environment for one agent, as Gymnasium knows environments."""

from __future__ import annotations

from typing import Any, Final

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from core.training.rl.accounts import Accounts
from core.training.rl.features import FEATURE_ORDER
from core.training.rl.market import Market
from core.training.rl.normalisation import CLIP, Float32s

_FIRST: Final = np.zeros(1, dtype=np.int64)


class TradingEnv(gym.Env[Float32s, npt.NDArray[np.float32]]):
    """An agent that decides at each close which part of its equity to hold, from -1 (short) to 1 (long).

    The observation at bar t is made of prices up to the close of t (`FEATURE_ORDER`). The action is the position
    that is held from that close to the next one. The reward is the log growth of the equity over the bar, costs
    taken off, in units of the standard deviation of returns in training. ``info`` has equity, growth and fees.

    Parameters
    ----------
    market : Market
    episode_bars : int, optional
        Decisions an episode; by default it runs from its start to the end of the market.
    random_start : bool
        Begin at any bar that leaves room for an episode, rather than at the first.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self, market: Market, episode_bars: int | None = None, *, random_start: bool = False
    ) -> None:
        self.observation_space = observation_space()
        self.action_space = action_space()
        self.market = market
        self._length = episode_length(market, episode_bars)
        self._random_start = random_start
        self._accounts = Accounts(1, market.costs.per_turnover, market.return_scale)
        self._at = self._end = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Float32s, dict[str, Any]]:
        super().reset(seed=seed)
        self._at = start_of(self.np_random, self.market, self._length) if self._random_start else 0
        self._end = self._at + self._length
        self._accounts.reset(_FIRST)
        return self._observation(), {}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[Float32s, float, bool, bool, dict[str, Any]]:
        targets = np.asarray(action, dtype=np.float64).reshape(1)
        growth, fees = self._accounts.trade(targets, self.market.returns[self._at : self._at + 1])
        self._at += 1
        reward = float(np.log(growth)[0] / self.market.return_scale)
        ruined = bool(self._accounts.ruined[0])
        info = {
            "equity": float(self._accounts.equity[0]),
            "growth": float(growth[0]),
            "fees": float(fees[0]),
        }
        return self._observation(), reward, ruined, not ruined and self._at >= self._end, info

    def _observation(self) -> Float32s:
        seen = np.empty((1, len(FEATURE_ORDER)), dtype=np.float32)
        seen[0, :-2] = self.market.features[self._at]
        self._accounts.write(seen)
        return seen.reshape(-1)


def observation_space() -> Any:
    """Return the space of observations: 15 numbers in [-5, 5]."""
    return spaces.Box(-CLIP, CLIP, (len(FEATURE_ORDER),), np.float32)


def action_space() -> Any:
    """Return the space of actions: a position in [-1, 1]."""
    return spaces.Box(-1.0, 1.0, (1,), np.float32)


def episode_length(market: Market, episode_bars: int | None) -> int:
    """Return the decisions of an episode: at most one fewer than there are bars."""
    most = len(market) - 1
    return most if not episode_bars else min(episode_bars, most)


def start_of(random: np.random.Generator, market: Market, length: int) -> int:
    """Draw the bar at which an episode of so many decisions begins."""
    return int(random.integers(len(market) - length))

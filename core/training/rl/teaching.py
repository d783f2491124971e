"""Let an algorithm learn: validate and keep checkpoints as it goes, and stop when it gets no better."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from stable_baselines3.common.callbacks import BaseCallback

from core.training.rl import backtest
from core.training.rl.algorithms import strategy_of
from core.training.rl.checkpoints import Checkpoints, SeedState
from core.training.rl.curves import Curves, sb3_logger
from core.training.rl.market import Market
from core.training.rl.measures import figures, returns_per_year
from core.training.rl.options import Effort

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

Progress = Callable[[int], None]
"""Told how many timesteps a seed has done."""


def teach(
    model: BaseAlgorithm,
    validation: Market,
    portions: Effort,
    patience: int,
    checkpoints: Checkpoints,
    curves: Curves,
    state: SeedState,
    progress: Progress,
) -> SeedState:
    """Learn until the timesteps are done, or the validation has not become better for long.

    Parameters
    ----------
    model : BaseAlgorithm
        New, or loaded from the last checkpoint.
    state : SeedState
        Of that checkpoint.

    Returns
    -------
    SeedState
        Finished; the last checkpoint has it, too.
    """
    watch = _Watch(validation, portions, patience, checkpoints, curves, state, progress)
    if not state.finished:
        model.set_logger(sb3_logger(curves))
        left = portions.timesteps - state.timesteps
        if left > 0:
            model.learn(
                left,
                callback=watch,
                log_interval=portions.log_interval,
                reset_num_timesteps=state.timesteps == 0,
            )
        watch.finish(model)
    return watch.state


def look_first(
    model: BaseAlgorithm, validation: Market, checkpoints: Checkpoints, curves: Curves
) -> SeedState:
    """Validate a model that begins with another one's weights: what it learns must be better than they are."""
    done = backtest.run(validation, strategy_of(model))
    state = SeedState(best_reward=done.reward)
    curves.log({"validation/reward": done.reward, "validation/best_reward": done.reward}, 0)
    checkpoints.save(model, state, is_best=True)
    return state


class _Watch(BaseCallback):
    """Looks at the model between two rollouts, when all that was collected has been learnt from."""

    def __init__(
        self,
        validation: Market,
        portions: Effort,
        patience: int,
        checkpoints: Checkpoints,
        curves: Curves,
        state: SeedState,
        progress: Progress,
    ) -> None:
        super().__init__()
        self.state = state
        self._validation = validation
        self._per_year = returns_per_year(validation.times)
        self._portions = portions
        self._patience = patience
        self._checkpoints = checkpoints
        self._curves = curves
        self._progress = progress
        self._next = state.timesteps + portions.evaluate_every
        self._enough = False
        self._began = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.model.num_timesteps >= self._next and self.model.num_timesteps > self.state.timesteps:
            self._look(self.model, finished=False)
            self._next = self.model.num_timesteps + self._portions.evaluate_every

    def _on_step(self) -> bool:
        self._progress(self.model.num_timesteps)
        return not self._enough

    def finish(self, model: BaseAlgorithm) -> None:
        """Validate what came last, unless that was done."""
        if self._enough or model.num_timesteps <= self.state.timesteps:
            self._keep(model, replace(self.state, finished=True), is_best=False)
        else:
            self._look(model, finished=True)

    def _look(self, model: BaseAlgorithm, *, finished: bool) -> None:
        done = backtest.run(self._validation, strategy_of(model))
        found = figures(done.values, self._per_year)
        before = self.state
        better = before.best_reward is None or done.reward > before.best_reward
        state = replace(
            before,
            timesteps=model.num_timesteps,
            best_reward=done.reward if better else before.best_reward,
            best_timesteps=model.num_timesteps if better else before.best_timesteps,
            without_better=0 if better else before.without_better + 1,
            finished=finished,
        )
        self._enough = 0 < self._patience <= state.without_better
        metrics = {"reward": done.reward, "best_reward": state.best_reward, **found.metrics()}
        self._curves.log({f"validation/{key}": value for key, value in metrics.items()}, state.timesteps)
        self._keep(model, state, is_best=better)

    def _keep(self, model: BaseAlgorithm, state: SeedState, *, is_best: bool) -> None:
        now = time.perf_counter()
        self.state = replace(state, seconds=state.seconds + now - self._began)
        self._began = now
        self._checkpoints.save(model, self.state, is_best=is_best)

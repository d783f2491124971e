"""What a training's runs hold: what they were made from, and what came of it on the held-out part."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from core.tracking import TrackedRun
from core.tracking.reproducibility import Evidence
from core.tracking.run import write_text
from core.training.rl import backtest, model_files
from core.training.rl.algorithms import strategy_of
from core.training.rl.bars import written
from core.training.rl.checkpoints import SeedState
from core.training.rl.market import Costs
from core.training.rl.measures import figures
from core.training.rl.plan import SeedResult
from core.training.rl.preparation import Prepared
from core.training.rl.runs import TrainingLogger, log_params

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

BENCHMARKS: Final = (("buy_and_hold", backtest.buy_and_hold), ("flat", backtest.flat))


class Recorder:
    """Logs into the runs of one training.

    Parameters
    ----------
    params : mapping
        What all runs share.
    asked : mapping of str to str
        What a launcher has logged into the training's run in its own words.

    Attributes
    ----------
    figures : dict of str to Figures
        buy_and_hold and flat, over the held-out part at the same costs.
    """

    def __init__(
        self,
        logger: TrainingLogger,
        prepared: Prepared,
        costs: Costs,
        params: Mapping[str, Any],
        evidence: Evidence,
        notes: tuple[str, ...],
        asked: Mapping[str, str],
    ) -> None:
        self._logger = logger
        self._prepared = prepared
        self._costs = costs
        self._params = {**params, **evidence.params}
        self._evidence = evidence
        self._notes = notes
        self._asked = {key: value for key, value in asked.items() if key not in ("seed", "seeds")}
        self._benchmarks = {name: backtest.run(prepared.test, rule) for name, rule in BENCHMARKS}
        self.figures = {
            name: figures(done.values, prepared.per_year) for name, done in self._benchmarks.items()
        }

    def describe(self, run: TrackedRun, there: Mapping[str, str], seeds: Mapping[str, int]) -> None:
        """Log what a run is made from; all runs of a training have the same params, but for the seeds.

        Parameters
        ----------
        there : mapping of str to str
            Params that the run has already.
        seeds : mapping of str to int
            Its params ``seed`` and ``seeds``.
        """
        log_params(run, self._params, self._asked, there)
        log_params(run, seeds, {}, there)
        run.set_tags(self._evidence.tags)
        if self._notes:
            run.set_tags({"mlflow.note.content": "\n".join(self._notes)})

        def write(folder: Path) -> None:
            write_text(folder, "environment.json", self._evidence.environment)
            write_text(folder, model_files.STATS, self._prepared.stats.to_json())
            write_text(folder, "model_signature.json", model_files.description())

        run.log_files(write)

    def judge(self, run: TrackedRun, model: BaseAlgorithm, state: SeedState, seed: int) -> SeedResult:
        """Lead a seed's model through the held-out part, and log both."""
        done = backtest.run(self._prepared.test, strategy_of(model))
        result = SeedResult(
            seed=seed,
            run_id=run.run_id,
            timesteps=state.timesteps,
            best_timesteps=state.best_timesteps,
            best_reward=state.best_reward if state.best_reward is not None else float("nan"),
            test_reward=done.reward,
            test=figures(done.values, self._prepared.per_year),
            seconds=state.seconds,
        )
        self._log(run, model, done, result)
        return result

    def choose(
        self, run: TrackedRun, model: BaseAlgorithm, results: list[SeedResult], chosen: SeedResult
    ) -> None:
        """Log the chosen seed's model into the training's run, and what all seeds came to."""
        self._log(run, model, backtest.run(self._prepared.test, strategy_of(model)), chosen)
        run.set_tags({"chosen_seed": chosen.seed})
        run.log_metrics(over_seeds(results))
        table = [
            {"seed": one.seed, "run_id": one.run_id, **one.test.metrics(), "best_reward": one.best_reward}
            for one in results
        ]
        self._logger.log_dict(table, "seeds.json")

    def _log(
        self, run: TrackedRun, model: BaseAlgorithm, done: backtest.Backtest, result: SeedResult
    ) -> None:
        metrics = {
            "best_reward": result.best_reward,
            "test_reward": result.test_reward,
            "training_duration": result.seconds,
            **result.test.metrics(),
        }
        for name, one in self.figures.items():
            metrics |= one.metrics(f"{name}_")
        self._logger.log_backtest_results(
            {
                "portfolio_values": backtest.portfolio(done, self._benchmarks["buy_and_hold"]),
                "trades": backtest.trades(done),
                "metrics": metrics,
                "initial_capital": backtest.CAPITAL,
                "costs": {"fee": self._costs.fee, "slippage": self._costs.slippage},
                "start": written(done.times[0]),
                "end": written(done.times[-1]),
                "returns_per_year": self._prepared.per_year,
                "seed": result.seed,
            }
        )
        run.log_saved_model(model_files.saving(model, self._prepared), "model", model_files.KIND, None)


def over_seeds(results: list[SeedResult]) -> dict[str, float]:
    """Return median and worst of each figure over seeds; a seed without a figure is left out of it."""
    metrics: dict[str, float] = {}
    for name in ("total_return", "sharpe", "max_drawdown"):
        values = [value for one in results if (value := getattr(one.test, name)) is not None]
        if values:
            metrics[f"{name}_median"], metrics[f"{name}_worst"] = median(values), min(values)
    return metrics

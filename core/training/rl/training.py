"""A training: every seed learns, is chosen by its validation and judged on the held-out part; all of it is logged.

One run is the training. With several seeds it has a child run for each, with that seed's curves, model and backtest,
since a single lucky seed proves nothing: the run itself says what the median and the worst seed came to, and holds
the model with the best validation, which is the one that could have been chosen without knowing the future.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import BadInputError, GreenroomError
from core.settings import Settings
from core.tracking import TrackedRun
from core.tracking.reproducibility import Evidence, gather
from core.training import progress
from core.training.rl.algorithms import begin_with, class_of, go_on, make
from core.training.rl.bars import written
from core.training.rl.checkpoints import Checkpoints, SeedState
from core.training.rl.curves import Curves
from core.training.rl.measures import Figures
from core.training.rl.model_files import STATS
from core.training.rl.options import Effort, TrainingOptions, effort
from core.training.rl.plan import SeedResult, Workshop, params_of
from core.training.rl.preparation import Prepared, prepare
from core.training.rl.recording import Recorder
from core.training.rl.runs import Runs, TrainingLogger, is_begun, seed_tags
from core.training.rl.teaching import look_first, teach
from core.training.rl.vectorised import TradingVecEnv
from core.training.rl.warm_start import WarmStart, fetch

if TYPE_CHECKING:
    from mlflow.entities import Run
    from stable_baselines3.common.base_class import BaseAlgorithm

TAGS: Final = {"mlflow.source.name": "greenroom rl", "mlflow.source.type": "PROJECT"}


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a training came to.

    Attributes
    ----------
    run_id : str or None
        None where the server has not been reached.
    seeds : tuple of SeedResult
    chosen : int
        The seed with the best validation.
    benchmarks : mapping of str to Figures
        buy_and_hold and flat, over the held-out part at the same costs.
    notes : tuple of str
        What was assumed, repaired or looks odd.
    seconds : float
        Of this attempt.
    """

    run_id: str | None
    experiment: str
    seeds: tuple[SeedResult, ...]
    chosen: int
    benchmarks: Mapping[str, Figures]
    test_start: str
    test_end: str
    test_bars: int
    notes: tuple[str, ...]
    seconds: float


def run_training(options: TrainingOptions, settings: Settings, folder: Path | None = None) -> TrainingReport:
    """Train, or go on with a training, and log it.

    Parameters
    ----------
    settings : Settings
        Name the tracking store and Greenroom's home.
    folder : Path, optional
        Where checkpoints are kept; by default ``checkpoints/<run id>`` in Greenroom's home.

    Raises
    ------
    BadInputError
        If the bars or an option cannot be used.
    SourceError
        If the tracking store is needed and does not answer: to go on with a run, or to fetch a model.
    """
    import torch

    # Nets this small are slower on several threads.
    torch.set_num_threads(1)
    began = time.perf_counter()
    runs = Runs(settings)
    before, experiment = (None, options.experiment)
    if options.run_id is not None:
        before, experiment = runs.find(options.run_id)
    with tempfile.TemporaryDirectory(prefix="greenroom-rl-") as scratch:
        try:
            material = _gather(options, runs, Path(scratch))
        except BadInputError as error:
            # A run that a mistake ended says why; one that only was to be gone on with stays as it is.
            if before is not None and not is_begun(before):
                runs.end(before.info.run_id, "FAILED", str(error))
            raise
        logger = runs.logger(experiment)
        training = _Training(options, material, runs, logger, settings, before)
        return training.run(folder, began)


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """What is known before a run is opened."""

    prepared: Prepared
    portions: Effort
    evidence: Evidence
    warm: WarmStart | None
    notes: tuple[str, ...]


def _gather(options: TrainingOptions, runs: Runs, scratch: Path) -> _Material:
    warm = None
    if options.warm_start is not None:
        warm = fetch(options.warm_start, options.algorithm, runs.place.uri, scratch / "warm")
    prepared = prepare(options, warm.stats if warm is not None else None)
    stats = scratch / STATS
    stats.write_text(prepared.stats.to_json(), encoding="utf-8")
    notes = list(prepared.bars.notes)
    if warm is not None and warm.seen_until >= prepared.test.times[0]:
        notes.append(
            f"The model {warm.uri} has seen bars until {written(warm.seen_until)}, which is in the held-out part (from "
            f"{written(prepared.test.times[0])}): the result of that part is not one of unseen bars."
        )
    return _Material(
        prepared,
        effort(options, len(prepared.train)),
        gather(options.data, stats),
        warm,
        tuple(notes),
    )


class _Training:
    """One attempt at a training."""

    def __init__(
        self,
        options: TrainingOptions,
        material: _Material,
        runs: Runs,
        logger: TrainingLogger,
        settings: Settings,
        before: Run | None,
    ) -> None:
        self.options = options
        self.prepared = material.prepared
        self.portions = material.portions
        self.material = material
        self.runs = runs
        self.logger = logger
        self.settings = settings
        self.before = before
        params = params_of(options, material.portions, material.prepared)
        hashes = {key: value for key, value in material.evidence.params.items() if key.endswith("_hash")}
        # A commit made since does not keep a training from going on.
        self.identity = {**params, "seed": options.seed, "seeds": options.seeds, **hashes}
        self.recorder = Recorder(
            logger,
            material.prepared,
            options.costs,
            params,
            material.evidence,
            material.notes,
            before.data.params if before is not None else {},
        )

    def run(self, folder: Path | None, began: float) -> TrainingReport:
        several = self.options.seeds > 1
        with ExitStack() as stack:
            run, shop = self._open(folder, stack)
            there = dict(self.before.data.params) if self.before is not None else {}
            seeds = {"seed": self.options.seed, **({"seeds": self.options.seeds} if several else {})}
            self.recorder.describe(run, there, seeds)
            results = (
                self._seeds(run, shop) if several else [self._seed(run, self.before, shop, self.options.seed)]
            )
            # By the validation alone: a choice by the held-out part would be a choice by the future.
            chosen = max(results, key=lambda one: one.best_reward)
            if several and not shop.is_done:
                self.recorder.choose(run, self._best(shop, chosen.seed), results, chosen)
            run.flush()
            shop.finish()
        return TrainingReport(
            run_id=run.run_id,
            experiment=self.logger.experiment_name,
            seeds=tuple(results),
            chosen=chosen.seed,
            benchmarks=self.recorder.figures,
            test_start=written(self.prepared.test.times[0]),
            test_end=written(self.prepared.test.times[-1]),
            test_bars=len(self.prepared.test),
            notes=self.material.notes,
            seconds=time.perf_counter() - began,
        )

    def _open(self, folder: Path | None, stack: ExitStack) -> tuple[TrackedRun, Workshop]:
        """Open the training's run and its folder until the stack is closed."""
        home = self.settings.home / "checkpoints"
        if self.before is None:
            run = stack.enter_context(self.logger.start_run(self.options.run_name, tags=TAGS))
            shop = Workshop(folder or home / (run.run_id or f"unsent-{time.time_ns()}"))
            stack.enter_context(shop.alone())
            shop.check(self.identity, run.run_id)
            return run, shop
        # Before the run is touched: a mistake of this attempt leaves it as it is.
        run_id = self.before.info.run_id
        shop = Workshop(folder or home / run_id)
        stack.enter_context(shop.alone())
        shop.check(self.identity, run_id)
        self.runs.forget_failure(self.before)
        return stack.enter_context(self.logger.go_on(run_id, nested=False)), shop

    def _seeds(self, parent: TrackedRun, shop: Workshop) -> list[SeedResult]:
        """Train each seed in a run of its own under the training's run."""
        there = self.runs.children(self.before) if self.before is not None else {}
        results = []
        for seed in self.options.all_seeds:
            before = there.get(seed)
            result = shop.result(seed)
            if result is None:
                results.append(self._child(parent, before, shop, seed))
                continue
            if before is not None and before.info.status != "FINISHED":
                # Killed after the seed was done and before its run was ended.
                self.runs.end(before.info.run_id, "FINISHED")
            results.append(result)
        return results

    def _child(self, parent: TrackedRun, before: Run | None, shop: Workshop, seed: int) -> SeedResult:
        if before is not None:
            run = self.logger.go_on(before.info.run_id, nested=True)
        else:
            name = self.before.info.run_name if self.before is not None else parent.name
            run = self.logger.start_run(f"{name} seed {seed}", nested=True, tags=seed_tags(TAGS, seed))
        with run:
            self.recorder.describe(
                run, dict(before.data.params) if before is not None else {}, {"seed": seed}
            )
            return self._seed(run, before, shop, seed)

    def _seed(self, run: TrackedRun, before: Run | None, shop: Workshop, seed: int) -> SeedResult:
        """Train one seed, and log it into a run."""
        done = shop.result(seed)
        if done is not None:
            return done
        state = self._learn(run, before, shop, seed)
        result = self.recorder.judge(run, self._best(shop, seed), state, seed)
        # Before the run is ended: a run that has ended is whole.
        run.flush()
        shop.keep(result)
        return result

    def _learn(self, run: TrackedRun, before: Run | None, shop: Workshop, seed: int) -> SeedState:
        options, portions = self.options, self.portions
        checkpoints = Checkpoints(shop.of_seed(seed))
        curves = Curves(
            run, self.runs.last_steps(before.info.run_id) if before is not None else lambda _: None
        )
        env = TradingVecEnv(self.prepared.train, options.environments, portions.episode_bars)
        last = checkpoints.last()
        if last is not None:
            # Another stretch of chance than before, which the checkpoint had passed already.
            env.seed(seed + last.state.timesteps)
            model, state = go_on(options.algorithm, last.model, env), last.state
        else:
            env.seed(seed)
            model, state = make(options, portions, env, seed), SeedState()
            if self.material.warm is not None:
                begin_with(model, self.material.warm.weights, self.material.warm.uri)
                state = look_first(model, self.prepared.validation, checkpoints, curves)
        place = options.all_seeds.index(seed)
        total = portions.timesteps * options.seeds

        def told(timesteps: int) -> None:
            done = min(timesteps, portions.timesteps)
            progress.report(portions.timesteps * place + done, total, f"seed {seed}: {done:,} steps")

        state = teach(
            model, self.prepared.validation, portions, options.patience, checkpoints, curves, state, told
        )
        told(portions.timesteps)
        return state

    def _best(self, shop: Workshop, seed: int) -> BaseAlgorithm:
        """Load the model of a seed that its validation chose."""
        last = Checkpoints(shop.of_seed(seed)).last()
        if last is None:
            raise GreenroomError(f"The checkpoints of seed {seed} in {shop.folder} are gone. Train again.")
        return class_of(self.options.algorithm).load(last.best, device="cpu")

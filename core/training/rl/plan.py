"""What a training was started with, kept beside its checkpoints: it is gone on with, or refused, by that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.errors import BadInputError, GreenroomError
from core.training.rl.checkpoints import replace_text
from core.training.rl.measures import Figures
from core.training.rl.options import Effort, TrainingOptions
from core.training.rl.preparation import Prepared

_PLAN = "plan.json"
_RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class SeedResult:
    """What one seed came to.

    Attributes
    ----------
    run_id : str or None
        None where the server has not been reached.
    timesteps, best_timesteps : int
        Learnt, and at which of them the chosen model was.
    best_reward : float
        Of a pass over the validation, by which the model was chosen.
    test_reward : float
        Of the same model over the held-out part.
    test : Figures
        Of the held-out part.
    seconds : float
        Of learning and validating.
    """

    seed: int
    run_id: str | None
    timesteps: int
    best_timesteps: int
    best_reward: float
    test_reward: float
    test: Figures
    seconds: float

    def to_json(self) -> str:
        """Return the result as JSON."""
        test = {
            "total_return": self.test.total_return,
            "sharpe": self.test.sharpe,
            "max_drawdown": self.test.max_drawdown,
        }
        return json.dumps(
            {
                "seed": self.seed,
                "run_id": self.run_id,
                "timesteps": self.timesteps,
                "best_timesteps": self.best_timesteps,
                "best_reward": self.best_reward,
                "test_reward": self.test_reward,
                "test": test,
                "seconds": self.seconds,
            }
        )


class Workshop:
    """The folder of one training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def check(self, params: dict[str, Any], run_id: str | None) -> None:
        """Note what the training is started with, or compare it with what it was started with.

        Raises
        ------
        BadInputError
            If it was started with something else.
        """
        path = self.folder / _PLAN
        now = json.loads(json.dumps(params, default=str))
        if not path.is_file():
            replace_text(path, json.dumps(now, indent=1))
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        if changed:
            key = changed[0]
            raise BadInputError(
                f"The training {run_id or self.folder.name} was started with {key} = {before.get(key)}, not "
                f"{now.get(key)}. Go on with what it was started with, or leave out --run-id for a new run."
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second process from working on the same training.

        Raises
        ------
        GreenroomError
            If one does already.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise GreenroomError(
                f"Another process is working on the training in {self.folder}. Wait until it is done, or stop it."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def of_seed(self, seed: int) -> Path:
        """Return the folder of a seed."""
        return self.folder / f"seed-{seed}"

    def result(self, seed: int) -> SeedResult | None:
        """Return what a seed came to, if it is done."""
        path = self.of_seed(seed) / _RESULT
        if not path.is_file():
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
        return SeedResult(**{**found, "test": Figures(**found["test"])})

    def keep(self, result: SeedResult) -> None:
        """Note that a seed is done."""
        replace_text(self.of_seed(result.seed) / _RESULT, result.to_json())

    @property
    def is_done(self) -> bool:
        """Whether all of it is done and logged."""
        return (self.folder / _RESULT).is_file()

    def finish(self) -> None:
        """Note that all of it is done and logged."""
        replace_text(self.folder / _RESULT, "{}")


def params_of(options: TrainingOptions, portions: Effort, prepared: Prepared) -> dict[str, Any]:
    """Return the params that all runs of a training share; that of the seed comes on top."""
    return {
        "algorithm": str(options.algorithm),
        "data": prepared.bars.name,
        "repair": options.repair,
        "last_days": options.last_days or 0,
        **portions.params(),
        "environments": options.environments,
        "learning_rate": options.learning_rate,
        "gamma": options.gamma,
        "net": ",".join(map(str, options.net)),
        "fee_bps": round(options.costs.fee * 1e4, 6),
        "slippage_bps": round(options.costs.slippage * 1e4, 6),
        "validation": options.validation,
        "test": options.test,
        "folds": options.folds,
        "fold": options.fold or options.folds,
        "patience": options.patience,
        "warm_start": options.warm_start or "",
        **prepared.params(),
    }

"""One gradient boosting model over all stores, scored store by store."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from core.training.stores.features import LEVEL
from core.training.stores.fitting import (
    CALIBRATION_WINDOWS,
    Floats,
    Mask,
    Recipe,
    StoreFailedError,
    StoreResult,
    StoreTask,
    conformal_quantile,
    finished,
    refuse_unusable,
)
from core.training.stores.models import GLOBAL_BOOSTING, GLOBAL_ROUNDS, Inputs, Learned, boosted

STORE: Final = "store"
# Fewer rows a thread than that are learned faster by one thread, and beside other work much faster.
_ROWS_A_THREAD: Final = 100_000


class OneModel:
    """All stores that can be trained on, and the one model of them.

    Parameters
    ----------
    tasks : sequence of StoreTask
    threads : int
        Of the training, at most; the model does not depend on it.

    Attributes
    ----------
    files : dict of str to bytes
        The model's folder; empty if no store could be trained on.
    importance : tuple of (str, float)
        Over all stores.
    """

    def __init__(self, tasks: Sequence[StoreTask], recipe: Recipe, threads: int) -> None:
        self._recipe = recipe
        self._failed: list[StoreResult] = []
        self._tasks: list[StoreTask] = []
        usable: list[Mask] = []
        for task in tasks:
            try:
                usable.append(refuse_unusable(task, recipe))
                self._tasks.append(task)
            except StoreFailedError as failed:
                self._failed.append(StoreResult(task.store, str(failed)))
        self.stores = [task.store for task in self._tasks]
        self.files: dict[str, bytes] = {}
        self.importance: tuple[tuple[str, float], ...] = ()
        self._bounds = np.cumsum([0, *(len(task.days) for task in self._tasks)])
        if not self._tasks:
            return
        self._days = np.concatenate([task.days for task in self._tasks])
        self._threads = max(1, min(threads, len(self._days) // _ROWS_A_THREAD))
        self._usable = np.concatenate(usable)
        codes = np.repeat(np.arange(len(self._tasks)), np.diff(self._bounds)).astype(np.float32)
        self._inputs: Inputs = np.column_stack([np.concatenate([task.inputs for task in self._tasks]), codes])
        self._level = self._inputs[:, recipe.features.index(LEVEL)].astype(np.float64)
        self._sales_logs = np.log1p(np.concatenate([task.sales for task in self._tasks]))

    def results(self) -> Iterator[StoreResult]:
        """Train, calibrate and measure; yield the stores in order, those that failed first."""
        yield from self._failed
        if not self._tasks:
            return
        began = time.process_time()
        recipe = self._recipe
        model = self._learn(recipe.cutoff)
        self.files = {**model.files, "scaler.json": json.dumps(model.scaler).encode()}
        self.importance = model.importance
        logs = self._logs(model, np.ones(len(self._days), dtype=bool))
        widths = self._widths()
        share = (time.process_time() - began) / len(self._tasks)
        for at, task in enumerate(self._tasks):
            own = slice(self._bounds[at], self._bounds[at + 1])
            try:
                started = time.process_time() - share
                yield finished(
                    task,
                    recipe,
                    logs[own],
                    widths[at],
                    self._usable[own],
                    {},
                    (),
                    len(recipe.features),
                    started,
                )
            except StoreFailedError as failed:
                yield StoreResult(task.store, str(failed))

    def _learn(self, origin: np.datetime64) -> Learned:
        rows = self._usable & (self._days <= origin)
        relative = self._sales_logs[rows] - self._level[rows]
        spread = float(relative.std())
        scaler = {
            "target": "log1p(sales) - level",
            "target_mean": float(relative.mean()),
            "target_scale": spread if spread > 0 else 1.0,
            "features": list(self._recipe.features),
            "stores": self.stores,
        }
        target = (relative - scaler["target_mean"]) / scaler["target_scale"]
        params = {**GLOBAL_BOOSTING, "num_threads": self._threads, "seed": self._recipe.seed}
        names = [*self._recipe.features, STORE]
        return boosted(self._inputs[rows], target, names, scaler, params, GLOBAL_ROUNDS, [STORE])

    def _logs(self, model: Learned, rows: npt.NDArray[np.bool_]) -> Floats:
        logs = np.full(len(self._days), np.nan)
        logs[rows] = model.logs(self._inputs[rows], self._level[rows])
        logs[np.isnan(self._level)] = np.nan
        return logs

    def _widths(self) -> list[float]:
        """Return each store's half width of log intervals; see `fitting.calibrated_width`."""
        errors: list[list[Floats]] = [[] for _ in self._tasks]
        for window in range(1, CALIBRATION_WINDOWS + 1):
            origin = self._recipe.cutoff - window * self._recipe.span
            if not (self._usable & (self._days <= origin)).any():
                continue
            ahead = (self._days > origin) & (self._days <= origin + self._recipe.span)
            off = np.abs(self._logs(self._learn(origin), ahead) - self._sales_logs)
            for at in range(len(self._tasks)):
                own = slice(self._bounds[at], self._bounds[at + 1])
                errors[at].append(off[own][ahead[own]])
        return [
            conformal_quantile(np.concatenate(parts) if parts else np.array([]), self._recipe.interval)
            for parts in errors
        ]

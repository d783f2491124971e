"""Learning curves: what stable-baselines3 records, as metrics of a run, no step twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from stable_baselines3.common.logger import KVWriter, Logger

from core.tracking import TrackedRun

LastStep = Callable[[str], int | None]
"""From a metric to the last step that the run has of it, None for none."""


class Curves:
    """Logs metrics over timesteps.

    A training that goes on after a kill passes some steps again, between its checkpoint and the kill. They are in
    the run already, and are not logged a second time.
    """

    def __init__(self, run: TrackedRun, last_step: LastStep) -> None:
        self._run = run
        self._last_step = last_step
        self._last: dict[str, int | None] = {}

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Log what is a finite number and has not been logged for this step or a later one."""
        new = {
            key: float(value)
            for key, value in values.items()
            if isinstance(value, Real) and math.isfinite(value) and self._is_new(key, step)
        }
        if new:
            self._last.update(dict.fromkeys(new, step))
            # The run writes it down at once and sends it together with others.
            self._run.log_metrics(new, step)

    def _is_new(self, key: str, step: int) -> bool:
        if key not in self._last:
            self._last[key] = self._last_step(key)
        last = self._last[key]
        return last is None or step > last


class _Output(KVWriter):
    """What a logger of stable-baselines3 writes to."""

    def __init__(self, curves: Curves) -> None:
        self._curves = curves

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        self._curves.log(key_values, step)


def sb3_logger(curves: Curves) -> Logger:
    """Return a logger for `BaseAlgorithm.set_logger`."""
    return Logger(folder=None, output_formats=[_Output(curves)])

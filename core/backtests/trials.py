"""How many runs were tried before this one was chosen, and how good they were: what deflates a Sharpe ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from core.backtests.types import Floats

SHARPE_METRICS = (
    *("sharpe_ratio", "sharpe", "test_sharpe_ratio", "test_sharpe", "backtest_sharpe_ratio"),
    *("backtest_sharpe", "val_sharpe_ratio", "val_sharpe", "eval_sharpe", "sharpe_annual"),
)
"""Metrics that hold an annual Sharpe ratio, the one that is taken first comes first."""


@dataclass(frozen=True, slots=True)
class Trials:
    """The runs of an experiment, as tries for the best Sharpe ratio.

    Attributes
    ----------
    count : int
        Runs that were tried, the chosen one included: those with the metric, or all where none has one.
    metric : str or None
        Where the Sharpe ratios come from.
    others : float64 array, shape (count - 1,), or None
        Annual Sharpe ratios of the other runs.
    """

    count: int
    metric: str | None
    others: Floats | None

    def per_period(self, periods_per_year: float) -> Floats | None:
        """Return the Sharpe ratios of the others per period, as the formulas want them."""
        return None if self.others is None else self.others / sqrt(periods_per_year)


def count_trials(others: int, metrics: Mapping[str, Floats]) -> Trials:
    """Count the tries of an experiment.

    Parameters
    ----------
    others : int
        Its runs that are not deleted, the chosen one left out.
    metrics : mapping of str to float64 array
        For each metric of `SHARPE_METRICS` that any of them has: their last values, NaN where missing.
    """
    for name in SHARPE_METRICS:
        values = metrics.get(name)
        if values is not None and np.isfinite(values).any():
            found = values[np.isfinite(values)]
            return Trials(1 + len(found), name, found)
    return Trials(1 + others, None, None)

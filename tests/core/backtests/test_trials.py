"""How many tries a Sharpe ratio was chosen from."""

from __future__ import annotations

import numpy as np

from core.backtests.trials import SHARPE_METRICS, count_trials


def test_runs_with_the_metric_are_the_trials() -> None:
    found = count_trials(9, {"sharpe_ratio": np.array([0.5, np.nan, 1.0, np.inf])})
    assert (found.count, found.metric) == (3, "sharpe_ratio")
    per_day = found.per_period(252)
    assert per_day is not None
    np.testing.assert_allclose(per_day, np.array([0.5, 1.0]) / np.sqrt(252))


def test_the_first_metric_that_has_a_value_counts() -> None:
    names = SHARPE_METRICS[:3]
    metrics = {names[0]: np.array([np.nan]), names[1]: np.array([1.0, 2.0]), names[2]: np.array([3.0])}
    assert count_trials(5, metrics).metric == names[1]


def test_without_the_metric_all_runs_are_trials_of_unknown_spread() -> None:
    found = count_trials(11, {})
    assert (found.count, found.metric, found.others) == (12, None, None)
    assert found.per_period(252) is None

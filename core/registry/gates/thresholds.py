"""Do a run's metrics keep the thresholds that are set?"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence

from core.registry.gates.rules import Gate, MetricRule
from core.registry.gates.types import GateResult
from core.registry.gates.wording import apart, finite, number, sentence


def judge_metrics(rules: Sequence[MetricRule], metrics: Mapping[str, float]) -> GateResult:
    """Compare the last values of metrics with thresholds, all of which must hold.

    A metric that is missing, NaN or infinite does not hold; the largest number of a float counts as infinite, as
    MLflow's databases store infinity so.

    Parameters
    ----------
    rules : sequence of MetricRule
    metrics : mapping of str to float

    Returns
    -------
    GateResult
        The reason names every threshold that does not hold.
    """
    failures = [said for rule in rules if (said := _failure(rule, metrics.get(rule.metric)))]
    evidence = {
        "metrics": [
            {
                "metric": rule.metric,
                "comparison": rule.comparison,
                "number": rule.number,
                "value": finite(metrics.get(rule.metric)),
                "passed": _failure(rule, metrics.get(rule.metric)) is None,
            }
            for rule in rules
        ]
    }
    if failures:
        return GateResult(Gate.METRICS, False, sentence("not kept: " + "; ".join(failures)), evidence)
    held = [f"{rule.metric} is {_beside(metrics[rule.metric], rule)}" for rule in rules]
    return GateResult(Gate.METRICS, True, sentence("kept: " + "; ".join(held)), evidence)


def is_usable(value: float | None) -> bool:
    """Whether a metric is there and finite, as MLflow's databases store infinity."""
    return value is not None and math.isfinite(value) and abs(value) < sys.float_info.max


def _failure(rule: MetricRule, value: float | None) -> str | None:
    asked = f"{rule.comparison} {number(rule.number)} is asked for"
    if value is None:
        return f"{rule.metric} was not logged, {asked}"
    if not is_usable(value):
        return f"{rule.metric} is {'not a number' if math.isnan(value) else 'infinite'}, {asked}"
    if rule.holds(value):
        return None
    return f"{rule.metric} is {apart(value, rule.number)}, {asked}"


def _beside(value: float, rule: MetricRule) -> str:
    return f"{apart(value, rule.number)} ({rule.comparison} {number(rule.number)})"

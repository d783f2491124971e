"""Do live figures keep their thresholds? Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.registry.gates.thresholds import is_usable, judge_metrics
from core.registry.monitoring.configuration import WatchRules

_COUNTS: Final = ("periods", "observations", "test_samples")


class Verdict(StrEnum):
    """What is known of live figures."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of judging a run.

    Attributes
    ----------
    periods : int or None
        Observations; None where the run does not say.
    thresholds : tuple of mapping
        Each with metric, comparison, number, value (None where there is none that is finite) and passed.
    """

    verdict: Verdict
    sentence: str
    periods: int | None
    thresholds: tuple[Mapping[str, Any], ...] = ()


def judge_live(
    rules: WatchRules, metrics: Mapping[str, float], measures: Mapping[str, Any] | None
) -> Judgement:
    """Judge the live figures of a version.

    A threshold is broken by a value alone: a figure that was not logged, or is NaN or infinite, says nothing about the
    model, so it breaks nothing; where no threshold is broken and one says nothing, the run is not judged.

    Parameters
    ----------
    metrics : mapping of str to float
        The run's last values.
    measures : mapping, optional
        Of the backtest that the run logged; they win over metrics of the same name.
    """
    measured = {
        key: float(value)
        for key, value in (measures or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    values = {**metrics, **measured}
    periods = next((int(values[key]) for key in _COUNTS if is_usable(values.get(key))), None)
    if periods is not None and periods < rules.min_periods:
        sentence = f"{periods:,} observations are too few to judge; {rules.min_periods:,} are asked for"
        return Judgement(Verdict.NOT_JUDGED, sentence, periods)
    known = [rule for rule in rules.thresholds if is_usable(values.get(rule.metric))]
    silent = [rule.metric for rule in rules.thresholds if rule not in known]
    judged = judge_metrics(known, values)
    checked = tuple(judged.evidence["metrics"])
    if not judged.passed:
        return Judgement(Verdict.BROKEN, judged.reason, periods, checked)
    if silent:
        sentence = f"The run has no finite value of {', '.join(silent)}"
        return Judgement(Verdict.NOT_JUDGED, sentence, periods, checked)
    return Judgement(Verdict.KEPT, judged.reason, periods, checked)

"""Is the worst of all random seeds still good enough? A model that one lucky seed made is not."""

from __future__ import annotations

from collections.abc import Sequence

from core.registry.gates.rules import Gate, WorstSeedRule
from core.registry.gates.thresholds import is_usable
from core.registry.gates.types import GateResult
from core.registry.gates.wording import apart, finite, number, unjudged
from core.runs.types import Run


def judge_worst_seed(rule: WorstSeedRule, runs: Sequence[Run], own: Run | None) -> GateResult:
    """Compare the worst value of a metric over seeds with what is asked for.

    Parameters
    ----------
    rule : WorstSeedRule
    runs : sequence of Run
        The run that trained the version and those that differ from it by the seed alone; `own` may be among them.
    own : Run or None
        None where the version has no run.

    Returns
    -------
    GateResult
        Names the worst run, of equals the first. A single run cannot be judged; a run without a usable value
        fails the gate, as a seed that diverged is the worst there is.
    """
    if own is None:
        return unjudged(Gate.WORST_SEED, "the version has no run")
    group = list({run.run_id: run for run in (own, *runs)}.values())
    evidence = {
        "metric": rule.metric,
        "at_least": rule.at_least,
        "at_most": rule.at_most,
        "runs": [
            {"run_id": run.run_id, "name": run.name, "value": finite(run.metrics.get(rule.metric))}
            for run in group
        ],
    }
    if len(group) < 2:
        why = "no other run has the same params but for the seed"
        return unjudged(Gate.WORST_SEED, why, evidence)
    without = [run for run in group if not is_usable(run.metrics.get(rule.metric))]
    if len(without) == len(group):
        why = f"none of the {len(group)} seeds logged {rule.metric} as a finite number"
        return unjudged(Gate.WORST_SEED, why, evidence)
    if without:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        reason = f"Of {len(group)} seeds, {_called(without[0])}{more} logged no finite {rule.metric}."
        return GateResult(Gate.WORST_SEED, False, reason, evidence)
    low = rule.at_least is not None
    bound = rule.at_least if rule.at_least is not None else rule.at_most
    if bound is None:
        raise ValueError("A rule for the worst seed has either at_least or at_most.")
    pick = min if low else max
    worst = pick(group, key=lambda run: run.metrics[rule.metric])
    value = worst.metrics[rule.metric]
    reason = (
        f"The worst of {len(group)} seeds, {_called(worst)}, has {rule.metric} {apart(value, bound)}; "
        f"{'at least' if low else 'at most'} {number(bound)} is asked for."
    )
    passed = value >= bound if low else value <= bound
    return GateResult(Gate.WORST_SEED, passed, reason, {**evidence, "worst": worst.run_id, "value": value})


def _called(run: Run) -> str:
    return f"{run.name} ({run.run_id[:8]})" if run.name else run.run_id[:8]

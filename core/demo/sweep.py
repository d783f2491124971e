"""Records a sweep: a parent run that repeats the metrics of its best child."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from mlflow.entities import Metric

from core.demo.data import load
from core.demo.measures import SELECTION, higher_is_better
from core.demo.plan import ParamValue, SweepPlan
from core.demo.record import Desk, Recorded, log_metrics, log_params, open_run, record_run


def record_sweep(desk: Desk, plan: SweepPlan, on_run: Callable[[str], None]) -> None:
    """Train the children of a sweep, each as a run nested in the parent.

    Parameters
    ----------
    desk : Desk
    plan : SweepPlan
        Its children share one model family and one version of the data.
    on_run : callable
        Told the name of each run that has ended, the parent's last.
    """
    first = plan.children[0]
    selection = SELECTION[desk.experiment.task]
    data = load(first.data)
    run_id, _ = open_run(desk, plan.name, str(first.model), data, plan.note, {"sweep": "grid"})
    params: dict[str, ParamValue] = {"selection_metric": selection, "children": len(plan.children)}
    params |= {f"grid.{key}": values_of(plan, key) for key in first.params}
    log_params(desk.client, run_id, params | {"dataset_hash": data.full_hash[:16]})
    recorded: list[Recorded] = []
    for child in plan.children:
        recorded.append(record_run(replace(desk, parent_run_id=run_id), child))
        on_run(child.name)
    best = best_of(recorded, selection, higher_is_better(desk.experiment.task)[selection])
    now = time.time_ns() // 1_000_000
    log_metrics(desk.client, run_id, [Metric(key, value, now, 0) for key, value in best.metrics.items()])
    desk.client.set_tag(run_id, "best_child_run_id", best.run_id)
    desk.client.set_terminated(run_id, "FINISHED")
    on_run(plan.name)


def values_of(plan: SweepPlan, key: str) -> str:
    """List the different values of a param over a sweep, in the order of the children."""
    return ", ".join(dict.fromkeys(str(child.params[key]) for child in plan.children))


def best_of(recorded: Sequence[Recorded], metric: str, higher: bool) -> Recorded:
    """Choose the run with the best value of a metric, the first of equals."""
    pick = max if higher else min
    return pick(recorded, key=lambda run: run.metrics[metric])

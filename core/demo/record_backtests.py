"""Hands the demo's backtests to the script that simulates and logs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from core.demo.backtest_plans import BacktestExperiment
from core.demo.record import KEPT, RUN_TAG
from core.demo.script import run_script


def record_backtests(
    tracking_uri: str, experiment: BacktestExperiment, on_run: Callable[[str], None]
) -> None:
    """Simulate and log an experiment whose name MLflow knows already.

    Raises
    ------
    SourceError
        If the process fails, with the last thing it said.
    """
    run_script("core.demo.log_backtests", _described(experiment), tracking_uri, "backtests", on_run)


def _described(experiment: BacktestExperiment) -> dict[str, object]:
    return {
        "experiment": experiment.name,
        "entries": [
            {
                "plan": asdict(plan),
                "tags": {
                    RUN_TAG: KEPT,
                    "mlflow.user": experiment.people[at % len(experiment.people)],
                    "mlflow.source.name": "greenroom demo",
                    "team": experiment.team,
                },
            }
            for at, plan in enumerate(experiment.entries)
        ],
    }

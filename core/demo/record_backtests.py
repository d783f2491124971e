"""Runs the demo's backtests in a process of their own and hears how far it has come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from core.demo.backtest_plans import BacktestExperiment
from core.demo.record import KEPT, RUN_TAG
from core.errors import SourceError
from core.redaction import redact


def record_backtests(
    tracking_uri: str, experiment: BacktestExperiment, on_run: Callable[[str], None]
) -> None:
    """Simulate and log an experiment whose name MLflow knows already.

    Raises
    ------
    SourceError
        If the process fails, with the last thing it said.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-demo-") as folder:
        plans = Path(folder) / "plans.json"
        plans.write_text(json.dumps(_described(experiment)), encoding="utf-8")
        said = Path(folder) / "stderr.txt"
        # What could not be sent need not be kept: a half-built experiment is built again.
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GREENROOM_")},
            "MLFLOW_TRACKING_URI": tracking_uri,
            "GREENROOM_HOME": folder,
        }
        command = [sys.executable, "-m", "core.demo.log_backtests", str(plans)]
        with (
            said.open("w", encoding="utf-8") as errors,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=folder
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101
            for line in process.stdout:
                on_run(line.strip())
        if process.returncode:
            lines = said.read_text(encoding="utf-8").strip().splitlines()
            reason = lines[-1] if lines else f"exit code {process.returncode}"
            raise SourceError(f"The demo's backtests could not be logged: {redact(reason)}")


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

"""The three calls of a training pipeline that wants no object: set up, start, end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from core.tracking.run import TrackedRun
from core.tracking.tracker import MLflowTracker

_tracker: MLflowTracker | None = None


def setup_mlflow(
    experiment_name: str | None = None,
    tracking_uri: str | None = None,
    config_path: str | os.PathLike[str] | None = None,
) -> MLflowTracker:
    """Choose store and experiment for `start_mlflow_run`; see `MLflowTracker`."""
    global _tracker
    end_mlflow_run()
    _tracker = MLflowTracker(tracking_uri, experiment_name, config_path)
    return _tracker


def start_mlflow_run(
    run_name: str | None = None,
    experiment_name: str | None = None,
    nested: bool = False,
    tags: Mapping[str, Any] | None = None,
) -> TrackedRun:
    """Start a run; see `MLflowTracker.start_run`. Naming another experiment sets up anew."""
    tracker = _tracker
    if tracker is None or (experiment_name is not None and experiment_name != tracker.experiment_name):
        tracker = setup_mlflow(experiment_name)
    return tracker.start_run(run_name, nested, tags)


def end_mlflow_run(status: str = "FINISHED") -> None:
    """End the run that `start_mlflow_run` started, if there is one."""
    if _tracker is not None:
        _tracker.end_run(status)

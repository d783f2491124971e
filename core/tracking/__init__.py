"""What training scripts import: trackers that keep going when the tracking server does not.

>>> from core.tracking import MLflowLogger
>>> logger = MLflowLogger("trading_experiment")

Importing this package costs next to nothing; MLflow is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.tracking.logger import MLflowLogger
    from core.tracking.offline import OutboxReport, sync_offline
    from core.tracking.reproducibility import (
        compute_file_hash,
        compute_json_hash,
        dvc_version,
        environment_info,
        git_commit,
    )
    from core.tracking.run import TrackedRun
    from core.tracking.shortcuts import end_mlflow_run, setup_mlflow, start_mlflow_run
    from core.tracking.tracker import MLflowTracker

__all__ = [
    "MLflowLogger",
    "MLflowTracker",
    "OutboxReport",
    "TrackedRun",
    "compute_file_hash",
    "compute_json_hash",
    "dvc_version",
    "end_mlflow_run",
    "environment_info",
    "git_commit",
    "setup_mlflow",
    "start_mlflow_run",
    "sync_offline",
]

_PLACES = {
    "MLflowLogger": "logger",
    "MLflowTracker": "tracker",
    "OutboxReport": "offline",
    "TrackedRun": "run",
    "end_mlflow_run": "shortcuts",
    "setup_mlflow": "shortcuts",
    "start_mlflow_run": "shortcuts",
    "sync_offline": "offline",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = import_module(f"core.tracking.{_PLACES.get(name, 'reproducibility')}")
        return getattr(module, name)
    raise AttributeError(f"module 'core.tracking' has no attribute '{name}'")

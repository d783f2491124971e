"""`mlflow run` on Kubernetes with a run that is there: `python -m core.training.engines.kubernetes ARGUMENTS`.

The arguments are those of ``mlflow run``, and MLflow does the work: it builds the image, makes the Kubernetes job and
waits for it. Two things it does not do. Its kubernetes backend makes a new run, whatever run it is given; here it takes
the one that MLFLOW_RUN_ID names. And asked to end it leaves the Kubernetes job behind; here it deletes it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mlflow import MlflowClient, projects
from mlflow.cli import run as mlflow_run

_NEEDED = ("docker", "kubernetes")


def main(arguments: Sequence[str]) -> None:
    """Run a project on Kubernetes and wait until it is over; exit with 1 if it fails."""
    # MLflow deletes the Kubernetes job on Ctrl+C, not on what a stop sends.
    signal.signal(signal.SIGTERM, _interrupt)
    if not hasattr(projects, "get_or_create_run"):
        sys.exit("This version of MLflow makes the run of a Kubernetes job elsewhere. Install mlflow 3.17.")
    projects.get_or_create_run = _run_of_job
    try:
        mlflow_run.main(args=list(arguments), prog_name="mlflow run")
    except ModuleNotFoundError as error:
        if error.name in _NEEDED:
            sys.exit(
                f"MLflow needs the package {error.name} for Kubernetes. Run: pip install {' '.join(_NEEDED)}"
            )
        raise


def _run_of_job(*_: Any) -> Any:
    return MlflowClient().get_run(os.environ["MLFLOW_RUN_ID"])


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main(sys.argv[1:])

"""A training script like any other: trains pipelines of store forecasts, one after the other.

The demo runs it in a process of its own, ``python -m core.demo.log_stores PLANS``, with the tracking store in
MLFLOW_TRACKING_URI. It prints a line for each run that is logged.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from core.errors import GreenroomError
from core.training.stores.models import ModelKind
from core.training.stores.pipeline import PipelineOptions, run_pipeline


def main(given: dict[str, Any]) -> None:
    """Train all pipelines of an experiment."""
    # MLflow 3.17 on SQLAlchemy 2.1 warns at its first use.
    warnings.filterwarnings("ignore", message="The ``noload`` loader strategy")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    for entry in given["entries"]:
        options = PipelineOptions(
            data=Path(given["data"]),
            kind=ModelKind(entry["kind"]),
            most=given["stores"],
            experiment=given["experiment"],
            run_name=entry["name"],
            tags=entry["tags"],
            run_tags=entry["run_tags"],
        )
        run_pipeline(options, client, on_progress=_Lines(entry["name"]))
        _say(entry["name"])


class _Lines:
    """Prints a line a store."""

    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline
        self._told = 0

    def __call__(self, what: str, done: int, total: int) -> None:
        while self._told < done:
            self._told += 1
            _say(f"{self._pipeline}, store {self._told} of {total}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except GreenroomError as error:
        sys.exit(str(error))

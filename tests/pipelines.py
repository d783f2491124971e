"""Pipelines of store forecasts for tests, trained for real on a few generated stores."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
from mlflow import MlflowClient

from core.demo.generated_sales import GENERATED_NOTE, generate_sales
from core.training.stores.models import ModelKind
from core.training.stores.pipeline import PipelineOptions, run_pipeline

# With a horizon of 14 days the 19th store has ten rows, all of them in the test period.
STORES = 20
HORIZON = 14


def sales_file(folder: Path, stores: int = STORES, days: int = 200) -> Path:
    """Write generated sales of some stores."""
    path = folder / "sales.parquet"
    generate_sales(stores, days, end=date(2025, 9, 28)).write_parquet(path)
    return path


def train(client: MlflowClient, folder: Path, kind: ModelKind, name: str, experiment: str = "stores") -> str:
    """Train a pipeline in this process; return its run id."""
    path = folder / "sales.parquet"
    if not path.exists():
        sales_file(folder)
    options = PipelineOptions(
        path,
        kind,
        horizon=HORIZON,
        experiment=experiment,
        run_name=name,
        jobs=1,
        run_tags={"generated_data": GENERATED_NOTE},
    )
    return run_pipeline(options, client, str(folder / "artifacts")).run_id


def children(client: MlflowClient, run_id: str) -> dict[str, str]:
    """Return the run id of every store of a pipeline."""
    experiment = client.get_run(run_id).info.experiment_id
    found = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'", max_results=1000)
    return {run.data.tags["store_code"]: run.info.run_id for run in found}


def predictions(client: MlflowClient, run_id: str, folder: Path) -> pl.DataFrame:
    """Read the forecast table of a run with plain MLflow."""
    return pl.read_parquet(client.download_artifacts(run_id, "forecast/predictions.parquet", str(folder)))

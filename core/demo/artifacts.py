"""Files of one run: predictions, a figure, importance, configuration, a note, and for some the model."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import mlflow.sklearn
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.models import Model, infer_signature

from core.demo.data import Data, DataVersion
from core.demo.figures import draw_predictions
from core.demo.plan import RunPlan
from core.demo.train import Epoch, Trained

REQUIREMENTS: Final = ("scikit-learn", "skops", "pandas", "numpy")
"""What a logged model needs; given by name because MLflow takes seconds to find it out."""


def log_artifacts(
    client: MlflowClient, run_id: str, plan: RunPlan, data: Data, trained: Trained, epochs: Sequence[Epoch]
) -> None:
    """Log everything but the model of a finished run."""
    table = pd.DataFrame({"actual": data.test.y, "predicted": trained.predicted})
    suffix = "parquet" if plan.data is DataVersion.DIGITS_V1 else "json"
    client.log_table(run_id, table, f"evaluation/predictions.{suffix}")
    if not epochs:
        # A run with epochs is shown by its metric histories; a figure costs as much as the rest of the run.
        client.log_figure(run_id, draw_predictions(data, trained.predicted), "figures/predictions.png")
    client.log_dict(run_id, configuration(plan, data), "config.yaml")
    if trained.importance:
        ranked = pd.DataFrame(trained.importance, columns=["feature", "importance"])
        client.log_text(run_id, ranked.to_csv(index=False, lineterminator="\n"), "feature_importance.csv")
    if plan.note:
        client.log_text(run_id, f"{plan.name}\n\n{plan.note}\n", "notes.txt")


def configuration(plan: RunPlan, data: Data) -> dict[str, Any]:
    """Write a plan as a nested mapping, as the configuration file of a training script would be."""
    return {
        "model": {"type": str(plan.model), "seed": plan.seed, "params": dict(plan.params)},
        "data": {
            "loader": f"sklearn.datasets.{data.loader}",
            "version": str(data.version),
            "sha256": data.full_hash,
            "rows": {"train": len(data.train.y), "valid": len(data.valid.y), "test": len(data.test.y)},
            "target": data.target,
            "features": list(data.train.x.columns),
        },
    }


def log_model(
    client: MlflowClient,
    experiment_id: str,
    run_id: str,
    params: Mapping[str, str],
    trained: Trained,
    data: Data,
) -> str:
    """Log a fitted model as ``mlflow.sklearn.log_model`` does, without its use of the global tracking URI.

    Returns
    -------
    str
        Id of the logged model.
    """
    logged = client.create_logged_model(
        experiment_id, name="model", source_run_id=run_id, params=dict(params), model_type="sklearn"
    )
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    described = Model(
        artifact_path=logged.artifact_location,
        run_id=run_id,
        model_uuid=logged.model_id,
        model_id=logged.model_id,
    )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # MLflow warns about type hints of its own when save_model first imports mlflow.pyfunc.
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        path = Path(folder) / "model"
        mlflow.sklearn.save_model(
            trained.estimator,
            str(path),
            mlflow_model=described,
            signature=infer_signature(data.test.x, trained.predicted),
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
        )
        client.log_model_artifacts(logged.model_id, str(path))
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return str(logged.model_id)

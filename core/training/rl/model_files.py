"""The folder of a trained agent: what MLflow and stable-baselines3 load, and what its observations are made by."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.tracking.models import saver
from core.training.rl.features import FEATURE_ORDER
from core.training.rl.preparation import Prepared

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

MODEL: Final = "final_model.zip"
STATS: Final = "norm_stats.json"
TRAINING: Final = "training.json"
KIND: Final = "stable-baselines3"


def signature() -> Any:
    """Return the signature: ``observation`` (-1, 15) to ``action`` (-1, 1), both float32."""
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    seen = TensorSpec(np.dtype("float32"), (-1, len(FEATURE_ORDER)), "observation")
    acts = TensorSpec(np.dtype("float32"), (-1, 1), "action")
    return ModelSignature(inputs=Schema([seen]), outputs=Schema([acts]))


def description() -> str:
    """Return the content of ``model_signature.json``."""
    return json.dumps(
        {"observation_dim": len(FEATURE_ORDER), "action_dim": 1, "feature_order": list(FEATURE_ORDER)},
        indent=1,
    )


def saving(model: BaseAlgorithm, prepared: Prepared) -> Callable[[Path], None]:
    """Return what saves a model into the folder ``model`` of a folder.

    Besides MLflow's files and ``final_model.zip`` it holds ``norm_stats.json``, by which observations are
    normalised, and ``training.json``, which says until when the model has seen the market.
    """
    plan = saver(model, signature(), feature_order=FEATURE_ORDER)

    def save(folder: Path) -> None:
        plan.save(folder)
        place = folder / "model"
        (place / STATS).write_text(prepared.stats.to_json(), encoding="utf-8")
        (place / TRAINING).write_text(
            json.dumps({"data": prepared.bars.name, "seen_until": str(prepared.seen_until)}), encoding="utf-8"
        )

    return save

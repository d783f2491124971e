"""A model to begin with: fetched by its URI, with the statistics that its observations were made by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BadInputError, SourceError
from core.redaction import redact
from core.training.rl.model_files import MODEL, STATS, TRAINING
from core.training.rl.normalisation import NormalisationStats, read_stats
from core.training.rl.options import Algorithm


@dataclass(frozen=True, slots=True)
class WarmStart:
    """A model of this trainer.

    Attributes
    ----------
    uri : str
    weights : Path
        ``final_model.zip``.
    stats : NormalisationStats
    seen_until : datetime64
        The last bar that it was trained or chosen on.
    """

    uri: str
    weights: Path
    stats: NormalisationStats
    seen_until: np.datetime64


def fetch(uri: str, algorithm: Algorithm, tracking_uri: str, folder: Path) -> WarmStart:
    """Fetch a model.

    Parameters
    ----------
    uri : str
        ``models:/NAME/Production``, ``models:/NAME/3``, ``runs:/ID/model`` or a folder.
    folder : Path
        Where it is put.

    Raises
    ------
    BadInputError
        If there is no such model, or it is not one of this trainer and algorithm.
    SourceError
        If the store does not answer.
    """
    place = _downloaded(uri, tracking_uri, folder)
    described, weights = place / "algorithm.json", place / MODEL
    for file in (described, weights, place / STATS, place / TRAINING):
        if not file.is_file():
            raise BadInputError(
                f"The model {uri} was not made by this trainer: it holds no {file.name}. Name one that was, or leave "
                "out --warm-start."
            )
    try:
        kind = str(json.loads(described.read_text(encoding="utf-8"))["class"]).rpartition(".")[2].lower()
        until = np.datetime64(json.loads((place / TRAINING).read_text(encoding="utf-8"))["seen_until"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInputError(
            f"The model {uri} cannot be begun with: its description is damaged ({error})."
        ) from error
    if kind != algorithm:
        raise BadInputError(
            f"The model {uri} was trained with {kind}, not {algorithm}. Give --algorithm {kind}, or another model."
        )
    return WarmStart(uri, weights, read_stats(place / STATS), until)


def _downloaded(uri: str, tracking_uri: str, folder: Path) -> Path:
    import mlflow
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    folder.mkdir(parents=True, exist_ok=True)
    try:
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri, registry_uri=tracking_uri
            )
        )
    except MlflowException as error:
        reason = redact(str(error).partition("\n")[0])
        raise BadInputError(
            f"The model {uri} cannot be fetched to begin with: {reason} Correct --warm-start."
        ) from error
    except (OSError, SQLAlchemyError) as error:
        reason = redact(str(error).partition("\n")[0])
        raise SourceError(
            f"The model {uri} cannot be fetched: {reason} Try again when the store is back."
        ) from error

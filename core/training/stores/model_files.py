"""The folder of a model in MLflow's format, written as text: plain MLflow loads it where Greenroom is not installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from core.training.stores import predictor
from core.training.stores.models import ModelKind

DESCRIPTION: Final = "MLmodel"
RUN_ID: Final = b"<run id>"
"""Stands in the description for the id of the run that the model is logged to."""
_EXAMPLE: Final = "input_example.json"
_EXAMPLE_LINES: Final = (
    "saved_input_example_info:",
    f"  artifact_path: {_EXAMPLE}",
    "  pandas_orient: split",
    "  type: dataframe",
)
_EXAMPLES: Final = 3
_CODE: Final = "code/greenroom_store_model.py"


def model_folder(files: dict[str, bytes], kind: ModelKind, features: Sequence[str]) -> dict[str, bytes]:
    """Return the files of a model's folder.

    Parameters
    ----------
    files : dict of str to bytes
        `model.lgb` or `model.json`, and `scaler.json`.
    """
    example = {_EXAMPLE: _example(files["model.json"])} if kind is ModelKind.SEASONAL_NAIVE else {}
    return {
        **files,
        **example,
        DESCRIPTION: _described(kind, tuple(features)).encode(),
        "requirements.txt": "".join(f"{one}\n" for one in _requirements(kind)).encode(),
        _CODE: _code(),
    }


def _example(model: bytes) -> bytes:
    """Return days that the seasonal naive forecast has an answer for, which no day made up from the signature has."""
    values = json.loads(model)
    season = timedelta(days=values["season_days"])
    days = [date.fromisoformat(day[:10]) + season for day in sorted(values["last_season"])[-_EXAMPLES:]]
    return json.dumps({"columns": ["date"], "data": [[f"{day}T00:00:00"] for day in days]}).encode()


@cache
def _described(kind: ModelKind, features: tuple[str, ...]) -> str:
    """Write the MLmodel file, with `RUN_ID` for the run's id."""
    if kind is ModelKind.SEASONAL_NAIVE:
        inputs = [{"name": "date", "type": "datetime", "required": True}]
    else:
        inputs = [{"name": name, "type": "double", "required": True} for name in features]
    if kind is ModelKind.GLOBAL:
        inputs.append({"name": "store", "type": "string", "required": True})
    output = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
    lines = [
        "artifact_path: model",
        "flavors:",
    ]
    if kind in (ModelKind.GRADIENT_BOOSTING, ModelKind.GLOBAL):
        lines += ["  lightgbm:", "    data: model.lgb", f"    lgb_version: {version('lightgbm')}"]
        lines += ["    model_class: lightgbm.basic.Booster"]
    lines += [
        "  python_function:",
        "    code: code",
        "    env:",
        "      virtualenv: requirements.txt",
        "    loader_module: greenroom_store_model",
        f"    python_version: {_python()}",
        f"mlflow_version: {version('mlflow')}",
        f"run_id: '{RUN_ID.decode()}'",
        *(_EXAMPLE_LINES if kind is ModelKind.SEASONAL_NAIVE else ()),
        "signature:",
        f"  inputs: {_quoted(inputs)}",
        f"  outputs: {_quoted(output)}",
        "  params: null",
        f"utc_time_created: '{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}'",
        "",
    ]
    return "\n".join(lines)


def _quoted(value: list[dict[str, Any]]) -> str:
    """Write JSON as a text of YAML, in which an apostrophe is written twice."""
    return "'" + json.dumps(value).replace("'", "''") + "'"


def _requirements(kind: ModelKind) -> list[str]:
    packages = ["mlflow", "numpy", "pandas"]
    if kind in (ModelKind.GRADIENT_BOOSTING, ModelKind.GLOBAL):
        packages.append("lightgbm")
    return [f"{name}=={version(name)}" for name in packages]


@cache
def _code() -> bytes:
    return Path(predictor.__file__).read_bytes()


def _python() -> str:
    import platform

    return platform.python_version()

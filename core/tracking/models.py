"""Save a model in MLflow's format, in the training's thread and without asking any server."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.errors import BadInputError
from core.tracking import sb3_loader

Save = Callable[[Path], None]

_LOADER = "greenroom_sb3_loader"
_PACKAGES = {
    "pytorch": ("torch", "numpy", "cloudpickle"),
    "sklearn": ("scikit-learn", "skops", "scipy", "numpy", "pandas"),
    "stable-baselines3": ("stable-baselines3", "gymnasium", "torch", "numpy", "cloudpickle"),
    "pyfunc": ("cloudpickle", "numpy", "pandas"),
}


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """How a model is saved.

    Attributes
    ----------
    kind : str
        Its kind, as MLflow shows it.
    save : callable
        Saves it into the folder ``model`` of a folder.
    description : str or None
        Content of ``model_signature.json``.
    """

    kind: str
    save: Save
    description: str | None = None


def check_names(name: Any, registered: Any) -> None:
    """Refuse names that MLflow would refuse later."""
    if not isinstance(name, str) or not name or any(one in name for one in "/:.%\"'"):
        raise BadInputError(
            f"A model cannot be logged as {name!r}: its name must be free of / : . % \" and '."
        )
    if registered is None:
        return
    if not isinstance(registered, str) or not registered.strip() or any(one in registered for one in "/:"):
        raise BadInputError(f"A model cannot be registered as {registered!r}: give a name without / and :.")


def saver(
    model: Any,
    signature: Any = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | None = None,
    feature_order: Sequence[str] | None = None,
) -> ModelPlan:
    """Find out what a model is and how to save it; see `MLflowTracker.log_model`."""
    if isinstance(model, str | Path):
        return _saved(Path(model))
    kind = _kind(model)
    requirements = list(pip_requirements) if pip_requirements is not None else pinned(*_PACKAGES[kind])
    if kind == "stable-baselines3":
        return _stable_baselines3(model, signature, requirements, feature_order)
    common = {"signature": signature, "input_example": input_example, "pip_requirements": requirements}
    save = {"pytorch": _save_pytorch, "sklearn": _save_sklearn, "pyfunc": _save_pyfunc}[kind]

    def write(folder: Path) -> None:
        with _quiet():
            save(model, folder / "model", common)

    return ModelPlan(kind, write)


def pinned(*packages: str) -> list[str]:
    """Return requirements for the installed versions; packages that are not installed are left out."""
    found = []
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            # 2.13.0+cpu is a build of 2.13.0 that no package index has.
            found.append(f"{package}=={version(package).partition('+')[0]}")
    return found


def _kind(model: Any) -> str:
    # By the names of its classes, so that nothing is imported that the training has not imported.
    bases = {f"{base.__module__}.{base.__qualname__}" for base in type(model).__mro__}
    for base, kind in (
        ("stable_baselines3.common.base_class.BaseAlgorithm", "stable-baselines3"),
        ("torch.nn.modules.module.Module", "pytorch"),
        ("sklearn.base.BaseEstimator", "sklearn"),
        ("mlflow.pyfunc.model.PythonModel", "pyfunc"),
    ):
        if base in bases:
            return kind
    raise BadInputError(
        f"log_model does not know how to save a {type(model).__module__}.{type(model).__qualname__}. It takes torch "
        "modules, scikit-learn estimators, stable-baselines3 algorithms, mlflow.pyfunc.PythonModel, and folders: "
        "save others with mlflow.<flavour>.save_model(model, path) and give the path."
    )


def _saved(folder: Path) -> ModelPlan:
    if not (folder / "MLmodel").is_file():
        raise BadInputError(f"{folder} is no model saved by MLflow: it holds no file MLmodel.")

    def write(target: Path) -> None:
        shutil.copytree(folder, target / "model")

    return ModelPlan("saved", write)


def _save_pytorch(model: Any, path: Path, common: dict[str, Any]) -> None:
    import mlflow.pytorch

    example = common["input_example"]
    if hasattr(example, "detach"):
        common = {**common, "input_example": example.detach().cpu().numpy()}
    # The other format, a traced graph, would need an example, and fix the batch size if the example has one row.
    mlflow.pytorch.save_model(model, str(path), serialization_format="pickle", **common)


def _save_sklearn(model: Any, path: Path, common: dict[str, Any]) -> None:
    import mlflow.sklearn
    from mlflow.exceptions import MlflowException

    try:
        mlflow.sklearn.save_model(model, str(path), serialization_format="skops", **common)
        return
    except MlflowException as error:
        if "untrusted types" not in str(error):
            raise
    # skops loads only types that it knows. The ones that this model is made of are named in it: who trained it has
    # it in memory already, and who loads it reads the list in its MLmodel file.
    shutil.rmtree(path, ignore_errors=True)
    mlflow.sklearn.save_model(
        model, str(path), serialization_format="skops", skops_trusted_types=_types_of(model), **common
    )


def _types_of(model: Any) -> list[str]:
    import skops.io  # type: ignore[import-untyped]

    return list(skops.io.get_untrusted_types(data=skops.io.dumps(model)))


def _save_pyfunc(model: Any, path: Path, common: dict[str, Any]) -> None:
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(str(path), python_model=model, **common)


def _stable_baselines3(
    model: Any, signature: Any, requirements: list[str], feature_order: Sequence[str] | None
) -> ModelPlan:
    seen, acts = model.observation_space, model.action_space

    def write(folder: Path) -> None:
        path = folder / "model"
        code = folder / f"{_LOADER}.py"
        shutil.copyfile(sb3_loader.__file__, code)
        with _quiet():
            import mlflow.pyfunc  # warns about type hints of its own

            mlflow.pyfunc.save_model(
                str(path),
                loader_module=_LOADER,
                code_paths=[str(code)],
                signature=signature if signature is not None else _signature(seen, acts),
                pip_requirements=requirements,
            )
        code.unlink()
        # Beside MLmodel, where `client.download_artifacts(run_id, "model/final_model.zip")` finds it.
        model.save(path / "final_model.zip")
        kind = type(model)
        (path / "algorithm.json").write_text(json.dumps({"class": f"{kind.__module__}.{kind.__qualname__}"}))

    description = {
        "observation_dim": _dimension(seen),
        "action_dim": _dimension(acts),
        "feature_order": list(feature_order) if feature_order is not None else None,
    }
    if feature_order is not None and len(feature_order) != description["observation_dim"]:
        raise BadInputError(
            f"feature_order names {len(feature_order)} features, but the model observes "
            f"{description['observation_dim']}."
        )
    known = {key: value for key, value in description.items() if value is not None}
    return ModelPlan("stable-baselines3", write, json.dumps(known, indent=1))


def _dimension(space: Any) -> int | None:
    """Return how many numbers an element of a space has; a choice among n is one number."""
    return math.prod(space.shape) if space.shape is not None else None


def _signature(seen: Any, acts: Any) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(space: Any) -> Any:
        parts = getattr(space, "spaces", None)
        if isinstance(parts, dict):
            return Schema(
                [TensorSpec(np.dtype(one.dtype), (-1, *one.shape), key) for key, one in parts.items()]
            )
        if space.shape is None:
            return None
        return Schema([TensorSpec(np.dtype(space.dtype), (-1, *space.shape))])

    inputs = schema(seen)
    return ModelSignature(inputs=inputs, outputs=schema(acts)) if inputs is not None else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what MLflow says about formats that are chosen here on purpose, and its own deprecations."""
    loggers = [logging.getLogger(f"mlflow.{name}") for name in ("pytorch", "sklearn", "pyfunc")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

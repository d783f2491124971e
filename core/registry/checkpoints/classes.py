"""The class of a checkpoint's weights: where it is imported from, the shape it takes, and loading weights into it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.errors import ArtifactError, BadInputError

_DIMENSIONS: Final = (
    "observation_dim",
    "obs_dim",
    "state_dim",
    "state_size",
    "input_dim",
    "input_size",
    "in_features",
    "n_features",
    "num_features",
)


def class_path(model_class: type | str) -> str:
    """Return a class as ``package.module:Class``, as another process imports it."""
    if isinstance(model_class, str):
        return model_class
    module = model_class.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        module = spec.name if spec is not None else Path(getattr(main, "__file__", "__main__")).stem
    return f"{module}:{model_class.__qualname__}"


def search_path(path: str, model_class: type | str) -> tuple[Path, ...]:
    """Return the folder that a class is imported from, unless it is one of the installed packages."""
    top = path.partition(":")[0].partition(".")[0]
    main = getattr(sys.modules["__main__"], "__file__", None)
    if not isinstance(model_class, str) and model_class.__module__ == "__main__" and main is not None:
        return (Path(main).resolve().parent,)
    try:
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return (Path.cwd(),)
    places = [Path(one) for one in spec.submodule_search_locations or ()]
    folder = places[0].parent if places else Path(spec.origin or "").parent
    installed = [Path(sysconfig.get_path(one)) for one in ("purelib", "platlib", "stdlib")]
    return () if any(folder.is_relative_to(one) for one in installed) else (folder.resolve(),)


def shape_of(kwargs: Mapping[str, Any]) -> Sequence[int] | None:
    """Return the shape of one row of input, where the arguments of a class tell it."""
    for key in ("input_shape", "observation_shape", "obs_shape"):
        given = kwargs.get(key)
        if isinstance(given, list | tuple) and given and all(isinstance(one, int) for one in given):
            return tuple(given)
    widths = [kwargs[key] for key in _DIMENSIONS if isinstance(kwargs.get(key), int)]
    return (widths[0],) if widths else None


def loaded(path: Path, model_class: type | str, kwargs: Mapping[str, Any]) -> Any:
    """Return a ``torch.nn.Module`` with the weights of a checkpoint, on the CPU, ready to predict.

    Raises
    ------
    BadInputError
        If the class cannot be had, the weights are not those of the class, or torch is missing.
    ArtifactError
        If the file cannot be read.
    """
    state = _weights(path)
    made = _imported(model_class) if isinstance(model_class, str) else model_class
    try:
        network: Any = made(**kwargs)
        network.load_state_dict(state)
    except (TypeError, RuntimeError) as error:
        raise BadInputError(
            f"The weights of {path} do not go into {class_path(model_class)}: {error}"
        ) from error
    network.eval()
    return network


def _imported(path: str) -> Any:
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadInputError(
            f"{path!r} cannot be imported: {error}. Write it as package.module:Class."
        ) from error
    return found


def _weights(path: Path) -> Any:
    """Read a state dict without unpickling anything else."""
    try:
        import torch
    except ModuleNotFoundError as error:
        raise BadInputError("Loading a checkpoint needs PyTorch: pip install 'greenroom[rl]'.") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ArtifactError(f"{path} cannot be loaded: {error}. sync_files() fetches it again.") from error
    if isinstance(content, dict):
        for key in ("model_state_dict", "state_dict"):
            if isinstance(content.get(key), dict):
                return content[key]
    return content

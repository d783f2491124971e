"""Try a checkpoint before it is deployed: in its class, in a process that can do no harm."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.errors import BadInputError, NotFoundError
from core.registry.checkpoints.classes import class_path, search_path, shape_of
from core.registry.checkpoints.folder import copy
from core.registry.sandbox.trial import try_class, try_model
from core.registry.sandbox.types import Limits, Trial

_SUFFIXES: Final = (".pt", ".pth")


def try_checkpoint(
    file: Path,
    model_class: type | str | None,
    kwargs: Mapping[str, Any],
    input_shape: Sequence[int] | None,
    limits: Limits,
) -> Trial:
    """Load a checkpoint into its class and have it predict; without a class, see what its weights look like.

    Parameters
    ----------
    input_shape : sequence of int, optional
        Shape of one row of input; else what `kwargs` say, else the width of the first layer.

    Raises
    ------
    NotFoundError, BadInputError
        If there is no such file, or it is no checkpoint.
    """
    check_file(file)
    if model_class is None:
        with tempfile.TemporaryDirectory(prefix="greenroom-checkpoint-") as folder:
            copy(file, Path(folder) / "checkpoint.pt")
            return try_model(Path(folder), limits)
    path = class_path(model_class)
    search = search_path(path, model_class)
    shape = input_shape if input_shape is not None else shape_of(kwargs)
    trial = try_class(file, path, kwargs, limits, input_shape=shape or (1,), search=search)
    if trial.passed or shape is not None:
        return trial
    # It was asked with a guess; what it is made of tells better.
    widths = [lengths[1] for _, lengths in trial.structure.layers if len(lengths) == 2]
    if not widths or not trial.evidence.get("said_by_the_model", {}).get("error"):
        return trial
    return try_class(file, path, kwargs, limits, input_shape=(widths[0],), search=search)


def check_file(file: Path) -> None:
    """Refuse what is no checkpoint that can be read."""
    if not file.exists():
        raise NotFoundError(f"There is no file {file}.")
    if not file.is_file():
        raise BadInputError(f"{file} is no file.")
    if file.suffix not in _SUFFIXES:
        raise BadInputError(
            f"{file.name} is no checkpoint of PyTorch: it ends with neither .pt nor .pth. Log other models to a run "
            "and register them with `greenroom register`."
        )
    if file.stat().st_size == 0:
        raise BadInputError(f"{file} is empty.")

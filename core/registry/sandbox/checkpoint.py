"""Try a checkpoint of PyTorch in the user's own class: behind the same walls, since that class is code too."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from core.errors import BadInputError
from core.registry.sandbox import files, verdict
from core.registry.sandbox.conversation import FailedError, ask, loaded, run
from core.registry.sandbox.described import Described
from core.registry.sandbox.questions import questions
from core.registry.sandbox.session import Place, Reads, Session
from core.registry.sandbox.types import DEFAULT_LIMITS, Layers, Limits, Structure, Trial

_CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_KIND = "PyTorch state dict"


def try_class(
    file: Path,
    class_path: str,
    kwargs: Mapping[str, Any],
    limits: Limits = DEFAULT_LIMITS,
    *,
    input_shape: Sequence[int],
    search: Sequence[Path] = (),
) -> Trial:
    """Load a checkpoint into its class, compare their structures, and run a forward pass.

    Parameters
    ----------
    file : Path
        A state dict, or a checkpoint that holds one as ``model_state_dict`` or ``state_dict``; read with
        ``weights_only``.
    class_path : str
        ``package.module:Class``, a ``torch.nn.Module``.
    kwargs : mapping
        What the class is made with; values that JSON can hold.
    input_shape : sequence of int
        Shape of one row of its input, in numbers of 32 bits; a leading -1 for the rows may be given or left out.
    search : sequence of Path
        Folders that the class is imported from besides the installed packages. Of each, the guest reads the Python
        files and the folders that hold some.

    Returns
    -------
    Trial
        Passed if names and shapes of all weights are those of the class, and two random inputs were answered with
        as many rows of finite numbers.

    Raises
    ------
    BadInputError
        If the class path, the arguments or the shape are nothing that can be tried.
    """
    if not _CLASS_PATH.fullmatch(class_path):
        raise BadInputError(f"{class_path!r} is no class: write it as package.module:Class.")
    try:
        arguments = json.loads(json.dumps(dict(kwargs)))
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"The arguments of {class_path} must be values that JSON can hold: {error}."
        ) from error
    shape = [int(length) for length in input_shape]
    shape = shape[1:] if shape[:1] == [-1] else shape
    if any(length <= 0 for length in shape):
        raise BadInputError(f"{list(input_shape)} is no shape of an input: give the lengths of one row.")
    started = time.monotonic()
    with Place() as place:
        try:
            digest = files.copy_file(file, place.model)
        except OSError as error:
            reason = f"The file {file.name} cannot be read: {error.strerror or error}."
            return Trial(False, reason, None, time.monotonic() - started)
        job = {
            "loader": "class",
            "path": str(place.model / file.name),
            "class": class_path,
            "kwargs": arguments,
            "search": [str(one.absolute()) for one in search],
        }

        def converse(session: Session, evidence: dict[str, Any]) -> str:
            return _converse(session, class_path, shape, evidence)

        trial = run(place, job, limits, _reads(search), started, converse)
    evidence = dict(trial.evidence)
    layers = verdict.layers(evidence.pop("structure").get("layers") or [])
    return Trial(trial.passed, trial.reason, _KIND, trial.seconds, Structure(layers=layers), digest, evidence)


def first_difference(weights: Layers, wanted: Layers) -> str | None:
    """Say where a state dict first differs from the one of a class; None where it does not."""
    for have, want in zip_longest(weights, wanted):
        if have == want:
            continue
        if have is None or (want is not None and want[0] not in dict(weights)):
            return f"the class has a weight {want[0]} of shape {list(want[1])}, which the file lacks"
        if want is None or have[0] not in dict(wanted):
            return f"the file has a weight {have[0]} of shape {list(have[1])}, which the class lacks"
        if have[0] == want[0]:
            return f"{have[0]} has the shape {list(have[1])} in the file and {list(want[1])} in the class"
    return _misplaced(dict(weights), dict(wanted))


def _misplaced(weights: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]) -> str | None:
    """Compare by name, since the order of weights changes nothing."""
    for name, shape in wanted.items():
        if weights.get(name) != shape:
            return f"{name} has the shape {list(weights.get(name, ()))} in the file and {list(shape)} in the class"
    return None


def _converse(session: Session, class_path: str, shape: list[int], evidence: dict[str, Any]) -> str:
    said = loaded(session, evidence)
    weights, wanted = verdict.layers(said.get("layers")), verdict.layers(said.get("class_layers"))
    if not weights:
        raise FailedError("The file holds no weights.")
    if (difference := first_difference(weights, wanted)) is not None:
        raise FailedError(f"The weights are not those of {class_path}: {difference}.")
    space = {"shape": shape, "dtype": "float32"}
    rows = []
    for question in questions(Described(_KIND, "class"), space, "random numbers of the input's shape"):
        ask(session, question, (), evidence)
        rows.append(str(question.rows))
    return (
        f"All {len(weights)} weights are those of {class_path}, and it predicted {' and '.join(rows)} rows."
    )


def _reads(search: Sequence[Path]) -> Reads:
    folders = [one.absolute() for one in search if one.is_dir()]
    return Reads(tuple(code for folder in folders for code in _code(folder)), tuple(folders))


def _code(folder: Path) -> Iterator[Path]:
    """Yield what can be imported from a folder, so that data and secrets beside it stay closed."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.suffix == ".py" or (entry.is_dir() and any(entry.glob("*.py"))):
            yield entry

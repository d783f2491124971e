"""Try a model that nobody trusts: load it behind walls, ask it what it cannot foresee, and judge its answers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import BadInputError
from core.registry.sandbox import described, files, verdict
from core.registry.sandbox.checkpoint import try_class
from core.registry.sandbox.conversation import FailedError, ask, loaded, run
from core.registry.sandbox.described import Described
from core.registry.sandbox.questions import questions
from core.registry.sandbox.session import Place, Reads, Session
from core.registry.sandbox.types import DEFAULT_LIMITS, Limits, Structure, Trial

__all__ = ["DEFAULT_LIMITS", "Limits", "Structure", "Trial", "try_class", "try_model"]


def try_model(folder: Path, limits: Limits = DEFAULT_LIMITS) -> Trial:
    """Load a model and have it predict, in processes that can do no harm.

    Parameters
    ----------
    folder : Path
        The model's files: a folder of MLflow with ``MLmodel``, a single ``.zip`` of stable-baselines3, or a single
        ``.pt`` or ``.pth``. A copy is tried; the folder is only read.
    limits : Limits
        What it may take.

    Returns
    -------
    Trial
        Whatever the model does. It has passed if both of two questions were answered with the rows asked for, finite
        numbers, and the types and shapes of its signature.

    Raises
    ------
    BadInputError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise BadInputError(f"There is no folder {folder} with a model to try.")
    started = time.monotonic()
    with Place() as place:
        try:
            digest = files.copy_and_digest(folder, place.model)
        except files.RefusedError as error:
            return Trial(False, str(error), None, time.monotonic() - started)
        except OSError as error:
            reason = f"Its files cannot be copied: {error.strerror or error}."
            return Trial(False, reason, None, time.monotonic() - started)
        try:
            found = described.describe(place.model)
            written = described.signature_file(folder)
            installed, gaps = described.packages(place.model)
        except (described.UnreadableError, OSError) as error:
            return Trial(False, str(error), None, time.monotonic() - started, digest=digest)
        job = {
            "loader": found.loader,
            "path": str(place.model / found.file),
            "algorithm": found.algorithm,
        }

        def converse(session: Session, evidence: dict[str, Any]) -> str:
            return _converse(session, found, evidence)

        trial = run(place, job, limits, Reads(), started, converse)
    evidence = {**trial.evidence, "packages": installed, "package_differences": gaps}
    structure = _structure(found, evidence.pop("structure"), written)
    return Trial(trial.passed, trial.reason, found.kind, trial.seconds, structure, digest, evidence)


def _converse(session: Session, found: Described, evidence: dict[str, Any]) -> str:
    said = loaded(session, evidence)
    if found.loader == "torch" and said.get("form") != "TorchScript":
        count = len(verdict.layers(said.get("layers")))
        raise FailedError(
            f"It holds {count} weights without the class that they belong to, so nothing can be predicted; "
            "log the model with MLflow, or validate it with its class."
        )
    asked = []
    for question in questions(found, said.get("observation")):
        ask(session, question, found.outputs, evidence)
        asked.append(question)
    rows = " and ".join(str(one.rows) for one in asked)
    return f"It loaded and predicted {rows} rows made from {asked[0].source}, all values finite and in form."


def _structure(found: Described, said: Mapping[str, Any], written: Mapping[str, Any]) -> Structure:
    order = written.get("feature_order")
    return Structure(
        verdict.dimension(said.get("observation")) or _count(written.get("observation_dim")),
        verdict.dimension(said.get("action")) or _count(written.get("action_dim")),
        verdict.layers(said.get("layers") or []),
        tuple(one.name for one in found.inputs if one.name is not None),
        tuple(str(one) for one in order) if isinstance(order, list) else None,
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

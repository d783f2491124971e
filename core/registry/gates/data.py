"""Was a version trained on the data that are expected? By hash, by a file, or by an input that MLflow recorded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from core.errors import GreenroomError
from core.registry.gates.rules import ExpectedDataset, ExpectedFile, ExpectedHash, ExpectedInput, Gate
from core.registry.gates.types import GateResult
from core.registry.gates.wording import unjudged
from core.runs.types import Run

SHORT_PARAM: Final = "dataset_hash"
FULL_TAG: Final = "dataset_hash_full"
MIN_DIGITS: Final = 8
"""Shorter beginnings of a hash agree by chance."""


def judge_dataset(expected: ExpectedDataset, run: Run | None, file_hash: Callable[[Path], str]) -> GateResult:
    """Compare the data of a run with those that are expected (contract CTR-HASH-001).

    A short hash agrees with a longer one that it begins; both need 8 digits. Where a run logged both, the param
    `dataset_hash` and the tag `dataset_hash_full`, they must agree with each other as well.

    Parameters
    ----------
    expected : ExpectedDataset
    run : Run or None
        The run that trained the version.
    file_hash : callable
        SHA-256 of a file in hexadecimal, such as `core.tracking.compute_file_hash`; asked for a file only.

    Returns
    -------
    GateResult
    """
    if run is None:
        return unjudged(Gate.DATASET, "the version has no run")
    if isinstance(expected, ExpectedInput):
        return _by_input(expected, run)
    if isinstance(expected, ExpectedHash):
        return _by_hash(expected.hash, "the expected hash", run, {"expected": expected.hash})
    return _by_file(expected, run, file_hash)


def _by_file(expected: ExpectedFile, run: Run, file_hash: Callable[[Path], str]) -> GateResult:
    evidence = {"file": str(expected.file)}
    try:
        content = file_hash(expected.file)
    except (GreenroomError, OSError) as error:
        return unjudged(Gate.DATASET, f"the file of the data set has no hash. {error}", evidence)
    return _by_hash(content, f"the hash of {expected.file.name}", run, {**evidence, "expected": content})


def _by_hash(expected: str, what: str, run: Run, evidence: dict[str, Any]) -> GateResult:
    short, full = run.params.get(SHORT_PARAM) or None, run.tags.get(FULL_TAG) or None
    evidence = {**evidence, "run_id": run.run_id, SHORT_PARAM: short, FULL_TAG: full}
    logged = {f"param {SHORT_PARAM}": short, f"tag {FULL_TAG}": full}
    known = {name: value.strip() for name, value in logged.items() if value is not None}
    if not known:
        why = f"the run logged neither the param {SHORT_PARAM} nor the tag {FULL_TAG}"
        return unjudged(Gate.DATASET, why, evidence)
    for name, value in known.items():
        if len(value) < MIN_DIGITS:
            why = f"the {name} '{value}' has {len(value)} digits, and fewer than {MIN_DIGITS} prove nothing"
            return unjudged(Gate.DATASET, why, evidence)
    for (one, first), (other, second) in combinations([(what, expected), *known.items()], 2):
        if not _agree(first, second):
            reason = f"{one[0].upper()}{one[1:]} is {_shown(first, second)}, the {other} is {_shown(second, first)}."
            return GateResult(Gate.DATASET, False, reason, evidence)
    longest = max(known.values(), key=len)
    reason = f"The run's data set {longest[:16]} agrees with {what}."
    return GateResult(Gate.DATASET, True, reason, evidence)


def _by_input(expected: ExpectedInput, run: Run) -> GateResult:
    used = [{"name": one.name, "digest": one.digest, "context": one.context} for one in run.datasets]
    evidence = {
        "expected": {"name": expected.name, "digest": expected.digest},
        "run_id": run.run_id,
        "used": used,
    }
    if not run.datasets:
        return unjudged(Gate.DATASET, "the run recorded no data set as an input", evidence)
    digests = list(dict.fromkeys(one.digest for one in run.datasets if one.name == expected.name))
    if expected.digest in digests:
        reason = f"The run used {expected.name} with the digest {expected.digest}."
        return GateResult(Gate.DATASET, True, reason, evidence)
    if digests:
        found = ", ".join(digests)
        reason = f"The run used {expected.name} with the digest {found}, {expected.digest} is expected."
        return GateResult(Gate.DATASET, False, reason, evidence)
    names = ", ".join(dict.fromkeys(one.name for one in run.datasets))
    return GateResult(Gate.DATASET, False, f"The run used {names}, not {expected.name}.", evidence)


def _agree(first: str, second: str) -> bool:
    short, long = sorted((first.lower(), second.lower()), key=len)
    return long.startswith(short)


def _shown(value: str, other: str) -> str:
    """Write 16 digits, more where two hashes differ after them."""
    same = next((at for at, pair in enumerate(zip(value, other, strict=False)) if pair[0] != pair[1]), 0)
    most = max(16, same + 1)
    return value if len(value) <= most else f"{value[:most]}…"

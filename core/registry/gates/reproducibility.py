"""Can a version be made again: hashes that agree, a signature, code that was committed?"""

from __future__ import annotations

from typing import Any, Final

from core.registry.gates.rules import Gate
from core.registry.gates.types import GateResult
from core.registry.gates.wording import sentence, unjudged
from core.runs.reproducibility import HashCheck, HashVerdict, check_hashes
from core.runs.types import Run

OPTIONAL_SUBJECT: Final = "Normalisation statistics"
"""Not every model has them; where a run logged a hash of them, it must be verified."""

DIRTY_TAGS: Final = ("git_dirty", "mlflow.source.git.dirty")
"""The first that a run has counts: Greenroom's is of the repository it logged, MLflow's of the script's folder."""

MIN_DIGITS: Final = 7
"""Of a short hash; git shortens commits to 7."""

CLAIM_TAG: Final = "reproducibility_verified"


def judge_reproducible(run: Run | None, has_signature: bool | None) -> GateResult:
    """Judge what a run logged of its making (contract CTR-HASH-001).

    Passed where the short hashes of data set and git commit begin the full ones, and so do those of the
    normalisation statistics if the run logged any, each of 7 digits or more; the model has a signature; and the
    code was as committed. A run that itself says ``reproducibility_verified = false`` fails.

    Parameters
    ----------
    run : Run or None
        The run that trained the version.
    has_signature : bool or None
        Of the model; None where that is not known.

    Returns
    -------
    GateResult
        The reason names everything that is amiss.
    """
    if run is None:
        return unjudged(Gate.REPRODUCIBLE, "the version has no run")
    checks = check_hashes(run)
    dirty = next((run.tags[tag] for tag in DIRTY_TAGS if run.tags.get(tag)), None)
    claim = run.tags.get(CLAIM_TAG)
    evidence: dict[str, Any] = {
        "run_id": run.run_id,
        "hashes": [
            {"subject": one.subject, "short": one.short, "full": one.full, "verdict": str(one.verdict)}
            for one in checks
        ],
        "has_signature": has_signature,
        "git_dirty": dirty,
        CLAIM_TAG: claim,
    }
    amiss = [said for one in checks if (said := _hash_amiss(one))]
    if has_signature is None:
        amiss.append("it is not known whether the model has a signature")
    elif not has_signature:
        amiss.append("the model has no signature")
    if dirty is None:
        amiss.append("the run did not log whether its code was committed")
    elif dirty.strip().lower() != "false":
        amiss.append("the code had changes that were not committed")
    if claim is not None and claim.strip().lower() == "false":
        amiss.append(f"the run itself says {CLAIM_TAG} = false")
    if amiss:
        return GateResult(Gate.REPRODUCIBLE, False, sentence(*amiss), evidence)
    verified = [one.subject.lower() for one in checks if one.verdict is HashVerdict.VERIFIED]
    reason = sentence(f"verified: {', '.join(verified)}, signature, committed code")
    return GateResult(Gate.REPRODUCIBLE, True, reason, evidence)


def _hash_amiss(check: HashCheck) -> str | None:
    subject = check.subject[0].lower() + check.subject[1:]
    if check.verdict is HashVerdict.MISMATCH:
        return f"{subject}: the short hash {check.short} does not begin the full one, {check.full}"
    if check.verdict is HashVerdict.UNVERIFIED:
        missing = "short" if check.short is None else "full"
        return f"{subject}: the {missing} hash was not logged, so the other cannot be verified"
    if check.verdict is HashVerdict.MISSING and check.subject != OPTIONAL_SUBJECT:
        return f"{subject}: no hash was logged"
    if check.short is not None and len(check.short) < MIN_DIGITS:
        return f"{subject}: the short hash {check.short} has fewer than {MIN_DIGITS} digits, which proves nothing"
    return None

"""Do a run's short hashes belong to the full ones beside them? (contract CTR-HASH-001)"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.runs.types import Run

_COMMIT_TAGS = ("git_commit_sha", "mlflow.source.git.commit")
# Param with the short hash, tags that may hold the full one, and what it is the hash of.
_HASHES = (
    ("dataset_hash", ("dataset_hash_full",), "Data set"),
    ("norm_stats_hash", ("norm_stats_hash_full",), "Normalisation statistics"),
    ("git_commit_sha", _COMMIT_TAGS, "Code (git commit)"),
)


class HashVerdict(StrEnum):
    """What came of comparing the short hash with the full one."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    UNVERIFIED = "unverified"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class HashCheck:
    """One hash of a run; `full` and `short` are None where not recorded."""

    subject: str
    short: str | None
    full: str | None
    verdict: HashVerdict


def check_hashes(run: Run) -> tuple[HashCheck, ...]:
    """Compare each short hash (a param) with the full one (a tag): it must be its beginning."""
    return tuple(_check(run, *one) for one in _HASHES)


def commit_of(run: Run) -> str | None:
    """Return the full hash of the git commit that a run was made with, if it is recorded."""
    return next((run.tags[tag] for tag in _COMMIT_TAGS if run.tags.get(tag)), None)


def _check(run: Run, param: str, tags: tuple[str, ...], subject: str) -> HashCheck:
    short = run.params.get(param) or None
    fulls = [run.tags[tag] for tag in tags if run.tags.get(tag)]
    full = fulls[0] if fulls else None
    if short is None and full is None:
        verdict = HashVerdict.MISSING
    elif short is None or full is None:
        verdict = HashVerdict.UNVERIFIED
    else:
        agrees = all(one.lower().startswith(short.lower()) for one in fulls)
        verdict = HashVerdict.VERIFIED if agrees else HashVerdict.MISMATCH
    return HashCheck(subject, short, full, verdict)

"""Short hashes in params beside full ones in tags: what agrees, what does not, what cannot be told."""

from __future__ import annotations

import pytest

from core.runs.reproducibility import HashCheck, HashVerdict, check_hashes
from core.runs.types import Run

FULL = "3f2a9c41d07be885" + "0" * 48
COMMIT = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678"


def checks(params: dict[str, str] | None = None, tags: dict[str, str] | None = None) -> dict[str, HashCheck]:
    run = Run("id", "1", "n", "FINISHED", None, None, "", "active", "", None, params or {}, {}, tags or {})
    return {one.subject.split()[0]: one for one in check_hashes(run)}


def test_a_run_without_hashes_has_all_missing() -> None:
    found = checks()
    assert list(found) == ["Data", "Normalisation", "Code"]
    assert all((one.short, one.full, one.verdict) == (None, None, "missing") for one in found.values())


@pytest.mark.parametrize(
    ("param", "tag", "subject"),
    [
        ("dataset_hash", "dataset_hash_full", "Data"),
        ("norm_stats_hash", "norm_stats_hash_full", "Normalisation"),
        ("git_commit_sha", "git_commit_sha", "Code"),
        ("git_commit_sha", "mlflow.source.git.commit", "Code"),
    ],
)
def test_each_hash_is_compared_with_its_own_tag(param: str, tag: str, subject: str) -> None:
    right = checks({param: FULL[:12]}, {tag: FULL})
    assert (right[subject].short, right[subject].full) == (FULL[:12], FULL)
    assert right[subject].verdict is HashVerdict.VERIFIED
    wrong = checks({param: "ffff"}, {tag: FULL})
    assert wrong[subject].verdict is HashVerdict.MISMATCH
    others = [one.verdict for name, one in right.items() if name != subject]
    assert others == [HashVerdict.MISSING] * 2


def test_upper_and_lower_case_are_the_same_hash() -> None:
    found = checks({"dataset_hash": FULL[:12].upper()}, {"dataset_hash_full": FULL})
    assert found["Data"].verdict is HashVerdict.VERIFIED


def test_a_hash_must_begin_the_full_one_not_lie_within_it() -> None:
    found = checks({"dataset_hash": FULL[1:9]}, {"dataset_hash_full": FULL})
    assert found["Data"].verdict is HashVerdict.MISMATCH


@pytest.mark.parametrize(
    ("params", "tags"),
    [
        ({"dataset_hash": FULL[:12]}, {}),
        ({}, {"dataset_hash_full": FULL}),
        ({"dataset_hash": FULL[:12]}, {"dataset_hash_full": ""}),
        ({"dataset_hash": ""}, {"dataset_hash_full": FULL}),
    ],
)
def test_one_side_alone_verifies_nothing(params: dict[str, str], tags: dict[str, str]) -> None:
    assert checks(params, tags)["Data"].verdict is HashVerdict.UNVERIFIED


def test_a_commit_must_agree_with_both_tags() -> None:
    param = {"git_commit_sha": COMMIT[:8]}
    both = {"git_commit_sha": COMMIT, "mlflow.source.git.commit": COMMIT}
    assert checks(param, both)["Code"].verdict is HashVerdict.VERIFIED
    either = {"git_commit_sha": COMMIT, "mlflow.source.git.commit": "b" * 40}
    assert checks(param, either)["Code"].verdict is HashVerdict.MISMATCH

"""Whether a version can be made again: each part that is amiss is named, and none is taken on trust."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from core.registry.gates.reproducibility import judge_reproducible
from core.tracking.reproducibility import gather
from tests.core.registry.gates.kit import COMMIT, FULL, a_run, evidence, verdict

PARAMS = {"dataset_hash": FULL[:16], "norm_stats_hash": FULL[8:24], "git_commit_sha": COMMIT[:12]}
TAGS = {
    "dataset_hash_full": FULL,
    "norm_stats_hash_full": FULL[8:],
    "git_commit_sha": COMMIT,
    "git_dirty": "false",
    "reproducibility_verified": "true",
}


def without(table: dict[str, str], *keys: str) -> dict[str, str]:
    return {key: value for key, value in table.items() if key not in keys}


def test_a_run_with_everything_passes() -> None:
    result = judge_reproducible(a_run(params=PARAMS, tags=TAGS), True)
    assert verdict(result) == "passed"
    assert [one["verdict"] for one in evidence(result)["hashes"]] == ["verified"] * 3


def test_normalisation_statistics_are_asked_for_only_where_a_run_has_them() -> None:
    params, tags = without(PARAMS, "norm_stats_hash"), without(TAGS, "norm_stats_hash_full")
    assert verdict(judge_reproducible(a_run(params=params, tags=tags), True)) == "passed"
    for half in ((PARAMS, tags), (params, TAGS), ({**PARAMS, "norm_stats_hash": "0" * 16}, TAGS)):
        result = judge_reproducible(a_run(params=half[0], tags=half[1]), True)
        assert verdict(result) == "failed"
        assert "ormalisation statistics" in result.reason


@pytest.mark.parametrize(
    ("params", "tags", "signature", "said"),
    [
        (without(PARAMS, "dataset_hash"), TAGS, True, "Data set: the short hash was not logged"),
        (PARAMS, without(TAGS, "dataset_hash_full"), True, "Data set: the full hash was not logged"),
        (without(PARAMS, "dataset_hash"), without(TAGS, "dataset_hash_full"), True, "no hash was logged"),
        ({**PARAMS, "dataset_hash": "0" * 16}, TAGS, True, "does not begin the full one"),
        ({**PARAMS, "dataset_hash": FULL[:6]}, TAGS, True, "fewer than 7 digits"),
        (without(PARAMS, "git_commit_sha"), TAGS, True, "Code (git commit)"),
        (PARAMS, {**TAGS, "mlflow.source.git.commit": "f" * 40}, True, "Code (git commit)"),
        (PARAMS, TAGS, False, "The model has no signature"),
        (PARAMS, TAGS, None, "not known whether the model has a signature"),
        (PARAMS, {**TAGS, "git_dirty": "true"}, True, "not committed"),
        (PARAMS, without(TAGS, "git_dirty"), True, "did not log whether its code was committed"),
        (PARAMS, {**TAGS, "git_dirty": "maybe"}, True, "not committed"),
        (PARAMS, {**TAGS, "reproducibility_verified": "False"}, True, "reproducibility_verified = false"),
    ],
)
def test_what_is_amiss_is_named(
    params: dict[str, str], tags: dict[str, str], signature: bool | None, said: str
) -> None:
    result = judge_reproducible(a_run(params=params, tags=tags), signature)
    assert verdict(result) == "failed"
    assert said in result.reason


@pytest.mark.parametrize(("own", "mlflows", "passed"), [(None, "False", True), (None, "True", False)])
def test_mlflow_knows_of_uncommitted_code_too(own: str | None, mlflows: str, passed: bool) -> None:
    tags = {**without(TAGS, "git_dirty"), "mlflow.source.git.dirty": mlflows}
    assert judge_reproducible(a_run(params=PARAMS, tags=tags), True).passed is passed


def test_the_repository_whose_commit_was_logged_counts_before_that_of_the_script() -> None:
    for own, passed in (("false", True), ("true", False)):
        tags = {**TAGS, "git_dirty": own, "mlflow.source.git.dirty": "True" if passed else "False"}
        assert judge_reproducible(a_run(params=PARAMS, tags=tags), True).passed is passed


def test_everything_amiss_is_in_one_sentence_and_no_run_is_not_judged() -> None:
    result = judge_reproducible(a_run(), None)
    assert result.reason.count(";") == 3
    assert verdict(result) == "failed"
    assert verdict(judge_reproducible(None, True)) == "not judged"


def test_what_greenroom_logs_of_a_clean_tree_passes_and_of_a_changed_one_does_not(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(tmp_path)]
    (tmp_path / "train.csv").write_text("1")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "data"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    clean = gather(tmp_path / "train.csv", repo=tmp_path)
    assert judge_reproducible(a_run(params=clean.params, tags=clean.tags), True).passed
    (tmp_path / "new.py").write_text("2")
    changed = gather(tmp_path / "train.csv", repo=tmp_path)
    result = judge_reproducible(a_run(params=changed.params, tags=changed.tags), True)
    assert "not committed" in result.reason

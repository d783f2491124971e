"""Hashes and environment of a run, and that Greenroom's own check verifies them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from core.errors import BadInputError
from core.runs.reproducibility import HashVerdict, check_hashes
from core.runs.types import Run
from core.tracking import MLflowTracker, compute_file_hash, compute_json_hash, environment_info, git_commit


def repository(folder: Path) -> str:
    folder.mkdir()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True)
    (folder / "train.py").write_text("pass\n")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    return subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_file_hash_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "data.parquet"
    file.write_bytes(b"\x00data" * 100_000)
    assert compute_file_hash(file) == hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(BadInputError, match="cannot be hashed"):
        compute_file_hash(tmp_path / "missing")


def test_a_json_hash_ignores_formatting(tmp_path: Path) -> None:
    one, two, three = (tmp_path / name for name in "abc")
    one.write_text('{"b": [1, 2.0], "a": {"mean": 0.1, "name": "ü"}}')
    two.write_bytes(json.dumps(json.loads(one.read_text()), indent=4, sort_keys=True).encode("utf-8-sig"))
    three.write_text('{"b": [2.0, 1], "a": {"mean": 0.1, "name": "ü"}}')
    assert compute_json_hash(one) == compute_json_hash(two) != compute_json_hash(three)
    (tmp_path / "bad").write_text("{")
    with pytest.raises(BadInputError, match="no valid JSON"):
        compute_json_hash(tmp_path / "bad")


def test_the_commit_and_whether_the_tree_is_clean(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == (None, False)
    sha = repository(tmp_path / "code")
    assert git_commit(tmp_path / "code") == (sha, False)
    (tmp_path / "code" / "new.py").write_text("")
    assert git_commit(tmp_path / "code") == (sha, True)


def test_the_environment_is_this_one() -> None:
    found = environment_info()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["packages"]["mlflow"] == mlflow.__version__


def test_what_is_logged_is_verified_by_greenroom(store: str, client: MlflowClient, tmp_path: Path) -> None:
    sha = repository(tmp_path / "code")
    data, stats = tmp_path / "data.csv", tmp_path / "stats.json"
    data.write_text("a,b\n1,2\n")
    stats.write_text('{"mean": 1}')
    tracker = MLflowTracker(store, "hashes")
    with tracker.start_run():
        tracker.log_reproducibility(data, stats, tmp_path / "code")
    run = client.get_run(tracker.run_id)
    assert run.data.params == {
        "dataset_hash": compute_file_hash(data)[:16],
        "norm_stats_hash": compute_json_hash(stats)[:16],
        "git_commit_sha": sha[:12],
    }
    tags = run.data.tags
    assert tags["dataset_hash_full"] == compute_file_hash(data)
    assert tags["norm_stats_hash_full"] == compute_json_hash(stats)
    assert (tags["git_commit_sha"], tags["git_dirty"]) == (sha, "false")
    assert tags["reproducibility_verified"] == "true"
    environment = mlflow.artifacts.load_dict(f"runs:/{tracker.run_id}/environment.json")
    assert environment["packages"]["pandas"]
    known = Run("r", "e", "n", "FINISHED", None, None, "u", "active", "", None, run.data.params, {}, tags)
    assert [check.verdict for check in check_hashes(known)] == [HashVerdict.VERIFIED] * 3


def test_a_dirty_tree_or_no_repository_is_not_verified(
    store: str, client: MlflowClient, tmp_path: Path
) -> None:
    repository(tmp_path / "code")
    (tmp_path / "code" / "train.py").write_text("changed")
    tracker = MLflowTracker(store, "hashes")
    for place, dirty in ((tmp_path / "code", "true"), (tmp_path, None)):
        with tracker.start_run():
            tracker.log_reproducibility(repo=place)
        tags = client.get_run(tracker.run_id).data.tags
        assert tags["reproducibility_verified"] == "false"
        assert tags.get("git_dirty") == dirty

"""The data of a run: short hashes against full ones, a file, and inputs that MLflow recorded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.registry.gates.data import judge_dataset
from core.registry.gates.rules import ExpectedFile, ExpectedHash, ExpectedInput
from core.registry.gates.types import GateResult
from core.runs.types import DatasetInput
from core.tracking.reproducibility import compute_file_hash, gather
from tests.core.registry.gates.kit import FULL, a_run, evidence, verdict


def no_file(path: Path) -> str:
    raise AssertionError(path)


def by_hash(expected: str, short: str | None = None, full: str | None = None) -> GateResult:
    params = {} if short is None else {"dataset_hash": short}
    tags = {} if full is None else {"dataset_hash_full": full}
    return judge_dataset(ExpectedHash(expected), a_run(params=params, tags=tags), no_file)


@pytest.mark.parametrize("expected", [FULL, FULL[:16], FULL[:8], FULL[:40]])
@pytest.mark.parametrize(
    ("short", "full"), [(FULL[:16], None), (None, FULL), (FULL[:16], FULL), (FULL[:8], FULL)]
)
def test_beginnings_of_one_hash_agree(expected: str, short: str | None, full: str | None) -> None:
    assert verdict(by_hash(expected, short, full)) == "passed"
    assert verdict(by_hash(expected, short and short.upper(), full)) == "passed"


@given(st.integers(0, 15), st.sampled_from([16, 64]))
def test_one_other_digit_is_another_data_set(at: int, length: int) -> None:
    other = FULL[:at] + ("0" if FULL[at] != "0" else "1") + FULL[at + 1 :]
    assert verdict(by_hash(other[:length], FULL[:16], FULL)) == "failed"
    assert verdict(by_hash(FULL[:length], other[:16])) == "failed"


def test_hashes_that_differ_late_are_shown_until_they_differ() -> None:
    other = FULL[:20] + "f" + FULL[21:]
    result = by_hash(other, None, FULL)
    assert result.reason == f"The expected hash is {other[:21]}…, the tag dataset_hash_full is {FULL[:21]}…."


def test_a_run_whose_own_hashes_disagree_does_not_pass_though_both_begin_as_expected() -> None:
    assert verdict(by_hash(FULL[:8], FULL[:8] + "0" * 8, FULL)) == "failed"


def test_without_hashes_or_with_stubs_nothing_can_be_told() -> None:
    assert "neither the param dataset_hash nor the tag dataset_hash_full" in by_hash(FULL).reason
    for result in (by_hash(FULL), by_hash(FULL, ""), by_hash(FULL, FULL[:7]), by_hash(FULL, FULL[:7], FULL)):
        assert verdict(result) == "not judged"


def test_without_a_run_nothing_can_be_told() -> None:
    assert judge_dataset(ExpectedHash(FULL), None, no_file).reason == (
        "It cannot be judged: the version has no run."
    )


def test_a_file_must_be_the_one_the_run_logged(tmp_path: Path) -> None:
    file = tmp_path / "train.csv"
    file.write_bytes(b"a,b\n1,2\n")
    logged = gather(dataset_path=file, repo=tmp_path)
    run = a_run(params=logged.params, tags=logged.tags)
    result = judge_dataset(ExpectedFile(file), run, compute_file_hash)
    assert verdict(result) == "passed"
    assert evidence(result)["expected"] == hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    file.write_bytes(b"a,b\n1,3\n")
    result = judge_dataset(ExpectedFile(file), run, compute_file_hash)
    assert verdict(result) == "failed"
    assert "The hash of train.csv is " in result.reason


def test_a_file_that_is_not_there_cannot_be_judged(tmp_path: Path) -> None:
    result = judge_dataset(ExpectedFile(tmp_path / "gone.csv"), a_run(), compute_file_hash)
    assert verdict(result) == "not judged"
    assert "gone.csv" in result.reason
    plain = judge_dataset(ExpectedFile(tmp_path / "gone.csv"), a_run(), lambda path: str(path.read_bytes()))
    assert verdict(plain) == "not judged"


def test_an_input_agrees_by_name_and_digest() -> None:
    run = a_run(
        datasets=(
            DatasetInput("sales", "11111111", context="eval"),
            DatasetInput("sales", "1a2b3c4d", context="training"),
            DatasetInput("prices", "99999999"),
        )
    )
    judged = {
        (name, digest): judge_dataset(ExpectedInput(name, digest), run, no_file)
        for name, digest in [("sales", "1a2b3c4d"), ("sales", "99999999"), ("stores", "1a2b3c4d")]
    }
    assert [verdict(one) for one in judged.values()] == ["passed", "failed", "failed"]
    assert "11111111, 1a2b3c4d" in judged["sales", "99999999"].reason
    assert judged["stores", "1a2b3c4d"].reason == "The run used sales, prices, not stores."
    assert verdict(judge_dataset(ExpectedInput("sales", "1"), a_run(), no_file)) == "not judged"

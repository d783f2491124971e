"""Data are hashed as they are copied, and what cannot be trained on is refused."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from core.errors import BadInputError, GreenroomError
from core.training.projects.types import EntryPoint, Parameter, ParameterKind
from core.training.schedule.freezing import freeze

PARAMETERS = (
    Parameter("seed", ParameterKind.INT, "1"),
    Parameter("data", ParameterKind.PATH),
    Parameter("holidays", ParameterKind.PATH, ""),
)
ENTRY_POINT = EntryPoint("greenroom", "stores", "", PARAMETERS, "python x.py")


def test_a_table_is_copied_and_hashed(tmp_path: Path) -> None:
    file = tmp_path / "sales.csv.gz"
    file.write_bytes(gzip.compress(b"date,sales\n"))
    (frozen,) = freeze(ENTRY_POINT, {"data": str(file), "holidays": "", "seed": "1"}, tmp_path / "kept")
    assert frozen.parameter == "data"
    assert frozen.copy is not None
    assert Path(frozen.copy).read_bytes() == file.read_bytes()
    assert not Path(frozen.copy).samefile(file)
    assert (frozen.sha256, frozen.size) == (
        hashlib.sha256(file.read_bytes()).hexdigest(),
        file.stat().st_size,
    )


def test_files_of_the_same_name_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.csv").write_text(name)
    values = {"data": str(tmp_path / "a" / "x.csv"), "holidays": str(tmp_path / "b" / "x.csv")}
    frozen = freeze(ENTRY_POINT, values, tmp_path / "kept")
    assert [Path(str(one.copy)).read_text() for one in frozen] == ["a", "b"]


def test_large_files_and_other_kinds_are_hashed_where_they_lie(tmp_path: Path) -> None:
    large, other = tmp_path / "large.csv", tmp_path / "model.bin"
    for file in (large, other):
        file.write_bytes(b"x" * 11)
    frozen = freeze(ENTRY_POINT, {"data": str(large), "holidays": str(other)}, tmp_path / "kept", 10)
    assert [one.copy for one in frozen] == [None, None]
    assert {one.sha256 for one in frozen} == {hashlib.sha256(b"x" * 11).hexdigest()}


def test_a_copy_that_was_cut_off_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("whole")
    kept = tmp_path / "kept" / "1"
    kept.mkdir(parents=True)
    (kept / "x.csv.part").write_text("wh")
    (kept / "x.csv").write_text("older")
    (frozen,) = freeze(ENTRY_POINT, {"data": str(file)}, tmp_path / "kept")
    assert Path(str(frozen.copy)).read_text() == "whole"
    assert [one.name for one in kept.iterdir()] == ["x.csv"]


def test_a_folder_is_named_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "sales").mkdir()
    (tmp_path / "sales" / "1.csv").write_text("x")
    (frozen,) = freeze(ENTRY_POINT, {"data": str(tmp_path / "sales")}, tmp_path / "kept")
    assert (frozen.sha256, frozen.size, frozen.copy) == (None, None, None)


def test_a_place_elsewhere_is_left_to_the_trainer(tmp_path: Path) -> None:
    assert freeze(ENTRY_POINT, {"data": "s3://bucket/sales.csv"}, tmp_path) == ()


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    (tmp_path / "nothing").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, sentence in (
        ("empty.csv", "an empty file"),
        ("nothing", "a folder with nothing in it"),
        ("gone.csv", "there is no such file"),
        ("pipe.csv", "neither a file nor a folder"),
    ):
        with pytest.raises(BadInputError, match=sentence):
            freeze(ENTRY_POINT, {"data": str(tmp_path / name)}, tmp_path / "kept")


def test_a_disk_that_takes_no_copy(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x")
    (tmp_path / "kept").write_text("a file in the way")
    with pytest.raises(GreenroomError, match=r"data \(.*x.csv\) cannot be read or copied"):
        freeze(ENTRY_POINT, {"data": str(tmp_path / "x.csv")}, tmp_path / "kept")

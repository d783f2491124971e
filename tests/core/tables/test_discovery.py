"""Looking around in a run: the folders, and the end of the walk, are those that a feature asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from core.runs.artifacts.access import RunArtifacts
from core.runs.artifacts.locations import ArtifactLocation
from core.tables.discovery import MAX_FOLDERS, FoundFiles, TableFile, find_files


def nothing(paths: Iterable[str]) -> bool:
    return False


def anything(paths: Iterable[str]) -> bool:
    return any(paths)


def test_promising_folders_come_first_and_the_others_only_for_want(tmp_path: Path) -> None:
    for path in ("backtest/a.csv", "predictions/b.csv", "store_7/c.csv"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(b"x")
    artifacts = RunArtifacts(ArtifactLocation(path=tmp_path))

    def find(is_enough: Callable[[Iterable[str]], bool]) -> FoundFiles:
        return find_files(
            artifacts,
            None,
            promising=("store", "predictions"),
            contract_folder="store",
            is_enough=is_enough,
        )

    assert find(anything).paths == ("store_7/c.csv", "predictions/b.csv")
    assert find(nothing).paths == ("store_7/c.csv", "predictions/b.csv", "backtest/a.csv")


def test_the_folder_of_the_contract_is_found_in_a_crowded_root(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"a{number:03}").mkdir()
    (tmp_path / "forecasts").mkdir()
    (tmp_path / "forecasts" / "predictions.csv").write_bytes(b"x")
    found = find_files(
        RunArtifacts(ArtifactLocation(path=tmp_path)),
        None,
        promising=("forecasts",),
        contract_folder="forecasts",
        is_enough=nothing,
    )
    assert [file.path for file in found.tables] == ["forecasts/predictions.csv"]
    assert "first 200 entries" in found.notes[0]
    assert f"first {MAX_FOLDERS} folders" in found.notes[1]
    assert "A table in forecasts/ is always found." in found.notes[1]


def test_others_are_the_tables_and_images_that_were_not_taken() -> None:
    found = FoundFiles(paths=("a.csv", "notes.txt", "b.json", "plot.PNG"))
    assert found.others([TableFile("a.csv", logged=True)]) == ("b.json", "plot.PNG")

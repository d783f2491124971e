"""Which artifacts are offered as tables of a backtest, in which order, and what is not looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.backtests.logged.discovery import Found, find_tables
from core.errors import ArtifactError
from core.runs.artifacts.access import RunArtifacts
from core.runs.artifacts.locations import ArtifactLocation
from core.tables.discovery import MAX_FOLDERS, Artifacts


def find(root: Path, *paths: str, tag: str | None = None) -> Found:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")
    artifacts: Artifacts = RunArtifacts(ArtifactLocation(path=root))
    return find_tables(artifacts, tag)


def logged(*paths: str) -> str:
    return json.dumps([{"path": path, "type": "table"} for path in paths])


def paths(files: tuple[object, ...]) -> list[str]:
    return [file.path for file in files]  # type: ignore[attr-defined]


def test_our_own_layout(tmp_path: Path) -> None:
    found = find(tmp_path, "backtest/portfolio_values.json", "backtest/trades.json", "backtest/results.json")
    assert paths(found.curves) == ["backtest/portfolio_values.json"]
    assert paths(found.trades) == ["backtest/trades.json"]
    assert paths(found.results) == ["backtest/results.json"]
    assert found.curves[0].size == 1
    assert found.curves[0].folder == "backtest"
    assert found.notes == ()


def test_every_curve_is_offered_best_first(tmp_path: Path) -> None:
    found = find(
        tmp_path,
        "benchmark_returns.csv",
        "a/nav.csv",
        "equity.csv",
        "evaluation/steps.parquet",
        "validation/portfolio_values.json",
        "backtest/portfolio_values.parquet",
        "backtest/portfolio_values.csv",
        "backtest/equity_curve.json",
        "backtest/train_equity.json",
    )
    assert paths(found.curves) == [
        "backtest/portfolio_values.parquet",
        "backtest/portfolio_values.csv",
        "validation/portfolio_values.json",
        "backtest/equity_curve.json",
        "equity.csv",
        "evaluation/steps.parquet",
        "backtest/train_equity.json",
        "benchmark_returns.csv",
    ]


@pytest.mark.parametrize(
    "name",
    ["PortfolioValue.csv", "net_worth.json", "daily-returns.parquet", "account_balance.CSV", "NAV.csv"],
)
def test_names_that_tell_of_a_curve_are_taken_anywhere(tmp_path: Path, name: str) -> None:
    assert paths(find(tmp_path, f"some/where/{name}").curves) == [f"some/where/{name}"]


@pytest.mark.parametrize(
    "name", ["navigation.csv", "notes.txt", "equity.png", "equity.csv.gz", "history.csv"]
)
def test_other_files_are_not(tmp_path: Path, name: str) -> None:
    assert find(tmp_path, name).curves == ()


def test_what_mlflow_lists_as_a_table_counts_under_any_name(tmp_path: Path) -> None:
    found = find(
        tmp_path, "deep/er/still/history.json", tag=logged("deep/er/still/history.json", "gone.json")
    )
    assert paths(found.curves) == ["gone.json", "deep/er/still/history.json"]
    assert all(file.logged for file in found.curves)


def test_tables_of_other_things_are_no_curves_but_mentioned(tmp_path: Path) -> None:
    tag = logged("forecast/predictions.json")
    found = find(
        tmp_path, "forecast/predictions.json", "importance.csv", "plots/equity.png", "a.txt", tag=tag
    )
    assert found.curves == ()
    assert sorted(found.others) == ["forecast/predictions.json", "importance.csv", "plots/equity.png"]


@pytest.mark.parametrize(
    "tag", ["", "[", "{}", '"text"', "[1]", '[{"type": "table"}]', '[{"path": 3, "type": "table"}]']
)
def test_a_damaged_tag_is_said_and_the_folders_are_listed(tmp_path: Path, tag: str) -> None:
    found = find(tmp_path, "backtest/portfolio_values.json", tag=tag)
    assert paths(found.curves) == ["backtest/portfolio_values.json"]
    assert all("mlflow.loggedArtifacts" in note for note in found.notes)


def test_the_tag_names_other_things_too(tmp_path: Path) -> None:
    tag = json.dumps([{"path": "equity.png", "type": "image"}, {"path": "equity.json", "type": "table"}])
    assert paths(find(tmp_path, tag=tag).curves) == ["equity.json"]


def test_folders_of_models_are_left_out(tmp_path: Path) -> None:
    found = find(tmp_path, "ppo/MLmodel", "ppo/equity.json", "model/equity.json", "runs/equity.json")
    assert paths(found.curves) == ["runs/equity.json"]


def test_two_folders_deep_and_no_deeper(tmp_path: Path) -> None:
    assert find(tmp_path, "a/b/c/nav.csv").curves == ()
    assert paths(find(tmp_path, "a/b/nav.csv").curves) == ["a/b/nav.csv"]


def test_our_own_path_comes_before_what_mlflow_lists(tmp_path: Path) -> None:
    own, old = "backtest/portfolio_values.json", "backtest_old/portfolio_values.json"
    assert paths(find(tmp_path, own, old, tag=logged(old)).curves) == [own, old]


def test_a_crowded_root_does_not_hide_the_backtest(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"a{number:03}").mkdir()
    found = find(tmp_path, "backtest/portfolio_values.json")
    assert paths(found.curves) == ["backtest/portfolio_values.json"]
    assert any("first 200 entries" in note for note in found.notes)


class Counted:
    """Artifacts that count how often they are listed."""

    def __init__(self, root: Path) -> None:
        self._inner = RunArtifacts(ArtifactLocation(path=root))
        self.listed: list[str] = []
        self.stat = self._inner.stat
        self.read = self._inner.read

    def list(self, path: str = "", *, limit: int = 200) -> object:
        self.listed.append(path)
        if path == "evaluation":
            raise ArtifactError("The store does not answer.")
        return self._inner.list(path, limit=limit)


def test_few_folders_are_listed(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"checkpoint{number:02}").mkdir()
    artifacts = Counted(tmp_path)
    found = find_tables(artifacts, None)  # type: ignore[arg-type]
    assert len(artifacts.listed) == MAX_FOLDERS
    assert f"first {MAX_FOLDERS} folders" in found.notes[0]


def test_other_folders_are_not_listed_once_a_curve_is_found(tmp_path: Path) -> None:
    for folder in ("backtest", "evaluation", "plots", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "backtest" / "portfolio_values.csv").write_bytes(b"x")
    artifacts = Counted(tmp_path)
    found = find_tables(artifacts, None)  # type: ignore[arg-type]
    assert artifacts.listed == ["", "backtest", "evaluation"]
    assert found.notes == ("The store does not answer.",)


def test_artifacts_that_cannot_be_listed_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        find(tmp_path / "gone")

"""The projects that can be launched from: broken ones hide no other, and files are read only where they changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadInputError, NotFoundError
from core.training.projects import catalogue, mlproject_file
from core.training.projects.catalogue import Projects
from core.training.projects.types import BrokenProject, Project, ProjectSetting
from tests.core.training.projects.kit import SIMPLE, Repository, project

SECOND = "entry_points: {second: {command: 'python second.py'}}"


def projects(home: Path, *settings: ProjectSetting) -> Projects:
    return Projects(settings, home)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path / "demand", SIMPLE)


@pytest.fixture
def demand(folder: Path, tmp_path: Path) -> Projects:
    return projects(tmp_path / "home", ProjectSetting("demand", str(folder)))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The projects that were parsed, one for each time."""
    seen: list[str] = []
    parse = mlproject_file.yaml.safe_load

    def counted(text: str) -> object:
        seen.append(text)
        return parse(text)

    monkeypatch.setattr(mlproject_file.yaml, "safe_load", counted)
    return seen


def names(found: Project | BrokenProject) -> list[str]:
    assert isinstance(found, Project)
    return [one.name for one in found.entry_points]


def test_the_built_in_project_is_always_there(tmp_path: Path) -> None:
    (one,) = projects(tmp_path).list()
    assert isinstance(one, Project)
    assert (one.name, one.place) == ("greenroom", "built in")
    assert projects(tmp_path).entry_point("greenroom", "stores").parameter("data") is not None


def test_a_broken_project_is_listed_with_its_sentence_beside_the_others(tmp_path: Path, folder: Path) -> None:
    project(tmp_path / "broken", "a: [")
    found = projects(
        tmp_path,
        ProjectSetting("gone", str(tmp_path / "gone")),
        ProjectSetting("broken", str(tmp_path / "broken")),
        ProjectSetting("demand", str(folder)),
    )
    built_in, gone, broken, demand = found.list()
    assert isinstance(built_in, Project)
    assert names(demand) == ["main"]
    assert isinstance(gone, BrokenProject)
    assert "there is no folder" in gone.reason
    assert isinstance(broken, BrokenProject)
    assert "no valid YAML (line 1" in broken.reason
    for name in ("gone", "broken"):
        with pytest.raises(BadInputError, match=f"The project '{name}'"):
            found.entry_point(name, "main")


def test_what_there_is_not_is_refused_with_what_there_is(demand: Projects) -> None:
    with pytest.raises(
        NotFoundError, match=r"no project 'demnad'\. Did you mean demand\? Projects: greenroom, demand"
    ):
        demand.entry_point("demnad", "main")
    with pytest.raises(
        NotFoundError, match=r"no entry point 'mian'\. Did you mean main\? Entry points: main"
    ):
        demand.entry_point("demand", "mian")


def test_asking_again_parses_nothing(demand: Projects, readings: list[str]) -> None:
    first = demand.entry_point("demand", "main")
    readings.clear()
    assert demand.entry_point("demand", "main") is first
    assert readings == []


def test_a_changed_file_is_read_again_even_with_the_same_size_and_time(
    demand: Projects, folder: Path
) -> None:
    demand.entry_point("demand", "main")
    before = (folder / "MLproject").stat()
    (folder / "new").write_text(SIMPLE.replace("main", "mein"))
    os.utime(folder / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
    (folder / "new").replace(folder / "MLproject")
    assert demand.entry_point("demand", "mein").name == "mein"


def test_a_file_written_in_place_is_read_again(demand: Projects, folder: Path) -> None:
    demand.entry_point("demand", "main")
    (folder / "MLproject").write_text(SECOND)
    assert names(demand.list()[1]) == ["second"]


def test_a_file_that_comes_or_goes_is_noticed(demand: Projects, folder: Path) -> None:
    (folder / "MLproject").rename(folder / "kept")
    assert names(demand.list()[1]) == []
    (folder / "kept").rename(folder / "mlproject")
    assert names(demand.list()[1]) == ["main"]
    (folder / "mlproject").unlink()
    assert names(demand.list()[1]) == []


def test_a_broken_project_is_not_parsed_at_every_look_but_again_after_a_while(
    demand: Projects, folder: Path, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "MLproject").write_text(f"conda_env: env/conda.yaml\n{SIMPLE}")
    assert isinstance(demand.list()[1], BrokenProject)
    (folder / "env").mkdir()
    assert isinstance(demand.list()[1], BrokenProject)
    readings.clear()
    (folder / "env" / "conda.yaml").touch()
    assert isinstance(demand.list()[1], BrokenProject)
    assert readings == []
    later = catalogue.time.monotonic() + 6
    monkeypatch.setattr(catalogue.time, "monotonic", lambda: later)
    assert names(demand.list()[1]) == ["main"]


def test_listing_fetches_no_git_project_and_refreshing_does(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "team")
    found = projects(tmp_path / "home", ProjectSetting("demand", repository.address))
    listed = found.list()[1]
    assert isinstance(listed, Project)
    assert (listed.folder, listed.entry_points) == (None, ())
    assert "Not fetched yet" in listed.note
    assert not (tmp_path / "home").exists()
    with pytest.raises(NotFoundError, match="was not fetched yet"):
        found.folder("demand")
    with pytest.raises(NotFoundError, match="was not fetched yet"):
        found.entry_point("demand", "main")
    assert found.refresh("demand").commit == repository.first
    assert found.folder("demand").name == repository.first
    second = repository.commit(SECOND)
    assert names(found.list()[1]) == ["main"]
    assert names(found.refresh("demand")) == ["second"]
    assert found.folder("demand").name == second


def test_what_another_process_fetched_is_noticed(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "team")
    mine, other = (projects(tmp_path / "home", ProjectSetting("demand", repository.address)) for _ in "ab")
    assert names(mine.list()[1]) == []
    other.refresh("demand")
    assert names(mine.list()[1]) == ["main"]
    repository.commit(SECOND)
    other.refresh("demand")
    assert names(mine.list()[1]) == ["second"]


def test_a_git_project_that_breaks_says_so_when_it_is_refreshed(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "team")
    repository.commit("- a")
    found = projects(tmp_path / "home", ProjectSetting("demand", repository.address))
    with pytest.raises(BadInputError, match="must hold a table"):
        found.refresh("demand")


def test_no_place_shows_a_password(tmp_path: Path) -> None:
    address = "https://me:geheim@example.org/a.git"
    found = projects(tmp_path, ProjectSetting("demand", address, "main")).list()[1]
    assert found.place == "https://***@example.org/a.git at main"


def test_importing_projects_imports_neither_mlflow_nor_pandas() -> None:
    script = (
        "import sys, core.training.projects.catalogue, core.training.projects.command, "
        "core.training.projects.parameters; "
        "print(sorted({'mlflow', 'pandas', 'numpy', 'sqlalchemy', 'filelock'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

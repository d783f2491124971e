"""A project's files: a folder as it is, or a checkout of the commit that its address has."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from core.errors import BadInputError, NotFoundError, SourceError
from core.training.projects.git import Git
from core.training.projects.sources import Checkout, current, fetch, shown_source
from core.training.projects.types import ProjectSetting
from tests.core.training.projects.kit import SIMPLE, Repository, git, project


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "team")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def setting(repository: Repository, ref: str | None = None) -> ProjectSetting:
    return ProjectSetting("demand", repository.address, ref)


def checkouts(home: Path) -> set[str]:
    return {one.name for one in (home / "projects" / "demand").iterdir() if one.is_dir()}


def test_a_folder_is_used_where_it_is(tmp_path: Path, home: Path) -> None:
    folder = project(tmp_path / "p", SIMPLE)
    one = ProjectSetting("demand", str(folder))
    assert fetch(one, home) == current(one, home) == Checkout(folder)
    assert not home.exists()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, home: Path) -> None:
    with pytest.raises(NotFoundError, match=r"'demand': there is no folder .*gone"):
        fetch(ProjectSetting("demand", str(tmp_path / "gone")), home)


def test_a_git_project_is_not_there_before_it_is_fetched(repository: Repository, home: Path) -> None:
    assert current(setting(repository), home) is None
    found = fetch(setting(repository), home)
    assert found == Checkout(home / "projects" / "demand" / repository.first, repository.first)
    assert current(setting(repository), home) == found
    assert (found.folder / "MLproject").read_text() == SIMPLE


def test_branch_tag_and_commit_are_found(repository: Repository, home: Path) -> None:
    git(repository.folder, "tag", "--annotate", "--message", "One", "v1")
    git(repository.folder, "branch", "side/one")
    second = repository.commit("name: second")
    found = {
        ref: fetch(setting(repository, ref), home).commit
        for ref in (None, "main", "v1", "side/one", second, repository.first, repository.first[:9])
    }
    assert found == {
        None: second,
        "main": second,
        second: second,
        **dict.fromkeys(("v1", "side/one", repository.first, repository.first[:9]), repository.first),
    }


def test_fetching_again_brings_what_is_new_and_the_newest_three_stay(
    repository: Repository, home: Path
) -> None:
    commits = [repository.first]
    fetch(setting(repository), home)
    for number in range(4):
        commits.append(repository.commit(f"name: p{number}"))
        os.utime(home / "projects" / "demand" / commits[-2], (number, number))
        assert fetch(setting(repository), home).commit == commits[-1]
    assert checkouts(home) == set(commits[-3:])


def test_a_checkout_that_is_taken_again_counts_as_new(repository: Repository, home: Path) -> None:
    commits = [repository.first, *(repository.commit(f"name: p{number}") for number in range(3))]
    for age, commit in enumerate(commits[:3]):
        os.utime(fetch(setting(repository, commit), home).folder, (age, age))
    fetch(setting(repository, repository.first), home)
    fetch(setting(repository), home)
    assert checkouts(home) == {commits[0], commits[2], commits[3]}


def test_a_checkout_in_use_stays(repository: Repository, home: Path) -> None:
    os.utime(fetch(setting(repository), home).folder, (0, 0))
    for number in range(4):
        repository.commit(f"name: p{number}")
        found = fetch(setting(repository), home, in_use=frozenset({repository.first}))
        os.utime(found.folder, (number, number))
    assert repository.first in checkouts(home)
    assert len(checkouts(home)) == 4


def test_a_commit_that_is_there_is_not_fetched_again(repository: Repository, home: Path) -> None:
    fetch(setting(repository, repository.first), home)
    repository.folder.rename(repository.folder.with_name("moved"))
    assert fetch(setting(repository, repository.first), home).commit == repository.first


def test_another_source_or_ref_is_not_taken_for_the_one_fetched(repository: Repository, home: Path) -> None:
    fetch(setting(repository), home)
    assert current(setting(repository, "main"), home) is None
    assert current(ProjectSetting("demand", "file:///elsewhere"), home) is None


@pytest.mark.parametrize("ref", ["gone", "0123456789"])
def test_a_ref_that_is_not_there_is_said(repository: Repository, home: Path, ref: str) -> None:
    with pytest.raises(NotFoundError, match=f"'demand': there is no branch, tag or commit {ref} at file://"):
        fetch(setting(repository, ref), home)
    assert checkouts(home) == set()


def test_an_address_that_does_not_answer_leaves_the_old_checkout(repository: Repository, home: Path) -> None:
    before = fetch(setting(repository), home)
    repository.folder.rename(repository.folder.with_name("moved"))
    with pytest.raises(SourceError, match=r"'demand' cannot be fetched from file://.*Check the address"):
        fetch(setting(repository), home)
    assert current(setting(repository), home) == before
    assert checkouts(home) == {repository.first}


def test_what_a_killed_fetch_left_is_removed_and_never_taken_for_a_checkout(
    repository: Repository, home: Path
) -> None:
    place = home / "projects" / "demand"
    for name in (".new-x", f".old-{repository.first}"):
        (place / name).mkdir(parents=True)
    (place / "current.json").write_text('{"of": ')
    assert current(setting(repository), home) is None
    fetch(setting(repository), home)
    assert checkouts(home) == {repository.first}


def test_fetches_at_once_make_one_checkout(repository: Repository, home: Path) -> None:
    found: list[Checkout] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch(setting(repository), home))) for _ in range(4)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one.commit for one in found] == [repository.first] * 4
    assert checkouts(home) == {repository.first}


def test_a_relative_home_gives_an_absolute_folder(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fetch(setting(repository), Path(".greenroom")).folder.is_absolute()


def test_no_hook_of_the_user_runs(
    repository: Repository, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = tmp_path / "hooks" / "post-checkout"
    hook.parent.mkdir()
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran")
    hook.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\nhooksPath = {hook.parent}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    git(tmp_path, "clone", "--quiet", repository.address, "control")
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    fetch(setting(repository), home)
    assert not (tmp_path / "ran").exists()


def test_inside_a_git_hook_it_is_still_the_address_that_is_fetched(
    repository: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(repository.folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", "index")
    assert (fetch(setting(repository), home).folder / "MLproject").exists()


@pytest.mark.parametrize("source", ["ext::sh -c touch% ran", "https::x"])
def test_foreign_transports_are_refused_by_git_itself(home: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceError):
        fetch(ProjectSetting("demand", source), home)
    assert not list(tmp_path.rglob("ran"))


def test_a_dash_is_no_option_of_git(repository: Repository, home: Path) -> None:
    with pytest.raises(BadInputError, match="dash"):
        fetch(ProjectSetting("demand", repository.address, "--upload-pack=x"), home)


def test_an_address_shows_neither_password_nor_token(home: Path) -> None:
    for address in ("https://me:geheim@localhost:1/a.git", "https://geheim@localhost:1/a.git"):
        one = ProjectSetting("demand", address)
        with pytest.raises(SourceError) as caught:
            fetch(one, home)
        assert "geheim" not in f"{caught.value}{caught.value.__cause__}{shown_source(one)}"
        assert "localhost:1" in shown_source(one)


def test_no_checkout_keeps_a_password(
    repository: Repository, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{repository.address}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://me:geheim@example.org/a.git")
    fetch(ProjectSetting("demand", "https://me:geheim@example.org/a.git"), home)
    kept = [one.read_bytes() for one in (home / "projects").rglob("*") if one.is_file()]
    assert kept
    assert not any(b"geheim" in one for one in kept)


def test_a_server_that_never_answers_is_given_up_and_no_process_stays(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(SourceError, match=r"'demand' cannot be fetched: git took longer than 2 s"):
            fetch(ProjectSetting("demand", f"https://127.0.0.1:{port}/a.git"), home, seconds=2)
        server.settimeout(10)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            # The other end is closed once git's helper, which held it, is gone.
            while connection.recv(4096):
                pass
    assert checkouts(home) == set()


def test_without_git_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="no program git"):
        Git(10)("version", folder=tmp_path)

"""Commands that train, look at jobs and stop them: JSON, exit codes, and what is said where nobody works."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.cli import cli
from tests import stores
from tests.training import write_project

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    project = write_project(tmp_path / "toy")
    (tmp_path / "greenroom.toml").write_text(
        f'home = "{tmp_path / "home"}"\n[projects.toy]\nsource = "{project}"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stores.new_sqlite(tmp_path))

    def invoked(*words: str) -> Result:
        return CliRunner().invoke(cli, words, catch_exceptions=False)

    yield invoked


def test_what_can_be_launched_is_listed_with_its_parameters(run: Run) -> None:
    listed = run("train")
    assert "-P data=<path> (required)" in listed.stdout
    found = {one["project"]: one for one in json.loads(run("train", "--json").stdout)}
    count = next(one for one in found["toy"]["entry_points"] if one["name"] == "count")
    assert [one["name"] for one in count["parameters"]] == ["n", "pause"]
    assert count["parameters"][0]["minimum"] == 1


def test_a_training_that_is_waited_for_shows_its_log_and_its_end(run: Run) -> None:
    done = run("train", "count", "--project", "toy", "-P", "n=2", "--wait", "--json")
    job = json.loads(done.stdout)
    assert (done.exit_code, job["state"], job["exit_code"], job["parameters"]["n"]) == (0, "finished", 0, "2")
    assert "line 1" in run("logs", str(job["job"])).stdout
    shown = run("jobs", str(job["job"]))
    assert f"Job {job['job']} " in shown.stdout and job["run_id"] in shown.stdout


def test_a_training_that_fails_exits_with_1_and_says_why(run: Run) -> None:
    done = run("train", "fail", "--project", "toy", "--wait")
    assert done.exit_code == 1
    assert "exited with code 3" in done.stdout


def test_a_sweep_lists_a_job_for_each_combination(run: Run) -> None:
    done = run("train", "count", "--project", "toy", "--sweep", "n=1,2", "--sweep", "pause=0.1,0.2", "--json")
    jobs = json.loads(done.stdout)
    assert len(jobs) == 4
    assert {(one["parameters"]["n"], one["parameters"]["pause"]) for one in jobs} == {
        ("1", "0.1"), ("1", "0.2"), ("2", "0.1"), ("2", "0.2"),
    }  # fmt: skip
    assert len({one["sweep"] for one in jobs}) == 1


def test_without_a_worker_it_is_said_that_the_job_waits_and_it_can_be_cancelled(run: Run) -> None:
    done = run("train", "wait", "--project", "toy")
    assert done.exit_code == 0
    assert "start `greenroom up` or `greenroom worker`" in done.stderr
    listed = json.loads(run("jobs", "--state", "queued", "--json").stdout)
    assert [one["state"] for one in listed] == ["queued"]
    cancelled = json.loads(run("cancel", str(listed[0]["job"]), "--json").stdout)
    assert cancelled["state"] == "stopped"
    again = run("cancel", str(listed[0]["job"]))
    assert (again.exit_code, "it cannot be stopped any more" in again.stderr) == (1, True)
    retried = json.loads(run("retry", str(listed[0]["job"]), "--json").stdout)
    assert (retried["state"], retried["job"] != listed[0]["job"]) == ("queued", True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("train", "nothing"), "has no entry point 'nothing'"),
        (("train", "count", "--project", "tou"), "There is no project 'tou'"),
        (("train", "count", "--project", "toy", "-P", "n=many"), "n is 'many'"),
        (("train", "count", "--project", "toy", "-P", "n"), "'n' is no parameter"),
        (("train", "count", "--project", "toy", "-P", "n=1", "-P", "n=2"), "given twice"),
        (("train", "count", "--project", "toy", "--sweep", "n="), "at least one value"),
        (("train", "count", "--project", "toy", "--engine", "ray"), "No Ray cluster is set up"),
        (("jobs", "77"), "There is no job 77"),
        (("logs", "77"), "There is no job 77"),
        (("resume", "77"), "There is no job 77"),
    ],
)
def test_bad_input_exits_with_2_and_a_sentence(run: Run, words: tuple[str, ...], sentence: str) -> None:
    done = run(*words)
    assert (done.exit_code, sentence in done.stderr) == (2, True), done.stderr


def test_a_viewer_launches_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENROOM_ROLE", "viewer")
    done = run("train", "count", "--project", "toy")
    assert (done.exit_code, "may not launch a training" in done.stderr) == (1, True)
    assert run("jobs", "--json").stdout.strip() == "[]"

"""The trainer as people and MLflow call it: by command line, and as a project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow.projects
import polars as pl
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import ExecutionException

from tests.core.training.stores import kit

Run = Callable[..., tuple[int, str, str]]
Project = Callable[..., str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return kit.csv(tmp_path / "sales.csv", kit.usual(2, 120))


def test_a_pipeline_is_trained_and_reported(run: Run, data: Path, client: MlflowClient) -> None:
    code, out, err = run("--data", str(data), "--model", "ridge", "--horizon", "14", "--jobs", "1")
    assert code == 0
    assert "2 of 2 stores" in err
    lines = out.splitlines()
    assert lines[0].startswith("· Not known in advance, so not used: visitors.")
    assert lines[1].startswith("2 stores in ")
    run_id = client.search_runs([_experiment(client)], "params.stores = '2'")[0].info.run_id
    wape = client.get_run(run_id).data.metrics["test_wape"]
    assert f"test_wape {wape:.4g}  avg_smape" in lines[2]
    assert lines[3] == f"Look at it with: greenroom stores {run_id[:8]}"


def test_the_report_can_be_json_and_options_arrive(run: Run, data: Path, client: MlflowClient) -> None:
    code, out, _ = run(
        *("--data", str(data), "--json", "--model", "seasonal_naive", "--horizon", "10", "--n", "1"),
        *(
            "--min-samples",
            "20",
            "--interval",
            "0.6",
            "--seed",
            "7",
            "--known",
            "promo, visitors",
            "--jobs",
            "1",
        ),
        *("--experiment", "by json", "--run-name", "monday", "--partner-column", "partner"),
    )
    assert code == 0
    said = json.loads(out)
    assert (said["stores"], said["failed"], said["resumed"]) == (1, 0, 0)
    found = client.get_run(said["run_id"])
    assert said["experiment_id"] == found.info.experiment_id == _experiment(client, "by json")
    assert said["metrics"]["avg_r2"] == found.data.metrics["avg_r2"]
    assert found.info.run_name == "monday"
    expected = {"model": "seasonal_naive", "horizon": "10", "max_stores": "1", "min_samples": "20"}
    expected |= {"interval": "0.6", "seed": "7", "known_columns": "promo, visitors"}
    assert expected.items() <= found.data.params.items()


def test_columns_are_named_on_the_command_line(run: Run, tmp_path: Path, client: MlflowClient) -> None:
    names = {"store": "a", "date": "b", "sales": "c", "partner": "d", "promo": "e", "holiday": "f"}
    frame = kit.usual(2, 120).select(list(names)).rename(names).with_columns(g=pl.lit(1))
    data = kit.csv(tmp_path / "s.csv", frame)
    given = ("--store-column", "a", "--date-column", "b", "--sales-column", "c", "--partner-column", "d")
    code, out, _ = run(
        *("--data", str(data), *given, "--open-column", "g", "--known", "e", "--json", "--jobs", "1"),
        *("--model", "seasonal_naive", "--horizon", "14"),
    )
    assert code == 0
    params = client.get_run(json.loads(out)["run_id"]).data.params
    expected = {"store_column": "a", "date_column": "b", "sales_column": "c", "partner_column": "d"}
    assert (expected | {"known_columns": "e"}).items() <= params.items()
    code, out, _ = run(
        "--data", str(data), *given, "--known", "none", "--json", "--horizon", "14", "--jobs", "1"
    )
    assert code == 0 and client.get_run(json.loads(out)["run_id"]).data.params["known_columns"] == ""


def _experiment(client: MlflowClient, name: str = "store-forecasts") -> str:
    found = client.get_experiment_by_name(name)
    assert found is not None
    return str(found.experiment_id)


TEXT = "store,date,sales\n1,2024-01-01,5\n1,2024-01-02,-6\n"


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (None, (), "sales.csv cannot be read: No such file or directory."),
        (b"", (), "sales.csv has no rows of sales. Export them again."),
        (TEXT.encode(), (), "pass --drop-negative to take them as missing."),
        (TEXT.encode(), ("--horizon", "9", "--drop-negative"), "Give a smaller --horizon."),
        (TEXT.encode("utf-16"), (), "Name its own with --encoding"),
        (TEXT.encode(), ("--store-column", "Shop"), "has no column 'Shop'; it has 'store', 'date', 'sales'."),
        (TEXT.encode(), ("--known", "sales"), "cannot be known in advance"),
        (TEXT.replace("sales", "x").encode(), (), "Name it with --sales-column NAME."),
        (TEXT.encode(), ("--run-id", "f" * 32), f"There is no run {'f' * 32} in the tracking store."),
        (
            TEXT.encode(),
            ("--tracking-uri", "ftp://there"),
            "starts with 'ftp:', which Greenroom cannot read.",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(
    run: Run, tmp_path: Path, content: bytes | None, arguments: tuple[str, ...], said: str
) -> None:
    data = tmp_path / "sales.csv"
    if content is not None:
        data.write_bytes(content)
    code, out, err = run("--data", str(data), *arguments)
    assert (code, out) == (2, "")
    told = [line for line in err.splitlines() if line.startswith("stores: ")]
    assert len(told) == 1 and said in told[0] and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing option '--data'"),
        (("--data", "x.csv", "--model", "prophet"), "'prophet' is not one of 'seasonal_naive', 'ridge'"),
        (("--data", "x.csv", "--n", "-1"), "-1 is not in the range"),
        (("--data", "x.csv", "--interval", "1"), "1.0 is not in the range"),
        (("--data", "x.csv", "--min-samples", "1"), "1 is not in the range"),
        (("--data", "x.csv", "--sead", "1"), "No such option"),
    ],
)
def test_arguments_that_cannot_be_used_are_told(run: Run, arguments: tuple[str, ...], said: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2 and said in err


def test_bad_input_in_a_process_of_its_own(tmp_path: Path, store: str, client: MlflowClient) -> None:
    data = tmp_path / "sales.csv"
    data.write_text("store,date,sales\n1,2024-01-01,5\n1,2024-01-01,6\n")
    said = kit.one_sentence(kit.command("--data", str(data), MLFLOW_TRACKING_URI=store), 2)
    assert "store 1, 2024-01-01: rows 1, 2" in said
    (run,) = client.search_runs([_experiment(client)])
    assert run.info.status == "FAILED" and run.data.tags["failure"] == said


def test_without_a_single_model_the_exit_code_is_1(run: Run, tmp_path: Path, client: MlflowClient) -> None:
    data = kit.csv(tmp_path / "s.csv", kit.usual(2, 60))
    code, out, err = run("--data", str(data), "--jobs", "1", "--horizon", "42")
    assert (code, out) == (1, "")
    said = err.splitlines()[-1]
    assert said.startswith("stores: None of the 2 stores could be trained, the first because: too few rows: ")
    parents = client.search_runs([_experiment(client)], "params.stores = '2'")
    assert [run.info.status for run in parents] == ["FAILED"] and parents[0].info.run_id in said


HOLDING = """
import sys
from core.training.stores.pipeline import _alone
with _alone(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_process_does_not_work_on_the_same_run(run: Run, data: Path, client: MlflowClient) -> None:
    arguments = ("--data", str(data), "--model", "seasonal_naive", "--horizon", "14", "--jobs", "1")
    run_id = client.create_run(client.create_experiment("held")).info.run_id
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDING, run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=kit.environment(),
    )
    assert first.stdin is not None and first.stdout is not None
    try:
        assert first.stdout.readline() == "held\n"
        code, out, err = run(*arguments, "--run-id", run_id)
        assert (code, out) == (1, "")
        assert err == (
            f"stores: Another process is working on the pipeline {run_id}. Wait until it is done, or stop it first.\n"
        )
        assert client.get_run(run_id).data.params == {}
    finally:
        first.communicate("done\n")
    # Neither a lock file that was left nor one whose process was killed is in the way.
    assert run(*arguments, "--run-id", run_id)[0] == 0


@pytest.fixture
def project(tmp_path: Path, store: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Runs the project as MLflow does; returns the id of the run that it made."""
    client.create_experiment("project", (tmp_path / "artifacts").as_uri())
    for name, value in kit.environment(MLFLOW_TRACKING_URI=store).items():
        monkeypatch.setenv(name, value)
    place = str(kit.REPOSITORY / "core" / "training" / "project")

    def call(**given: str) -> str:
        done = mlflow.projects.run(
            place, "stores", parameters=given, experiment_name="project", env_manager="local"
        )
        assert done.get_status() == "FINISHED"
        return str(done.run_id)

    return call


def test_mlflow_runs_the_project_into_the_run_that_it_made(
    tmp_path: Path, client: MlflowClient, project: Project, run: Run
) -> None:
    data = kit.csv(tmp_path / "my sales.csv", kit.usual(2, 160))
    run_id = project(data=str(data), model="ridge", jobs="1", n="1", interval="0.80", known="none")
    runs = client.search_runs([_experiment(client, "project")])
    assert [one.info.run_id for one in runs if "mlflow.parentRunId" not in one.data.tags] == [run_id]
    parent, found = kit.pipeline_of(client, run_id)
    assert parent.status == "FINISHED" and list(found) == ["S001"]
    assert parent.tags["mlflow.project.entryPoint"] == "stores"
    assert parent.metrics["successful_models"] == 1
    # MLflow has logged what was asked for, for good; what that came to stands in other params, or else in tags.
    expected = {
        "model": "ridge",
        "known_columns": "",
        "max_stores": "1",
        "cutoff": "2025-08-17",
        "horizon": "0",
    }
    assert expected.items() <= parent.params.items()
    came_to = {"data": "my sales.csv", "horizon": "42", "sales_column": "sales", "store_column": "store"}
    assert came_to.items() <= parent.tags.items()
    assert found["S001"].params["horizon"] == "42"
    # Others can go on with it, as it was asked for and no other way.
    arguments = ("--data", str(data), "--model", "ridge", "--n", "1", "--known", "none", "--run-id", run_id)
    code, out, _ = run(*arguments, "--json")
    assert code == 0 and json.loads(out)["resumed"] == 1
    code, _, err = run(*arguments, "--horizon", "21")
    assert code == 2 and f"The run {run_id} was started with horizon = 0, not 21" in err
    assert kit.pipeline_of(client, run_id)[1] == found


def test_a_mistake_ends_the_run_that_mlflow_made(
    tmp_path: Path, client: MlflowClient, project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "sales.csv"
    data.write_text("store,date,sales\n1,2024-01-01,5\n1,2024-01-01,6\n")
    with pytest.raises(ExecutionException):
        project(data=str(data))
    assert "stores: sales.csv has 2 rows whose store and date come more than once" in capfd.readouterr().err
    (made,) = client.search_runs([_experiment(client, "project")])
    assert made.info.status == "FAILED"
    assert "store 1, 2024-01-01: rows 1, 2" in made.data.tags["failure"]

"""What the README tells people to type works as written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient
from mlflow.projects._project_spec import load_project

from core.forecasts.bands import DEFAULT_THRESHOLDS
from core.registry.gates.configuration import DEFAULT_BOOK
from core.settings import read_settings
from core.training.projects.reading import read_project
from tests import registries

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The demo workspace, built by the command that `make demo` calls."""
    folder = tmp_path_factory.mktemp("readme")
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("MLFLOW_TRACKING", "GREENROOM"))
    }
    environment["HOME_OF_TEST"] = str(folder)
    done = _run(["demo", "--no-serve"], environment)
    assert "Trained" in done
    return environment


def _run(arguments: list[str], environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "core.cli", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=environment["HOME_OF_TEST"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _python(demo: dict[str, str], code: str, *options: str) -> str:
    """Run code of the README where the demo is, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=demo,
        cwd=demo["HOME_OF_TEST"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_for_the_analyst(demo: dict[str, str]) -> None:
    typed = [
        line[2:]
        for block in _blocks("console")
        for line in block.splitlines()
        if line.startswith("$ greenroom")
    ]
    reading = [shlex.split(line)[1:] for line in typed if not line.startswith("greenroom up")]
    assert len(reading) >= 5
    environment = demo | {"MLFLOW_TRACKING_URI": f"sqlite:///{demo['HOME_OF_TEST']}/.greenroom/mlflow.db"}
    best = json.loads(_run(["best", "--metric", "sharpe_ratio", "-e", "sp500-rules", "--json"], environment))
    pipelines = {one["name"]: one["run_id"] for one in json.loads(_run(["stores", "--json"], environment))}
    meant = {
        "3f2a91c0": best["run_id"],
        "8c41d7aa": pipelines["one model for all"],
        "5b90e2f1": pipelines["a model a store"],
    }
    reading = [[meant.get(word, word) for word in words] for words in reading]
    printed = [_run(arguments, environment) for arguments in reading]
    assert "diabetes-regression" in printed[0]
    assert all(printed)
    assert (Path(demo["HOME_OF_TEST"]) / "diabetes.csv").stat().st_size > 1_000
    assert (Path(demo["HOME_OF_TEST"]) / "stores.csv").stat().st_size > 1_000


def test_command_of_the_store_trainer(demo: dict[str, str]) -> None:
    typed = next(
        line[2:] for line in README.splitlines() if line.startswith("$ python -m core.training.stores")
    )
    done = subprocess.run(
        [sys.executable, *shlex.split(typed)[1:]],
        env=demo | {"MLFLOW_TRACKING_URI": f"sqlite:///{demo['HOME_OF_TEST']}/.greenroom/mlflow.db"},
        cwd=demo["HOME_OF_TEST"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "5 stores" in done.stdout


def test_notebook_code(demo: dict[str, str]) -> None:
    code = next(block for block in _blocks("python") if "open_workspace" in block)
    said = _python(demo, code, "-W", "error")
    assert int(said.split()[0]) > 5


def test_training_script(demo: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    script = next(block for block in _blocks("python") if "MLflowLogger" in block)
    _python(demo, script)
    uri = f"sqlite:///{demo['HOME_OF_TEST']}/.greenroom/mlflow.db"
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("my-strategies")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    table = client.load_table(
        experiment.experiment_id, "backtest/portfolio_values.json", run_ids=[run.info.run_id]
    )
    assert list(table.columns) == ["time", "value", "benchmark"]
    environment = demo | {"MLFLOW_TRACKING_URI": uri}
    read = json.loads(_run(["backtest", run.info.run_id, "--json"], environment))
    assert read["measures"]["total_return"] == pytest.approx(table["value"].iloc[-1] / 100_000 - 1)
    assert read["notes"] == []


def test_the_code_for_teams_with_checkpoints(demo: dict[str, str]) -> None:
    code = next(block for block in _blocks("python") if "ModelManager" in block)
    said = _python(demo, code, "-W", "error")
    assert said.split() == ["0", "[]"]


def test_commands_of_analyst_and_lead(demo: dict[str, str]) -> None:
    """As written, on a model of the demo, with the time in Staging turned off."""
    home = Path(demo["HOME_OF_TEST"])
    config = home / "no-soak.toml"
    config.write_text('[gates."*"]\nsoak_hours = 0\n')
    environment = demo | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{home}/.greenroom/mlflow.db",
        "GREENROOM_CONFIG": str(config),
    }
    block, *_ = _blocks("sh")
    register, *rest = [shlex.split(line)[1:] for line in block.splitlines()]
    versions = json.loads(_run(["versions", "diabetes-progression", "--json"], environment))
    for version in versions[:3]:
        _run([version["run_id"] if word == "3f2a91c0" else word for word in register], environment)
    for stage in ("Staging", "Production"):
        _run(["promote", "ppo_usdcop", "2", "--to", stage, "--reason", "before"], environment)
    for words in rest:
        waiting = json.loads(_run(["requests", "ppo_usdcop", "--all", "--json"], environment))
        number = str(waiting[0]["request"]) if waiting else ""
        _run([number if word == "12" else word for word in words], environment)
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    assert registries.stages(client, "ppo_usdcop") == {1: "None", 2: "Production", 3: "Archived"}


def test_settings_file(tmp_path: Path) -> None:
    *_, block = _blocks("toml")
    (tmp_path / "greenroom.toml").write_text(block)
    settings = read_settings({}, tmp_path)
    assert settings.tracking_uri == "postgresql://reader@db.example.org/mlflow"
    assert settings.quality == DEFAULT_THRESHOLDS
    assert settings.artifact_roots == {"file:///C:/Users/ana/mlruns": "/data/mlruns"}
    assert (settings.user, settings.role) == ("amara", "lead")


def test_settings_of_gates(tmp_path: Path) -> None:
    block, *_ = _blocks("toml")
    (tmp_path / "greenroom.toml").write_text(block)
    settings = read_settings({}, tmp_path)
    assert settings.registry.two_person_rule
    assert settings.gates.of("anything") == DEFAULT_BOOK.every
    names = ("smoke", "structure", "dataset", "reproducible", "soak", "metrics", "champion", "worst_seed")
    assert settings.gates.of("ppo_usdcop").names("Production") == names
    assert settings.gates.of("store-sales").names("Production") == ("smoke", "soak", "champion")


def test_settings_of_the_training_desk(tmp_path: Path) -> None:
    _, block, _ = _blocks("toml")
    (tmp_path / "greenroom.toml").write_text(block)
    settings = read_settings({}, tmp_path)
    assert [one.name for one in settings.projects] == ["demand"]
    assert (settings.training.jobs_at_once, settings.retention.automatic) == (2, True)
    rules = settings.watch.of("ppo_usdcop")
    assert rules is not None
    assert rules.policy == "request"
    assert settings.api.rl_agent_model == "ppo_usdcop"


def test_the_project_file_is_read_by_mlflow_and_by_us(tmp_path: Path) -> None:
    (block,) = _blocks("yaml")
    (tmp_path / "MLproject").write_text(f"name: demand\n{block}")
    ours = read_project("demand", tmp_path).entry_points[0]
    theirs = load_project(tmp_path).get_entry_point("demand")
    assert (ours.name, ours.resumes, ours.command) == ("demand", True, theirs.command)
    assert [one.name for one in ours.parameters] == list(theirs.parameters)
    assert ours.parameter("loss").choices == ("mae", "rmse")  # type: ignore[union-attr]


def test_commands_that_train(demo: dict[str, str], tmp_path: Path) -> None:
    """As written, beside files of the names that they give; what waits is for nobody, and is taken out again."""
    home = Path(demo["HOME_OF_TEST"])
    environment = demo | {"HOME_OF_TEST": str(tmp_path), "GREENROOM_HOME": str(tmp_path / "home")}
    sales = pl.read_parquet(home / ".greenroom" / "artifacts" / "generated-sales.parquet")
    first = sales.columns[0]
    sales.filter(pl.col(first).is_in(sales[first].unique().sort().head(3))).write_csv(tmp_path / "sales.csv")
    (tmp_path / "bars.csv").write_bytes((home / ".greenroom" / "artifacts" / "sp500-daily.csv").read_bytes())
    _, block, _ = _blocks("sh")
    for words in [shlex.split(line)[1:] for line in block.splitlines()]:
        jobs = json.loads(_run(["jobs", "--json"], environment))
        finished = [one["job"] for one in jobs if one["state"] == "finished"]
        queued = [one["job"] for one in jobs if one["state"] == "queued"]
        meant = str((finished if words[0] == "logs" else queued or [0])[0])
        assert _run([meant if word == "12" else word for word in words], environment), words
    states = [one["state"] for one in json.loads(_run(["jobs", "--json"], environment))]
    assert sorted(states) == ["finished", "queued", "queued", "stopped"]
    assert [one["model"] for one in json.loads(_run(["schedule", "--json"], environment))] == ["ppo_usdcop"]


def test_settings_named_in_the_comment_exist() -> None:
    *_, block = _blocks("toml")
    named = re.search(r"# (backend_uri.*)", block)
    assert named is not None
    for key in named.group(1).split(", "):
        assert hasattr(read_settings({}, Path("/nonexistent")), key), key


def test_make_targets_exist() -> None:
    makefile = (Path(__file__).resolve().parents[1] / "Makefile").read_text()
    for target in re.findall(r"make ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target

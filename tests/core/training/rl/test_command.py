"""The command: options, exit codes, what is printed, and the entry point that says the same."""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
import yaml
from mlflow import MlflowClient

from core.training.rl import command
from tests.core.training.rl import kit

# What the command sets for its own process.
SET = (
    "MLFLOW_DISABLE_TELEMETRY",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR",
)
SMALL = (
    *("--timesteps", "64", "--environments", "2", "--n-steps", "32", "--batch-size", "32", "--net", "8"),
    *("--evaluate-every", "64"),
)
PROJECT = Path(command.__file__).parents[1] / "project" / "MLproject"


@pytest.fixture
def run(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command in this process: exit code, what it printed, what it said on standard error."""
    for name in SET:
        monkeypatch.setenv(name, "true")
    monkeypatch.setattr(signal, "signal", lambda *given: None)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rl", *arguments])
        capsys.readouterr()
        code = 0
        try:
            command.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_training_prints_agent_and_benchmarks(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, client: MlflowClient
) -> None:
    data = kit.csv(tmp_path / "bars.csv")
    code, out, err = run("--data", str(data), *SMALL, "--experiment", "agents")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("Held out: 45 bars, 2021-")
    assert [line.split("  ")[0] for line in lines[2:5]] == ["seed 1 *", "buy and hold", "flat"]
    assert lines[4].split()[1:] == ["0.00%", "–", "0.00%"]
    (found,) = client.search_runs([client.get_experiment_by_name("agents").experiment_id])
    assert lines[-1] == f"Look at it with: greenroom backtest {found.info.run_id[:8]}"


def test_json_has_seeds_and_benchmarks_and_missing_figures_are_null(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    data = kit.csv(tmp_path / "bars.csv")
    code, out, err = run("--data", str(data), *SMALL, "--json", "--seeds", "2")
    assert code == 0, err
    found = json.loads(out)
    assert [one["seed"] for one in found["seeds"]] == [1, 2]
    assert found["benchmarks"]["flat"] == {"total_return": 0.0, "sharpe": None, "max_drawdown": 0.0}
    assert found["chosen_seed"] in (1, 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--data", "gone.csv"), r"gone.csv cannot be read"),
        (("--data", "bars.csv", "--algorithm", "dqn"), "DQN chooses among a few actions"),
        (("--data", "bars.csv", "--net", "64,x"), "give widths of hidden layers"),
        (("--data", "bars.csv", "--fold", "2"), "There is no fold 2 of 1"),
        (("--data", "bars.csv", "--last-days", "20"), "usable bars are too few"),
        (("--data", "bars.csv", "--timesteps", "0"), "Invalid value for '--timesteps'"),
        ((), "Missing option '--data'"),
    ],
)
def test_bad_input_is_said_and_exits_with_2(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    kit.csv(tmp_path / "bars.csv")
    code, _, err = run(*arguments)
    assert code == 2
    assert said in err and "Traceback" not in err


def test_without_the_extra_one_command_mends_it(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "torch" else find(name, *more)
    )
    code, _, err = run("--data", str(kit.csv(tmp_path / "bars.csv")))
    assert code == 2
    assert 'torch, which is not installed: pip install "greenroom[rl]"' in err


def test_the_command_itself_needs_no_extra() -> None:
    """Importing it, and asking for help, must work where torch is not there."""
    import subprocess

    script = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'stable_baselines3', 'gymnasium'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "sys.argv = ['rl', '--help']\n"
        "from core.training.rl.command import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--warm-start" in done.stdout


def test_the_entry_point_has_the_command_s_options_and_defaults() -> None:
    entry = yaml.safe_load(PROJECT.read_text())["entry_points"]["rl"]
    options = {one.name: one for one in command.rl.params if isinstance(one, click.Option)}
    own = {"experiment", "run_name", "run_id", "tracking_uri", "as_json"}
    assert set(entry["parameters"]) == set(options) - own
    for name, parameter in entry["parameters"].items():
        option = options[name]
        assert f"--{name.replace('_', '-')} {{{name}}}" in entry["command"]
        assert parameter["help"].strip()
        if option.required:
            assert name == "data" and "default" not in parameter
            continue
        converted = option.type.convert(parameter["default"], option, None)
        assert converted == option.type.convert(option.default, option, None), name


@pytest.mark.parametrize(
    ("given", "meant"), [(("--repair",), True), (("--repair", "false"), False), ((), False)]
)
def test_repair_is_a_flag_that_takes_a_value_too(given: tuple[str, ...], meant: bool) -> None:
    context = command.rl.make_context("rl", ["--data", "x", *given])
    assert context.params["repair"] is meant

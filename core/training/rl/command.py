"""The command line of the agents' trainer: what `mlflow run` and people call."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from core.errors import BadInputError, GreenroomError

JOB_FOLDER: Final = "GREENROOM_JOB_DIR"
"""The environment variable that names the folder of the job; checkpoints go into it."""
_NEEDED: Final = ("torch", "stable_baselines3", "gymnasium")
_GRACE_SECONDS: Final = 2.5
_DEFAULT_NET: Final = "64,64"


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--data", required=True, help="CSV (.gz, too), Parquet or JSON of bars: time and close.")
@click.option(
    "--repair",
    default=False,
    type=click.BOOL,
    is_flag=False,
    flag_value=True,
    help="Leave out bars without a price and double ones, and sort, instead of refusing the file.",
)
@click.option("--last-days", default=0, type=click.IntRange(0), help="Only the last N days; 0 for all.")
@click.option("--algorithm", default="ppo", show_default=True, help="ppo, a2c, sac, td3 or ddpg.")
@click.option("--timesteps", default=100_000, show_default=True, type=click.IntRange(1))
@click.option(
    "--epochs", default=0.0, type=click.FloatRange(0), help="Passes over the training part, instead."
)
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(1, 100), help="How many.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="The first one.")
@click.option(
    "--validation",
    default=0.15,
    show_default=True,
    type=click.FloatRange(0.01, 0.9),
    help="Share of the bars.",
)
@click.option(
    "--test",
    default=0.15,
    show_default=True,
    type=click.FloatRange(0.01, 0.9),
    help="Share held out, the last.",
)
@click.option("--folds", default=1, show_default=True, type=click.IntRange(1), help="Walk-forward folds.")
@click.option("--fold", default=0, type=click.IntRange(0), help="The one to train on.  [default: the last]")
@click.option(
    "--fee-bps",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1000),
    help="Cost of what is bought or sold, in hundredths of a percent.",
)
@click.option(
    "--slippage-bps", default=1.0, show_default=True, type=click.FloatRange(0, 1000), help="Likewise."
)
@click.option("--environments", default=8, show_default=True, type=click.IntRange(1), help="Stepped at once.")
@click.option("--episode-bars", default=0, type=click.IntRange(0), help="[default: 256, or all there are]")
@click.option("--learning-rate", default=3e-4, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--gamma", default=0.99, show_default=True, type=click.FloatRange(0, 1))
@click.option(
    "--n-steps", default=0, type=click.IntRange(0), help="Between updates.  [default: ppo 256, a2c 16]"
)
@click.option("--batch-size", default=0, type=click.IntRange(0), help="[default: 256]")
@click.option("--net", default=_DEFAULT_NET, show_default=True, help="Widths of the hidden layers.")
@click.option(
    "--evaluate-every", default=0, type=click.IntRange(0), help="Timesteps.  [default: 20 times in all]"
)
@click.option(
    "--patience",
    default=5,
    show_default=True,
    type=click.IntRange(0),
    help="Validations without a better one after which a seed stops; 0 for never.",
)
@click.option("--warm-start", default="", metavar="URI", help="Begin with a model: models:/NAME/Production.")
@click.option("--experiment", default="", metavar="NAME", help="[default: trading-agents]")
@click.option("--run-name", default="", metavar="NAME")
@click.option("--run-id", default="", metavar="RUN", help="Go on with a training that was stopped.")
@click.option(
    "--tracking-uri", default="", metavar="URI", help="Instead of MLFLOW_TRACKING_URI and greenroom.toml."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON at the end.")
def rl(as_json: bool, tracking_uri: str, **given: Any) -> None:
    """Train a trading agent on price bars, judge it on the last ones, and log it.

    \b
    Examples:
      python -m core.training.rl --data usdcop.csv --seeds 5
      python -m core.training.rl --data usdcop.csv --warm-start models:/ppo_usdcop/Production --last-days 90 --epochs 5
      python -m core.training.rl --data usdcop.csv --run-id 3f2a91c0...     go on after a kill
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from core.settings import override, read_settings

    settings = override(read_settings(), tracking_uri=tracking_uri or None)
    options = _options(given)
    _require_extra()
    from core.training.rl.training import run_training

    job = os.environ.get(JOB_FOLDER)
    _report(run_training(options, settings, Path(job) / "checkpoints" if job else None), as_json)


def _options(given: dict[str, Any]) -> Any:
    from core.training.rl.market import Costs
    from core.training.rl.options import TrainingOptions, algorithm_named

    return TrainingOptions(
        data=Path(given["data"]),
        repair=given["repair"],
        last_days=given["last_days"] or None,
        algorithm=algorithm_named(given["algorithm"]),
        timesteps=given["timesteps"],
        epochs=given["epochs"] or None,
        seeds=given["seeds"],
        seed=given["seed"],
        validation=given["validation"],
        test=given["test"],
        folds=given["folds"],
        fold=given["fold"] or None,
        costs=Costs(given["fee_bps"] / 1e4, given["slippage_bps"] / 1e4),
        environments=given["environments"],
        episode_bars=given["episode_bars"] or None,
        learning_rate=given["learning_rate"],
        gamma=given["gamma"],
        n_steps=given["n_steps"] or None,
        batch_size=given["batch_size"] or None,
        net=_net(given["net"] or _DEFAULT_NET),
        evaluate_every=given["evaluate_every"] or None,
        patience=given["patience"],
        warm_start=given["warm_start"] or None,
        run_name=given["run_name"] or None,
        # A launcher has made the run and says which one it is.
        run_id=given["run_id"] or os.environ.pop("MLFLOW_RUN_ID", None) or None,
        **({"experiment": given["experiment"]} if given["experiment"] else {}),
    )


def _net(text: str) -> tuple[int, ...]:
    widths = [one.strip() for one in text.split(",")]
    if not all(one.isdigit() and 0 < int(one) <= 4096 for one in widths):
        raise BadInputError(
            f"--net is {text!r}; give widths of hidden layers by comma, such as {_DEFAULT_NET}."
        )
    return tuple(map(int, widths))


def _require_extra() -> None:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInputError(
            f"Training agents needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed: "
            'pip install "greenroom[rl]"'
        )


def _report(report: Any, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_as_json(report), indent=2))
        return
    for note in report.notes:
        click.echo(f"· {note}")
    click.echo(f"Held out: {report.test_bars:,} bars, {report.test_start} to {report.test_end}")
    click.echo(f"{'':14}{'return':>10}{'Sharpe':>9}{'drawdown':>10}{'validation':>12}")
    for one in report.seeds:
        name = f"seed {one.seed}{' *' if one.seed == report.chosen else ''}"
        click.echo(f"{_row(name, one.test)}{one.best_reward:12.2f}")
    for name, found in report.benchmarks.items():
        click.echo(_row(name.replace("_", " "), found))
    if len(report.seeds) > 1:
        click.echo("* the best validation: the model of the training's run")
    click.echo(f"{sum(one.timesteps for one in report.seeds):,} timesteps, {report.seconds:.1f} s")
    if report.run_id is not None:
        click.echo(f"Look at it with: greenroom backtest {report.run_id[:8]}")


def _row(name: str, found: Any) -> str:
    sharpe = "–" if found.sharpe is None else f"{found.sharpe:.2f}"
    return f"{name:14}{found.total_return:>10.2%}{sharpe:>9}{found.max_drawdown:>10.2%}"


def _as_json(report: Any) -> dict[str, Any]:
    def shown(found: Any) -> dict[str, float | None]:
        return {
            "total_return": found.total_return,
            "sharpe": found.sharpe,
            "max_drawdown": found.max_drawdown,
        }

    return {
        "run_id": report.run_id,
        "experiment": report.experiment,
        "chosen_seed": report.chosen,
        "test_start": report.test_start,
        "test_end": report.test_end,
        "test_bars": report.test_bars,
        "seeds": [
            {
                "seed": one.seed,
                "run_id": one.run_id,
                "timesteps": one.timesteps,
                "best_timesteps": one.best_timesteps,
                "best_reward": one.best_reward,
                "test_reward": one.test_reward,
                **shown(one.test),
            }
            for one in report.seeds
        ],
        "benchmarks": {name: shown(found) for name, found in report.benchmarks.items()},
        "notes": list(report.notes),
        "seconds": report.seconds,
    }


def _stop(number: int, frame: FrameType | None) -> None:
    """End the training soon: its runs say KILLED, its last checkpoint stays."""
    # Should the tracking server not answer meanwhile, what is left to send is on disk.
    giving_up = threading.Timer(_GRACE_SECONDS, os._exit, (128 + number,))
    giving_up.daemon = True
    giving_up.start()
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> None:
    """Run the trainer; exit code 1: refused, 2: bad input, 143: stopped by SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        rl(standalone_mode=False)
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("rl: stopped. The last checkpoint is kept; go on with --run-id.", err=True)
        # The runs have ended. Taking the interpreter and its libraries down would take another second.
        sys.stderr.flush()
        os._exit(128 + signal.SIGTERM)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GreenroomError as error:
        click.echo(f"rl: {error}", err=True)
        sys.exit(2 if isinstance(error, BadInputError) else 1)

"""The commands `greenroom schedule`: which model is retrained when, by what, and what came of it.

Exit code 0: done, 1: refused by a rule or no new version came to Staging, 2: bad input.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from core import cli_schedule_output as shown
from core.cli_parts import json_option, store_option
from core.cli_registry_parts import by_option, model_argument
from core.cli_training_parts import opened, pairs, say_that_it_waits, somebody_works
from core.errors import BadInputError, NotFoundError
from core.training.types import EngineKind

if TYPE_CHECKING:
    from core.training.schedule.types import Retraining, Schedule, ScheduleRequest
    from core.workspace import Workspace

_LOOK_SECONDS: Final = 0.25


@click.group("schedule", invoke_without_command=True)
@store_option
@json_option
@click.pass_context
def schedule(context: click.Context, tracking_uri: str | None, as_json: bool) -> None:
    """Retrain models on a schedule; without a command, list all schedules.

    A worker does it: that of `greenroom up` or `greenroom worker`.

    \b
    JSON: a list of {"model", "enabled", "next_due", "interval_days", "time_of_day", "zone",
    "first_day", "project", "entry_point", "parameters", "engine", "artifact_path", "mode",
    "last_days", "epochs", "set_by", "set_at"}

    \b
    Examples:
      greenroom schedule
      greenroom schedule set ppo_usdcop -e rl -P data=bars.csv --at 02:00 --zone America/Bogota
      greenroom schedule run ppo_usdcop --wait
    """
    if context.invoked_subcommand is not None:
        if tracking_uri is not None or as_json:
            raise click.UsageError(f"Give the options after `{context.invoked_subcommand}`.")
        return
    with opened(tracking_uri) as workspace:
        shown.schedules(workspace.training.schedules.all(), as_json)


@schedule.command("show")
@model_argument
@store_option
@json_option
def show(model: str, tracking_uri: str | None, as_json: bool) -> None:
    """Show the schedule of a model, and what was retrained last.

    \b
    JSON: as of `greenroom schedule`, without the list, and "last": as of `greenroom schedule
    history`, or null.

    \b
    Example: greenroom schedule show ppo_usdcop
    """
    with opened(tracking_uri) as workspace:
        _show(workspace, _known(workspace, model), as_json)


def _known(workspace: Workspace, model: str) -> Schedule:
    found = workspace.training.schedules.of(model)
    if found is None:
        raise NotFoundError(
            f"{model} has no schedule. Give it one with: greenroom schedule set {model} -e ENTRY_POINT -P data=..."
        )
    return found


def _show(workspace: Workspace, one: Schedule, as_json: bool) -> None:
    latest = workspace.training.schedules.retrainings(one.model, limit=1)
    shown.schedule(one, latest[0] if latest else None, as_json)


@schedule.command("set")
@model_argument
@click.option("-e", "--entry-point", metavar="NAME", help="What trains it; see `greenroom train`.")
@click.option("-P", "--param", "given", multiple=True, metavar="K=V", help="A parameter; may be repeated.")
@click.option("--project", help="Of [projects] in greenroom.toml.  [default: greenroom]")
@click.option("--engine", type=click.Choice([str(one) for one in EngineKind]), help="[default: local]")
@click.option("--artifact-path", help="The model's folder among the run's artifacts.  [default: model]")
@click.option("--every", "interval_days", type=int, metavar="DAYS", help="[default: 7]")
@click.option("--at", "time_of_day", metavar="HH:MM", help="[default: 02:00]")
@click.option("--zone", metavar="ZONE", help="Whose clocks --at means.  [default: UTC]")
@click.option(
    "--from", "first_day", type=click.DateTime(["%Y-%m-%d"]), help="The first day.  [default: next]"
)
@click.option("--mode", type=click.Choice(["incremental", "full"]), help="[default: incremental]")
@click.option("--last-days", type=int, help="Of an incremental retraining.  [default: 30]")
@click.option("--epochs", type=int, help="Of an incremental retraining.  [default: 5]")
@by_option
@store_option
@json_option
def set_schedule(
    model: str, given: Sequence[str], by: str | None, tracking_uri: str | None, as_json: bool, **options: Any
) -> None:
    """Say when a model is retrained, and how. What is not given stays as it is.

    \b
    JSON: as of `greenroom schedule show`.

    \b
    Examples:
      greenroom schedule set ppo_usdcop -e rl -P data=bars.csv --every 7 --at 02:00
      greenroom schedule set ppo_usdcop --zone America/Bogota --last-days 30 --epochs 5
      greenroom schedule set ppo_usdcop --mode full
    """
    with opened(tracking_uri) as workspace:
        desk = workspace.training.schedules
        request = _changed(desk.of(model), model, options, pairs(given))
        _show(workspace, desk.set(model, request, workspace.actor(by)), as_json)


def _changed(
    before: Schedule | None, model: str, options: dict[str, Any], parameters: dict[str, str]
) -> ScheduleRequest:
    """Return the schedule that a model has, with what was given changed."""
    from core.training.schedule.rows import request_of
    from core.training.schedule.types import Mode, ScheduleRequest

    given = {key: value for key, value in options.items() if value is not None}
    readers: dict[str, Callable[[Any], Any]] = {
        "engine": EngineKind,
        "mode": Mode,
        "first_day": datetime.date,
    }
    given = {key: readers[key](value) if key in readers else value for key, value in given.items()}
    if before is None:
        if "entry_point" not in given:
            raise BadInputError(
                f"{model} has no schedule yet: give -e with what trains it. `greenroom train` lists what there is."
            )
        return ScheduleRequest(parameters=parameters, **given)
    request = request_of(before)
    other = any(
        given.get(key, getattr(request, key)) != getattr(request, key) for key in ("entry_point", "project")
    )
    # Parameters of another entry point mean something else.
    kept = {} if other else request.parameters
    return replace(request, parameters={**kept, **parameters}, **given)


@schedule.command("on")
@model_argument
@by_option
@store_option
@json_option
def switch_on(model: str, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Switch the schedule of a model on; what was due meanwhile is not made up for.

    \b
    JSON: as of `greenroom schedule show`.

    \b
    Example: greenroom schedule on ppo_usdcop
    """
    with opened(tracking_uri) as workspace:
        one = workspace.training.schedules.switch(model, True, workspace.actor(by))
        _show(workspace, one, as_json)


@schedule.command("off")
@model_argument
@by_option
@store_option
@json_option
def switch_off(model: str, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Switch the schedule of a model off; a retraining that is under way goes on.

    \b
    JSON: as of `greenroom schedule show`.

    \b
    Example: greenroom schedule off ppo_usdcop
    """
    with opened(tracking_uri) as workspace:
        one = workspace.training.schedules.switch(model, False, workspace.actor(by))
        _show(workspace, one, as_json)


@schedule.command("remove")
@model_argument
@by_option
@store_option
def remove(model: str, by: str | None, tracking_uri: str | None) -> None:
    """Remove the schedule of a model; what was retrained is still shown.

    \b
    Example: greenroom schedule remove ppo_usdcop
    """
    with opened(tracking_uri) as workspace:
        workspace.training.schedules.remove(model, workspace.actor(by))
        click.echo(f"{model} is not retrained on a schedule any more.")


@schedule.command("run")
@model_argument
@click.option("--wait", is_flag=True, help="Stay until it is over, and show its log.")
@by_option
@store_option
@json_option
def run(model: str, wait: bool, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Retrain a model now, as its schedule says.

    With --wait and no worker, this command works itself.

    \b
    JSON: as of `greenroom schedule history`, without the list.

    \b
    Example: greenroom schedule run ppo_usdcop --wait
    """
    with opened(tracking_uri) as workspace:
        desk = workspace.training.schedules
        one = desk.retrain(model, workspace.actor(by))
        if wait:
            with somebody_works(workspace):
                one = _stay(workspace, one.id, quiet=as_json)
        shown.retraining(one, as_json)
        if one.outcome is not None and one.outcome != "staged":
            sys.exit(1)
        if not wait:
            say_that_it_waits(workspace)


def _stay(workspace: Workspace, number: int, *, quiet: bool) -> Retraining:
    said = 0
    while True:
        one = workspace.training.schedules.retraining(number)
        for line in () if quiet else one.log[said:]:
            click.echo(f"{line.at.astimezone():%Y-%m-%d %H:%M:%S} - {line.level} - {line.text}", err=True)
        said = len(one.log)
        if not one.is_open:
            return one
        time.sleep(_LOOK_SECONDS)


@schedule.command("history")
@click.argument("model", required=False, metavar="[MODEL]")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@store_option
@json_option
def history(model: str | None, limit: int, tracking_uri: str | None, as_json: bool) -> None:
    """List what was retrained, newest first.

    \b
    JSON: a list of {"retraining", "model", "trigger", "due_at", "step", "outcome", "reason", "job",
    "version", "verdict": {"word", "sentence", "points", "gates"}, "asked_by", "started_at",
    "ended_at", "log"}; outcome is null while it is under way.

    \b
    Example: greenroom schedule history ppo_usdcop --json
    """
    with opened(tracking_uri) as workspace:
        shown.retrainings(workspace.training.schedules.retrainings(model, limit=limit), as_json)


COMMANDS: Final = (schedule,)
"""What `core.cli` adds to `greenroom`."""

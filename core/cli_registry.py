"""The registry's commands of `greenroom` that look and judge: models, versions, gates, history, audit.

Exit code 0: done, 1: refused by a rule, with its reasons one a line, 2: bad input.
"""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from typing import Final

import click

from core import cli_registry_output as shown
from core.cli_registry_parts import (
    by_option,
    command,
    model_argument,
    open_desk,
    read_runs,
    read_runs_for_gates,
    version_argument,
    version_number,
)
from core.errors import BadInputError
from core.registry.types import Stage

_MOST_EVENTS: Final = 50
_GATED: Final = click.Choice([str(Stage.STAGING), str(Stage.PRODUCTION)], case_sensitive=False)


# Looking


@command("models")
def models(tracking_uri: str | None, as_json: bool) -> None:
    """List registered models, each with its version in Production.

    \b
    JSON: a list of {"name", "version", "stage", "aliases", "run_id", "created", "stage_since",
    "versions", "in_staging", "requests", "conflict"}. From version to stage_since it is about
    the version in Production: null and [] where there is none, or where two are (conflict says so).

    \b
    Example: greenroom models --json
    """
    from core.registry.requests import OPEN

    with open_desk(tracking_uri) as workspace:
        desk = workspace.registry
        shown.models(desk.watch.models().values(), desk.watch.seen(), desk.requests(states=OPEN), as_json)


@command("versions")
@model_argument
def versions(model: str, tracking_uri: str | None, as_json: bool) -> None:
    """List the versions of a model, newest first.

    \b
    JSON: a list of {"name", "version", "stage", "aliases", "run_id", "created", "stage_since",
    "by", "reason", "override", "source", "status", "tags"}. by, reason and override tell who
    moved it to its stage; null where that was not done here.

    \b
    Example: greenroom versions ppo_usdcop
    """
    with open_desk(tracking_uri) as workspace:
        shown.versions(workspace.registry.model(model), as_json)


@command("register")
@click.argument("run_id", metavar="RUN")
@click.option(
    "--name", required=True, metavar="MODEL", help="Model to make a version of; made where missing."
)
@click.option(
    "--artifact-path", default="model", show_default=True, help="The model among the run's artifacts."
)
@by_option
def register(
    run_id: str, name: str, artifact_path: str, by: str | None, tracking_uri: str | None, as_json: bool
) -> None:
    """Make a new version from a model that a run has logged; RUN may be shortened.

    \b
    JSON: {"name", "version", "stage", "run_id", "source"}

    \b
    Example: greenroom register 3f2a91c0 --name ppo_usdcop
    """
    with open_desk(tracking_uri) as workspace:
        read_runs(workspace)
        run = workspace.runs.run(run_id)
        made = workspace.registry.register(run.run_id, name, artifact_path, workspace.actor(by))
        shown.registered(made, as_json)


# Judging


@command("gates")
@model_argument
@version_argument
@click.option("--to", "to_stage", type=_GATED, default="Production", show_default=True)
@click.option("--recorded", is_flag=True, help="By the last load test; load no model now.")
def gates(
    model: str, version: str, to_stage: str, recorded: bool, tracking_uri: str | None, as_json: bool
) -> None:
    """Judge the gates of a version; exit code 1 where one does not pass.

    VERSION is a number, an alias, or a stage that one version is in.

    \b
    JSON: {"model", "version", "to_stage", "passed", "judged_at", "gates": [{"name", "passed",
    "reason", "evidence", "eligible_at"}]}

    \b
    Examples:
      greenroom gates ppo_usdcop 7
      greenroom gates ppo_usdcop staging --recorded --json
    """
    from core.registry.desk import Trials

    with open_desk(tracking_uri) as workspace:
        number, stage = version_number(workspace, model, version), Stage(to_stage)
        read_runs_for_gates(workspace, model, stage)
        trials = Trials.RECORDED if recorded else Trials.TRUSTED
        report = workspace.registry.gates(model, number, stage, trials)
        shown.gates(report, as_json)
    if not report.passed:
        sys.exit(1)


@command("load-test")
@model_argument
@version_argument
def load_test(model: str, version: str, tracking_uri: str | None, as_json: bool) -> None:
    """Load a version behind walls, have it predict, and keep what came of it; exit code 1 where it fails.

    \b
    JSON: {"model", "version", "passed", "reason", "at", "evidence", "structure"}

    \b
    Example: greenroom load-test ppo_usdcop 7
    """
    with open_desk(tracking_uri) as workspace:
        number = version_number(workspace, model, version)
        read_runs(workspace)
        test = workspace.registry.load_test(model, number)
        shown.load_test(model, number, test, as_json)
    if not test.passed:
        sys.exit(1)


# What happened


def _moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read a time in UTC, or a day, which stands for its last second."""
    if value is None:
        return None
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is not None:
        return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        accepted = "Write 2024-05-31, 2024-05-31T14:30 or 2024-05-31T14:30:00Z."
        raise click.BadParameter(f"{value!r} is no date. {accepted}", ctx, param) from error


@command("history")
@model_argument
@click.option(
    "--at",
    callback=_moment,
    metavar="DATE",
    help="What was in Production then: a date and time in UTC; a date alone means 23:59:59 of that day.",
)
def history(model: str, at: datetime | None, tracking_uri: str | None, as_json: bool) -> None:
    """Show what happened to a model and what was in Production when, oldest first.

    \b
    JSON: {"model", "events": [...], "reigns": [{"version", "start", "end", "how", "by", "reason",
    "exact"}]}; with --at {"at", "versions", "known", "sentence"}.

    \b
    Examples:
      greenroom history ppo_usdcop
      greenroom history ppo_usdcop --at 2026-03-31
      greenroom history ppo_usdcop --at 2026-03-31T14:30Z --json
    """
    from core.registry.history import in_production_at

    with open_desk(tracking_uri, from_records=True) as workspace:
        events = workspace.registry.events(model)
        if not events:
            workspace.registry.watch.model(model)
        if at is None:
            shown.history(model, events, as_json)
        else:
            shown.in_production(in_production_at(events, at), as_json)


@command("audit")
@click.option("--model", metavar="MODEL", help="Events of this model only.")
@click.option("--action", metavar="ACTION", help="Such as promoted, requested, 'rolled back'.")
@click.option(
    "--limit", type=click.IntRange(0), help=f"The latest; 0 for all.  [default: {_MOST_EVENTS} in a table]"
)
@click.option("--verify", is_flag=True, help="Check the chain; exit code 1 where a link is broken.")
def audit(
    model: str | None,
    action: str | None,
    limit: int | None,
    verify: bool,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Show the audit trail, newest first; check that nobody has changed it.

    \b
    JSON: a line an event (JSON Lines). Without --model, --action and --limit the whole chain, oldest
    first, as the database has it for all its tracking stores; with them the events that match, newest
    first. With --verify {"whole", "events", "broken_at", "reason", "head"}.

    \b
    Examples:
      greenroom audit --model ppo_usdcop --action promoted
      greenroom audit --json > audit.jsonl
      greenroom audit --verify
    """
    chosen = model is not None or action is not None or limit is not None
    if verify and chosen:
        raise BadInputError("--verify checks the whole chain: leave --model, --action and --limit out.")
    with open_desk(tracking_uri, look=False) as workspace:
        trail = workspace.registry.trail
        if verify:
            found = trail.verify()
            shown.verification(found, as_json)
            if not found.whole:
                sys.exit(1)
            return
        if as_json and not chosen:
            shown.lines(trail.export())
            return
        wanted = limit if limit is not None or as_json else _MOST_EVENTS
        events = trail.events(model, action=action, limit=wanted or None)
        if as_json:
            shown.lines(shown.event_line(one) for one in events)
        else:
            shown.events(events, trail.count(model, action=action))


COMMANDS: Final = (models, versions, register, gates, load_test, history, audit)
"""What `core.cli` adds to `greenroom`."""

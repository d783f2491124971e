"""The registry's commands of `greenroom`: models, gates, requests, promotion, rollback, history, audit.

Exit code 0: done, 1: refused by a rule, with its reasons one a line, 2: bad input.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from core import cli_output as output
from core import cli_registry_output as shown
from core.errors import BadInputError, RefusedError, SourceError
from core.registry.types import Model, Stage

if TYPE_CHECKING:
    from core.registry.promotion import Outcome
    from core.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

COMMANDS: Final[list[click.Command]] = []
"""What `core.cli` adds to `greenroom`."""

_NUMBER: Final = re.compile(r"[vV]?0*([1-9]\d{0,17})")
_MOST_EVENTS: Final = 50


class _Command(click.Command):
    """Says why something was refused: the sentence, then each reason on a line of its own."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RefusedError as error:
            click.echo(f"greenroom: {error}", err=True)
            for reason in error.reasons:
                if reason != str(error):
                    click.echo(f"  {reason}", err=True)
            return ctx.exit(1)


def _command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command with the options that all of these have, and have it added to `greenroom`."""

    def made(function: Callable[..., None]) -> click.Command:
        with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
        with_store = click.option(
            "--tracking-uri",
            help="Tracking store to work on, instead of MLFLOW_TRACKING_URI and greenroom.toml.",
            metavar="URI",
        )
        command = click.command(name, cls=_Command)(with_store(with_json(function)))
        COMMANDS.append(command)
        return command

    return made


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


_STAGES: Final = click.Choice([str(one) for one in Stage], case_sensitive=False)
_GATED: Final = click.Choice([str(Stage.STAGING), str(Stage.PRODUCTION)], case_sensitive=False)


def _model(function: F) -> F:
    return click.argument("model", metavar="MODEL")(function)


def _version(function: F) -> F:
    return click.argument("version", metavar="VERSION")(function)


def _by(function: F) -> F:
    return click.option(
        "--by",
        metavar="USER",
        help="Act in this name, where [registry] act_for_others allows it.  [default: who runs it]",
    )(function)


def _reason(function: F) -> F:
    return click.option("--reason", required=True, help="Why; it is kept in the audit trail.")(function)


# Opening


@contextmanager
def _desk(tracking_uri: str | None, *, look: bool = True, from_records: bool = False) -> Iterator[Workspace]:
    """Open a workspace and say what was found unfinished in its registry; no run is read.

    What is shown `from_records` of Greenroom's own is shown while MLflow does not answer, too.
    """
    from core import cli

    workspace: Workspace = cli._open(tracking_uri)
    try:
        if look:
            _look(workspace, from_records)
        yield workspace
    finally:
        workspace.close()


def _look(workspace: Workspace, from_records: bool) -> None:
    try:
        for outcome in workspace.registry.look():
            click.echo(outcome.sentence, err=True)
    except SourceError as error:
        if not from_records:
            raise
        click.echo(f"greenroom: {error}\nShown is what was recorded before.", err=True)


def _read_runs(workspace: Workspace) -> None:
    """Bring the run index up to date; where the store does not answer, what was read last has to do."""
    try:
        with output.progress("Reading runs") as report:
            workspace.runs.sync(on_progress=report)
    except SourceError as error:
        if workspace.runs.index.snapshot() is None:
            raise
        click.echo(f"greenroom: {error}", err=True)


def _read_runs_for_gates(workspace: Workspace, model: str, to_stage: Stage) -> None:
    """Read runs where evidence is gathered from them: not on the way to Archived, nor anew without gates."""
    gates = workspace.registry.rules.gates.of(model).names(to_stage)
    never_read = to_stage is Stage.STAGING and workspace.runs.index.snapshot() is None
    if gates or never_read or to_stage is Stage.PRODUCTION:
        _read_runs(workspace)


def _number(workspace: Workspace, name: str, text: str) -> int:
    """Understand 3, v3, an alias or a stage that one version is in.

    Raises
    ------
    BadInputError
        If it names no version, or several.
    """
    model = workspace.registry.watch.model(name)
    written = _NUMBER.fullmatch(text.strip())
    if written is not None:
        return model.version(int(written[1])).version
    found = _named(model, text.strip())
    if len(found) == 1:
        return found.pop()
    if found:
        several = " and ".join(f"v{one}" for one in sorted(found))
        raise BadInputError(f"'{text}' means several versions of {name}: {several}. Give a number.")
    known = ", ".join(f"{alias} (v{version})" for alias, version in sorted(model.aliases.items())) or "none"
    raise BadInputError(
        f"{name} has no version '{text}'. Give a number such as 3 or v3, a stage that one version is in, or an "
        f"alias; its aliases: {known}."
    )


def _named(model: Model, text: str) -> set[int]:
    word = text.lower()
    found = {number for alias, number in model.aliases.items() if alias.lower() == word.removeprefix("@")}
    return found | {one.version for one in model.versions if str(one.stage).lower() == word}


def _finish(done: Outcome, as_json: bool) -> None:
    from core.registry.promotion import Fate

    shown.outcome(done, as_json)
    if done.fate in (Fate.UNDONE, Fate.ABANDONED):
        sys.exit(1)


# Looking


@_command("models")
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

    with _desk(tracking_uri) as workspace:
        desk = workspace.registry
        shown.models(desk.watch.models().values(), desk.watch.seen(), desk.requests(states=OPEN), as_json)


@_command("versions")
@_model
def versions(model: str, tracking_uri: str | None, as_json: bool) -> None:
    """List the versions of a model, newest first.

    \b
    JSON: a list of {"name", "version", "stage", "aliases", "run_id", "created", "stage_since",
    "by", "reason", "override", "source", "status", "tags"}. by, reason and override tell who
    moved it to its stage; null where that was not done here.

    \b
    Example: greenroom versions ppo_usdcop
    """
    with _desk(tracking_uri) as workspace:
        shown.versions(workspace.registry.model(model), as_json)


@_command("register")
@click.argument("run_id", metavar="RUN")
@click.option(
    "--name", required=True, metavar="MODEL", help="Model to make a version of; made where missing."
)
@click.option(
    "--artifact-path", default="model", show_default=True, help="The model among the run's artifacts."
)
@_by
def register(
    run_id: str, name: str, artifact_path: str, by: str | None, tracking_uri: str | None, as_json: bool
) -> None:
    """Make a new version from a model that a run has logged; RUN may be shortened.

    \b
    JSON: {"name", "version", "stage", "run_id", "source"}

    \b
    Example: greenroom register 3f2a91c0 --name ppo_usdcop
    """
    with _desk(tracking_uri) as workspace:
        _read_runs(workspace)
        run = workspace.runs.run(run_id)
        made = workspace.registry.register(run.run_id, name, artifact_path, workspace.actor(by))
        shown.registered(made, as_json)


# Judging


@_command("gates")
@_model
@_version
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

    with _desk(tracking_uri) as workspace:
        number, stage = _number(workspace, model, version), Stage(to_stage)
        _read_runs_for_gates(workspace, model, stage)
        trials = Trials.RECORDED if recorded else Trials.TRUSTED
        report = workspace.registry.gates(model, number, stage, trials)
        shown.gates(report, as_json)
    if not report.passed:
        sys.exit(1)


@_command("load-test")
@_model
@_version
def load_test(model: str, version: str, tracking_uri: str | None, as_json: bool) -> None:
    """Load a version behind walls, have it predict, and keep what came of it; exit code 1 where it fails.

    \b
    JSON: {"model", "version", "passed", "reason", "at", "evidence", "structure"}

    \b
    Example: greenroom load-test ppo_usdcop 7
    """
    with _desk(tracking_uri) as workspace:
        number = _number(workspace, model, version)
        _read_runs(workspace)
        test = workspace.registry.load_test(model, number)
        shown.load_test(model, number, test, as_json)
    if not test.passed:
        sys.exit(1)


# Asking and deciding


@_command("request")
@_model
@_version
@click.option("--to", "to_stage", type=_STAGES, required=True)
@_reason
@_by
def request(
    model: str,
    version: str,
    to_stage: str,
    reason: str,
    by: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Ask for a promotion; the gates are judged, but need not pass yet.

    \b
    JSON: {"request", "model", "version", "to_stage", "state", "reason", "asked_by", "asked_at",
    "fingerprint", "dossier_hash", "decided_by", "decided_at", "comment", "override"}

    \b
    Example: greenroom request ppo_usdcop 7 --to Production --reason "Sharpe 1.4 against 1.1"
    """
    with _desk(tracking_uri) as workspace:
        number, stage, actor = _number(workspace, model, version), Stage(to_stage), workspace.actor(by)
        _read_runs_for_gates(workspace, model, stage)
        shown.request(workspace.registry.ask(model, number, stage, reason, actor), as_json)


@_command("requests")
@click.argument("model", required=False, metavar="[MODEL]")
@click.option("--all", "everything", is_flag=True, help="Those that are over, too.")
def requests(model: str | None, everything: bool, tracking_uri: str | None, as_json: bool) -> None:
    """List requests for promotions that are waiting or approved, newest first.

    \b
    JSON: a list of what `greenroom request --json` gives.

    \b
    Example: greenroom requests ppo_usdcop --all
    """
    from core.registry.requests import OPEN

    with _desk(tracking_uri, from_records=True) as workspace:
        found = workspace.registry.requests(model, None if everything else OPEN)
        if model is not None and not found:
            workspace.registry.watch.model(model)
        shown.requests(found, as_json)


@_command("approve")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@click.option("--comment", default="", help="What the decision rests on.")
@click.option("--override", metavar="REASON", help="Why, although gates do not pass.")
@_by
def approve(
    number: int,
    comment: str,
    override: str | None,
    by: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Approve a request: the gates are judged again, and the evidence is frozen.

    \b
    JSON: as of `greenroom request`.

    \b
    Example: greenroom approve 12 --comment "Holds on all seeds"
    """
    with _desk(tracking_uri) as workspace:
        actor = workspace.actor(by)
        asked = workspace.registry.request(number)
        _read_runs_for_gates(workspace, asked.model, asked.to_stage)
        shown.request(workspace.registry.approve(number, comment, actor, override=override), as_json)


@_command("reject")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@click.option("--comment", required=True, help="What would have to be better.")
@_by
def reject(number: int, comment: str, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Reject a request.

    \b
    JSON: as of `greenroom request`.

    \b
    Example: greenroom reject 12 --comment "Drawdown is twice the champion's"
    """
    with _desk(tracking_uri) as workspace:
        actor = workspace.actor(by)
        asked = workspace.registry.request(number)
        _read_runs_for_gates(workspace, asked.model, asked.to_stage)
        shown.request(workspace.registry.reject(number, comment, actor), as_json)


@_command("withdraw")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@_by
def withdraw(number: int, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Take a request back: who asked may, and who may decide.

    \b
    JSON: as of `greenroom request`.

    \b
    Example: greenroom withdraw 12
    """
    with _desk(tracking_uri) as workspace:
        shown.request(workspace.registry.withdraw(number, workspace.actor(by)), as_json)


# Promoting and rolling back


@_command("promote")
@_model
@_version
@click.option("--to", "to_stage", type=_STAGES, required=True)
@click.option("--reason", default="", help="Why; needed unless --dry-run is given.")
@click.option("--override", metavar="REASON", help="Why, although gates do not pass.")
@_by
@click.option("--dry-run", is_flag=True, help="Say what would be done; no gate is judged, nothing changed.")
def promote(
    model: str,
    version: str,
    to_stage: str,
    reason: str,
    override: str | None,
    by: str | None,
    dry_run: bool,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Move a version to a stage: None -> Staging -> Production, or to Archived.

    Into Production a version comes with an approved request, or at once by a lead, when the gates pass. What was
    there goes to Archived in the same step.

    \b
    JSON: {"model", "version", "from", "to", "archived", "fate", "sentence", "event",
    "evidence_hash", "aliases"}; fate is "done", "nothing to do" or, of a dry run, "planned";
    event is its number in the audit trail.

    \b
    Examples:
      greenroom promote ppo_usdcop 7 --to Staging --reason "passes on all seeds"
      greenroom promote ppo_usdcop staging --to Production --dry-run
    """
    stage = Stage(to_stage)
    with _desk(tracking_uri, look=not dry_run) as workspace:
        number = _number(workspace, model, version)
        if dry_run:
            shown.plan(workspace.registry.plan(model, number, stage), as_json)
            return
        actor = workspace.actor(by)
        _read_runs_for_gates(workspace, model, stage)
        done = workspace.registry.promote(model, number, stage, reason, actor, override=override)
        _finish(done, as_json)


@_command("rollback")
@_model
@_reason
@click.option("--from", "from_version", metavar="VERSION", help="Only while this one is in Production.")
@click.option("--to", "to_version", metavar="VERSION", help="Bring back this one.  [default: the one before]")
@_by
def rollback(
    model: str,
    reason: str,
    from_version: str | None,
    to_version: str | None,
    by: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Bring back the version that was in Production before; no gate stands in the way.

    \b
    JSON: as of `greenroom promote`.

    \b
    Examples:
      greenroom rollback ppo_usdcop --reason "orders rejected since 14:00"
      greenroom rollback ppo_usdcop --from 7 --to 5 --reason "v6 had the same fault"
    """
    with _desk(tracking_uri) as workspace:
        start, end = (
            None if one is None else _number(workspace, model, one) for one in (from_version, to_version)
        )
        actor = workspace.actor(by)
        done = workspace.registry.rollback(model, reason, actor, from_version=start, to_version=end)
        _finish(done, as_json)


@_command("settle")
@_model
@_version
@_reason
@_by
def settle(
    model: str, version: str, reason: str, by: str | None, tracking_uri: str | None, as_json: bool
) -> None:
    """End a conflict: of several versions in Production keep this one, archive the others.

    \b
    JSON: as of `greenroom promote`.

    \b
    Example: greenroom settle ppo_usdcop 7 --reason "v6 was left there by hand"
    """
    with _desk(tracking_uri) as workspace:
        number = _number(workspace, model, version)
        done = workspace.registry.settle(model, number, reason, workspace.actor(by))
        _finish(done, as_json)


# What happened


@_command("history")
@_model
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

    with _desk(tracking_uri, from_records=True) as workspace:
        events = workspace.registry.events(model)
        if not events:
            workspace.registry.watch.model(model)
        if at is None:
            shown.history(model, events, as_json)
        else:
            shown.in_production(in_production_at(events, at), as_json)


@_command("audit")
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
    with _desk(tracking_uri, look=False) as workspace:
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

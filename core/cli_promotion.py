"""The registry's commands of `greenroom` that change what is in a stage: requests, promotion, rollback.

Exit code 0: done, 1: refused by a rule, with its reasons one a line, 2: bad input.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from core import cli_promotion_output as shown
from core.cli_registry_parts import (
    by_option,
    command,
    model_argument,
    open_desk,
    read_runs_for_gates,
    reason_option,
    version_argument,
    version_number,
)
from core.registry.types import Stage

if TYPE_CHECKING:
    from core.registry.promotion import Outcome

_STAGES: Final = click.Choice([str(one) for one in Stage], case_sensitive=False)


# Asking and deciding


@command("request")
@model_argument
@version_argument
@click.option("--to", "to_stage", type=_STAGES, required=True)
@reason_option
@by_option
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
    with open_desk(tracking_uri) as workspace:
        number, stage, actor = version_number(workspace, model, version), Stage(to_stage), workspace.actor(by)
        read_runs_for_gates(workspace, model, stage)
        shown.request(workspace.registry.ask(model, number, stage, reason, actor), as_json)


@command("requests")
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

    with open_desk(tracking_uri, from_records=True) as workspace:
        found = workspace.registry.requests(model, None if everything else OPEN)
        if model is not None and not found:
            workspace.registry.watch.model(model)
        shown.requests(found, as_json)


@command("approve")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@click.option("--comment", default="", help="What the decision rests on.")
@click.option("--override", metavar="REASON", help="Why, although gates do not pass.")
@by_option
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
    with open_desk(tracking_uri) as workspace:
        actor = workspace.actor(by)
        asked = workspace.registry.request(number)
        read_runs_for_gates(workspace, asked.model, asked.to_stage)
        shown.request(workspace.registry.approve(number, comment, actor, override=override), as_json)


@command("reject")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@click.option("--comment", required=True, help="What would have to be better.")
@by_option
def reject(number: int, comment: str, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Reject a request.

    \b
    JSON: as of `greenroom request`.

    \b
    Example: greenroom reject 12 --comment "Drawdown is twice the champion's"
    """
    with open_desk(tracking_uri) as workspace:
        actor = workspace.actor(by)
        asked = workspace.registry.request(number)
        read_runs_for_gates(workspace, asked.model, asked.to_stage)
        shown.request(workspace.registry.reject(number, comment, actor), as_json)


@command("withdraw")
@click.argument("number", type=click.IntRange(1), metavar="REQUEST")
@by_option
def withdraw(number: int, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Take a request back: who asked may, and who may decide.

    \b
    JSON: as of `greenroom request`.

    \b
    Example: greenroom withdraw 12
    """
    with open_desk(tracking_uri) as workspace:
        shown.request(workspace.registry.withdraw(number, workspace.actor(by)), as_json)


# Promoting and rolling back


def _finish(done: Outcome, as_json: bool) -> None:
    from core.registry.promotion import Fate

    shown.outcome(done, as_json)
    if done.fate in (Fate.UNDONE, Fate.ABANDONED):
        sys.exit(1)


@command("promote")
@model_argument
@version_argument
@click.option("--to", "to_stage", type=_STAGES, required=True)
@click.option("--reason", default="", help="Why; needed unless --dry-run is given.")
@click.option("--override", metavar="REASON", help="Why, although gates do not pass.")
@by_option
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
    with open_desk(tracking_uri, look=not dry_run) as workspace:
        number = version_number(workspace, model, version)
        if dry_run:
            shown.plan(workspace.registry.plan(model, number, stage), as_json)
            return
        actor = workspace.actor(by)
        read_runs_for_gates(workspace, model, stage)
        done = workspace.registry.promote(model, number, stage, reason, actor, override=override)
        _finish(done, as_json)


@command("rollback")
@model_argument
@reason_option
@click.option("--from", "from_version", metavar="VERSION", help="Only while this one is in Production.")
@click.option("--to", "to_version", metavar="VERSION", help="Bring back this one.  [default: the one before]")
@by_option
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
    with open_desk(tracking_uri) as workspace:
        start, end = (
            None if one is None else version_number(workspace, model, one)
            for one in (from_version, to_version)
        )
        actor = workspace.actor(by)
        done = workspace.registry.rollback(model, reason, actor, from_version=start, to_version=end)
        _finish(done, as_json)


@command("settle")
@model_argument
@version_argument
@reason_option
@by_option
def settle(
    model: str, version: str, reason: str, by: str | None, tracking_uri: str | None, as_json: bool
) -> None:
    """End a conflict: of several versions in Production keep this one, archive the others.

    \b
    JSON: as of `greenroom promote`.

    \b
    Example: greenroom settle ppo_usdcop 7 --reason "v6 was left there by hand"
    """
    with open_desk(tracking_uri) as workspace:
        number = version_number(workspace, model, version)
        done = workspace.registry.settle(model, number, reason, workspace.actor(by))
        _finish(done, as_json)


COMMANDS: Final = (request, requests, approve, reject, withdraw, promote, rollback, settle)
"""What `core.cli` adds to `greenroom`."""

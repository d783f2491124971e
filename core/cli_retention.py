"""The commands `greenroom retention`: what would go and why the rest stays; remove, bring back, purge.

Exit code 0: done, 1: refused by a rule, with its reasons one a line, 2: bad input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from core import cli_output as output
from core.cli_parts import json_option, store_option
from core.cli_registry_parts import by_option, open_desk, read_runs, reason_option
from core.errors import RefusedError

if TYPE_CHECKING:
    from core.registry.retention.plan import RetentionPlan, Subject
    from core.registry.retention.trash import TrashEntry

_MODEL: Final = click.option("--model", metavar="MODEL", help="This model alone, and no runs.")


@click.group("retention", invoke_without_command=True)
@_MODEL
@store_option
@json_option
@click.pass_context
def retention(context: click.Context, model: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Say which old versions and runs would go, and why the rest stays; nothing is changed.

    Without --model: all models, and the runs that rules under [[retention.runs]] match.

    \b
    JSON: {"plan", "model", "made_at", "bytes", "uncounted",
    "goes": [{"kind", "name", "model", "version", "run_id", "reason", "bytes", "files", "note"}],
    "stays": [{"kind", "name", "model", "version", "run_id", "reasons": []}]};
    plan is a fingerprint of what goes, for `greenroom retention apply --plan`.

    \b
    Examples:
      greenroom retention
      greenroom retention --model ppo_usdcop --json
    """
    if context.invoked_subcommand is not None:
        if model is not None or tracking_uri is not None or as_json:
            raise click.UsageError(f"Give the options after `{context.invoked_subcommand}`.")
        return
    with open_desk(tracking_uri) as workspace:
        read_runs(workspace)
        _print_plan(workspace.retention.plan(model), as_json)


@retention.command("apply")
@reason_option
@click.option(
    "--plan", "promised", metavar="PLAN", help="Only if this is still what goes; see `greenroom retention`."
)
@_MODEL
@by_option
@store_option
@json_option
def apply(
    reason: str,
    promised: str | None,
    model: str | None,
    by: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Remove what `greenroom retention` lists; it can be brought back for [retention] undo_days.

    \b
    JSON: as of `greenroom retention trash`, of what went.

    \b
    Examples:
      greenroom retention apply --reason "monthly cleaning"
      greenroom retention apply --plan 3f2a9c41d07be885 --reason "monthly cleaning"
    """
    with open_desk(tracking_uri) as workspace:
        read_runs(workspace)
        actor = workspace.actor(by)
        plan = workspace.retention.plan(model)
        if promised is not None and promised != plan.fingerprint:
            raise RefusedError(
                f"What would go now is not what was promised: it is plan {plan.fingerprint}, not {promised}. Look at "
                "it again with `greenroom retention`."
            )
        _print_entries(
            workspace.retention.apply(plan, actor, reason), as_json, "Nothing is old enough to go."
        )


@retention.command("undo")
@click.argument("numbers", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))
@reason_option
@by_option
@store_option
@json_option
def undo(
    numbers: tuple[int, ...], reason: str, by: str | None, tracking_uri: str | None, as_json: bool
) -> None:
    """Bring back what was removed, by its number in the trash.

    \b
    JSON: as of `greenroom retention trash`, of what came back.

    \b
    Example: greenroom retention undo 12 13 --reason "needed for the audit"
    """
    with open_desk(tracking_uri) as workspace:
        read_runs(workspace)
        _print_entries(workspace.retention.undo(numbers, workspace.actor(by), reason), as_json, "")


@retention.command("trash")
@click.option("--all", "everything", is_flag=True, help="What has left it, too.")
@_MODEL
@store_option
@json_option
def trash(everything: bool, model: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """List what was removed and can be brought back, newest first.

    \b
    JSON: a list of {"id", "kind", "name", "model", "version", "run_id", "bytes", "reason", "why",
    "deleted_by", "deleted_at", "purge_after", "state", "closed_at", "note"}.

    \b
    Example: greenroom retention trash --all
    """
    with open_desk(tracking_uri, from_records=True) as workspace:
        found = workspace.retention.trash(model, closed=everything)
        _print_entries(found, as_json, "The trash is empty.")


@retention.command("purge")
@by_option
@store_option
@json_option
def purge(by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Remove for good what can be brought back no longer; the worker does it by itself, too.

    A version is deleted in MLflow, with the files that nothing else uses. A run stays in MLflow's trash without its
    files, until `mlflow gc` removes it.

    \b
    JSON: as of `greenroom retention trash`, of what was purged, or kept after all.

    \b
    Example: greenroom retention purge
    """
    with open_desk(tracking_uri) as workspace:
        read_runs(workspace)
        done = workspace.retention.purge(workspace.actor(by))
        _print_entries(done, as_json, "Nothing is due: all that was removed can still be brought back.")


# What they print


def _print_plan(plan: RetentionPlan, as_json: bool) -> None:
    if as_json:
        output.print_json(
            {
                "plan": plan.fingerprint,
                "model": plan.model,
                "made_at": plan.made_at,
                "bytes": plan.bytes,
                "uncounted": plan.uncounted,
                "goes": [
                    {
                        **_subject(one.subject),
                        "reason": one.reason,
                        "bytes": one.bytes,
                        "files": one.files,
                        "note": one.note,
                    }
                    for one in plan.goes
                ],
                "stays": [{**_subject(one.subject), "reasons": list(one.reasons)} for one in plan.stays],
            }
        )
        return
    rows: list[tuple[str | None, ...]] = [
        (
            "goes",
            one.subject.name,
            f"{one.reason}; {one.note}" if one.note else one.reason,
            None if one.bytes is None else f"{one.bytes:,}",
        )
        for one in plan.goes
    ]
    rows += [("stays", one.subject.name, one.reason, None) for one in plan.stays]
    if rows:
        output.print_rows(("", "what", "why", "bytes"), rows, numbers=("bytes",))
    if not plan.goes:
        click.echo("Nothing is old enough to go.")
        return
    more = f", and of {plan.uncounted} the bytes cannot be counted" if plan.uncounted else ""
    click.echo(f"{len(plan.goes):,} go and {len(plan.stays):,} stay; {plan.bytes:,} bytes come free{more}.")
    only = f" --model {plan.model}" if plan.model is not None else ""
    click.echo(f"Let them go with: greenroom retention apply{only} --plan {plan.fingerprint} --reason ...")


def _print_entries(found: Sequence[TrashEntry], as_json: bool, nothing: str) -> None:
    if as_json:
        output.print_json([_entry(one) for one in found])
        return
    if not found:
        click.echo(nothing)
        return
    output.print_rows(
        ("id", "what", "state", "removed", "by", "until", "bytes", "why", "note"),
        [
            (
                str(one.id),
                one.subject.name,
                str(one.state),
                output.local_time(one.deleted_at),
                one.deleted_by,
                output.local_time(one.purge_after),
                None if one.bytes is None else f"{one.bytes:,}",
                one.reason,
                one.note or None,
            )
            for one in found
        ],
        numbers=("id", "bytes"),
    )


def _entry(one: TrashEntry) -> dict[str, Any]:
    return {
        "id": one.id,
        **_subject(one.subject),
        "bytes": one.bytes,
        "reason": one.reason,
        "why": one.record.get("why"),
        "deleted_by": one.deleted_by,
        "deleted_at": one.deleted_at,
        "purge_after": one.purge_after,
        "state": str(one.state),
        "closed_at": one.closed_at,
        "note": one.note,
    }


def _subject(one: Subject) -> dict[str, Any]:
    return {
        "kind": str(one.kind),
        "name": one.name,
        "model": one.model,
        "version": one.version,
        "run_id": one.run_id,
    }


COMMANDS: Final = (retention,)
"""What `core.cli` adds to `greenroom`."""

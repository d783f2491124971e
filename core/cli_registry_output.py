"""What the registry's commands print that look and judge: models, versions, gates, history, the audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from core import cli_output as output

if TYPE_CHECKING:
    from core.audit import AuditEvent, Verification
    from core.registry.board import ModelCard, VersionCard
    from core.registry.gates.types import GateReport
    from core.registry.history import InProduction
    from core.registry.load_tests import LoadTest
    from core.registry.requests import Request
    from core.registry.seen import SeenVersions
    from core.registry.types import Model, Version


def models(
    found: Iterable[Model],
    seen: Mapping[str, SeenVersions],
    requests: Sequence[Request],
    as_json: bool,
) -> None:
    """Print models, each with its champion."""
    asked = [one.model for one in requests]
    rows = [model_value(one, seen.get(one.name, {}), asked.count(one.name)) for one in found]
    if as_json:
        output.print_json(rows)
        return
    if not rows:
        click.echo("There is no model yet. Register one with: greenroom register RUN --name MODEL")
        return
    output.print_rows(
        ("model", "in Production", "since", "run", "in Staging", "versions", "requests"),
        [
            (
                row["name"],
                f"v{row['version']}" if row["version"] else None,
                output.local_time(row["stage_since"]),
                (row["run_id"] or "")[:8] or None,
                ", ".join(f"v{one}" for one in row["in_staging"]) or None,
                f"{row['versions']:,}",
                f"{row['requests']:,}",
            )
            for row in rows
        ],
        numbers=("versions", "requests"),
    )
    for row in rows:
        if row["conflict"]:
            click.echo(f"! {row['conflict']}")


def model_value(model: Model, seen: SeenVersions, requests: int) -> dict[str, Any]:
    """Return a model with its champion as the JSON contract has it.

    Parameters
    ----------
    requests : int
        How many requests about it are open.
    """
    from core.registry.rules import conflict_sentence
    from core.registry.types import Stage

    champion = model.champion
    known = seen.get(champion.version) if champion is not None else None
    return {
        "name": model.name,
        "version": champion.version if champion else None,
        "stage": str(champion.stage) if champion else None,
        "aliases": list(champion.aliases) if champion else [],
        "run_id": champion.run_id if champion else None,
        "created": champion.created if champion else None,
        "stage_since": known.since if known is not None and known.stage is Stage.PRODUCTION else None,
        "versions": len(model.versions),
        "in_staging": [one.version for one in model.in_stage(Stage.STAGING)],
        "requests": requests,
        "conflict": conflict_sentence(model) if len(model.in_stage(Stage.PRODUCTION)) > 1 else None,
    }


def versions(card: ModelCard, as_json: bool) -> None:
    """Print the versions of a model, newest first."""
    if as_json:
        output.print_json([version_value(one) for one in card.versions])
        return
    output.print_rows(
        ("version", "stage", "since", "by", "run", "aliases", "status", "reason"),
        [
            (
                f"v{one.version.version}",
                str(one.version.stage),
                output.local_time(one.since),
                one.by,
                (one.version.run_id or "")[:8] or None,
                ", ".join(one.version.aliases) or None,
                one.version.status,
                _reason(one),
            )
            for one in card.versions
        ],
        numbers=(),
    )
    for warning in (*((card.conflict,) if card.conflict else ()), *card.drift):
        click.echo(f"! {warning}")


def _reason(card: VersionCard) -> str | None:
    override = f"override of {', '.join(card.overridden)}: {card.override}" if card.override else ""
    return "; ".join(one for one in (card.reason, override) if one) or None


def version_value(card: VersionCard) -> dict[str, Any]:
    """Return a version as the JSON contract has it."""
    one = card.version
    return {
        "name": one.model,
        "version": one.version,
        "stage": str(one.stage),
        "aliases": list(one.aliases),
        "run_id": one.run_id,
        "created": one.created,
        "stage_since": card.since,
        "by": card.by,
        "reason": card.reason or None,
        "override": card.override,
        "source": one.source,
        "status": one.status,
        "tags": dict(one.tags),
    }


def registered(made: Version, as_json: bool) -> None:
    """Print a version that was just made."""
    if as_json:
        output.print_json(
            {
                "name": made.model,
                "version": made.version,
                "stage": str(made.stage),
                "run_id": made.run_id,
                "source": made.source,
            }
        )
        return
    click.echo(f"{made.model} v{made.version} is registered, in {made.stage}.")
    click.echo(f"Move it up with: greenroom promote {made.model} {made.version} --to Staging --reason ...")


def gates(report: GateReport, as_json: bool) -> None:
    """Print what the gates say."""
    from core.registry.dossier import gates_to_json

    if as_json:
        about = {"model": report.model, "version": report.version, "to_stage": report.to_stage}
        output.print_json({**about, **gates_to_json(report)})
        return
    what = f"{report.model} v{report.version} to {report.to_stage}"
    if not report.gates:
        click.echo(f"{what}: no gate stands in the way.")
        return
    failed = len(report.failed)
    click.echo(f"{what}: {f'{failed} of {len(report.gates)} gates not passed' if failed else 'passed'}")
    for gate in report.gates:
        click.echo(f"{'✓' if gate.passed else '✕'} {gate.name}: {gate.reason}")


def load_test(model: str, version: int, test: LoadTest, as_json: bool) -> None:
    """Print what came of loading a version."""
    if as_json:
        found = {"model": model, "version": version, "passed": test.passed, "reason": test.reason}
        more = {"at": test.at, "evidence": dict(test.evidence), "structure": asdict(test.structure)}
        output.print_json({**found, **more})
        return
    click.echo(f"{'✓' if test.passed else '✕'} {model} v{version}: {test.reason}")
    for wall in test.evidence.get("walls", ()):
        click.echo(f"· {wall}")


def history(model: str, events: Sequence[AuditEvent], as_json: bool) -> None:
    """Print what happened to a model, oldest first."""
    from core.registry.history import reigns

    reigned = reigns(events)
    if as_json:
        output.print_json(
            {
                "model": model,
                "events": [one.to_json() for one in events],
                "reigns": [asdict(one) for one in reigned],
            }
        )
        return
    if not events:
        click.echo(f"Nothing has happened to {model} that Greenroom knows of.")
        return
    if reigned:
        output.print_rows(
            ("in Production", "from (UTC)", "until (UTC)", "how", "by", "reason"),
            [
                (
                    f"v{one.version}",
                    f"{'' if one.exact else '≤ '}{_utc(one.start)}",
                    _utc(one.end) if one.end else "now",
                    one.how,
                    one.by or None,
                    one.reason or None,
                )
                for one in reigned
            ],
            numbers=(),
        )
        click.echo()
    _events(events)


def in_production(found: InProduction, as_json: bool) -> None:
    """Print what was in Production at a time."""
    if as_json:
        output.print_json(asdict(found))
        return
    click.echo(found.sentence)


def events(found: Sequence[AuditEvent], total: int) -> None:
    """Print events of the audit trail as a table, newest first."""
    if not found:
        click.echo("No event matches.")
        return
    _events(found)
    if len(found) < total:
        click.echo(f"The latest {len(found):,} of {total:,} events; --limit 0 gives all.")


def _events(found: Sequence[AuditEvent]) -> None:
    output.print_rows(
        ("event", "at (UTC)", "by", "role", "action", "model", "version", "from", "to", "reason"),
        [
            (
                str(one.seq),
                _utc(one.at),
                one.actor,
                one.role,
                one.action,
                one.model,
                f"v{one.version}" if one.version is not None else None,
                one.from_stage,
                one.to_stage,
                one.reason or None,
            )
            for one in found
        ],
        numbers=("event",),
    )


def event_line(one: AuditEvent) -> str:
    """Return an event as a line of JSON."""
    return json.dumps(one.to_json(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def lines(found: Iterable[str]) -> None:
    """Print lines of JSON; bytes that are no text, as a damaged database may hold, as JSON's own escapes."""
    for line in found:
        click.echo(line.encode("utf-8", "backslashreplace").decode())


def verification(found: Verification, as_json: bool) -> None:
    """Print whether the audit trail is whole."""
    if as_json:
        output.print_json(
            {
                "whole": found.whole,
                "events": found.events,
                "broken_at": found.broken_at,
                "reason": found.reason,
                "head": found.head,
            }
        )
        return
    click.echo(f"{'✓' if found.whole else '✕'} {found.reason}")
    click.echo(f"Head: {found.head}")


def _utc(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

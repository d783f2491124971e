"""What the registry's commands print that change what is in a stage: requests, plans, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from core import cli_output as output

if TYPE_CHECKING:
    from core.registry.promotion import Outcome
    from core.registry.requests import Request
    from core.registry.rules import Plan


def request_value(one: Request) -> dict[str, Any]:
    """Return a request as the JSON contract has it."""
    values = {field.name: getattr(one, field.name) for field in fields(one) if field.name != "id"}
    return {"request": one.id, **values, "to_stage": str(one.to_stage), "state": str(one.state)}


def request(one: Request, as_json: bool) -> None:
    """Print a request."""
    if as_json:
        output.print_json(request_value(one))
        return
    decided = f", decided by {one.decided_by}" if one.decided_by else ""
    click.echo(f"Request {one.id}: {one.sentence()}, asked by {one.asked_by}, is {one.state}{decided}.")
    if one.state == "waiting":
        click.echo(f"Decide with: greenroom approve {one.id} --comment ... or greenroom reject {one.id} ...")
    elif one.state == "approved":
        target = f"{one.model} {one.version} --to {one.to_stage}"
        click.echo(f"Carry it out with: greenroom promote {target} --reason ...")


def requests(found: Sequence[Request], as_json: bool) -> None:
    """Print requests, newest first."""
    if as_json:
        output.print_json([request_value(one) for one in found])
        return
    if not found:
        click.echo(
            "No request matches. Ask with: greenroom request MODEL VERSION --to Production --reason ..."
        )
        return
    output.print_rows(
        ("request", "what", "state", "asked by", "asked", "reason", "decided by", "comment"),
        [
            (
                str(one.id),
                one.sentence(),
                str(one.state),
                one.asked_by,
                output.local_time(one.asked_at),
                one.reason,
                one.decided_by,
                one.comment,
            )
            for one in found
        ],
        numbers=("request",),
    )


def plan(one: Plan, as_json: bool) -> None:
    """Print what would be done."""
    if as_json:
        output.print_json({**_plan_value(one), "fate": "planned", "sentence": one.sentence()} | _UNDONE)
        return
    if not one.moves:
        click.echo(f"{one.model} v{one.version} is in {one.to_stage} already; nothing would be done.")
        return
    click.echo(f"{one.sentence()} ({one.why}).")
    for move in one.moves:
        click.echo(f"  v{move.version}: {move.from_stage} -> {move.to_stage}")


_UNDONE: dict[str, Any] = {"event": None, "evidence_hash": None, "aliases": []}


def _plan_value(one: Plan) -> dict[str, Any]:
    return {
        "model": one.model,
        "version": one.version,
        "from": str(one.from_stage),
        "to": str(one.to_stage),
        "archived": list(one.archives),
    }


def outcome_value(done: Outcome) -> dict[str, Any]:
    """Return what became of a promotion, a rollback or a settlement as the JSON contract has it."""
    return {
        **_plan_value(done.order.plan),
        "fate": str(done.fate),
        "sentence": done.sentence,
        "event": done.event.seq if done.event is not None else None,
        "evidence_hash": done.order.evidence_hash,
        "aliases": list(done.notes),
    }


def outcome(done: Outcome, as_json: bool) -> None:
    """Print what became of a promotion, a rollback or a settlement."""
    if as_json:
        output.print_json(outcome_value(done))
        return
    click.echo(done.sentence)
    for note in done.notes:
        click.echo(f"· {note}")

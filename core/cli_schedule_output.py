"""What the commands `greenroom schedule` print: schedules, and what was retrained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from core import cli_output as output

if TYPE_CHECKING:
    from core.training.schedule.types import Retraining, Schedule, Verdict


def schedule_value(one: Schedule) -> dict[str, Any]:
    """Return a schedule as the JSON contract has it."""
    return {
        "model": one.model,
        "enabled": one.enabled,
        "next_due": one.next_due,
        "interval_days": one.interval_days,
        "time_of_day": one.time_of_day,
        "zone": one.zone,
        "first_day": one.first_day.isoformat(),
        "project": one.project,
        "entry_point": one.entry_point,
        "parameters": dict(one.parameters),
        "engine": str(one.engine),
        "artifact_path": one.artifact_path,
        "mode": str(one.mode),
        "last_days": one.last_days,
        "epochs": one.epochs,
        "set_by": one.set_by,
        "set_at": one.set_at,
    }


def retraining_value(one: Retraining) -> dict[str, Any]:
    """Return a retraining as the JSON contract has it."""
    return {
        "retraining": one.id,
        "model": one.model,
        "trigger": str(one.trigger),
        "due_at": one.due_at,
        "step": str(one.step),
        "outcome": str(one.outcome) if one.outcome is not None else None,
        "reason": one.reason,
        "job": one.job_id,
        "version": one.version,
        "verdict": verdict_value(one.verdict) if one.verdict is not None else None,
        "asked_by": one.asked_by,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "log": [{"at": line.at, "level": line.level, "text": line.text} for line in one.log],
    }


def verdict_value(one: Verdict) -> dict[str, Any]:
    """Return a verdict as the JSON contract has it."""
    return {
        "word": str(one.word),
        "sentence": one.sentence,
        "points": [asdict(point) for point in one.points],
        "gates": [gate._asdict() for gate in one.gates],
    }


def every(one: Schedule) -> str:
    """Say when a schedule is due, by its own clocks."""
    days = "every day" if one.interval_days == 1 else f"every {one.interval_days} days"
    return f"{days} at {one.time_of_day} {one.zone}"


def how(one: Schedule) -> str:
    """Say what a schedule trains with."""
    if one.mode == "full":
        return f"{one.entry_point}, full"
    return f"{one.entry_point}, incremental: last {one.last_days} days, {one.epochs} epochs"


def schedules(found: Sequence[Schedule], as_json: bool) -> None:
    """Print schedules."""
    if as_json:
        output.print_json([schedule_value(one) for one in found])
        return
    if not found:
        click.echo(
            "No model is scheduled. Begin with: greenroom schedule set MODEL -e ENTRY_POINT -P data=..."
        )
        return
    output.print_rows(
        ("model", "when", "next", "trains by", "set by"),
        [
            (
                one.model,
                every(one),
                output.local_time(one.next_due) if one.enabled else "off",
                how(one),
                one.set_by,
            )
            for one in found
        ],
        numbers=(),
    )


def schedule(one: Schedule, latest: Retraining | None, as_json: bool) -> None:
    """Print a schedule, and what was retrained last."""
    if as_json:
        last = retraining_value(latest) if latest is not None else None
        output.print_json({**schedule_value(one), "last": last})
        return
    due = f"next on {output.local_time(one.next_due)}" if one.next_due is not None else "switched off"
    click.echo(f"{one.model} is retrained {every(one)}, {due}.")
    click.echo(f"  by {how(one)}")
    for key, value in one.parameters.items():
        click.echo(f"  {key} = {value}")
    click.echo(f"  set by {one.set_by} on {output.local_time(one.set_at)}")
    if latest is not None:
        click.echo(f"Last: {sentence(latest)}")


def sentence(one: Retraining) -> str:
    """Say what a retraining is at, or what came of it."""
    when = output.local_time(one.ended_at or one.started_at)
    if one.outcome is None:
        return f"retraining {one.id} is {one.step} since {when}."
    return f"retraining {one.id}, {one.outcome} on {when}. {one.reason}"


def retraining(one: Retraining, as_json: bool) -> None:
    """Print a retraining."""
    if as_json:
        output.print_json(retraining_value(one))
        return
    text = sentence(one)
    click.echo(text[0].upper() + text[1:])


def retrainings(found: Sequence[Retraining], as_json: bool) -> None:
    """Print retrainings, newest first."""
    if as_json:
        output.print_json([retraining_value(one) for one in found])
        return
    if not found:
        click.echo("Nothing was retrained yet. Begin with: greenroom schedule run MODEL")
        return
    output.print_rows(
        ("retraining", "model", "began", "why", "asked by", "came of it", "version", "verdict", "reason"),
        [
            (
                str(one.id),
                one.model,
                output.local_time(one.started_at),
                str(one.trigger),
                one.asked_by,
                str(one.outcome or one.step),
                f"v{one.version}" if one.version is not None else None,
                str(one.verdict.word) if one.verdict is not None else None,
                one.reason[:80] or None,
            )
            for one in found
        ],
        numbers=("retraining",),
    )

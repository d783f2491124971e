"""What the training desk's commands print: what can be launched, and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from core import cli_output as output
from core.redaction import redact
from core.training.projects.types import BrokenProject, Project

if TYPE_CHECKING:
    from core.training.projects.types import Parameter
    from core.training.types import Job


def job_value(one: Job) -> dict[str, Any]:
    """Return a job as the JSON contract has it."""
    said = one.progress
    return {
        "job": one.id,
        "state": str(one.state),
        "run_id": one.run_id,
        "project": one.project,
        "entry_point": one.entry_point,
        "parameters": dict(one.parameters),
        "engine": str(one.engine),
        "experiment": one.experiment,
        "name": one.name,
        "priority": one.priority,
        "reason": one.reason,
        "exit_code": one.exit_code,
        "asked_by": one.asked_by,
        "asked_at": one.asked_at,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "progress": None if said is None else {"done": said.done, "total": said.total, "what": said.what},
        "sweep": one.sweep_id,
    }


def jobs(found: Sequence[Job], as_json: bool, *, alone: bool = False) -> None:
    """Print jobs, or one that was asked for alone."""
    if as_json:
        values = [job_value(one) for one in found]
        output.print_json(values[0] if alone else values)
        return
    if not found:
        click.echo("No job is like that. Launch one with: greenroom train ENTRY_POINT -P name=value")
        return
    if alone:
        _one(found[0])
        return
    output.print_rows(
        ("job", "what", "state", "progress", "run", "asked by", "asked", "took", "reason"),
        [
            (
                str(one.id),
                one.name,
                "stopping" if one.is_stopping else str(one.state),
                _progress(one),
                (one.run_id or "")[:8] or None,
                one.asked_by,
                output.local_time(one.asked_at),
                _took(one),
                one.reason[:80] or None,
            )
            for one in found
        ],
        numbers=("job", "took"),
    )


def _one(job: Job) -> None:
    click.echo(
        f"Job {job.id} ({job.name}) is {'stopping' if job.is_stopping else job.state}. {job.reason}".rstrip()
    )
    if job.run_id:
        click.echo(f"Its run: {job.run_id}")
    click.echo(f"Look at its log with: greenroom logs {job.id} --follow")


def _progress(job: Job) -> str | None:
    share = job.progress.share if job.progress is not None else None
    if share is None:
        return None
    left = job.seconds_left(datetime.now(UTC))
    return f"{share:.0%}" if left is None else f"{share:.0%}, {_duration(left)} left"


def _took(job: Job) -> str | None:
    if job.started_at is None:
        return None
    return _duration(((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds())


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    )


def projects(found: Sequence[Project | BrokenProject], as_json: bool) -> None:
    """Print what can be launched."""
    if as_json:
        output.print_json([project_value(one) for one in found])
        return
    for project in found:
        click.echo(f"{project.name} ({project.place})")
        if isinstance(project, BrokenProject):
            click.echo(f"  ! {project.reason}")
            continue
        if project.note:
            click.echo(f"  {project.note}")
        for entry in project.entry_points:
            click.echo(f"  {entry.name}: {entry.help}" if entry.help else f"  {entry.name}")
            for parameter in entry.parameters:
                click.echo(f"    -P {_parameter(parameter)}")


def _parameter(one: Parameter) -> str:
    default = "required" if one.default is None else f"default {one.default or 'empty'}"
    kind = " | ".join(one.choices) if one.choices else str(one.kind)
    unit = f" {one.unit}" if one.unit else ""
    return f"{one.name}=<{kind}{unit}> ({default}){'  ' + one.help if one.help else ''}"


def project_value(one: Project | BrokenProject) -> dict[str, Any]:
    """Return what can be launched of a project as the JSON contract has it; one that cannot be read has a problem."""
    if isinstance(one, BrokenProject):
        place, problem = redact(one.place), redact(one.reason)
        return {"project": one.name, "place": place, "problem": problem, "entry_points": []}
    return {
        "project": one.name,
        "place": redact(one.place),
        "problem": None,
        "entry_points": [
            {
                "name": entry.name,
                "help": entry.help,
                "resumes": entry.resumes,
                "parameters": [
                    {
                        "name": each.name,
                        "kind": str(each.kind),
                        "default": None if each.default is None else redact(each.default),
                        "help": each.help,
                        "choices": list(each.choices),
                        "minimum": each.minimum,
                        "maximum": each.maximum,
                        "unit": each.unit,
                    }
                    for each in entry.parameters
                ],
            }
            for entry in one.entry_points
        ],
    }

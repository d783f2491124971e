"""Jobs, logs and projects as values that JSON can hold: those that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core import cli_training_output, clock
from core.redaction import redact
from core.training.projects.types import BrokenProject, EntryPoint, Project
from core.training.types import Job, LogPart


def job_value(job: Job, now: datetime | None = None) -> dict[str, Any]:
    """Return a job as `greenroom jobs` has it, and what else is known of it; passwords in addresses are hidden.

    Parameters
    ----------
    now : datetime, optional
        What the time left is counted from.
    """
    return {
        **cli_training_output.job_value(job),
        "parameters": {name: redact(value) for name, value in job.parameters.items()},
        "resources": {"cpus": job.resources.cpus, "gpus": job.resources.gpus},
        "host": job.host,
        "heard_at": job.heard_at,
        "seconds_left": job.seconds_left(now or clock.now()),
        "stop_asked_by": job.stop_asked_by,
        "made_from": job.made_from,
        "resumes": job.resumes,
    }


def log_value(job: Job, part: LogPart) -> dict[str, Any]:
    """Return a piece of a job's log; ask on from `end` for more, until `over` and `end` is `size`."""
    place = {"start": part.start, "end": part.end, "size": part.size}
    return {"job": job.id, "over": job.state.is_over, **place, "text": part.text}


def projects_value(projects: Sequence[Project | BrokenProject]) -> list[dict[str, Any]]:
    """Return what can be launched, project by project; one that cannot be read has a problem and no entry points."""
    return [
        {
            "project": one.name,
            "place": redact(one.place),
            "problem": redact(one.reason) if isinstance(one, BrokenProject) else None,
            "entry_points": []
            if isinstance(one, BrokenProject)
            else [_entry_point_value(each) for each in one.entry_points],
        }
        for one in projects
    ]


def _entry_point_value(one: EntryPoint) -> dict[str, Any]:
    return {
        "name": one.name,
        "help": one.help,
        "resumes": one.resumes,
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
            for each in one.parameters
        ],
    }

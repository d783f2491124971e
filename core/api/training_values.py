"""Jobs and logs as values that JSON can hold: those that the command line prints."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core import cli_training_output, clock
from core.redaction import redact
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

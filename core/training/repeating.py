"""What was launched before, for those who launch it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.training.projects.types import EntryPoint
from core.training.types import Job, LaunchRequest

_MOST_VALUES: Final = 5


def request_of(job: Job) -> LaunchRequest:
    """Return what would launch the same job again."""
    return LaunchRequest(
        entry_point=job.entry_point,
        parameters=job.parameters,
        project=job.project,
        engine=job.engine,
        resources=job.resources,
        experiment=job.experiment,
        name=job.name,
        priority=job.priority,
    )


def values_used(jobs: Iterable[Job], entry: EntryPoint, parameter: str) -> tuple[str, ...]:
    """Return the values other than its default that jobs gave a parameter, each once, in the order of the jobs."""
    declared = entry.parameter(parameter)
    default = declared.default if declared is not None else None
    found: dict[str, None] = {}
    for job in jobs:
        if (job.project, job.entry_point) == (entry.project, entry.name):
            value = job.parameters.get(parameter)
            if value and value != default:
                found.setdefault(value)
    return tuple(found)[:_MOST_VALUES]

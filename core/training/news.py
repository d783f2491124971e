"""What the audit trail keeps of launches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.audit import News
from core.training.types import LaunchRequest


def job_news(action: str, job_id: int, request: LaunchRequest, values: Mapping[str, str]) -> News:
    """Return the news of a job that was launched or resumed, with all its parameters."""
    return News(
        action,
        details={
            "job": job_id,
            "project": request.project,
            "entry_point": request.entry_point,
            "engine": str(request.engine),
            "parameters": dict(values),
        },
    )


def sweep_news(sweep_id: int, request: LaunchRequest, grid: Mapping[str, Sequence[str]], jobs: int) -> News:
    """Return the news of a sweep that was launched with so many jobs."""
    return News(
        "sweep launched",
        details={
            "sweep": sweep_id,
            "project": request.project,
            "entry_point": request.entry_point,
            "grid": {key: list(values) for key, values in grid.items()},
            "jobs": jobs,
        },
    )

"""Rows of the tables jobs and sweeps, and the values that they hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from core import clock
from core.training.types import EngineKind, Job, JobState, LaunchRequest, Progress, Resources, Sweep


def asked_columns(request: LaunchRequest, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the columns of a job that say what was asked for; `parameters` are all of the entry point's."""
    return {
        "project": request.project,
        "entry_point": request.entry_point,
        "parameters": json.dumps(dict(parameters)),
        "experiment": request.experiment or request.entry_point,
        "name": request.name or "",
        "engine": str(request.engine),
        "resources": json.dumps({"cpus": request.resources.cpus, "gpus": request.resources.gpus}),
        "priority": request.priority,
        "made_from": request.made_from,
        "resumes": request.resumes,
    }


def job_of(row: Row[Any]) -> Job:
    """Return the job of a row."""
    resources = json.loads(row.resources)
    return Job(
        id=row.id,
        project=row.project,
        entry_point=row.entry_point,
        parameters=json.loads(row.parameters),
        experiment=row.experiment,
        name=row.name or f"{row.entry_point} {row.id}",
        engine=EngineKind(row.engine),
        resources=Resources(resources["cpus"], resources["gpus"]),
        priority=row.priority,
        state=JobState(row.state),
        reason=row.reason,
        asked_by=row.asked_by,
        asked_at=clock.moment(row.asked_at),
        run_id=row.run_id,
        sweep_id=row.sweep_id,
        made_from=row.made_from,
        resumes=row.resumes,
        host=row.host,
        started_at=_moment(row.started_at),
        heard_at=_moment(row.heard_at),
        ended_at=_moment(row.ended_at),
        exit_code=row.exit_code,
        stop_asked_by=row.stop_asked_by,
        progress=_progress_of(row.progress),
    )


def sweep_of(row: Row[Any], states: Mapping[JobState, int]) -> Sweep:
    """Return the sweep of a row; `states` says how many of its jobs are in each state."""
    return Sweep(
        id=row.id,
        name=row.name,
        grid={key: tuple(values) for key, values in json.loads(row.grid).items()},
        run_id=row.run_id,
        asked_by=row.asked_by,
        asked_at=clock.moment(row.asked_at),
        ended_at=_moment(row.ended_at),
        states=states,
    )


def progress_text(progress: Progress) -> str:
    """Return how the column `progress` says how far a job is."""
    return json.dumps(
        {
            "done": progress.done,
            "total": progress.total,
            "what": progress.what,
            "at": clock.text(progress.at),
        }
    )


def number_of(made: sa.CursorResult[Any]) -> int:
    """Return the number that a new row was given."""
    key = made.inserted_primary_key
    assert key is not None  # noqa: S101
    return int(key[0])


def _progress_of(text: str | None) -> Progress | None:
    if not text:
        return None
    said = json.loads(text)
    return Progress(said["done"], said["total"], said["what"], clock.moment(said["at"]))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else clock.moment(text)

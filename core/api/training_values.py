"""Jobs, logs, entry points and retrainings as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from core import clock
from core.redaction import redact
from core.training.projects.types import BrokenProject, EntryPoint, Project
from core.training.schedule.types import Retraining, Verdict
from core.training.types import Job, LogPart


def job_value(job: Job, now: datetime | None = None) -> dict[str, Any]:
    """Return a job.

    Parameters
    ----------
    now : datetime, optional
        What the time left is counted from.
    """
    said = job.progress
    progress = said and {
        "done": said.done,
        "total": said.total,
        "share": said.share,
        "what": said.what,
        "at": said.at,
    }
    return {
        "job": job.id,
        "state": str(job.state),
        "run_id": job.run_id,
        "project": job.project,
        "entry_point": job.entry_point,
        "parameters": _redacted(job.parameters),
        "experiment": job.experiment,
        "name": job.name,
        "engine": str(job.engine),
        "resources": {"cpus": job.resources.cpus, "gpus": job.resources.gpus},
        "priority": job.priority,
        "reason": job.reason or None,
        "asked_by": job.asked_by,
        "asked_at": job.asked_at,
        "started_at": job.started_at,
        "heard_at": job.heard_at,
        "ended_at": job.ended_at,
        "exit_code": job.exit_code,
        "host": job.host,
        "stop_asked_by": job.stop_asked_by,
        "progress": progress,
        "seconds_left": job.seconds_left(now or clock.now()),
        "sweep": job.sweep_id,
        "made_from": job.made_from,
        "resumes": job.resumes,
    }


def log_value(job: Job, part: LogPart) -> dict[str, Any]:
    """Return a piece of a job's log; ask on from `end` for more, until `over` and `end` is `size`."""
    place = {"start": part.start, "end": part.end, "size": part.size}
    return {"job": job.id, "over": job.state.is_over, **place, "text": part.text}


def entry_points_value(projects: Sequence[Project | BrokenProject]) -> dict[str, Any]:
    """Return what can be launched, and the projects that cannot be read with the reason."""
    found: list[dict[str, Any]] = []
    broken: list[dict[str, Any]] = []
    for project in projects:
        if isinstance(project, BrokenProject):
            broken.append({"project": project.name, "reason": redact(project.reason)})
        else:
            found.extend(_entry_point_value(one) for one in project.entry_points)
    return {"entry_points": found, "broken": broken}


def _entry_point_value(one: EntryPoint) -> dict[str, Any]:
    return {
        "project": one.project,
        "entry_point": one.name,
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
                "label": each.label,
            }
            for each in one.parameters
        ],
    }


def retraining_value(one: Retraining) -> dict[str, Any]:
    """Return a retraining with its verdict and its log."""
    return {
        "retraining": one.id,
        "model": one.model,
        "trigger": str(one.trigger),
        "step": str(one.step),
        "outcome": None if one.outcome is None else str(one.outcome),
        "reason": one.reason or None,
        "job": one.job_id,
        "version": one.version,
        "verdict": _verdict_value(one.verdict),
        "asked_by": one.asked_by,
        "due_at": one.due_at,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "log": [{"at": at, "level": level, "text": text} for at, level, text in one.log],
    }


def _verdict_value(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    points = [
        {
            "name": one.name,
            "champion": one.champion,
            "challenger": one.challenger,
            "difference": one.difference,
            "better": one.better,
            "detail": one.detail,
        }
        for one in verdict.points
    ]
    gates = [{"name": name, "passed": passed, "reason": reason} for name, passed, reason in verdict.gates]
    return {"word": str(verdict.word), "sentence": verdict.sentence, "points": points, "gates": gates}


def _redacted(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: redact(value) for name, value in parameters.items()}

"""Schedules and retrainings as rows of Greenroom's database, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from sqlalchemy.engine import Row

from core import clock
from core.access import Role
from core.training.schedule.types import (
    FrozenFile,
    GateVerdict,
    LogLine,
    Mode,
    Prepared,
    Retraining,
    RetrainingOutcome,
    Schedule,
    ScheduleRequest,
    Step,
    Trigger,
    Verdict,
    VerdictPoint,
    VerdictWord,
)
from core.training.types import EngineKind


def schedule_row(request: ScheduleRequest, first_day: date) -> dict[str, Any]:
    """Return the columns that a request fills."""
    return {
        "project": request.project,
        "entry_point": request.entry_point,
        "parameters": _text(dict(request.parameters)),
        "engine": str(request.engine),
        "artifact_path": request.artifact_path,
        "mode": str(request.mode),
        "last_days": request.last_days,
        "epochs": request.epochs,
        "interval_days": request.interval_days,
        "anchor": first_day.isoformat(),
        "time_of_day": request.time_of_day,
        "zone": request.zone,
        "enabled": request.enabled,
    }


def schedule_of(row: Row[Any]) -> Schedule:
    """Return the schedule of a row."""
    return Schedule(
        id=row.id,
        model=row.model,
        entry_point=row.entry_point,
        parameters=json.loads(row.parameters),
        project=row.project,
        engine=EngineKind(row.engine),
        artifact_path=row.artifact_path,
        mode=Mode(row.mode),
        last_days=row.last_days,
        epochs=row.epochs,
        interval_days=row.interval_days,
        time_of_day=row.time_of_day,
        zone=row.zone,
        first_day=date.fromisoformat(row.anchor),
        enabled=bool(row.enabled),
        next_due=moment(row.next_due),
        set_by=row.set_by,
        set_at=clock.moment(row.set_at),
    )


def request_of(schedule: Schedule) -> ScheduleRequest:
    """Return the request that would make this schedule."""
    return ScheduleRequest(
        entry_point=schedule.entry_point,
        parameters=schedule.parameters,
        project=schedule.project,
        engine=schedule.engine,
        artifact_path=schedule.artifact_path,
        mode=schedule.mode,
        last_days=schedule.last_days,
        epochs=schedule.epochs,
        interval_days=schedule.interval_days,
        time_of_day=schedule.time_of_day,
        zone=schedule.zone,
        first_day=schedule.first_day,
        enabled=schedule.enabled,
    )


def request_text(request: ScheduleRequest) -> str:
    """Return a request as it is kept with the retraining that it began."""
    first = request.first_day.isoformat() if request.first_day else None
    return _text({**asdict(request), "parameters": dict(request.parameters), "first_day": first})


def _request(text: str) -> ScheduleRequest:
    kept = json.loads(text)
    first = date.fromisoformat(kept["first_day"]) if kept["first_day"] else None
    return ScheduleRequest(
        **{**kept, "engine": EngineKind(kept["engine"]), "mode": Mode(kept["mode"]), "first_day": first}
    )


def retraining_of(row: Row[Any]) -> Retraining:
    """Return the retraining of a row."""
    return Retraining(
        id=row.id,
        model=row.model,
        trigger=Trigger(row.trigger),
        due_at=moment(row.due_at),
        step=Step(row.step),
        outcome=RetrainingOutcome(row.outcome) if row.outcome else None,
        reason=row.reason,
        job_id=row.job_id,
        version=row.version,
        verdict=_verdict(row.verdict) if row.verdict else None,
        log=tuple(LogLine(clock.moment(at), level, text) for at, level, text in json.loads(row.log)),
        asked_by=row.asked_by,
        started_at=clock.moment(row.started_at),
        ended_at=moment(row.ended_at),
        asked_as=Role(row.asked_as),
        request=_request(row.settings),
        prepared=_prepared(row.prepared) if row.prepared else Prepared(),
    )


def log_text(lines: Sequence[LogLine]) -> str:
    """Return a log as it is kept."""
    return _text([[clock.text(one.at), one.level, one.text] for one in lines])


def verdict_text(verdict: Verdict) -> str:
    """Return a verdict as it is kept."""
    return _text({**asdict(verdict), "gates": [list(one) for one in verdict.gates]})


def _verdict(text: str) -> Verdict:
    kept = json.loads(text)
    return Verdict(
        VerdictWord(kept["word"]),
        kept["sentence"],
        tuple(VerdictPoint(**one) for one in kept["points"]),
        tuple(GateVerdict(*one) for one in kept["gates"]),
    )


def prepared_text(prepared: Prepared) -> str:
    """Return what a retraining trains with as it is kept."""
    since = clock.text(prepared.waiting_since) if prepared.waiting_since else None
    return _text({**asdict(prepared), "parameters": dict(prepared.parameters), "waiting_since": since})


def _prepared(text: str) -> Prepared:
    kept: Mapping[str, Any] = json.loads(text)
    files = tuple(FrozenFile(**one) for one in kept["files"])
    return Prepared(**{**kept, "files": files, "waiting_since": moment(kept["waiting_since"])})


def moment(text: str | None) -> datetime | None:
    """Return the time that a column holds."""
    return clock.moment(text) if text else None


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

"""A client that speaks ASGI, and a training desk without trainings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.access import Actor, Permission
from core.errors import NotFoundError, RefusedError
from core.training.projects.catalogue import Projects
from core.training.schedule.types import (
    Mode,
    Retraining,
    RetrainingOutcome,
    Schedule,
    ScheduleRequest,
    SchedulerStatus,
    Step,
    Trigger,
)
from core.training.types import (
    EngineKind,
    Job,
    JobState,
    LaunchRequest,
    LogPart,
    Progress,
    Resources,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LOCAL_NAME = "localhost:8501"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks an ASGI app, from this machine unless told otherwise."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        value: Any = None,
        token: str | None = None,
        client: tuple[str, int] | None = ("127.0.0.1", 50_000),
        host: str | None = LOCAL_NAME,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        """Ask; ``value`` is sent as JSON, ``body`` as it is."""
        sent = [*headers]
        if host is not None:
            sent.append(("Host", host))
        if token is not None:
            sent.append(("Authorization", f"Bearer {token}"))
        if value is not None:
            body = json.dumps(value).encode()
            sent.append(("Content-Type", "application/json"))
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), text.encode("latin-1")) for name, text in sent],
            "client": client,
            "server": ("127.0.0.1", 8501),
        }
        parts = [body] if isinstance(body, bytes) else list(body)
        # In a thread of its own: the one of the test may have a loop already, as after tests in a browser.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self._asked(scope, parts))).result()

    async def _asked(self, scope: dict[str, Any], parts: list[bytes]) -> Answer:
        messages: list[dict[str, Any]] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if parts:
                part = parts.pop(0)
                return {"type": "http.request", "body": part, "more_body": bool(parts)}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        await self.app(scope, receive, send)
        start = messages[0]
        headers = {name.decode(): text.decode("latin-1") for name, text in start["headers"]}
        return Answer(start["status"], headers, b"".join(one.get("body", b"") for one in messages[1:]))


def job(job_id: int = 1, **values: Any) -> Job:
    """Return a job that runs."""
    known: dict[str, Any] = {
        "project": "greenroom",
        "entry_point": "stores",
        "parameters": {"data": "s3://reader:hidden@bucket/sales.csv", "weeks": "4"},
        "experiment": "stores",
        "name": f"run {job_id}",
        "engine": EngineKind.LOCAL,
        "resources": Resources(),
        "priority": 0,
        "state": JobState.RUNNING,
        "reason": "",
        "asked_by": "jonas",
        "asked_at": NOON,
        "run_id": f"{job_id:032x}",
        "started_at": NOON,
        "progress": Progress(3, 12, "stores", NOON),
    }
    return Job(job_id, **{**known, **values})


def schedule(model: str = "ppo", **values: Any) -> Schedule:
    """Return a weekly schedule."""
    known: dict[str, Any] = {
        "entry_point": "rl",
        "parameters": {},
        "project": "greenroom",
        "engine": EngineKind.LOCAL,
        "artifact_path": "model",
        "mode": Mode.INCREMENTAL,
        "last_days": 30,
        "epochs": 5,
        "interval_days": 7,
        "time_of_day": "12:00",
        "zone": "UTC",
        "first_day": date(2026, 3, 2),
        "enabled": True,
        "next_due": datetime(2026, 3, 9, 12, tzinfo=UTC),
        "set_by": "jonas",
        "set_at": NOON,
    }
    return Schedule(id=1, model=model, **{**known, **values})


def retraining(number: int = 1, model: str = "ppo", **values: Any) -> Retraining:
    """Return a retraining that has just begun."""
    known: dict[str, Any] = {
        "trigger": Trigger.API,
        "due_at": None,
        "step": Step.PREPARING,
        "outcome": None,
        "reason": "",
        "job_id": None,
        "version": None,
        "verdict": None,
        "log": (),
        "asked_by": "jonas",
        "started_at": NOON,
        "ended_at": None,
        "asked_as": "lead",
        "request": ScheduleRequest("rl"),
    }
    return Retraining(id=number, model=model, **{**known, **values})


@dataclass
class FakeSchedules:
    """Schedules that begin a retraining, never two of a model at once; each look takes one a step on."""

    known: dict[str, Schedule] = field(default_factory=dict)
    begun: list[Retraining] = field(default_factory=list)
    ends: dict[str, Any] = field(default_factory=dict)
    looks: int = 0

    def of(self, model: str) -> Schedule | None:
        return self.known.get(model)

    def retrain(self, model: str, by: Actor, *, trigger: Trigger = Trigger.MANUAL) -> Retraining:
        by.require(Permission.LAUNCH)
        if model not in self.known:
            raise RefusedError(f"Nothing says how {model} is trained. Set a schedule.")
        if any(one.model == model and one.outcome is None for one in self.begun):
            raise RefusedError(f"{model} is being trained already.")
        one = retraining(len(self.begun) + 1, model, trigger=trigger, asked_by=by.name)
        self.begun.append(one)
        return one

    def status(self, model: str) -> SchedulerStatus:
        known = self.known.get(model)
        of_model = [one for one in self.begun if one.model == model]
        staged = [one.ended_at for one in of_model if one.outcome is RetrainingOutcome.STAGED]
        return SchedulerStatus(
            enabled=known is not None and known.enabled,
            is_training=any(one.outcome is None for one in of_model),
            last_retrain_time=staged[-1] if staged else None,
            next_retrain_time=known.next_due if known is not None else None,
            interval_days=known.interval_days if known is not None else None,
        )

    def retraining(self, retraining_id: int) -> Retraining:
        self.looks += 1
        if self.looks >= 2 and self.ends:
            self.end(retraining_id, **self.ends)
        return self.begun[retraining_id - 1]

    def end(self, retraining_id: int, **values: Any) -> None:
        at = retraining_id - 1
        known = {"step": Step.DONE, "outcome": RetrainingOutcome.STAGED, "version": 4, "ended_at": NOON}
        self.begun[at] = replace(self.begun[at], **{**known, **values})


class FakeTraining:
    """Jobs in a list."""

    def __init__(self, home: Path) -> None:
        self.projects = Projects((), home)
        self.schedules = FakeSchedules()
        self.known = [job(1), job(2, state=JobState.FAILED, reason="It exited with 3.", exit_code=3)]
        self.asked: list[LaunchRequest] = []
        self.logs = {1: "step 1\nstep 2\n"}

    def launch(self, request: LaunchRequest, by: Actor) -> Job:
        by.require(Permission.LAUNCH)
        self.projects.entry_point(request.project, request.entry_point)
        self.asked.append(request)
        return self._new(entry_point=request.entry_point, asked_by=by.name)

    def stop(self, job_id: int, by: Actor) -> Job:
        by.require(Permission.STOP)
        found = self.job(job_id)
        if found.state.is_over:
            raise RefusedError(f"Job {job_id} is over already: {found.state}.")
        self.known[job_id - 1] = replace(found, stop_asked_by=by.name)
        return self.known[job_id - 1]

    def retry(self, job_id: int, by: Actor) -> Job:
        by.require(Permission.LAUNCH)
        return self._new(made_from=self.job(job_id).id, asked_by=by.name)

    def resume(self, job_id: int, by: Actor) -> Job:
        by.require(Permission.LAUNCH)
        found = self.job(job_id)
        if found.state is JobState.RUNNING:
            raise RefusedError(f"Job {job_id} runs still.")
        return self._new(resumes=found.id, run_id=found.run_id, asked_by=by.name)

    def _new(self, **values: Any) -> Job:
        fresh = {"state": JobState.QUEUED, "started_at": None, "progress": None}
        self.known.append(job(len(self.known) + 1, **{**fresh, **values}))
        return self.known[-1]

    def job(self, job_id: int) -> Job:
        if not 1 <= job_id <= len(self.known):
            raise NotFoundError(f"There is no job {job_id}.")
        return self.known[job_id - 1]

    def jobs(
        self,
        *,
        states: Sequence[JobState] = (),
        sweep: int | None = None,
        run_id: str | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> Sequence[Job]:
        found = [
            one
            for one in reversed(self.known)
            if (not states or one.state in states)
            and sweep in (None, one.sweep_id)
            and run_id in (None, one.run_id)
        ]
        return found[offset : offset + limit]

    def counts(self) -> dict[JobState, int]:
        return {state: sum(one.state is state for one in self.known) for state in JobState}

    def log(self, job_id: int, *, start: int | None = None, most: int = 65_536) -> LogPart:
        text = self.logs.get(self.job(job_id).id, "")
        begin = min(max(0, len(text) - most) if start is None else start, len(text))
        part = text[begin : begin + most]
        return LogPart(part, begin, begin + len(part), len(text))


FAILURE = ["success", "error", "reasons"]


def value(client: Client, path: str) -> Any:
    """Ask for something that is there."""
    found = client.ask("GET", path)
    assert found.status == 200, found.body
    assert found.headers["content-type"] == "application/json"
    assert found.headers["cache-control"] == "no-store"
    return found.value


def refusal(client: Client, path: str, status: int, sent: Any = None, method: str = "POST") -> str:
    """Ask for something that is refused, and return why."""
    found = client.ask(method, path, value=sent)
    assert found.status == status, found.body
    assert list(found.value) == FAILURE
    assert found.value["success"] is False
    assert found.value["reasons"]
    return str(found.value["error"])

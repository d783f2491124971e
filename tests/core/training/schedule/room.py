"""A registry in SQLite with a champion, a schedule desk on it, and beside it a training desk that trains nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from mlflow import MlflowClient
from sqlalchemy.engine import Engine

from core.access import Actor
from core.audit import AuditTrail
from core.database import open_database
from core.errors import NotFoundError, SourceError
from core.registry.facts import Readers, Source
from core.registry.writing import MlflowRegistry
from core.runs.sources.uris import parse
from core.runs.types import Run
from core.training.projects.types import EntryPoint, Parameter, ParameterKind
from core.training.schedule.desk import ScheduleDesk
from core.training.schedule.parts import Parts
from core.training.schedule.types import Retraining, ScheduleRequest
from core.training.types import EngineKind, Job, JobState, LaunchRequest, Resources
from tests import registries

START = datetime(2026, 3, 20, 12, tzinfo=UTC)


@dataclass
class Hands:
    """A clock that a test moves; every look at it takes a millisecond."""

    time: datetime = START

    def __call__(self) -> datetime:
        self.time += timedelta(milliseconds=1)
        return self.time

    def pass_by(self, **span: float) -> None:
        self.time += timedelta(**span)


class FakeTraining:
    """A training desk that keeps its jobs in a file, so that another process knows them after this one died."""

    def __init__(self, folder: Path, now: Callable[[], datetime], *, finishes: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "jobs.json"
        self._now = now
        self._finishes = finishes
        self._guard = threading.Lock()
        self.trouble: Exception | None = None

    def launch(self, request: LaunchRequest, by: Actor) -> Job:
        if self.trouble is not None and not isinstance(self.trouble, SourceError):
            raise self.trouble
        with self._guard:
            kept = self._read()
            kept.append(
                {
                    "name": request.name,
                    "entry_point": request.entry_point,
                    "parameters": dict(request.parameters),
                    "tags": dict(request.tags),
                    "asked_by": by.name,
                    "asked_at": self._now().isoformat(),
                    "state": "running" if self.trouble is None else "failed",
                    "begun": self.trouble is None,
                    "reason": "",
                }
            )
            self._write(kept)
        if self.trouble is not None:
            # As the real one: a job whose run cannot be made is given up.
            raise self.trouble
        return self.job(len(kept))

    def stop(self, job_id: int, by: Actor) -> Job:
        self.end(job_id, JobState.STOPPED, f"Stopped by {by.name}.")
        return self.job(job_id)

    def job(self, job_id: int) -> Job:
        kept = self._read()
        if not 0 < job_id <= len(kept):
            raise NotFoundError(f"There is no job {job_id}.")
        return self._job(job_id, kept[job_id - 1])

    def jobs(self, *, limit: int = 50, offset: int = 0) -> tuple[Job, ...]:
        kept = self._read()
        newest = [self._job(number, one) for number, one in enumerate(kept, 1)][::-1]
        return tuple(newest[offset : offset + limit])

    def end(self, job_id: int, state: JobState, reason: str = "") -> None:
        with self._guard:
            kept = self._read()
            kept[job_id - 1].update(state=str(state), reason=reason)
            self._write(kept)

    def asked(self) -> list[dict[str, Any]]:
        """Return what was launched, oldest first."""
        return self._read()

    def _job(self, number: int, one: Mapping[str, Any]) -> Job:
        state = JobState.FINISHED if self._finishes else JobState(one["state"])
        return Job(
            number,
            "greenroom",
            one["entry_point"],
            one["parameters"],
            "trading",
            one["name"],
            EngineKind.LOCAL,
            Resources(),
            0,
            state,
            one["reason"],
            one["asked_by"],
            datetime.fromisoformat(one["asked_at"]),
            run_id=f"{100 + number:032x}",
            started_at=datetime.fromisoformat(one["asked_at"]) if one["begun"] else None,
        )

    def _read(self) -> list[dict[str, Any]]:
        return json.loads(self._file.read_text()) if self._file.exists() else []

    def _write(self, kept: list[dict[str, Any]]) -> None:
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._file)


@dataclass
class FakeProjects:
    """One entry point with what an incremental retraining sets, and one without."""

    place: Path
    entry_points: dict[str, EntryPoint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data = Parameter("data", ParameterKind.PATH)
        seed = Parameter("seed", ParameterKind.INT, "1", minimum=0, maximum=99)
        incremental = (
            Parameter("last_days", ParameterKind.INT, "0"),
            Parameter("epochs", ParameterKind.INT, "0", minimum=0, maximum=1000),
            Parameter("warm_start", ParameterKind.STRING, ""),
        )
        for name, more in (("rl", incremental), ("plain", ())):
            self.entry_points[name] = EntryPoint(
                "greenroom", name, "", (data, seed, *more), "python x.py --data {data}"
            )

    def entry_point(self, project: str, name: str) -> EntryPoint:
        if name not in self.entry_points:
            raise NotFoundError(f"The project '{project}' has no entry point '{name}'.")
        return self.entry_points[name]

    def folder(self, project: str) -> Path:
        return self.place


class Room:
    """Everything that a retraining needs, on a registry whose model `m` has v1 in Production."""

    def __init__(self, uri: str, home: Path, *, finishes: bool = False, engine: Engine | None = None) -> None:
        self.uri, self.home = uri, home
        self.client = MlflowClient(uri)
        self.hands = Hands()
        self.engine = engine or open_database(None, home)
        self.key = parse(uri).key
        self.training = FakeTraining(home / "jobs", self.hands, finishes=finishes)
        self.projects = FakeProjects(home)
        self.metrics: dict[str, dict[str, float]] = {}
        self.told: list[tuple[Any, ...]] = []
        self.read_trouble: Exception | None = None
        self.tag = MlflowRegistry(parse(uri)).tag
        self.open()

    def open(self, gates: Mapping[str, Any] = registries.NO_GATES, **readers: Any) -> ScheduleDesk:
        """Open the desks anew, as after a start."""
        given = replace(self._readers(), **readers)
        self.registry = registries.new_desk(
            self.uri, self.home, gates=gates, now=self.hands, engine=self.engine, given=given
        )
        self.trail = AuditTrail(lambda: self.engine, self.key, self.hands)
        self.parts = Parts(
            training=self.training,
            registry=self.registry,
            projects=self.projects,
            home=self.home,
            read_runs=self._read_runs,
            metrics=lambda run_id: self._run(run_id).metrics,
            tag=lambda *given: self.tag(*given),
            note_retraining=lambda *given: self.told.append(("retrained", *given)),
            after_deployment=lambda *given: self.told.append(("deployed", *given)),
        )
        self.desk = ScheduleDesk(lambda: self.engine, self.key, self.trail, self.parts, self.hands)
        return self.desk

    def _readers(self) -> Readers:
        return replace(
            registries.readers(),
            run=self._run,
            source=lambda one, path: Source(f"{one.artifact_uri}/{path}", None),
        )

    def _run(self, run_id: str) -> Run:
        return registries.run_of(run_id, metrics=self.metrics.get(run_id, {"sharpe": 1.0}))

    def _read_runs(self) -> None:
        if self.read_trouble is not None:
            raise self.read_trouble

    def data(self, text: str = "time,close\n2026-01-01,1.0\n") -> Path:
        file = self.home / "prices.csv"
        file.write_text(text)
        return file

    def schedule(self, model: str = "m", entry_point: str = "rl", **changes: Any) -> None:
        request = ScheduleRequest(entry_point, {"data": str(self.data())}, **changes)
        self.desk.set(model, request, registries.LEAD)

    def tick_until_over(self, number: int, most: int = 12) -> Retraining:
        """Tick until a retraining is over; its job finishes at once."""
        for _ in range(most):
            self.desk.tick()
            one = self.desk.retraining(number)
            if not one.is_open:
                return one
            if one.job_id is not None and self.training.job(one.job_id).state is JobState.RUNNING:
                self.training.end(one.job_id, JobState.FINISHED)
        raise AssertionError(f"It is not over after {most} ticks: {self.desk.retraining(number)}")

    def stages(self, model: str = "m") -> dict[int, str]:
        return registries.stages(self.client, model)

    def actions(self, model: str = "m") -> list[str]:
        return [one.action for one in reversed(self.trail.events(model))]

    def versions_of(self, number: int, model: str = "m") -> list[int]:
        """Return the versions that a retraining registered, as plain MLflow says."""
        found = self.client.search_model_versions(f"name = '{model}'")
        return sorted(
            int(one.version) for one in found if one.tags.get("greenroom.retraining") == str(number)
        )

    def count(self, table: sa.Table) -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())

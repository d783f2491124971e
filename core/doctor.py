"""What Greenroom is connected to, whether it works, and how to mend what does not."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shlex import quote

from core.errors import GreenroomError
from core.redaction import redact
from core.registry.reading.schema import revisions_behind
from core.runs.artifacts.locations import locate_run, propose_artifact_roots
from core.runs.index.snapshot import Snapshot
from core.runs.sources.sql import SqlSource
from core.runs.sources.uris import StoreKind
from core.training.projects.types import BrokenProject
from core.training.types import BUILT_IN
from core.workspace import Workspace

_PACKAGES = ("greenroom", "mlflow", "streamlit", "polars", "pyarrow", "sqlalchemy")
_RUNS_SAMPLED = 200


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    advice : str
        What to do; empty where nothing needs doing.
    """

    name: str
    verdict: Verdict
    finding: str
    advice: str = ""


def examine(workspace: Workspace) -> tuple[Check, ...]:
    """Look at settings, versions, connection, index and artifacts. Changes nothing in the tracking store."""
    return tuple(_checks(workspace))


def _checks(workspace: Workspace) -> Iterator[Check]:
    settings = workspace.settings
    yield Check("Settings", Verdict.OK, f"read from {settings.place}; home folder {settings.home.resolve()}")
    yield Check("Versions", Verdict.OK, _versions())
    yield from _connection(workspace)
    yield from _index(workspace)
    snapshot = workspace.runs.index.snapshot()
    if snapshot is not None:
        yield _artifacts(workspace, snapshot)
    yield _database(workspace)
    yield from _training(workspace)


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _connection(workspace: Workspace) -> Iterator[Check]:
    address = workspace.address
    shown = address.shown + (" (embedded)" if workspace.settings.is_embedded else "")
    try:
        source = workspace.runs.source()
    except GreenroomError as error:
        advice = ""
        if workspace.settings.is_embedded:
            advice = "Build a workspace with `greenroom demo`, or set MLFLOW_TRACKING_URI to your own store."
        yield Check("Tracking store", Verdict.PROBLEM, f"{shown}: {error}", advice)
        return
    info = source.info
    yield Check("Tracking store", Verdict.OK, shown)
    if info.fallback_reason:
        advice = ""
        if address.kind is StoreKind.HTTP:
            advice = (
                "Set GREENROOM_BACKEND_URI to the database behind the server (read-only is enough) to read "
                "it some ten times faster."
            )
        yield Check("Reads through", Verdict.NOTE, f"{info.detail}, because {info.fallback_reason}", advice)
    else:
        yield Check("Reads through", Verdict.OK, info.detail)
    if isinstance(source, SqlSource):
        yield _schema(source, address.path)


def _schema(source: SqlSource, path: Path | None) -> Check:
    revision = source.schema_revision()
    behind = revisions_behind(revision)
    name = "Schema"
    if revision is None:
        return Check(name, Verdict.NOTE, "the database states no schema revision")
    if behind is None:
        return Check(
            name,
            Verdict.NOTE,
            f"{revision} is not known to MLflow {version('mlflow')}: the store was written by a newer one",
            "Reading works as long as the tables keep their shape; install the newer MLflow to write.",
        )
    if behind == 0:
        return Check(name, Verdict.OK, f"{revision}, the one of MLflow {version('mlflow')}")
    copy = f"{path.stem}-upgraded{path.suffix}" if path else ""
    advice = (
        f"Greenroom reads it as it is. MLflow {version('mlflow')} would change it in place: to use it with "
        "today's MLflow, upgrade a copy"
        + (
            f": cp {quote(str(path))} {quote(copy)} && mlflow db upgrade {quote(f'sqlite:///{copy}')}"
            if path
            else "."
        )
    )
    return Check(name, Verdict.NOTE, f"{revision}, {behind} migrations older than MLflow's", advice)


def _index(workspace: Workspace) -> Iterator[Check]:
    status = workspace.runs.index.status()
    if not status.generation:
        yield Check(
            "Run index",
            Verdict.NOTE,
            "not built yet",
            "It is built at the first look, or by `greenroom sync`.",
        )
        return
    checked = status.state.checked_at
    age = f"last looked {_seconds_ago(checked)}" if checked else "never looked since"
    finding = f"{status.runs:,} runs, {status.bytes / 2**20:,.1f} MiB in {status.folder}, {age}"
    if status.state.failed_since is not None:
        since = datetime.fromtimestamp(status.state.failed_since, UTC)
        yield Check(
            "Run index",
            Verdict.PROBLEM,
            f"{finding}; stale since {since:%Y-%m-%d %H:%M} UTC: {status.state.error}",
            "Pages go on from the index; it catches up by itself once the store answers.",
        )
    else:
        yield Check("Run index", Verdict.OK, finding)
    for problem in status.problems:
        yield Check(
            "Unreadable run", Verdict.NOTE, problem, "Mend or remove its folder; all others are shown."
        )


def _seconds_ago(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    return f"{seconds:.0f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"


def _artifacts(workspace: Workspace, snapshot: Snapshot) -> Check:
    sample = snapshot.frame.filter(snapshot.frame["lifecycle_stage"] == "active").head(_RUNS_SAMPLED)
    place = workspace.place
    lost = []
    for uri, run_id, experiment_id in sample.select("artifact_uri", "run_id", "experiment_id").iter_rows():
        location = locate_run(uri, run_id, experiment_id, place, workspace.settings.artifact_roots)
        if not location.found and not location.none_logged:
            lost.append(uri)
    if not lost:
        return Check(
            "Artifacts", Verdict.OK, f"found for all of the {sample.height:,} latest runs that have any"
        )
    proposal = propose_artifact_roots(lost, place)
    if proposal:
        lines = "\n".join(f'"{old}" = "{new}"' for old, new in proposal.items())
        advice = f"Add to greenroom.toml:\n[artifact_roots]\n{lines}"
    else:
        advice = 'If they were moved, add to greenroom.toml under [artifact_roots] the line "OLD ROOT" = "NEW ROOT".'
    return Check(
        "Artifacts",
        Verdict.NOTE,
        f"not found for {len(lost):,} of the {sample.height:,} latest runs, recorded as {redact(lost[0])}",
        advice,
    )


def _database(workspace: Workspace) -> Check:
    try:
        name = workspace.database.dialect.name
    except GreenroomError as error:
        return Check("Greenroom's database", Verdict.PROBLEM, str(error))
    return Check("Greenroom's database", Verdict.OK, f"{name}, tables up to date")


def _training(workspace: Workspace) -> Iterator[Check]:
    training = workspace.training
    worker = training.worker()
    if worker.alive and worker.since is not None:
        at_once = f"{worker.slots} jobs at once"
        finding = f"process {worker.pid} on {worker.host}, started {_seconds_ago(worker.since)}, {at_once}"
        yield Check("Worker", Verdict.OK, finding)
    else:
        advice = "Start `greenroom up` or `greenroom worker`; jobs and schedules wait for it."
        yield Check("Worker", Verdict.NOTE, "none runs in this home folder", advice)
    for project in training.projects.list():
        if isinstance(project, BrokenProject):
            yield Check(
                "Project", Verdict.NOTE, f"{project.name}: {project.reason}", "Its jobs cannot be launched."
            )
    missing = training.missing_for(BUILT_IN, "rl")
    if missing is not None:
        yield Check(
            "Trading agents", Verdict.NOTE, "the entry point rl needs more packages", f"Run: {missing}"
        )

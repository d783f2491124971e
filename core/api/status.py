"""The status of a model: what is in Production, where its files are, when it was and will be trained again."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel

from core.api.opened import Opened
from core.errors import NotFoundError
from core.redaction import redact
from core.registry.checkpoints.folder import version_name
from core.registry.checkpoints.registered import Current, RegisteredCheckpoints
from core.registry.retention.configuration import RetentionSettings
from core.registry.retention.marks import is_gone
from core.registry.types import Version


class ModelInfo(BaseModel):
    """The version in Production.

    `current_version` is the label of a checkpoint that `ModelManager` deployed, else the version's number.
    """

    current_version: str | None
    current_path: str | None
    total_models: int
    retention_days: float


class Scheduler(BaseModel):
    """When the model is trained again; `last_retrain_time` is of the last retraining that reached Staging."""

    enabled: bool
    is_training: bool
    last_retrain_time: datetime | None
    next_retrain_time: datetime | None
    interval_days: int | None


class Status(BaseModel):
    """What is known of a model."""

    model_loaded: bool
    model_info: ModelInfo
    scheduler: Scheduler


class StatusAnswer(BaseModel):
    """Answer to a question for the status."""

    success: bool = True
    status: Status


def status_of(workspace: Opened, name: str, *, may_be_missing: bool = False) -> StatusAnswer:
    """Return the status of a model.

    Parameters
    ----------
    may_be_missing : bool
        Whether a model of this name need not be there yet.

    Raises
    ------
    NotFoundError
        If there neither is such a model nor a schedule for it.
    SourceError, DatabaseError
    """
    # A checkpoint's label may stand with its run alone; the registry itself asks for what else is needed.
    current = RegisteredCheckpoints(name, lambda: workspace).current()  # type: ignore[arg-type, return-value]
    schedules = workspace.training.schedules
    if current.model is None and not may_be_missing and schedules.of(name) is None:
        raise NotFoundError(f"There is no model '{name}'. GET /api/models lists them all.")
    return StatusAnswer(
        status=Status(
            model_loaded=current.champion is not None,
            model_info=_info(current, _retention_days(workspace.settings.retention, name)),
            scheduler=Scheduler(**asdict(schedules.status(name))),
        )
    )


def _info(current: Current, retention_days: float) -> ModelInfo:
    champion, label = current.champion, current.label
    shown = None
    if champion is not None:
        shown = version_name(label) if label is not None else str(champion.version)
    return ModelInfo(
        current_version=shown,
        current_path=place_of(champion, label) if champion is not None else None,
        total_models=sum(not is_gone(one) for one in current.model.versions) if current.model else 0,
        retention_days=retention_days,
    )


def place_of(version: Version, label: str | None) -> str | None:
    """Return where the files of a version are, without user, password, or what else an address may carry."""
    uri = version.storage or version.source
    if not uri:
        return None
    place = uri
    if "://" in uri or uri.startswith("file:"):
        split = urlsplit(redact(uri))
        place = url2pathname(split.path)
        if split.scheme != "file":
            place = f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"
    return place if label is None else f"{place.rstrip('/')}/{label}.pt"


def _retention_days(settings: RetentionSettings, name: str) -> float:
    return settings.models[name].days if name in settings.models else settings.days

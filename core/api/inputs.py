"""What may be sent to the API: bodies, and the kinds of texts and numbers in paths and queries."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from core.registry.types import Stage
from core.training.types import BUILT_IN, MOST_PRIORITY, EngineKind, LaunchRequest, Resources

LARGEST_NUMBER: Final = 2**31 - 1
"""Largest number that a column of Greenroom's database or of MLflow's holds."""

_LONGEST: Final = 10_000
_OURS: Final = ("greenroom.", "mlflow.")


def _sound(text: str) -> str:
    # PostgreSQL keeps no NUL, and neither it nor SQLite a half of a surrogate pair.
    if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ValueError("holds a sign that no text has")
    return text


def _as_text(value: Any) -> Any:
    """Take numbers and yes or no as they are written in JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else value


def _not_ours(tags: dict[str, str]) -> dict[str, str]:
    for name in tags:
        if name.lower().startswith(_OURS):
            raise ValueError(f"{name!r} belongs to Greenroom or MLflow")
    return tags


def _stage(value: Any) -> Any:
    known = {str(one).lower(): one for one in Stage}
    return known.get(value.strip().lower(), value) if isinstance(value, str) else value


Text = Annotated[str, AfterValidator(_sound), Field(max_length=_LONGEST)]
Written = Annotated[Text, BeforeValidator(_as_text, json_schema_input_type=str | float | bool)]
StageName = Annotated[Stage, BeforeValidator(_stage)]
Number = Annotated[int, Field(ge=1, le=LARGEST_NUMBER, strict=True)]
NumberInPath = Annotated[int, Path(ge=1, le=LARGEST_NUMBER)]
NameInPath = Annotated[str, AfterValidator(_sound), Path(min_length=1, max_length=500)]
Offset = Annotated[int, Query(ge=0, le=LARGEST_NUMBER)]


class _Body(BaseModel):
    # A misspelt key must not be taken for one that was left out.
    model_config = ConfigDict(extra="forbid")


class Retrain(_Body):
    """How a retraining is begun."""

    is_async: bool = Field(
        default=True, alias="async", strict=True, description="False waits until the retraining has ended."
    )


class ResourcesAsked(_Body):
    """What is set apart on a cluster."""

    cpus: float = Field(default=0, ge=0, le=10_000, allow_inf_nan=False)
    gpus: float = Field(default=0, ge=0, le=10_000, allow_inf_nan=False)


class Launch(_Body):
    """What shall be run."""

    entry_point: Annotated[Text, Field(min_length=1, max_length=200)]
    parameters: Annotated[dict[Text, Written], Field(max_length=1000)] = {}
    project: Annotated[Text, Field(min_length=1, max_length=200)] = BUILT_IN
    engine: EngineKind = EngineKind.LOCAL
    resources: ResourcesAsked = ResourcesAsked()
    experiment: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    name: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    priority: int = Field(default=0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, strict=True)
    tags: Annotated[dict[Text, Written], AfterValidator(_not_ours), Field(max_length=100)] = {}

    def request(self) -> LaunchRequest:
        """Return it as the desk takes it."""
        return LaunchRequest(
            entry_point=self.entry_point,
            parameters=self.parameters,
            project=self.project,
            engine=self.engine,
            resources=Resources(self.resources.cpus, self.resources.gpus),
            experiment=self.experiment,
            name=self.name,
            priority=self.priority,
            tags=self.tags,
        )


class Promote(_Body):
    """Which version goes where, and why."""

    version: Number
    to: StageName
    reason: Annotated[Text, Field(min_length=1)]
    override: Text | None = Field(default=None, description="Why, although gates do not pass.")


class Rollback(_Body):
    """Why, and from and to which version where that matters."""

    reason: Annotated[Text, Field(min_length=1)]
    from_version: Number | None = Field(
        default=None, alias="from", description="Only while this one is in Production."
    )
    to_version: Number | None = Field(
        default=None, alias="to", description="Bring back this one, not the one before."
    )

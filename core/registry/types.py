"""What a model registry holds, as frozen values: models, versions, stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.errors import NotFoundError

STAGE_TAG: Final = "greenroom.stage"
"""Tag of a version that repeats its stage; the truth where the server has no stages."""

STAGES_TAG: Final = "greenroom.stages"
"""Tag of a model whose server has no stages; its value is then ``tags``."""

STAGING_ALIAS: Final = "staging"
PRODUCTION_ALIAS: Final = "production"


class Stage(StrEnum):
    """Where a version stands, in MLflow's own spelling."""

    NONE = "None"
    STAGING = "Staging"
    PRODUCTION = "Production"
    ARCHIVED = "Archived"


@dataclass(frozen=True, slots=True)
class Version:
    """A model version.

    Attributes
    ----------
    stage : Stage
        As MLflow says; where the server has no stages, as aliases and tags say.
    source : str
        The URI that it was registered from; "" where MLflow has none.
    storage : str or None
        Where MLflow keeps its files, if it says so apart from `source`.
    run_id : str or None
        The run that trained it.
    status : str
        READY, PENDING_REGISTRATION or FAILED_REGISTRATION.
    created, updated : datetime
        UTC. MLflow moves `updated` at every edit of the version, not only when its stage changes.
    aliases : tuple of str
        Sorted.
    """

    model: str
    version: int
    stage: Stage
    source: str
    run_id: str | None
    created: datetime
    updated: datetime
    storage: str | None = None
    user: str | None = None
    description: str = ""
    status: str = "READY"
    aliases: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model with its versions, lowest number first.

    Attributes
    ----------
    aliases : mapping of str to int
        Alias to version.
    has_stages : bool
        False where the server knows no stages, so that aliases and tags say them.
    """

    name: str
    created: datetime
    updated: datetime
    versions: tuple[Version, ...]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)
    has_stages: bool = True

    def version(self, number: int) -> Version:
        """Return a version by its number.

        Raises
        ------
        NotFoundError
            If the model has no such version.
        """
        for one in self.versions:
            if one.version == number:
                return one
        known = ", ".join(str(one.version) for one in self.versions[-5:]) or "none"
        raise NotFoundError(f"The model '{self.name}' has no version {number}. Its latest versions: {known}.")

    def in_stage(self, stage: Stage) -> tuple[Version, ...]:
        """Return the versions in a stage, lowest number first."""
        return tuple(one for one in self.versions if one.stage is stage)

    @property
    def champion(self) -> Version | None:
        """The version in Production; None where there is none, or where there are two."""
        found = self.in_stage(Stage.PRODUCTION)
        return found[0] if len(found) == 1 else None

"""From what a store holds about a model to a `Model`: the rules that all registry sources share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from core.errors import NotFoundError
from core.registry.reading.stages import effective_stage, has_stages
from core.registry.types import Model, Version

PROMPT_TAG: Final = "mlflow.prompt.is_prompt"
_DELETED = "Deleted_Internal"


class ModelRow(NamedTuple):
    """What a store says of a model itself. Times in milliseconds, 0 where they are missing; texts likewise ""."""

    name: str
    created: int
    updated: int
    description: str


class VersionRow(NamedTuple):
    """What a store says of a version, deleted or not; missing values as in `ModelRow`."""

    model: str
    version: int
    created: int
    updated: int
    description: str
    user: str
    stage: str
    source: str
    storage: str
    run_id: str
    status: str


def is_prompt(model_tags: Mapping[str, str]) -> bool:
    """Say whether MLflow keeps a prompt, not a model, under these tags."""
    return model_tags.get(PROMPT_TAG, "").lower() == "true"


def assemble(
    row: ModelRow,
    tags: Mapping[str, str],
    aliases: Mapping[str, int],
    versions: Iterable[VersionRow],
    version_tags: Mapping[int, Mapping[str, str]],
) -> Model:
    """Put a model together: deleted versions left out, stages and aliases of each version found."""
    # MLflow itself does not show this tag of a model.
    shown = {key: value for key, value in sorted(tags.items()) if key != PROMPT_TAG}
    by_number: dict[int, list[str]] = {}
    for alias, number in sorted(aliases.items()):
        by_number.setdefault(number, []).append(alias)
    built = []
    for one in sorted(versions):
        if one.stage == _DELETED:
            continue
        number = one.version
        created = _moment(one.created or one.updated)
        own_tags = version_tags.get(number, {})
        built.append(
            Version(
                model=row.name,
                version=number,
                stage=effective_stage(one.stage, own_tags, tags, aliases, number),
                source=one.source,
                run_id=one.run_id or None,
                created=created,
                updated=created if one.updated in (0, one.created) else _moment(one.updated),
                storage=one.storage if one.storage not in ("", one.source) else None,
                user=one.user or None,
                description=one.description,
                status=one.status or "READY",
                aliases=tuple(by_number.get(number, ())),
                tags=own_tags,
            )
        )
    return Model(
        name=row.name,
        created=_moment(row.created or row.updated),
        updated=_moment(row.updated or row.created),
        versions=tuple(built),
        description=row.description,
        tags=shown,
        aliases=dict(sorted(aliases.items())),
        has_stages=has_stages(tags),
    )


def not_found(name: str, known: Iterable[str]) -> NotFoundError:
    """Return the error for a model that is not there, with the names of models that are close to it."""
    close = difflib.get_close_matches(name, list(known), n=3)
    hint = f" Close to it: {', '.join(close)}." if close else ""
    return NotFoundError(f"There is no registered model '{name}'.{hint} `greenroom models` lists them all.")


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)

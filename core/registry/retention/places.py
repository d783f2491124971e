"""Where the files of a version or a run are, and who else uses them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import ArtifactError
from core.registry.types import Version
from core.runs.artifacts.access import model_folders
from core.runs.artifacts.entries import path_parts
from core.runs.artifacts.model_files import path_in_run
from core.runs.types import LoggedModel, Run


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A folder of artifacts that may be removed.

    Attributes
    ----------
    artifact_uri : str
        Of the run, as recorded.
    path : str
        Below the run's artifacts, or below the model's where there is one; "" is all of them.
    model : LoggedModel or None
        The model of MLflow 3 whose files they are, kept outside the run's own artifacts.
    """

    run_id: str
    experiment_id: str
    artifact_uri: str
    path: str
    model: LoggedModel | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the place as values that JSON can hold."""
        one = self.model
        return {
            "run_id": self.run_id,
            "experiment_id": self.experiment_id,
            "artifact_uri": self.artifact_uri,
            "path": self.path,
            "model": None if one is None else [one.model_id, one.name, one.artifact_location],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FilePlace:
        """Return the place that `to_json` wrote."""
        model = value["model"]
        return cls(
            value["run_id"],
            value["experiment_id"],
            value["artifact_uri"],
            value["path"],
            None if model is None else LoggedModel(*model),
        )


def places_of_version(version: Version, run: Run, models: Sequence[LoggedModel]) -> tuple[FilePlace, ...]:
    """Return where the files of a version are.

    Parameters
    ----------
    run : Run
        That it was registered from.
    models : sequence of LoggedModel
        What the run logged with MLflow 3, newest first.

    Raises
    ------
    ArtifactError
        If its source is no folder among the run's artifacts, or is all of them.
    """
    parts = path_parts(path_in_run(version.source, run, models))
    if not parts:
        raise ArtifactError("It was registered from all artifacts of its run, which are not its own.")
    own = _root(run)
    # A place that is written out is what it says, also where the run has logged a model of the same name.
    named = version.source.startswith(("runs:/", "models:/")) or any(
        version.source.rstrip("/") == one.artifact_location.rstrip("/") for one in models
    )
    logged = model_folders(models).get(parts[0]) if named else None
    if logged is None:
        return (replace(own, path="/".join(parts)),)
    return (replace(own, path="/".join(parts[1:]), model=logged),)


def places_of_run(run: Run, models: Sequence[LoggedModel]) -> tuple[FilePlace, ...]:
    """Return where the files of a run and of the models that it logged are."""
    return (_root(run), *(replace(_root(run), model=one) for one in models))


def _root(run: Run) -> FilePlace:
    return FilePlace(run.run_id, run.experiment_id, run.artifact_uri, "")


def user_of(
    place: FilePlace, own: Version | None, others: Iterable[Version], run: Run, models: Sequence[LoggedModel]
) -> str:
    """Say which other version uses files of a place; nothing where none does.

    Whatever cannot be told apart counts as used.

    Parameters
    ----------
    own : Version or None
        The version whose place it is; it does not count.
    others : iterable of Version
        All versions that there are, of every model.
    run : Run
        Of the place.
    """
    copied = f"models:/{own.model}/{own.version}" if own is not None else None
    for one in others:
        if own is not None and (one.model, one.version) == (own.model, own.version):
            continue
        places = f"{one.source} {one.storage or ''}"
        if copied is not None and copied in (one.source.rstrip("/"), (one.storage or "").rstrip("/")):
            return f"{one.model} v{one.version} is a copy of it"
        if _uses(place, one, places, run, models):
            return f"{one.model} v{one.version} uses its files"
    return ""


def _uses(place: FilePlace, one: Version, places: str, run: Run, models: Sequence[LoggedModel]) -> bool:
    if place.model is not None and place.model.model_id in places:
        return True
    if one.run_id != place.run_id and place.run_id not in places:
        return False
    try:
        theirs = places_of_version(one, run, models)
    except ArtifactError:
        return True
    return any(_overlap(place, each) for each in theirs)


def _overlap(one: FilePlace, other: FilePlace) -> bool:
    if (one.model and one.model.model_id) != (other.model and other.model.model_id):
        return False
    a, b = path_parts(one.path), path_parts(other.path)
    shorter = min(len(a), len(b))
    return a[:shorter] == b[:shorter]

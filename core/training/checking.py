"""Check what is to be launched, before anything is written: engine, packages, parameters, the grid of a sweep."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Final

from core.errors import BadInputError
from core.training.configuration import TrainingSettings
from core.training.projects.catalogue import Projects
from core.training.projects.parameters import checked
from core.training.projects.types import EntryPoint, Project
from core.training.types import BUILT_IN, MOST_PRIORITY, EngineKind, LaunchRequest

_EXPERIMENTS: Final = {"stores": "store-forecasts", "rl": "trading"}
_EXTRAS: Final = {"rl": (("torch", "stable_baselines3", "gymnasium"), "rl")}
_MOST_IN_SWEEP: Final = 1_000
_MOST_RESOURCES: Final = 10_000


def engines(settings: TrainingSettings) -> tuple[EngineKind, ...]:
    """Return the engines that are set up."""
    found = [EngineKind.LOCAL]
    if settings.ray_address:
        found.append(EngineKind.RAY)
    if settings.kubernetes_config:
        found.append(EngineKind.KUBERNETES)
    return tuple(found)


def missing_for(project: str, entry_point: str) -> str | None:
    """Return the command that installs what an entry point needs and this machine lacks; None where nothing is."""
    if project != BUILT_IN or entry_point not in _EXTRAS:
        return None
    packages, extra = _EXTRAS[entry_point]
    if all(find_spec(one) is not None for one in packages):
        return None
    return f'pip install "greenroom[{extra}]"'


def with_names(request: LaunchRequest) -> LaunchRequest:
    """Return a request with the experiment that it goes to, and without a blank name."""
    default = _EXPERIMENTS.get(request.entry_point) if request.project == BUILT_IN else None
    experiment = (request.experiment or "").strip() or default or request.entry_point
    return replace(request, experiment=experiment, name=(request.name or "").strip() or None)


def checked_values(request: LaunchRequest, projects: Projects, settings: TrainingSettings) -> dict[str, str]:
    """Return all parameters of a request that can be launched, those with their defaults, too.

    A project that was never fetched is fetched.

    Raises
    ------
    BadInputError
        If its priority, engine, resources, packages or parameters cannot be used.
    NotFoundError
        If there is no such project or entry point.
    """
    refuse_priority(request.priority)
    if request.engine not in engines(settings):
        raise BadInputError(_no_engine(request.engine))
    for what, value in (("cpus", request.resources.cpus), ("gpus", request.resources.gpus)):
        if not 0 <= value <= _MOST_RESOURCES:
            raise BadInputError(
                f"The {what} are {value:g}; accepted is a number from 0 to {_MOST_RESOURCES:,}."
            )
    project, entry = _entry_point(request, projects)
    _refuse_environment(project, request.engine)
    # A cluster has packages of its own.
    missing = (
        missing_for(request.project, request.entry_point) if request.engine is EngineKind.LOCAL else None
    )
    if missing is not None:
        raise BadInputError(
            f"The entry point {request.entry_point} needs packages that are not installed here. Run: {missing}"
        )
    return checked(entry, request.parameters, project.folder)


def refuse_priority(priority: int) -> None:
    """Refuse a priority out of range.

    Raises
    ------
    BadInputError
    """
    if not -MOST_PRIORITY <= priority <= MOST_PRIORITY:
        raise BadInputError(
            f"The priority is {priority}; accepted is a number from -{MOST_PRIORITY} to {MOST_PRIORITY}."
        )


def combinations(grid: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return every combination of the values of a sweep.

    Raises
    ------
    BadInputError
        If there are none, too many, or some twice.
    """
    if not grid or any(not values for values in grid.values()):
        raise BadInputError("A sweep needs at least one parameter with at least one value.")
    for key, values in grid.items():
        if len(set(values)) < len(values):
            raise BadInputError(f"The sweep gives the parameter {key} a value twice. Give each once.")
    count = math.prod(len(values) for values in grid.values())
    if count > _MOST_IN_SWEEP:
        raise BadInputError(f"The sweep has {count:,} combinations; accepted are up to {_MOST_IN_SWEEP:,}.")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _entry_point(request: LaunchRequest, projects: Projects) -> tuple[Project, EntryPoint]:
    project = projects.project(request.project)
    if project.folder is None:
        project = projects.refresh(request.project)
    return project, projects.entry_point(request.project, request.entry_point)


def _no_engine(engine: EngineKind) -> str:
    if engine is EngineKind.RAY:
        return (
            "No Ray cluster is set up. Set ray_address under [training] in greenroom.toml, such as "
            '"http://127.0.0.1:8265".'
        )
    return "Kubernetes is not set up. Set kubernetes_config under [training] in greenroom.toml."


def _refuse_environment(project: Project, engine: EngineKind) -> None:
    """Refuse a container where there is none to run it, and the other way round."""
    in_docker = project.environment.startswith("docker_env")
    if in_docker and engine is not EngineKind.KUBERNETES:
        raise BadInputError(
            f"The project {project.name} names docker_env, which the engine kubernetes alone runs. Choose that engine."
        )
    if engine is EngineKind.KUBERNETES and not in_docker:
        raise BadInputError(
            f"The project {project.name} names no docker_env, which MLflow needs on Kubernetes. Choose another engine."
        )

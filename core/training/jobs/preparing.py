"""Make a job ready to be started: its project's files, its argument list, its environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import BadInputError
from core.training.engines.base import Launch
from core.training.jobs.place import JobPlace, work_folder
from core.training.jobs.processes import mark_of
from core.training.projects.catalogue import Projects
from core.training.projects.command import argument_list
from core.training.projects.parameters import checked
from core.training.projects.types import EnvironmentManager, ProjectSetting
from core.training.types import BUILT_IN, EngineKind, Job

if TYPE_CHECKING:
    from core.settings import Settings

# MLflow's command refuses an experiment's number beside its name.
_NOT_FOR_JOBS: Final = ("GREENROOM_DATABASE_URI", "GREENROOM_BACKEND_URI", "MLFLOW_EXPERIMENT_ID")
_ON_KUBERNETES: Final = "core.training.engines.kubernetes"


def ready(settings: Settings, job: Job, place: JobPlace) -> Launch:
    """Return how a job is started.

    Raises
    ------
    BadInputError
        If its project, its entry point or a parameter cannot be used any more.
    """
    projects = Projects(settings.projects, settings.home.resolve())
    if job.resumes is None:
        projects.refresh(job.project, _in_use(place))
    commit = projects.project(job.project).commit
    if commit is not None:
        place.commit.write_text(commit, encoding="utf-8")
    folder = projects.folder(job.project)
    entry = projects.entry_point(job.project, job.entry_point)
    values = checked(entry, job.parameters, folder)
    setting = next((one for one in settings.projects if one.name == job.project), None)
    if job.engine is EngineKind.KUBERNETES or _own_environment(setting):
        arguments = _by_mlflow(settings, job, folder, setting, values)
    else:
        # A cluster has a Python of its own.
        python = "python" if job.engine is EngineKind.RAY else sys.executable
        arguments = argument_list(entry, values, python)
    return replace(
        ready_to_find(settings, job, place),
        arguments=arguments,
        folder=folder,
        environment=_environment(settings, job, place),
        runtime_env=setting.ray_runtime_env if setting is not None else {},
    )


def _in_use(place: JobPlace) -> frozenset[str]:
    """Return the commits that jobs run from which are alive, so that their files stay."""
    beside = (JobPlace(one.parent) for one in place.folder.parent.glob("*/commit"))
    return frozenset(one.commit.read_text(encoding="utf-8") for one in beside if one.is_held())


def ready_to_find(settings: Settings, job: Job, place: JobPlace) -> Launch:
    """Return what is needed to find a job again that was started; its project may have changed since, or be gone."""
    return Launch(
        # Of the run, too: a cluster remembers jobs of a database that was made anew, and their numbers.
        name=f"greenroom-{place.folder.parent.name}-{job.id}-{str(job.run_id)[:8]}",
        arguments=(),
        folder=place.folder,
        environment={},
        mark=mark_of(place.folder.parent.name, job.id),
        log=place.log,
        resources=job.resources,
        address=settings.training.ray_address,
    )


def _own_environment(setting: ProjectSetting | None) -> bool:
    return setting is not None and setting.env_manager is not EnvironmentManager.LOCAL


def _by_mlflow(
    settings: Settings, job: Job, folder: Path, setting: ProjectSetting | None, values: Mapping[str, str]
) -> tuple[str, ...]:
    """Leave it to MLflow's own runner, which makes environments and talks to Kubernetes."""
    if job.engine is EngineKind.KUBERNETES:
        arguments = [sys.executable, "-m", _ON_KUBERNETES, str(folder)]
    elif job.engine is EngineKind.RAY:
        # The cluster has a Python of its own, and starts a job where it has put the project's files.
        arguments = ["python", "-m", "mlflow", "run", "."]
    else:
        arguments = [sys.executable, "-m", "mlflow", "run", str(folder)]
    arguments += ["-e", job.entry_point, "--run-id", str(job.run_id)]
    if job.engine is EngineKind.KUBERNETES:
        config = settings.training.kubernetes_config
        if config is None:
            raise BadInputError(
                "Nothing says how MLflow reaches Kubernetes. Set kubernetes_config under [training] in greenroom.toml "
                "to the file that MLflow's documentation calls the backend configuration."
            )
        arguments += ["--backend", "kubernetes", "--backend-config", config]
    elif setting is not None:
        arguments += ["--env-manager", str(setting.env_manager)]
    for name, value in values.items():
        arguments += ["-P", f"{name}={value}"]
    return tuple(arguments)


def _environment(settings: Settings, job: Job, place: JobPlace) -> dict[str, str]:
    # What a team gives its trainings, such as keys of a bucket, comes with the worker's own environment; what only
    # Greenroom needs does not.
    added = dict.fromkeys((one for one in _NOT_FOR_JOBS if one in os.environ), "")
    added |= {
        "MLFLOW_TRACKING_URI": settings.effective_tracking_uri,
        "MLFLOW_RUN_ID": str(job.run_id),
        "MLFLOW_EXPERIMENT_NAME": job.experiment,
        "GREENROOM_HOME": str(settings.home.resolve()),
        # Of the run, not of the job: a job that goes on with the run of another finds its checkpoints there.
        "GREENROOM_JOB_DIR": str(work_folder(settings.home.resolve(), str(job.run_id))),
        "GREENROOM_PROGRESS": str(place.progress),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }
    if job.project == BUILT_IN:
        added["MLFLOW_DISABLE_TELEMETRY"] = os.environ.get("MLFLOW_DISABLE_TELEMETRY", "true")
    return added

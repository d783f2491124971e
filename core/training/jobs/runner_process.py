"""Start the process that supervises a job, `core.training.jobs.runner`: its command, environment and exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from core.settings import CONFIG_VARIABLE, Settings
from core.training.jobs.place import job_place

TRY_LATER: Final = 75
"""Exit code of a supervising process that could not take its job, for the database did not answer."""


def start_runner(
    settings: Settings, store_key: str, job_id: int, slot: int | None = None, *, again: bool = False
) -> subprocess.Popen[bytes]:
    """Start the process that supervises a job.

    Parameters
    ----------
    slot : int, optional
        A lock that it keeps as long as it lives.
    again : bool
        Whether the job was started before and goes on in a cluster.
    """
    place = job_place(settings.home.resolve(), store_key, job_id)
    place.make()
    command = [sys.executable, "-m", "core.training.jobs.runner", store_key, str(job_id)]
    with place.supervisor_log.open("ab") as said:
        return subprocess.Popen(
            [*command, "--again"] if again else command,
            env=environment_of(settings),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            pass_fds=() if slot is None else (slot,),
        )


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment in which a supervising process, or a worker, reads the same settings."""
    environment = dict(os.environ)
    given = {
        "MLFLOW_TRACKING_URI": settings.effective_tracking_uri,
        "GREENROOM_HOME": str(settings.home.resolve()),
        "GREENROOM_DATABASE_URI": settings.database_uri,
        "GREENROOM_BACKEND_URI": settings.backend_uri,
    }
    for key, value in given.items():
        environment.pop(key, None)
        if value:
            environment[key] = value
    if Path(settings.place).is_file():
        environment[CONFIG_VARIABLE] = str(Path(settings.place).resolve())
    return environment

"""The process that supervises one job: `python -m core.training.jobs.runner STORE_KEY JOB`.

It lives apart from the worker that starts it, so that a worker may die and come back while a job goes on. It takes the
job (one process alone can), starts it, keeps its log, and writes down how it ended: in the job's folder first, then in
the database. It knows nothing of MLflow: the worker tells it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from core.errors import DatabaseError, GreenroomError
from core.training.engines.base import Engine, EngineError
from core.training.jobs.ending import Ended
from core.training.jobs.place import job_place
from core.training.jobs.runner_process import TRY_LATER
from core.training.jobs.store import JobStore
from core.training.jobs.supervision import Supervision
from core.training.types import EngineKind, JobState

if TYPE_CHECKING:
    from core.settings import Settings


def supervise(settings: Settings, store: JobStore, job_id: int, *, again: bool) -> None:
    """Take a job and stay with it until it is over; nothing where another process has it."""
    from core.training.jobs.preparing import ready, ready_to_find

    place = job_place(settings.home.resolve(), store.store_key, job_id)
    place.make()
    held = place.lock()
    if held is None:
        return
    try:
        if again:
            job = store.job(job_id)
            if job.state is not JobState.RUNNING:
                return
        else:
            if not store.claim(job_id, socket.gethostname()):
                return
            job = store.job(job_id)
        supervision = Supervision(store, place, settings, job)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, supervision.end_soon)
        try:
            launch = (ready_to_find if again else ready)(settings, job, place)
            ended = supervision.run(launch, _engine_of(job.engine), again=again)
        except (GreenroomError, OSError) as error:
            unknown = isinstance(error, EngineError) and place.begun.exists() and again
            ended = Ended(JobState.LOST if unknown else JobState.FAILED, str(error), None)
        supervision.close(ended)
    finally:
        os.close(held)


def main() -> None:
    """Supervise the job that the command line names."""
    from core.database import open_database
    from core.settings import read_settings

    store_key, job_id, *more = sys.argv[1:]
    settings = read_settings()
    try:
        engine = open_database(settings.database_uri, settings.home)
    except GreenroomError as error:
        _try_later(error)
    try:
        supervise(settings, JobStore(lambda: engine, store_key), int(job_id), again="--again" in more)
    except DatabaseError as error:
        _try_later(error)


def _engine_of(kind: EngineKind) -> Engine:
    if kind is EngineKind.RAY:
        from core.training.engines.ray_jobs import RayEngine

        return RayEngine()
    from core.training.engines.local import LocalEngine

    return LocalEngine()


def _try_later(error: GreenroomError) -> NoReturn:
    print(error, file=sys.stderr)  # noqa: T201 - into the supervising process's own log
    sys.exit(TRY_LATER)


if __name__ == "__main__":
    main()

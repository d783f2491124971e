"""Clear away files of jobs that nobody goes on from any more: checkpoints of finished ones, and old logs.

The rows of the jobs stay, and what was logged to MLflow is not touched.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from core import clock
from core.training.jobs.place import job_place, work_folder
from core.training.jobs.store import JobStore
from core.training.types import Job, JobState

log = logging.getLogger(__name__)

_FINISHED: Final = timedelta(days=1)
_AT_ONCE: Final = 500


def tidy(store: JobStore, home: Path, keep_days: float, now: clock.Clock = clock.now) -> int:
    """Remove what is old enough; return how many folders went.

    A finished job's checkpoints go a day after its end. Log and checkpoints of any job that is over go after
    `keep_days`; those of a run that another job goes on with stay.

    Raises
    ------
    DatabaseError
    """
    gone = 0
    old = now() - timedelta(days=keep_days)
    for ids in _there(home / "jobs" / store.store_key):
        for job in store.over_since(now() - _FINISHED, ids):
            if job.ended_at is not None and job.ended_at < old:
                gone += _remove(store, home, job)
            elif job.state is JobState.FINISHED and job.run_id is not None:
                gone += _emptied(work_folder(home, job.run_id))
    return gone


def _there(folder: Path) -> Iterator[list[int]]:
    """Yield the numbers of jobs that have a folder, some hundreds at a time."""
    if not folder.is_dir():
        return
    numbers = sorted(int(one.name) for one in folder.iterdir() if one.name.isdecimal())
    for start in range(0, len(numbers), _AT_ONCE):
        yield numbers[start : start + _AT_ONCE]


def _remove(store: JobStore, home: Path, job: Job) -> int:
    place = job_place(home, store.store_key, job.id)
    held = place.lock()
    if held is None:
        return 0
    try:
        gone = 0
        latest = store.jobs(run_id=job.run_id, limit=1) if job.run_id is not None else ()
        if job.run_id is not None and latest and latest[0].id == job.id:
            gone = _emptied(work_folder(home, job.run_id))
        return gone + _emptied(place.folder)
    finally:
        os.close(held)


def _emptied(folder: Path) -> int:
    """Remove a folder; one that cannot be removed is told, and tried again another day."""
    if not folder.is_dir():
        return 0
    try:
        shutil.rmtree(folder)
    except OSError as error:
        log.warning("%s cannot be removed: %s.", folder, error.strerror or error)
        return 0
    return 1

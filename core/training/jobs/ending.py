"""How a job ended: the value, its sentences, and the file in its folder that says so before the database does."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from core import clock
from core.training.jobs.place import JobPlace, read_json, write_json
from core.training.types import Job, JobState


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended.

    Attributes
    ----------
    reason : str
        A sentence; "" where it finished.
    exit_code : int or None
        Minus the number of a signal that ended it; None where nobody knows, or it never began.
    """

    state: JobState
    reason: str
    exit_code: int | None


def ended_by_itself(exit_code: int, last_line: str) -> Ended:
    """Return how a job ended that nobody ended; `last_line` is the last of its log."""
    if exit_code == 0:
        return Ended(JobState.FINISHED, "", 0)
    quoted = f" The last line of its log: {last_line}" if last_line else " It printed nothing."
    if exit_code < 0:
        name = _signal_name(-exit_code)
        memory = ", as happens when memory runs out" if -exit_code == signal.SIGKILL else ""
        return Ended(JobState.FAILED, f"It was ended by {name}{memory}.{quoted}", exit_code)
    return Ended(JobState.FAILED, f"It exited with code {exit_code}.{quoted}", exit_code)


def lost(job: Job) -> Ended:
    """Return how a job ended of which nobody knows what became."""
    return Ended(
        JobState.LOST,
        f"Its supervising process on {job.host} is gone, as after a restart of the machine, and with it the job. "
        "Resume it where its entry point can, or retry it.",
        None,
    )


def write_end(place: JobPlace, ended: Ended, at: datetime) -> None:
    """Write down how a job ended, for a worker that finds nothing else."""
    value = {"state": str(ended.state), "reason": ended.reason, "exit_code": ended.exit_code}
    with suppress(OSError):
        write_json(place.end, {**value, "at": clock.text(at)})


def read_end(place: JobPlace) -> tuple[Ended, datetime] | None:
    """Return what `write_end` wrote; None where it wrote nothing."""
    value = read_json(place.end)
    if not isinstance(value, dict):
        return None
    return Ended(JobState(value["state"]), value["reason"], value["exit_code"]), clock.moment(value["at"])


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"

"""The training step of a retraining: its job is launched once, and waited for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from core.errors import NotFoundError
from core.training.schedule import rows
from core.training.schedule.parts import Parts
from core.training.schedule.recording import Recorder
from core.training.schedule.types import (
    RETRAINING_TAG,
    RETRAINS_TAG,
    Retraining,
    RetrainingOutcome,
    Step,
)
from core.training.types import Job, JobState, LaunchRequest

_JOBS_A_LOOK: Final = 200


class Launcher:
    """Launches the jobs of retrainings, and looks at what became of them."""

    def __init__(self, recorder: Recorder, parts: Parts) -> None:
        self._recorder = recorder
        self._parts = parts

    def train(self, one: Retraining) -> None:
        """Launch the job once, then wait for it."""
        if one.job_id is None:
            self._launch(one)
            return
        job = self._parts.training.job(one.job_id)
        if not job.state.is_over:
            return
        if job.state is JobState.STOPPED:
            self._recorder.end(one, RetrainingOutcome.STOPPED, job.reason or f"Job {job.id} was stopped.")
        elif job.state is not JobState.FINISHED:
            why = job.reason or "It does not say why; look at its log."
            self._recorder.end(
                one, RetrainingOutcome.FAILED, f"Job {job.id} ({job.name}) {_became(job)}: {why}"
            )
        else:
            run = run_of(job)
            lines = (f"Model trained: run {run[:8]} of job {job.id}", "Step 3: Validating new model...")
            self._recorder.go_on(one, Step.VALIDATING, lines)

    def _launch(self, one: Retraining) -> None:
        job = self._launched(one) if one.prepared.launching else None
        if job is None:
            prepared = replace(one.prepared, launching=True)
            if not self._recorder.write(one, (), prepared=rows.prepared_text(prepared)):
                return
            request = LaunchRequest(
                one.request.entry_point,
                one.prepared.parameters,
                one.request.project,
                one.request.engine,
                name=one.job_name,
                tags={RETRAINING_TAG: str(one.id), RETRAINS_TAG: one.model},
            )
            job = self._parts.training.launch(request, one.actor)
        self._recorder.write(one, (f"Job {job.id} is asked for",), job_id=job.id)

    def _launched(self, one: Retraining) -> Job | None:
        """Return the job that was launched before this was cut off; None where it was cut off before that."""
        offset = 0
        while jobs := self._parts.training.jobs(limit=_JOBS_A_LOOK, offset=offset):
            for job in jobs:
                # Who repeats it by hand makes a job of the same name, and younger.
                ours = job.name == one.job_name and job.made_from is None and job.resumes is None
                if ours and not _was_given_up(job):
                    return job
            if jobs[-1].asked_at < one.started_at:
                return None
            offset += len(jobs)
        return None


def run_of(job: Job) -> str:
    """Return the run of a job.

    Raises
    ------
    NotFoundError
        If it has none.
    """
    if job.run_id is None:
        raise NotFoundError(f"Job {job.id} ({job.name}) has no run, so there is nothing to register.")
    return job.run_id


def _became(job: Job) -> str:
    return "was lost" if job.state is JobState.LOST else "failed"


def _was_given_up(job: Job) -> bool:
    """Say whether it was never begun, for the tracking store did not answer when it was launched."""
    return job.state is JobState.FAILED and job.started_at is None

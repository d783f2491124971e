"""The training desk's commands of `greenroom`: train, jobs, logs, cancel, retry, resume, worker.

Exit code 0: done, 1: refused by a rule or the job did not finish, 2: bad input.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from core import cli_training_output as shown
from core.cli_parts import store_option
from core.cli_registry_parts import by_option, command
from core.cli_training_parts import opened, pairs, say_that_it_waits, somebody_works
from core.training.types import BUILT_IN, MOST_PRIORITY, EngineKind, JobState, LaunchRequest, Resources

if TYPE_CHECKING:
    from core.training.desk import TrainingDesk
    from core.training.types import Job
    from core.workspace import Workspace

_JOB: Final = click.argument("job_id", type=click.IntRange(1), metavar="JOB")
_LOOK_SECONDS: Final = 0.25
_STATES: Final = click.Choice([str(one) for one in JobState])


# Launching


@command("train")
@click.argument("entry_point", required=False, metavar="[ENTRY_POINT]")
@click.option("-P", "--param", "given", multiple=True, metavar="K=V", help="A parameter; may be repeated.")
@click.option("--project", default=BUILT_IN, show_default=True, help="Of [projects] in greenroom.toml.")
@click.option(
    "--sweep", "swept", multiple=True, metavar="K=V1,V2", help="Try each of these values; may be repeated."
)
@click.option(
    "--engine", type=click.Choice([str(one) for one in EngineKind]), default="local", show_default=True
)
@click.option("--cpus", type=click.FloatRange(0), default=0.0, help="Set apart on a cluster.")
@click.option("--gpus", type=click.FloatRange(0), default=0.0, help="Set apart on a cluster.")
@click.option("-e", "--experiment", metavar="NAME", help="Of the run.  [default: the entry point's]")
@click.option("--run-name", metavar="NAME")
@click.option(
    "--priority",
    type=click.IntRange(-MOST_PRIORITY, MOST_PRIORITY),
    default=0,
    show_default=True,
    help="The higher is run first.",
)
@click.option("--wait", is_flag=True, help="Stay until it is over, and show its log.")
@by_option
def train(
    entry_point: str | None,
    given: Sequence[str],
    project: str,
    swept: Sequence[str],
    engine: str,
    cpus: float,
    gpus: float,
    experiment: str | None,
    run_name: str | None,
    priority: int,
    wait: bool,
    by: str | None,
    tracking_uri: str | None,
    as_json: bool,
) -> None:
    """Launch a training; without ENTRY_POINT, list what can be launched.

    A worker runs it: that of `greenroom up` or `greenroom worker`. With --wait and no worker, this command works
    itself.

    \b
    JSON: {"job", "state", "run_id", "project", "entry_point", "parameters", "engine", "experiment", "name",
    "priority", "reason", "exit_code", "asked_by", "asked_at", "started_at", "ended_at", "progress", "sweep"}

    \b
    Examples:
      greenroom train
      greenroom train stores -P data=sales.csv -P model=ridge --wait
      greenroom train rl -P data=bars.csv --sweep seed=1,2,3
    """
    with opened(tracking_uri) as workspace:
        desk = workspace.training
        if entry_point is None:
            shown.projects(desk.projects.list(), as_json)
            return
        request = LaunchRequest(
            entry_point=entry_point,
            parameters=pairs(given),
            project=project,
            engine=EngineKind(engine),
            resources=Resources(cpus, gpus),
            experiment=experiment,
            name=run_name,
            priority=priority,
        )
        actor = workspace.actor(by)
        if swept:
            grid = {key: _values(value) for key, value in pairs(swept).items()}
            sweep = desk.sweep(request, grid, actor)
            jobs = desk.jobs(sweep=sweep.id, limit=None)
        else:
            jobs = (desk.launch(request, actor),)
        _follow(workspace, jobs, wait, as_json)


def _values(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _follow(workspace: Workspace, jobs: Sequence[Job], wait: bool, as_json: bool) -> None:
    desk = workspace.training
    if wait:
        with somebody_works(workspace):
            jobs = [_stay(desk, one.id, quiet=as_json or len(jobs) > 1) for one in reversed(jobs)]
    shown.jobs(jobs, as_json, alone=len(jobs) == 1)
    if wait:
        if any(one.state is not JobState.FINISHED for one in jobs):
            sys.exit(1)
    elif not as_json:
        say_that_it_waits(workspace)


def _stay(desk: TrainingDesk, job_id: int, *, quiet: bool) -> Job:
    place = 0
    while True:
        job = desk.job(job_id)
        part = desk.log(job_id, start=place)
        if part.text and not quiet:
            click.echo(part.text, nl=False, err=True)
        more, place = part.end < part.size, part.end
        if job.state.is_over and not more:
            return job
        if not more:
            time.sleep(_LOOK_SECONDS)


# Looking and stopping


@command("jobs")
@click.argument("job_id", required=False, type=click.IntRange(1), metavar="[JOB]")
@click.option("--state", "states", multiple=True, type=_STATES, help="May be repeated.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="0 for all.")
def jobs(
    job_id: int | None, states: Sequence[str], limit: int, tracking_uri: str | None, as_json: bool
) -> None:
    """List jobs, newest first, or show one.

    \b
    JSON: a list of what `greenroom train --json` gives; of one job, that.

    \b
    Examples:
      greenroom jobs --state running --state queued
      greenroom jobs 12
    """
    with opened(tracking_uri) as workspace:
        desk = workspace.training
        if job_id is not None:
            shown.jobs((desk.job(job_id),), as_json, alone=True)
            return
        found = desk.jobs(states=[JobState(one) for one in states], limit=limit or None)
        shown.jobs(found, as_json)


@click.command("logs")
@_JOB
@click.option("-f", "--follow", is_flag=True, help="Stay until the job is over.")
@click.option(
    "--bytes", "most", type=click.IntRange(1), default=65_536, show_default=True, help="Of its end."
)
@store_option
def logs(job_id: int, follow: bool, most: int, tracking_uri: str | None) -> None:
    """Show the end of a job's log.

    \b
    Example: greenroom logs 12 --follow
    """
    with opened(tracking_uri) as workspace:
        desk = workspace.training
        part = desk.log(job_id, most=most)
        click.echo(part.text, nl=False)
        while follow:
            job = desk.job(job_id)
            part = desk.log(job_id, start=part.end)
            click.echo(part.text, nl=False)
            if part.end < part.size:
                continue
            if job.state.is_over:
                return
            time.sleep(_LOOK_SECONDS)


@command("cancel")
@_JOB
@click.option("--wait/--no-wait", default=True, help="Stay until its last process is gone.")
@by_option
def cancel(job_id: int, wait: bool, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Take a job out of the queue, or end it with all its processes.

    \b
    JSON: as of `greenroom train`.

    \b
    Example: greenroom cancel 12
    """
    with opened(tracking_uri) as workspace:
        desk = workspace.training
        job = desk.stop(job_id, workspace.actor(by))
        deadline = time.monotonic() + 15
        while wait and not job.state.is_over and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
            job = desk.job(job_id)
        shown.jobs((job,), as_json, alone=True)


@command("retry")
@_JOB
@click.option("--wait", is_flag=True, help="Stay until it is over, and show its log.")
@by_option
def retry(job_id: int, wait: bool, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Launch a job again, with a run of its own.

    \b
    Example: greenroom retry 12
    """
    with opened(tracking_uri) as workspace:
        job = workspace.training.retry(job_id, workspace.actor(by))
        _follow(workspace, (job,), wait, as_json)


@command("resume")
@_JOB
@click.option("--wait", is_flag=True, help="Stay until it is over, and show its log.")
@by_option
def resume(job_id: int, wait: bool, by: str | None, tracking_uri: str | None, as_json: bool) -> None:
    """Go on with the run of a job that failed, was stopped or was lost.

    \b
    Example: greenroom resume 12 --wait
    """
    with opened(tracking_uri) as workspace:
        job = workspace.training.resume(job_id, workspace.actor(by))
        _follow(workspace, (job,), wait, as_json)


@click.command("worker")
@store_option
def worker(tracking_uri: str | None) -> None:
    """Run jobs and schedules until stopped; `greenroom up` does so by itself.

    Jobs that run when it is stopped go on, and the next worker finds them again.

    \b
    Example: greenroom worker
    """
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s - %(levelname)s - %(message)s")
    for noisy in ("huey", "alembic", "mlflow"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    with opened(tracking_uri) as workspace:
        one = workspace.training_parts.worker(workspace.chores())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: one.stop())
        one.run(lambda: click.echo("The worker is ready (Ctrl+C stops it; jobs go on).", err=True))


COMMANDS: Final = (train, jobs, logs, cancel, retry, resume, worker)

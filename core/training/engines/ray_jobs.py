"""The engine `ray`: the same job through the Jobs API of a Ray cluster, which goes on without who started it."""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from core.redaction import redact
from core.training.engines.base import EngineError, Launch
from core.training.jobs import processes
from core.training.jobs.place import read_json, write_json

# Ray takes a second to import, and need not be installed.
if TYPE_CHECKING:
    from core.training.engines.ray_cluster import ClusterJob, RayCluster
    from core.training.engines.ray_log import RayLog

_INSTALL: Final = 'The engine ray needs Ray. Run: pip install "greenroom[ray]"'
_ASK_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 600.0
_STOP_SECONDS: Final = 4.5
_LOG_SECONDS: Final = 30.0
_MOST_MESSAGE: Final = 2_000
_SIGTERM: Final = -15
_LEFT_AT_HOME: Final = (".git", "mlruns", "mlartifacts", "mlflow.db", ".greenroom", ".venv", "__pycache__")
_PLACES: Final = ("GREENROOM_HOME", "GREENROOM_JOB_DIR", "GREENROOM_PROGRESS")
_FOUND: Final = b"[greenroom: found again after its supervising process was gone]\n"


class RayEngine:
    """Starts jobs on a Ray cluster.

    The project's folder is uploaded as the working directory, without what `_LEFT_AT_HOME` names and what .gitignore
    excludes. A leading ``python`` is the first one in the PATH of the cluster, and what the project imports must be
    installed there; for Greenroom's own project that is Greenroom, in the same version. ``ray_runtime_env`` of
    a project has Ray install packages; what it says of ``env_vars`` and ``working_dir`` goes before what is said here.

    The environment of a job is seen by everybody who may look at the cluster's dashboard: a password of the tracking
    server belongs into the environment of the cluster, not into the tracking URI. Folders of this machine are told to
    a cluster on this machine only: elsewhere a job that resumes finds no checkpoints, and its progress is what it
    prints (``42%|``). Without resources Ray runs a job on its head node, however full that is.
    """

    def start(self, launch: Launch) -> RayJob:
        cluster = _cluster_of(launch)
        cluster.knock()
        here = _is_here(launch.address or "")
        notes = b"" if here else _warning(launch)
        try:
            cluster.submit(
                launch.name,
                shlex.join(launch.arguments),
                _runtime_env(launch, here),
                {"greenroom.job": launch.name, "greenroom.run": launch.environment.get("MLFLOW_RUN_ID", "")},
                launch.resources.cpus,
                launch.resources.gpus,
            )
        except EngineError:
            # It may have been taken all the same: by whoever was killed before this one, or just now, with the
            # answer lost. It is not run twice.
            if cluster.job(launch.name) is None:
                raise
        return RayJob(cluster, launch, notes)

    def find(self, launch: Launch) -> RayJob | None:
        cluster = _cluster_of(launch)
        # A cluster that does not answer now may know it still.
        with suppress(EngineError):
            if cluster.job(launch.name) is None:
                return None
        return RayJob(cluster, launch, _FOUND)


class RayJob:
    """A job on a cluster; see `Running`."""

    def __init__(self, cluster: RayCluster, launch: Launch, notes: bytes) -> None:
        self._cluster = cluster
        self._name = launch.name
        self._mark = launch.mark
        self._notes = notes
        self._offset = _take_up(launch.log, len(notes))
        self._log: RayLog | None = None
        self._job: ClusterJob | None = None
        self._asked = 0.0
        self._answered = time.monotonic()
        self._over_since: float | None = None

    def pump(self, write: Callable[[bytes], None], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        if self._notes:
            notes, self._notes = self._notes, b""
            write(notes)
        if self._log is None:
            time.sleep(max(deadline - time.monotonic(), 0.0))
            return
        while content := self._log.take(deadline - time.monotonic()):
            write(content)
            if time.monotonic() >= deadline:
                return

    def poll(self) -> int | None:
        job = self._look()
        if job is None or not job.is_over:
            return None
        return _code_of(job) if self._has_all(job) else None

    def stop(self) -> bool:
        deadline = time.monotonic() + _STOP_SECONDS
        job = self._job
        with suppress(EngineError):
            self._cluster.stop(self._name)
            while job is None or not job.is_over:
                job = self._cluster.job(self._name)
                if job is None:
                    return True
                self._job = job
                if time.monotonic() > deadline:
                    # One that waits for resources has no process. Ray ends it as soon as it gets them.
                    return job.status == "PENDING"
                time.sleep(0.1)
            # What has left its parent is not found by Ray; on this machine it is found by its mark.
            return processes.end_all(self._mark, None, 0.0)
        return False

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
        if self._job is not None and self._job.is_over:
            processes.end_all(self._mark, None, 0.5)

    def _look(self) -> ClusterJob | None:
        """Return what the cluster said of it last; ask it now and then, and wait for it a while."""
        now = time.monotonic()
        if (self._job is not None and self._job.is_over) or now - self._asked < _ASK_SECONDS:
            return self._job
        self._asked = now
        try:
            job = self._cluster.job(self._name)
        except EngineError as error:
            if time.monotonic() - self._answered < _SILENCE_SECONDS:
                return None
            raise EngineError(
                f"Nothing was heard of it for {_SILENCE_SECONDS / 60:.0f} minutes; whether it goes on is not known. "
                f"{error}"
            ) from error
        self._answered = time.monotonic()
        if job is None:
            raise EngineError(
                f"The Ray cluster {self._cluster.shown} does not know it any more, as after a restart of the cluster. "
                "Resume it where its entry point can, or retry it."
            )
        if self._log is None and job.node is not None:
            from core.training.engines.ray_log import RayLog

            self._log = RayLog(self._cluster, self._name, job.node, self._offset)
        self._job = job
        return job

    def _has_all(self, job: ClusterJob) -> bool:
        """Say whether all is handed over that a job has printed which is over."""
        if self._over_since is None:
            self._over_since = time.monotonic()
            if job.exit_code is None and job.status == "FAILED":
                said = redact(job.message.strip())[-_MOST_MESSAGE:]
                self._notes = f"[greenroom: Ray could not run it]\n{said}\n".encode()
        if self._log is None or self._log.is_whole():
            return True
        if time.monotonic() - self._over_since < _LOG_SECONDS:
            return False
        self._notes += b"[greenroom: the end of its log could not be fetched from the cluster]\n"
        return True


def _cluster_of(launch: Launch) -> RayCluster:
    if not launch.address:
        raise EngineError(
            'No Ray cluster is set up. Set ray_address under [training] in greenroom.toml, such as "http://host:8265".'
        )
    if urlsplit(launch.address).scheme not in ("http", "https"):
        raise EngineError(
            f"The Ray address {redact(launch.address)} is not the one of the Jobs API. Set ray_address under "
            "[training] in greenroom.toml to the address of the cluster's dashboard, such as http://host:8265."
        )
    try:
        from core.training.engines.ray_cluster import RayCluster
    except ImportError as error:
        raise EngineError(_INSTALL) from error
    return RayCluster(launch.address)


def _runtime_env(launch: Launch, here: bool) -> dict[str, Any]:
    given = dict(launch.runtime_env or {})
    # The cluster has a PATH of its own.
    without = ("PATH",) if here else ("PATH", *_PLACES)
    variables = {key: value for key, value in launch.environment.items() if key not in without}
    variables[processes.MARK] = launch.mark
    return {
        "working_dir": str(launch.folder),
        **given,
        "env_vars": {**variables, **{key: str(value) for key, value in given.get("env_vars", {}).items()}},
        "excludes": [*_LEFT_AT_HOME, *given.get("excludes", ())],
    }


def _warning(launch: Launch) -> bytes:
    uri = launch.environment.get("MLFLOW_TRACKING_URI", "")
    if urlsplit(uri).scheme not in ("", "file", "sqlite"):
        return b""
    return (
        f"[greenroom: the tracking store {uri} is a file of this machine, which a cluster elsewhere does not see. "
        "Set tracking_uri to an MLflow server that both reach]\n"
    ).encode()


def _is_here(address: str) -> bool:
    """Say whether an address is one of this machine's own."""
    host = urlsplit(address).hostname or ""
    with suppress(OSError):
        for family, _, _, _, place in socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM):
            with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
                probe.bind(place)
                return True
    return False


def _take_up(log: Path, notes: int) -> int:
    """Return how many bytes of the cluster's log are kept, and note how to tell the next time.

    Ours is longer by what Greenroom says in it. That is noted before it is written, so that a kill between the two
    makes nothing come twice, and nothing be left out.
    """
    with suppress(OSError):
        size = log.stat().st_size if log.exists() else 0
        place = log.with_name("ray.json")
        said = read_json(place)
        known = isinstance(said, dict)
        theirs = said["theirs"] + max(size - said["ours"], 0) if known else size
        write_json(place, {"ours": size + notes, "theirs": theirs})
        return int(theirs)
    return 0


def _code_of(job: ClusterJob) -> int:
    if job.status == "SUCCEEDED":
        return 0
    if job.status == "STOPPED":
        return _SIGTERM
    return job.exit_code or 1

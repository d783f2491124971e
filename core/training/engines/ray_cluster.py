"""A Ray cluster's Jobs API, asked with time limits; what goes wrong there becomes a sentence."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import ray
import requests
from ray.dashboard.modules.dashboard_sdk import SubmissionClient
from ray.exceptions import RayError
from ray.job_submission import JobSubmissionClient
from requests.adapters import HTTPAdapter

from core.redaction import redact
from core.training.engines.base import EngineError

_CONNECT_SECONDS: Final = 4.0
_ANSWER_SECONDS: Final = 8.0
_UPLOAD_SECONDS: Final = 120.0
_LOG_INTERVAL: Final = 0.3
_BLOCK: Final = 65_536
_LAST_LINES: Final = 50
_OVER: Final = ("SUCCEEDED", "FAILED", "STOPPED")
_NOT_KNOWN: Final = "does not exist"
# A connection that is silent for hours is right for a job that prints nothing; one whose other end is gone is noticed.
_KEEP_ALIVE: Final = tuple(
    (level, getattr(socket, option), value)
    for level, option, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 20),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    )
    if hasattr(socket, option)
)
# Ray's client tells of every upload.
for _name in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class UnreachableError(EngineError):
    """A cluster does not answer, or not as a cluster does."""


@dataclass(frozen=True, slots=True)
class ClusterJob:
    """What a cluster says of a job.

    Attributes
    ----------
    status : str
        PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
    exit_code : int or None
        Of its first process; None where that never ran to an end.
    message : str
        Ray's own words.
    node : str or None
        Where its first process runs and its log is; None as long as it waits.
    """

    status: str
    exit_code: int | None
    message: str
    node: str | None

    @property
    def is_over(self) -> bool:
        return self.status in _OVER


class RayCluster:
    """The Jobs API at an address. Nothing is asked before the first method is called.

    Every method raises `UnreachableError` where the cluster does not answer in time.

    Parameters
    ----------
    address : str
        Such as ``http://127.0.0.1:8265``; credentials in it are used and never shown.
    """

    def __init__(self, address: str) -> None:
        self.shown = redact(address)
        self._client = _Client(address)
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _KeepAliveAdapter())

    def knock(self) -> None:
        """Make sure that a Ray cluster answers, within seconds."""
        with self._answering():
            answer = self._client.ask("GET", "/api/version")
            if answer.status_code != 200 or "ray_version" not in answer.json():
                raise RuntimeError(f"what answers is no Ray cluster ({answer.status_code})")

    def submit(
        self,
        name: str,
        entrypoint: str,
        runtime_env: Mapping[str, Any],
        metadata: Mapping[str, str],
        cpus: float,
        gpus: float,
    ) -> None:
        """Upload the files of a job and have it run.

        Raises
        ------
        EngineError
            If the cluster does not take it.
        """
        with self._answering(), _taking(self.shown):
            self._client.submit_job(
                entrypoint=entrypoint,
                submission_id=name,
                runtime_env=dict(runtime_env),
                metadata=dict(metadata),
                entrypoint_num_cpus=cpus or None,
                entrypoint_num_gpus=gpus or None,
            )

    def job(self, name: str) -> ClusterJob | None:
        """Return what is known of a job; None where the cluster knows none of this name."""
        with self._answering():
            answer = self._client.ask("GET", f"/api/jobs/{name}")
            # A proxy before the cluster says 404 as well, when the cluster is away.
            if answer.status_code == 404 and _NOT_KNOWN in answer.text:
                return None
            said = _json_of(answer)
            return ClusterJob(
                str(said["status"]),
                said.get("driver_exit_code"),
                said.get("message") or "",
                said.get("driver_node_id"),
            )

    def stop(self, name: str) -> None:
        """Ask for the end of a job; it is over some seconds later."""
        with self._answering():
            answer = self._client.ask("POST", f"/api/jobs/{name}/stop")
            if answer.status_code != 404:
                _json_of(answer)

    def log(self, name: str, node: str) -> requests.Response:
        """Return the log of a job from its first byte on; it ends only with the connection.

        Ray has no way to begin elsewhere. Its other interface, a websocket, is slower by seconds and ends at the first
        byte that is no UTF-8.
        """
        with self._answering():
            # Without an interval Ray looks once a second; with one it refuses to give an end.
            query = {**_log_query(name, node, -1), "interval": _LOG_INTERVAL}
            answer = self._client.stream(self._session, "stream", query, None)
            _refuse(answer)
            return answer

    def log_end(self, name: str, node: str, most: int) -> bytes:
        """Return the last bytes of a log, a few lines at most."""
        with self._answering():
            query = _log_query(name, node, _LAST_LINES)
            with self._client.stream(self._session, "file", query, _ANSWER_SECONDS) as answer:
                _refuse(answer)
                end = b""
                for content in answer.iter_content(_BLOCK):
                    end = (end + content)[-most:]
                return end

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, RayError) as error:
            raise UnreachableError(
                f"The Ray cluster {self.shown} does not do what it is asked: {_reason(error)}. See that it runs "
                "(`ray start --head` starts one) and that ray_address under [training] in greenroom.toml is the "
                "address of its dashboard, such as http://127.0.0.1:8265."
            ) from error


@contextmanager
def _taking(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise  # nobody answers
    except (RuntimeError, ValueError, TypeError) as error:
        raise EngineError(
            f"The Ray cluster {shown} does not take it: {_reason(error)}. Check ray_runtime_env of the project, and "
            "that its folder holds nothing big; what .gitignore excludes is not uploaded."
        ) from error


class _Client(JobSubmissionClient):
    """Ray's own client, which waits without limit where a cluster hangs."""

    def __init__(self, address: str) -> None:
        # Past Ray's constructor: there RAY_ADDRESS of the environment would win over the address that is given.
        SubmissionClient.__init__(self, address)
        self._client_ray_version = ray.__version__

    def ask(self, method: str, endpoint: str) -> requests.Response:
        return self._do_request(method, endpoint)

    def _do_request(self, method: str, endpoint: str, **kwargs: Any) -> requests.Response:
        short = method == "GET" or endpoint.endswith("/stop")
        kwargs.setdefault("timeout", (_CONNECT_SECONDS, _ANSWER_SECONDS if short else _UPLOAD_SECONDS))
        return super()._do_request(method, endpoint, **kwargs)

    def stream(
        self, session: requests.Session, kind: str, query: Mapping[str, Any], seconds: float | None
    ) -> requests.Response:
        # Ray's own request reads an answer to its end before it gives it back.
        return session.get(
            f"{self._address}/api/v0/logs/{kind}",
            params=query,
            headers=self._headers,
            cookies=self._cookies,
            verify=self._verify,
            stream=True,
            timeout=(_CONNECT_SECONDS, seconds),
        )


class _KeepAliveAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, socket_options=list(_KEEP_ALIVE), **kwargs)


def _log_query(name: str, node: str, lines: int) -> dict[str, Any]:
    # Asked by the job's name alone, Ray 2.60 answers with an internal error.
    return {"node_id": node, "filename": f"job-driver-{name}.log", "lines": lines}


def _json_of(answer: requests.Response) -> dict[str, Any]:
    _refuse(answer)
    said = answer.json()
    if not isinstance(said, dict):
        raise ValueError("its answer makes no sense")
    return said


def _refuse(answer: requests.Response) -> None:
    if answer.status_code != 200:
        with answer:
            raise RuntimeError(f"it answers with {answer.status_code}: {answer.text}")


def _reason(error: Exception) -> str:
    """Return the last line of what Ray says, which is the cause of a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip(" .")]
    return redact(lines[-1] if lines else type(error).__name__)[:300].rstrip(".")

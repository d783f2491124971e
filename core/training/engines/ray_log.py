"""The log of a job on a Ray cluster, as it comes: followed in a thread, taken up again where the connection breaks."""

from __future__ import annotations

import queue
import threading
import time
from contextlib import suppress
from typing import Final

import requests
import urllib3

from core.training.engines.ray_cluster import RayCluster, UnreachableError

_BLOCK: Final = 65_536
# What waits to be written is held up to so many blocks; then the cluster has to wait.
_BLOCKS: Final = 64
_AGAIN_SECONDS: Final = 1.0
_QUIET_SECONDS: Final = 1.0
_END: Final = 4_096


class RayLog:
    """Follows a log from a byte on, until it is closed.

    Parameters
    ----------
    offset : int
        Bytes of the cluster's log that are kept already. After a break they are read over again, for Ray sends a log
        from its beginning or from so many lines before its end, but they are handed over once.
    """

    def __init__(self, cluster: RayCluster, name: str, node: str, offset: int) -> None:
        self._cluster = cluster
        self._name = name
        self._node = node
        self._offset = offset
        self._blocks: queue.Queue[bytes] = queue.Queue(_BLOCKS)
        self._closed = threading.Event()
        self._answer: requests.Response | None = None
        self._heard: float | None = None
        self._end = b""
        threading.Thread(target=self._follow, name="greenroom-ray-log", daemon=True).start()

    def take(self, seconds: float) -> bytes:
        """Return what has come; wait at most so long for something, and return nothing then."""
        try:
            return self._blocks.get(timeout=max(seconds, 0.0))
        except queue.Empty:
            return b""

    def is_whole(self) -> bool:
        """Say whether all of the log of a job that is over was taken; asks the cluster only once nothing more comes."""
        heard = self._heard
        if heard is None or not self._blocks.empty() or time.monotonic() - heard < _QUIET_SECONDS:
            return False
        try:
            end = self._cluster.log_end(self._name, self._node, _END)
        except UnreachableError:
            return False
        return self._end.endswith(end)

    def close(self) -> None:
        """Stop following."""
        self._closed.set()
        answer = self._answer
        if answer is not None:
            # Wakes the thread, which may wait for hours.
            with suppress(OSError, ValueError, RuntimeError):
                answer.raw.shutdown()

    def _follow(self) -> None:
        while not self._closed.is_set():
            # Whatever breaks, the log is taken up again; what became of the job is told by others.
            with suppress(UnreachableError, requests.RequestException, urllib3.exceptions.HTTPError, OSError):
                self._answer = self._cluster.log(self._name, self._node)
                with self._answer as answer:
                    self._read(answer)
            self._heard = None
            self._closed.wait(_AGAIN_SECONDS)

    def _read(self, answer: requests.Response) -> None:
        skip, end = self._offset, b""
        self._heard = time.monotonic()
        for content in answer.iter_content(_BLOCK):
            self._heard = time.monotonic()
            end = (end + content)[-_END:]
            fresh, skip = content[skip:], max(skip - len(content), 0)
            if fresh and not self._put(fresh):
                return
            self._end = end
            if self._closed.is_set():
                return

    def _put(self, content: bytes) -> bool:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._blocks.put(content, timeout=0.5)
                self._offset += len(content)
                return True
        return False

"""Time calls, and run them in a fresh process whose peak memory is known."""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that repetitions of one thing took."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return median(self.seconds)

    @property
    def p95(self) -> float:
        """What 95 of 100 repetitions stay below; interpolated between neighbours."""
        return float(np.quantile(self.seconds, 0.95))

    @property
    def worst(self) -> float:
        """The longest."""
        return max(self.seconds)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Call once; return seconds and result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def times(calls: Iterable[Callable[[], Any]]) -> Times:
    """Call each once."""
    return Times(tuple(timed(call)[0] for call in calls))


def in_child(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    """Call in a new process that has loaded nothing; return the result and its peak memory in bytes.

    `work` is a function of a module; arguments and result can be pickled.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_work_and_peak, work, arguments).result()


def _work_and_peak(work: Callable[..., T], arguments: tuple[Any, ...]) -> tuple[T, int]:
    # Not a level: MLflow and Streamlit set the levels of their own loggers. Both warn about what is meant
    # here (a script run outside of a server, an experiment without artifacts).
    logging.disable(logging.WARNING)
    result = work(*arguments)
    return result, _peak_memory()


def _peak_memory() -> int:
    """Return the most memory this process has ever held, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands `ru_maxrss` of the starting process on to the one it starts; this line it does not.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def use_store(tracking_uri: str, home: Path) -> None:
    """Point this process, and those it starts, at a tracking store and a home folder."""
    for name in list(os.environ):
        if name.startswith("GREENROOM_"):
            del os.environ[name]
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    os.environ["GREENROOM_HOME"] = str(home)

"""Where stores are fitted: in processes of this machine, or on a Ray cluster. The same code, the same results."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice

from core.errors import BadInputError
from core.training.stores.fitting import Recipe, StoreResult, StoreTask, fit_store

# Ray's joblib backend gives back a call's results together: small calls keep the logging busy meanwhile.
_CALL = 8
# Ray itself waits for minutes where nobody listens.
_ANSWER_SECONDS = 5.0
_LOOK_SECONDS = 0.5


class Engine(StrEnum):
    """Where work is done."""

    LOCAL = "local"
    RAY = "ray"


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fit_stores(
    tasks: Iterable[StoreTask], recipe: Recipe, engine: Engine, jobs: int, ray_address: str | None = None
) -> Iterator[StoreResult]:
    """Fit stores and yield their results as they are done, in any order.

    Parameters
    ----------
    jobs : int
        Processes at once; on Ray, as many as the cluster has processors.
    ray_address : str, optional
        Of a cluster; by default the one that RAY_ADDRESS names, else one on this machine.

    Raises
    ------
    BadInputError
        If Ray is not installed or the cluster cannot be reached.
    """
    from joblib import Parallel, delayed

    if engine is Engine.RAY:
        yield from _on_ray(tasks, recipe, ray_address)
        return
    # Tasks are made a few at a time, while results are logged.
    parallel = Parallel(
        n_jobs=jobs,
        return_as="generator_unordered",
        pre_dispatch="3*n_jobs",
        batch_size=2,
        initializer=_follow,
        initargs=(os.getpid(),),
    )
    yield from parallel(delayed(fit_store)(task, recipe) for task in tasks)


def _follow(trainer: int) -> None:
    """Have a worker end with its trainer: of one that was killed it would wait for more."""
    if os.getpid() != trainer:
        threading.Thread(target=_end_with, args=(trainer,), daemon=True).start()


def _end_with(trainer: int) -> None:
    while os.getppid() == trainer:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def _on_ray(tasks: Iterable[StoreTask], recipe: Recipe, address: str | None) -> Iterator[StoreResult]:
    from joblib import Parallel, delayed, parallel_config

    # Ray must not phone home.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise BadInputError(
            "The engine ray needs Ray: pip install 'greenroom[ray]', or use --engine local."
        ) from error
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        register_ray()  # type: ignore[no-untyped-call]
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        jobs = max(1, int(resources.get("CPU", 1)))
        waiting = iter(tasks)
        # A worker that asks for no processor is put wherever there is one already, and one node does all the work.
        with parallel_config(backend="ray", n_jobs=jobs, ray_remote_args={"num_cpus": 1}):
            parallel = Parallel(batch_size=1)
            with parallel:
                while some := list(islice(waiting, _CALL * jobs)):
                    yield from parallel(delayed(fit_store)(task, recipe) for task in some)
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: object, address: str | None) -> None:
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        _knock(address or "")
        ray.init(  # type: ignore[attr-defined]
            address=address, log_to_driver=False, include_dashboard=False
        )
    except (OSError, RuntimeError, ValueError, OverflowError) as error:
        reason = str(error).partition("\n")[0][:300]
        raise BadInputError(
            f"The Ray cluster {address or 'on this machine'} cannot be reached: {reason}. Start it with "
            "`ray start --head`, correct --ray-address, or use --engine local."
        ) from error


def _knock(address: str) -> None:
    """Raise an OSError if nobody listens at HOST:PORT; other addresses are for Ray to understand."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()

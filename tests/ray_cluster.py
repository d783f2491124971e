"""A Ray cluster of our own with its Jobs API, on free local ports; it ends with who started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests import servers

# Without this Ray takes 127.0.0.1 for the machine's outer address: what is said of macOS here holds for Linux, too.
ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}

# One node on loopback; it ends with this process, which ends with its input.
CLUSTER = """
import sys, tempfile
from pathlib import Path
from ray.cluster_utils import Cluster

# Where Ray notes the newest cluster's address, whatever its own folder: on a new machine nobody has made it.
(Path(tempfile.gettempdir()) / "ray").mkdir(exist_ok=True)

folder, cpus, dashboard, agent = sys.argv[1], *map(int, sys.argv[2:])
cluster = Cluster(
    initialize_head=True,
    head_node_args={
        "num_cpus": cpus,
        "object_store_memory": 100_000_000,
        "node_ip_address": "127.0.0.1",
        "temp_dir": folder,
        "include_dashboard": True,
        "dashboard_host": "127.0.0.1",
        "dashboard_port": dashboard,
        "dashboard_agent_listen_port": agent,
    },
)
print("started", flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@contextlib.contextmanager
def ray_cluster(cpus: int = 2) -> Iterator[str]:
    """Start a cluster and give the address of its Jobs API."""
    # Ray's sockets lie in this folder: their paths must be short.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    dashboard, agent = servers.free_port(), servers.free_port()
    # Jobs run `python`: it is to be this one.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    with (Path(folder) / "said").open("wb") as said:
        running = subprocess.Popen(
            [sys.executable, "-c", CLUSTER, folder, str(cpus), str(dashboard), str(agent)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            start_new_session=True,
            env={**os.environ, **ENVIRONMENT, "PATH": path},
        )
    address = f"http://127.0.0.1:{dashboard}"
    try:
        servers.wait_for(f"{address}/api/version", running)
        yield address
    finally:
        try:
            running.communicate(b"", timeout=30)
        finally:
            running.kill()
            running.wait(10)
            shutil.rmtree(folder, ignore_errors=True)

"""Stores fitted on a Ray cluster of two nodes come out as on this machine, to the last bit."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from mlflow import MlflowClient

from core.training.stores.models import ModelKind
from tests import servers
from tests.core.training.stores import kit

pytestmark = [
    pytest.mark.xdist_group("ray"),
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]

# Without this Ray takes 127.0.0.1 for the machine's outer address: what is said of macOS here holds for Linux, too.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}

# Two nodes on loopback, one processor each; they end with this process, which ends with its input.
CLUSTER = """
import sys, tempfile
from pathlib import Path
from ray.cluster_utils import Cluster

# Where Ray notes the newest cluster's address, whatever its own folder: on a new machine nobody has made it.
(Path(tempfile.gettempdir()) / "ray").mkdir(exist_ok=True)

node = {"num_cpus": 1, "object_store_memory": 100_000_000, "node_ip_address": "127.0.0.1", "include_dashboard": False}
cluster = Cluster(initialize_head=True, head_node_args={**node, "temp_dir": sys.argv[1]})
cluster.add_node(**node)
cluster.wait_for_nodes()
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""

# The trainer as it is, but that a store's worker writes down on which node it was, and what it has of it.
TRAINER = """
import os, sys
from pathlib import Path
from core.training.stores import engines

fit_store = engines.fit_store

def watched(task, recipe, place=sys.argv.pop(1)):
    import ray

    here = ray.get_runtime_context()
    (Path(place) / task.store).write_text(f"{here.get_node_id()} {here.get_assigned_resources()}")
    return fit_store(task, recipe)

engines.fit_store = watched
try:
    from core.training.stores.command import main
    main()
finally:
    print("usage statistics", os.environ.get("RAY_USAGE_STATS_ENABLED"), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of our own."""
    # Ray's sockets lie in this folder: their paths must be short.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    running = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=kit.environment(RAY_USAGE_STATS_ENABLED="0", **LOOPBACK),
    )
    try:
        assert running.stdout is not None and running.stderr is not None
        said = running.stdout.readline()
        while said and not said.startswith("address "):
            said = running.stdout.readline()
        assert said, running.stderr.read()[-3000:]
        yield said.split()[1]
    finally:
        try:
            running.communicate("", timeout=30)
        finally:
            running.kill()
            running.wait(10)
            shutil.rmtree(folder, ignore_errors=True)


def sales() -> pl.DataFrame:
    """Twenty stores, of which the third and the nineteenth cannot be trained on."""
    frame = kit.usual(20, 110)
    stuck = pl.when(pl.col("store") == "S003").then(77.0).otherwise("sales")
    return frame.with_columns(sales=stuck)


def test_a_cluster_gives_the_same_to_the_last_bit(
    tmp_path: Path, store: str, client: MlflowClient, cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    data = kit.csv(tmp_path / "sales.csv", sales())
    here = kit.train(client, data, kind=ModelKind.GRADIENT_BOOSTING, horizon=14)
    places = tmp_path / "places"
    places.mkdir()
    done = subprocess.run(
        [
            *(sys.executable, "-c", TRAINER, str(places), "--data", str(data), "--horizon", "14", "--json"),
            *("--tracking-uri", store, "--engine", "ray", "--ray-address", cluster),
        ],
        capture_output=True,
        text=True,
        env=kit.environment(**LOOPBACK),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    there = json.loads(done.stdout)
    assert (there["stores"], there["failed"]) == (here.stores, here.failed) == (20, 2)
    parent, stores = kit.pipeline_of(client, there["run_id"])
    expected, expected_stores = kit.pipeline_of(client, here.run_id)
    assert stores == expected_stores
    assert (parent.params, parent.metrics, parent.tables) == (
        expected.params,
        expected.metrics,
        expected.tables,
    )
    assert (parent.tags["engine"], expected.tags["engine"]) == ("ray", "local")
    # Both nodes took part, and each store was fitted on one of them.
    seen = {path.name: path.read_text().split(" ", 1) for path in places.iterdir()}
    assert sorted(seen) == sorted(stores)
    assert len({node for node, _ in seen.values()}) == 2
    # That is no luck: a worker without a processor of its own can be put beside another one.
    assert {resources for _, resources in seen.values()} == {"{'CPU': 1.0}"}
    assert "usage statistics 0" in done.stderr


def test_an_address_where_nobody_listens_is_told_at_once(
    tmp_path: Path, store: str, client: MlflowClient
) -> None:
    data = kit.csv(tmp_path / "sales.csv", kit.usual(1, 110))
    address = f"127.0.0.1:{servers.free_port()}"
    done = kit.command(
        *("--data", str(data), "--horizon", "14", "--engine", "ray", "--ray-address", address),
        MLFLOW_TRACKING_URI=store,
        RAY_ADDRESS="auto",
    )
    # Ray itself would have waited for longer than the command is given.
    said = kit.one_sentence(done, 2)
    assert said.startswith(f"The Ray cluster {address} cannot be reached: ")
    assert said.endswith("`ray start --head`, correct --ray-address, or use --engine local.")
    experiment = client.get_experiment_by_name("store-forecasts")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED" and address in run.data.tags["failure"]


def test_without_ray_the_engine_says_how_to_get_it(
    tmp_path: Path, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import BadInputError
    from core.training.stores.engines import Engine

    monkeypatch.setitem(sys.modules, "ray", None)
    data = kit.csv(tmp_path / "sales.csv", kit.usual(1, 110))
    with pytest.raises(
        BadInputError, match=r"needs Ray: pip install 'greenroom\[ray\]', or use --engine local"
    ):
        kit.train(client, data, horizon=14, engine=Engine.RAY)

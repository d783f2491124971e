"""kill -9 in the middle of a sync, twenty times: the index is whole afterwards, and the next sync succeeds."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.runs.index.segments import digests
from core.runs.index.snapshot import Snapshot
from tests import stores
from tests.core.runs.index.kit import Bench, bulk_runs

ROUNDS = 10
RUNS = 3_000

# Each file's way to the disk is made slower, as on a busy machine, so that a kill may come between any two.
CHILD = """
import os, sys, time
from pathlib import Path
from core.runs.index import index as module
from core.runs.sources.choose import open_source
from core.runs.sources.uris import parse
to_disk = os.fsync
def slow(descriptor):
    time.sleep(0.01)
    to_disk(descriptor)
os.fsync = slow
uri, folder, merge = sys.argv[1:]
if merge == "merge":
    module._DELTA_ENTRIES, module._DELTA_SHARE = 0, 0.0
address = parse(uri)
source = open_source(address, None, Path(folder) / "view")
index = module.RunIndex(Path(folder), address.key)
print("ready", flush=True)
sys.stdin.readline()
index.sync(source)
print("done", flush=True)
sys.stdin.readline()
"""


class Child:
    """A process that syncs when told to, and is killed."""

    def __init__(self, bench: Bench, merge: str = "") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, bench.uri, str(bench.folder), merge],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_until_ready(self) -> None:
        assert self._said() == "ready"

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def finish(self) -> float:
        """Let it sync to the end; return the seconds that took."""
        self.wait_until_ready()
        began = time.perf_counter()
        self.go()
        assert self._said() == "done"
        spent = time.perf_counter() - began
        self.kill()
        return spent

    def kill(self) -> bool:
        """Kill -9; say whether it was still syncing."""
        if self._process.poll() is not None:
            return False
        self._process.kill()
        rest, _ = self._process.communicate()
        return "done" not in rest

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def killed_after(child: Child, seconds: float) -> bool:
    """Kill a child so long after it began to sync; say whether it was still at it."""
    child.wait_until_ready()
    child.go()
    time.sleep(seconds)
    return child.kill()


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Starts children, none of which outlives the test."""
    children: list[Child] = []

    def child(bench: Bench, merge: str = "") -> Child:
        children.append(Child(bench, merge))
        return children[-1]

    yield child
    for one in children:
        one.kill()


def held(snapshot: Snapshot) -> dict[str, int]:
    """Return a digest of every run, computed anew from what the files hold."""
    found: dict[str, int] = {}
    for segment in snapshot.segments:
        batch = segment.to_batch()
        found |= dict(zip(batch.runs["run_id"], digests(batch), strict=True))
    for run_id in snapshot.manifest.gone:
        found.pop(run_id, None)
    assert snapshot.frame["run_id"].is_in(list(found)).all()
    assert len(found) == len(snapshot)
    return found


def truth(bench: Bench) -> dict[str, int]:
    batch = bench.source.read_all().batch
    return dict(zip(batch.runs["run_id"], digests(batch), strict=True))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench.on(stores.new_sqlite(tmp_path / "store"), tmp_path / "index")
    bulk_runs(bench.uri, RUNS)
    return bench


def test_killed_during_the_first_sync(bench: Bench, start: Callable[..., Child]) -> None:
    pick = random.Random(0)
    whole = start(bench).finish()
    new = truth(bench)
    assert held(bench.snapshot()) == new
    hits, partial = 0, 0
    child = start(bench)
    for _ in range(ROUNDS):
        shutil.rmtree(bench.folder)
        hits += killed_after(child, pick.uniform(0, whole))
        child = start(bench)
        bench.reopen()
        found = bench.index.snapshot()
        partial += found is None
        assert found is None or held(found) == new
        bench.sync()
        assert held(bench.snapshot()) == new
        assert bench.index.rebuilt_because is None
    assert hits > ROUNDS // 3, "the kills came too late to show anything"
    assert partial > 0


def change(bench: Bench, number: int) -> None:
    """Add a hundred runs, edit two thousand and remove ten."""
    bulk_runs(bench.uri, 100, first=RUNS + 100 * number)
    bench.execute(
        f"update params set value = 'round {number}' where key = 'params_1' and rowid % 3 < 2",
        *(
            f"delete from {table} where run_uuid < '{10 * (number + 1):032x}'"
            for table in ("latest_metrics", "params", "tags", "runs")
        ),
    )


def test_killed_during_later_syncs(bench: Bench, start: Callable[..., Child]) -> None:
    pick = random.Random(1)
    bench.sync()
    change(bench, 0)
    whole = start(bench, "merge").finish()
    old = truth(bench)
    assert held(bench.reopen().snapshot()) == old  # type: ignore[arg-type]
    hits, kept_old = 0, 0
    child = start(bench, "merge")
    for number in range(1, ROUNDS + 1):
        change(bench, number)
        new = truth(bench)
        hits += killed_after(child, pick.uniform(0, whole))
        child = start(bench, "merge" if number % 2 else "")
        bench.reopen()
        found = held(bench.snapshot())
        assert found in (old, new)
        kept_old += found == old
        bench.sync()
        assert held(bench.snapshot()) == new
        assert bench.index.rebuilt_because is None
        old = new
    assert hits > ROUNDS // 3, "the kills came too late to show anything"
    assert kept_old > 0

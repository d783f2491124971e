"""The index follows its store, mends itself, and lets many read while one writes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import mlflow.data
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.entities import DatasetInput, InputTag

from core.errors import GreenroomError, NotFoundError, SourceError
from core.runs.index import index as index_module
from core.runs.index import manifest as manifests
from core.runs.index.index import RunIndex
from core.runs.index.segments import digests
from core.runs.sources.base import RunBatch
from core.runs.sources.client import ClientSource
from core.runs.sources.uris import parse
from core.runs.types import SyncProgress
from tests import plain, stores
from tests.core.runs.index.kit import TABLES, Bench, Broken, Clock, bulk_runs, no_store_is_small


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A store of four runs that is not indexed yet."""
    bench = Bench.on(stores.new_sqlite(tmp_path / "store"), tmp_path / "index")
    for number in range(4):
        stores.add_run(bench.client, loss=number, accuracy=0.5, optimizer="adam")
    return bench


@pytest.fixture
def large(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The same, synced, and treated as a store too large to be read whole at every change."""
    no_store_is_small(monkeypatch)
    bench.sync()
    return bench


# What a sync finds


def test_the_first_sync_reads_everything(bench: Bench) -> None:
    assert bench.index.snapshot() is None
    heard: list[SyncProgress] = []
    report = bench.sync(on_progress=heard.append)
    assert (report.full, report.changed, report.gone, report.runs) == (True, 4, 0, 4)
    assert bench.held == bench.truth
    assert heard


def test_nothing_new_leaves_the_generation_and_the_snapshot_alone(bench: Bench) -> None:
    first = bench.sync()
    snapshot = bench.snapshot()
    again = bench.sync()
    assert (again.generation, again.full, again.changed, again.gone) == (first.generation, False, 0, 0)
    assert bench.snapshot() is snapshot


def test_a_store_without_runs_has_an_index_without_runs(tmp_path: Path) -> None:
    bench = Bench.on(stores.new_sqlite(tmp_path / "store"), tmp_path / "index")
    assert bench.sync().runs == 0
    assert bench.held == {}
    assert [one.name for one in bench.snapshot().experiments] == ["Default"]
    stores.add_run(bench.client, loss=1)
    assert bench.sync().changed == 1
    assert bench.held == bench.truth


@pytest.fixture(params=["small", "large"])
def synced(request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A synced index, of a store that is read whole at every change and of one that is not."""
    if request.param == "large":
        no_store_is_small(monkeypatch)
    bench.sync()
    return bench


def test_a_new_run_is_found_and_alone_read(synced: Bench) -> None:
    run_id = stores.add_run(synced.client, loss=9)
    report = synced.sync()
    assert (report.full, report.changed, report.gone, report.runs) == (False, 1, 0, 5)
    assert run_id in synced.held
    assert synced.held == synced.truth


def test_a_run_that_finishes_is_found(synced: Bench) -> None:
    run_id = synced.client.create_run("0").info.run_id
    synced.sync()
    assert synced.held[run_id]["status"] == "RUNNING"
    synced.client.set_terminated(run_id, "FAILED")
    assert synced.sync().changed == 1
    assert synced.held == synced.truth
    assert synced.held[run_id]["status"] == "FAILED"


def test_metrics_of_a_running_run_are_followed(synced: Bench) -> None:
    run_id = synced.client.create_run("0").info.run_id
    for step in range(3):
        synced.client.log_metric(run_id, "loss", 1.0 / (step + 1), step=step)
        synced.sync()
        assert synced.held[run_id]["metrics"] == {"loss": plain.number(1.0 / (step + 1))}


def test_deleted_and_restored_runs_follow(synced: Bench) -> None:
    run_id = next(iter(synced.held))
    for act, stage in ((synced.client.delete_run, "deleted"), (synced.client.restore_run, "active")):
        act(run_id)
        assert synced.sync().changed == 1
        assert synced.held[run_id]["lifecycle_stage"] == stage
    assert synced.held == synced.truth


def test_a_run_that_was_removed_for_good_goes(synced: Bench) -> None:
    run_id = next(iter(synced.held))
    synced.erase(run_id)
    report = synced.sync()
    assert (report.changed, report.gone, report.runs) == (0, 1, 3)
    assert run_id not in synced.held
    with pytest.raises(NotFoundError, match=run_id):
        synced.snapshot().run(run_id)
    stores.add_run(synced.client, loss=1)
    synced.sync()
    assert synced.held == synced.truth


def test_experiments_their_names_tags_and_counts_follow(synced: Bench) -> None:
    experiment = synced.client.create_experiment("new")
    synced.client.set_experiment_tag(experiment, "team", "desk")
    stores.add_run(synced.client, experiment)
    synced.sync()
    synced.client.rename_experiment(experiment, "renamed")
    synced.sync()
    found = {one.experiment_id: one for one in synced.snapshot().experiments}[experiment]
    assert (found.name, found.lifecycle_stage, found.runs) == ("renamed", "active", 1)
    assert synced.snapshot().manifest.experiment_tags[experiment]["team"] == "desk"
    synced.client.delete_experiment(experiment)
    synced.sync()
    found = {one.experiment_id: one for one in synced.snapshot().experiments}[experiment]
    assert (found.lifecycle_stage, found.runs) == ("deleted", 0)


def test_new_keys_on_an_old_run_are_found_at_once(large: Bench) -> None:
    run_id = next(iter(large.held))
    large.client.set_tag(run_id, "reviewed", "yes")
    large.client.log_metric(run_id, "later", 1.0)
    large.sync()
    assert large.held[run_id] == large.truth[run_id]


def edit_silently(bench: Bench) -> str:
    """Change a value of an old run in place, which moves no row number and no head."""
    run_id = min(bench.held)
    bench.execute(f"update params set value = 'sgd' where run_uuid = '{run_id}' and key = 'optimizer'")
    return run_id


def test_an_edit_of_an_old_run_is_found_by_a_thorough_sync(large: Bench) -> None:
    run_id = edit_silently(large)
    report = large.sync(thorough=True)
    assert (report.full, report.changed) == (False, 1)
    assert large.held[run_id]["params"]["optimizer"] == "sgd"


def test_an_edit_of_an_old_run_is_found_at_once_in_a_small_store(bench: Bench) -> None:
    bench.sync()
    run_id = edit_silently(bench)
    assert bench.sync().changed == 1
    assert bench.held[run_id]["params"]["optimizer"] == "sgd"


def test_a_run_is_read_again_at_once_for_its_page(large: Bench) -> None:
    run_id = edit_silently(large)
    large.index.refresh_runs(large.source, [run_id])
    assert large.held[run_id]["params"]["optimizer"] == "sgd"
    assert large.held == large.truth


def test_refreshing_runs_notices_those_that_are_gone_and_ignores_unknown_ones(large: Bench) -> None:
    run_id = min(large.held)
    large.erase(run_id)
    large.index.refresh_runs(large.source, [run_id, "0" * 32])
    assert large.held == large.truth
    assert len(large.held) == 3


def has_tag(bench: Bench, run_id: str, key: str, value: str) -> bool:
    return bench.snapshot().run(run_id).tags.get(key) == value


def seconds_until(bench: Bench, clock: Clock, found: Callable[[], bool], pause: float) -> float:
    """Look every `pause` seconds, as an open page does, and say when something is found."""
    began = clock.now
    while not found():
        assert clock.now - began < 1800, "never found"
        clock.now += pause
        bench.sync()
    return clock.now - began


@pytest.mark.parametrize("pause", [7.0, 14.0])
def test_an_edit_of_an_old_run_is_found_within_ten_minutes_by_the_rolling_reread(
    pause: float, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_store_is_small(monkeypatch)
    clock = Clock()
    monkeypatch.setattr(index_module, "time", clock)
    bulk_runs(bench.uri, 300, keys=1)
    bench.sync()
    for number in (0, 150, 299):
        run_id = f"{number:032x}"
        bench.execute(f"update tags set value = 'edit {number}' where run_uuid = '{run_id}'")
        found = partial(has_tag, bench, run_id, "tags_0", f"edit {number}")
        assert seconds_until(bench, clock, found, pause) <= 600


@pytest.mark.postgres
def test_an_edit_of_an_old_run_on_postgres_is_found_within_ten_minutes(
    new_postgres: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_store_is_small(monkeypatch)
    clock = Clock()
    monkeypatch.setattr(index_module, "time", clock)
    bench = Bench.on(new_postgres(), tmp_path / "index")
    ids = [stores.add_run(bench.client, loss=number) for number in range(3)]
    bench.sync()
    for _ in range(3):
        clock.now += 2
        bench.sync()
    bench.client.set_tag(ids[0], "reviewed", "yes")
    found = partial(has_tag, bench, ids[0], "reviewed", "yes")
    assert seconds_until(bench, clock, found, pause=2.0) <= 600
    bench.source.close()


@pytest.mark.parametrize("act", ["delete", "edit", "erase"])
def test_through_a_server_old_runs_follow_within_ten_minutes(
    act: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(index_module, "time", clock)
    # A server has no fingerprint and is asked through the client, as is a database here.
    bench.source = ClientSource(parse(bench.uri))
    bench.sync()
    run_id = min(bench.held)
    {"delete": bench.client.delete_run, "erase": bench.erase, "edit": lambda _: edit_silently(bench)}[act](
        run_id
    )
    truth = bench.truth
    assert seconds_until(bench, clock, lambda: bench.held == truth, pause=14.0) <= 600


# Segments


def test_small_changes_go_into_a_delta_and_many_into_the_base(
    large: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_DELTA_ENTRIES", 12)
    shapes: list[int] = []
    # Which run is the latest, and so how much a deletion takes away, hangs on the clock.
    for number in range(40):
        if number >= 12 and set(shapes) == {1, 2}:
            break
        ids = sorted(large.held)
        if number % 4 == 1:
            large.client.delete_run(large.client.search_runs(["0"])[0].info.run_id)
        elif number % 4 == 2:
            large.erase(ids[number % len(ids)])
        else:
            stores.add_run(large.client, loss=number, optimizer="sgd")
        large.sync()
        assert large.held == large.truth
        assert large.reopen().snapshot() is not None
        assert large.held == large.truth
        shapes.append(len(large.snapshot().segments))
    assert set(shapes) == {1, 2}


def test_what_no_manifest_names_is_removed_after_a_minute_and_not_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(index_module, "time", clock)
    bench.sync()
    first = {one.name for one in bench.folder.glob("segment-*")}
    bench.sync(rebuild=True)
    assert first < {one.name for one in bench.folder.glob("segment-*")}
    clock.now += 120
    stores.add_run(bench.client, loss=1)
    bench.sync()
    assert not first & {one.name for one in bench.folder.glob("segment-*")}
    assert bench.held == bench.truth


def shuffled(batch: RunBatch, seed: int) -> RunBatch:
    """The same runs with every table in another order."""
    pick = random.Random(seed)
    order = list(range(len(batch)))
    pick.shuffle(order)
    number = pl.DataFrame(
        {"run": pl.Series(order, dtype=pl.UInt32), "new": pl.Series(range(len(order)), dtype=pl.UInt32)}
    )
    tables = {
        name: table.join(number, on="run", how="inner")
        .with_columns(pl.col("new").alias("run"))
        .drop("new")
        .sample(fraction=1.0, shuffle=True, seed=seed)
        for name, table in batch.long_tables().items()
    }
    return RunBatch(runs=batch.runs[order], **tables)


def by_run(batch: RunBatch) -> dict[str, int]:
    return dict(zip(batch.runs["run_id"], digests(batch), strict=True))


@pytest.fixture(scope="module")
def batch(sqlite_store: str, tmp_path_factory: pytest.TempPathFactory) -> RunBatch:
    return Bench.on(sqlite_store, tmp_path_factory.mktemp("batch")).source.read_all().batch


def test_equal_content_in_another_order_has_equal_digests(batch: RunBatch) -> None:
    for seed in range(3):
        other = shuffled(batch, seed)
        assert other.runs["run_id"].to_list() != batch.runs["run_id"].to_list()
        assert by_run(other) == by_run(batch)


def test_any_other_value_gives_another_digest(batch: RunBatch) -> None:
    before = by_run(batch)
    changed = 0
    for name, table in {"runs": batch.runs, **batch.long_tables()}.items():
        for column in table.columns:
            if column in ("run", "run_id"):
                continue
            value = "other" if table.schema[column] == pl.String else 77
            first = pl.int_range(pl.len()) == 0
            edited = table.with_columns(
                pl.when(first)
                .then(pl.lit(value).cast(table.schema[column]))
                .otherwise(pl.col(column))
                .alias(column)
            )
            after = by_run(replace(batch, **{name: edited}))
            differ = [run_id for run_id in before if before[run_id] != after[run_id]]
            assert len(differ) == 1, (name, column)
            changed += 1
    assert changed >= 15


# One index a store


def test_an_index_of_another_store_is_not_shown_and_replaced(bench: Bench, tmp_path: Path) -> None:
    bench.sync()
    other = Bench.on(stores.new_sqlite(tmp_path / "other"), bench.folder)
    run_id = stores.add_run(other.client, loss=1)
    assert other.index.snapshot() is None
    assert other.sync().full
    assert set(other.held) == {run_id}
    assert bench.reopen().snapshot() is None


def test_no_two_states_share_a_generation_even_if_the_index_is_lost(bench: Bench) -> None:
    seen = [bench.sync().generation]
    for lose in (lambda: shutil.rmtree(bench.folder), (bench.folder / "manifest.json").unlink):
        stores.add_run(bench.client, loss=1)
        seen.append(bench.sync().generation)
        lose()
        bench.reopen()
        seen.append(bench.sync().generation)
    assert seen == sorted(set(seen))


def edit_manifest(folder: Path, **values: object) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest.pop("crc", None)
    manifests.replace_file(path, json.dumps(manifest | values).encode())


@pytest.mark.parametrize("outdated", [{"format": 0}, {"polars": "0.0.1"}])
def test_an_outdated_index_is_rebuilt(outdated: dict[str, object], bench: Bench) -> None:
    bench.sync()
    edit_manifest(bench.folder, **outdated)
    assert bench.reopen().snapshot() is None
    assert bench.sync().full
    assert "version" in str(bench.index.rebuilt_because)
    assert bench.held == bench.truth


# Damage


FILES = ("runs.arrow", "metrics.arrow", "params.arrow", "tags.arrow", "datasets.arrow", "keys.json")


@pytest.mark.parametrize("damage", ["cut", "empty", "deleted"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_or_lost_is_made_anew(name: str, damage: str, bench: Bench) -> None:
    bench.sync()
    (path,) = bench.folder.glob(f"segment-*/{name}")
    content = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(content[:-20] if damage == "cut" else b"")
    assert bench.reopen().snapshot() is None
    assert bench.sync().full
    assert name in str(bench.index.rebuilt_because)
    assert bench.held == bench.truth


def test_a_lost_segment_is_made_anew(bench: Bench) -> None:
    bench.sync()
    for folder in bench.folder.glob("segment-*"):
        shutil.rmtree(folder)
    bench.reopen()
    assert bench.sync().full
    assert bench.held == bench.truth


@pytest.mark.parametrize("name", FILES)
def test_any_altered_byte_is_noticed(name: str, bench: Bench, tmp_path: Path) -> None:
    bench.sync()
    whole = shutil.copytree(bench.folder, tmp_path / "whole")
    pick = random.Random(name)
    for _ in range(6):
        shutil.rmtree(bench.folder)
        shutil.copytree(whole, bench.folder)
        bench.reopen()
        (path,) = bench.folder.glob(f"segment-*/{name}")
        content = bytearray(path.read_bytes())
        content[pick.randrange(len(content))] ^= 1 << pick.randrange(8)
        path.write_bytes(content)
        assert bench.sync().full
        assert bench.index.rebuilt_because is not None
        assert bench.held == bench.truth


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{}", b"[]", b"null", b"\xff\xfe", b'{"format": 1}', b"\x00" * 4096]
)
def test_a_manifest_of_garbage_is_replaced(content: bytes, bench: Bench) -> None:
    bench.sync()
    (bench.folder / "manifest.json").write_bytes(content)
    assert bench.reopen().snapshot() is None
    assert bench.sync().full
    assert bench.held == bench.truth


def test_any_altered_byte_of_the_manifest_is_noticed_or_harmless(large: Bench) -> None:
    large.erase(min(large.held))
    stores.add_run(large.client, loss=1)
    large.sync()
    path = large.folder / "manifest.json"
    content = path.read_bytes()
    truth, experiments = large.truth, large.snapshot().experiments
    # Also inside the id of the run that is gone: it would come back.
    places = [content.index(b'"gone"') + 12, *random.Random(1).sample(range(len(content)), 9)]
    for at in places:
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        large.reopen()
        large.sync()
        assert plain.of_snapshot(large.snapshot()) == truth, content[max(0, at - 30) : at + 30]
        assert large.snapshot().experiments == experiments


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"checked": "soon"}',
        b'{"unchecked": null}',
        b'{"cursor": 7}',
        b'{"new": 1}',
        b"\xff",
    ],
)
def test_a_state_of_garbage_costs_nothing(content: bytes, large: Bench) -> None:
    (large.folder / "state.json").write_bytes(content)
    stores.add_run(large.client, loss=5)
    large.reopen()
    assert large.index.state().checked_at is None
    large.sync()
    large.sync()
    assert large.held == large.truth
    assert large.index.state().checked_at is not None


def test_a_lost_state_costs_nothing(large: Bench) -> None:
    (large.folder / "state.json").unlink()
    stores.add_run(large.client, loss=5)
    large.sync()
    assert large.held == large.truth


# A store that fails


@pytest.mark.parametrize("question", ["fingerprint", "read_all", "experiments", "experiment_tags"])
def test_a_store_that_fails_during_the_first_sync_leaves_no_index_and_a_reason(
    question: str, bench: Bench
) -> None:
    with pytest.raises(GreenroomError, match="went away"):
        bench.index.sync(Broken(bench.source, question))
    assert bench.index.snapshot() is None
    state = bench.index.state()
    assert state.error == "the store went away"
    assert state.failed_since is not None
    bench.sync()
    assert bench.held == bench.truth
    assert (bench.index.state().error, bench.index.state().failed_since) == (None, None)


@pytest.mark.parametrize("question", ["fingerprint", "changes", "read_runs", "experiments"])
def test_a_store_that_fails_later_leaves_the_last_good_state(question: str, large: Bench) -> None:
    before, generation = large.held, large.snapshot().generation
    checked = large.index.state().checked
    stores.add_run(large.client, loss=1)
    since = []
    for _ in range(2):
        with pytest.raises(GreenroomError, match="went away"):
            large.index.sync(Broken(large.source, question))
        since.append(large.index.state().failed_since)
    assert since[0] is not None
    assert since[0] == since[1], "the banner says since when, not until when"
    assert large.index.state().checked == checked
    assert large.reopen().snapshot() is not None
    assert (large.held, large.snapshot().generation) == (before, generation)
    large.sync()
    assert large.held == large.truth
    assert large.index.state().failed_since is None


def test_a_full_disk_is_said_in_a_sentence_and_leaves_the_last_good_state(
    large: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = large.held
    stores.add_run(large.client, loss=1)

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(index_module, "write_segment", no_space)
        with pytest.raises(GreenroomError, match="No space left on device"):
            large.sync()
    assert large.held == before
    large.sync()
    assert large.held == large.truth


def test_a_database_that_disappears_is_a_failure_and_not_an_empty_store(bench: Bench) -> None:
    bench.sync()
    before = bench.held
    away = bench.database.rename(bench.database.with_name("away.db"))
    with pytest.raises(SourceError, match=r"mlflow\.db"):
        bench.sync()
    assert bench.held == before
    away.rename(bench.database)
    bench.sync()
    assert bench.index.state().failed_since is None


# One writer, many readers


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[None]:
    code = (
        "import sys, filelock\n"
        "with filelock.FileLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(folder / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        holder.communicate("")


def test_a_sync_is_left_to_the_process_that_is_at_it(bench: Bench) -> None:
    bench.sync()
    stores.add_run(bench.client, loss=1)
    before = bench.held
    with held_by_another_process(bench.folder):
        assert bench.index.sync(bench.source, wait_seconds=0) is None
        assert bench.held == before
        assert bench.index.state().failed_since is None
    bench.sync(wait_seconds=0)
    assert bench.held == bench.truth


READER = """
import sys, time
from pathlib import Path
from core.runs.index.index import RunIndex
index = RunIndex(Path(sys.argv[1]), sys.argv[2])
print("ready", flush=True)
seen = set()
end = time.monotonic() + 60
while not Path(sys.argv[3]).exists() and time.monotonic() < end:
    values = index.snapshot().column("metrics", "latest_metrics_0").to_list()
    time.sleep(0.002)
    assert len(set(values)) == 1 and len(values) == 200, set(values)
    seen.add(values[0])
print(len(seen))
"""


@contextmanager
def reading_processes(count: int, *arguments: str) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", READER, *arguments]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def test_many_read_while_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench.on(stores.new_sqlite(tmp_path / "store"), tmp_path / "index")
    monkeypatch.setattr(index_module, "_DELTA_ENTRIES", 300)
    bulk_runs(bench.uri, 200, keys=1)
    bench.execute("update latest_metrics set value = 0")
    bench.sync()
    stop, key = tmp_path / "stop", bench.snapshot().manifest.store_key
    wrong: list[object] = []
    seen: set[float] = set()

    def read() -> None:
        index = RunIndex(bench.folder, key)
        while not stop.exists():
            snapshot = index.snapshot()
            values = set() if snapshot is None else set(snapshot.column("metrics", "latest_metrics_0"))
            if len(values) != 1:
                wrong.append(values)
            seen.update(values)
            time.sleep(0.002)

    threads = [threading.Thread(target=read) for _ in range(3)]
    with reading_processes(2, str(bench.folder), key, str(stop)) as processes:
        for thread in threads:
            thread.start()
        try:
            for number in range(1, 16):
                bench.execute(f"update latest_metrics set value = {number}")
                bench.sync()
        finally:
            stop.touch()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert len(seen) > 1
        for process in processes:
            answer, _ = process.communicate()
            assert process.returncode == 0
            assert int(answer) > 1


# Any history of changes


class Changer:
    """Applies small changes to a store, most through MLflow itself."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.client = bench, bench.client

    def ids(self) -> list[str]:
        return sorted(run.info.run_id for run in plain.mlflow_runs(self.client))

    def apply(self, kind: str, which: int, value: int) -> None:
        ids = self.ids()
        if kind == "add" or not ids:
            stores.add_run(self.client, loss=value, optimizer=str(value))
            return
        run_id = ids[which % len(ids)]
        getattr(self, kind)(run_id, value)

    def start(self, run_id: str, value: int) -> None:
        run = self.client.create_run("0", start_time=value, tags={"mlflow.parentRunId": run_id})
        self.client.log_metric(run.info.run_id, "loss", float("nan"))

    def log(self, run_id: str, value: int) -> None:
        if self.client.get_run(run_id).info.lifecycle_stage == "active":
            self.client.log_metric(run_id, f"metric {value % 2}", value, timestamp=value, step=value)

    def tag(self, run_id: str, value: int) -> None:
        if self.client.get_run(run_id).info.lifecycle_stage == "active":
            self.client.set_tag(run_id, f"tag {value % 2}", str(value))

    def untag(self, run_id: str, value: int) -> None:
        run = self.client.get_run(run_id)
        if run.info.lifecycle_stage == "active" and f"tag {value % 2}" in run.data.tags:
            self.client.delete_tag(run_id, f"tag {value % 2}")

    def dataset(self, run_id: str, value: int) -> None:
        if self.client.get_run(run_id).info.lifecycle_stage == "active":
            one = mlflow.data.from_numpy(
                np.arange(value % 3 + 1), name=f"data {value % 3}"
            )._to_mlflow_entity()
            self.client.log_inputs(run_id, [DatasetInput(one, [InputTag(plain.CONTEXT_TAG, "eval")])])

    def rename(self, run_id: str, value: int) -> None:
        if self.client.get_run(run_id).info.lifecycle_stage == "active":
            self.client.update_run(run_id, "FINISHED" if value % 2 else "FAILED", name=f"name {value}")

    def delete(self, run_id: str, value: int) -> None:
        self.client.delete_run(run_id)

    def restore(self, run_id: str, value: int) -> None:
        self.client.restore_run(run_id)

    def erase(self, run_id: str, value: int) -> None:
        self.bench.erase(run_id)

    def edit(self, run_id: str, value: int) -> None:
        self.bench.execute(f"update params set value = 'edited {value}' where run_uuid = '{run_id}'")


_kinds = ("add", "start", "log", "tag", "untag", "dataset", "rename", "delete", "restore", "erase", "edit")
_changes = st.tuples(st.sampled_from(_kinds), st.integers(0, 5), st.integers(1, 9))


@pytest.mark.parametrize("way", ["small", "thorough", "rolling"])
def test_after_any_changes_a_sync_gives_what_a_fresh_index_gives(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Bench.on(stores.new_sqlite(tmp_path / "store"), tmp_path / "index")
    clock = Clock()
    monkeypatch.setattr(index_module, "time", clock)
    monkeypatch.setattr(index_module, "_DELTA_ENTRIES", 6)
    if way != "small":
        no_store_is_small(monkeypatch)

    def bring_up_to_date() -> None:
        store.sync(thorough=way == "thorough")
        for _ in range(60):
            if way != "rolling" or not store.index.state().unchecked:
                return
            clock.now += 15
            store.sync()
        raise AssertionError("the rolling re-read does not come to an end")

    @settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(rounds=st.lists(st.lists(_changes, min_size=1, max_size=4), min_size=1, max_size=3))
    def check(rounds: list[list[tuple[str, int, int]]]) -> None:
        store.execute(*(f"delete from {table}" for table in TABLES))
        shutil.rmtree(store.folder, ignore_errors=True)
        store.reopen()
        changer = Changer(store)
        for changes in [[("add", 0, 1)], *rounds]:
            for change in changes:
                changer.apply(*change)
            bring_up_to_date()
            fresh = Bench.on(store.uri, tmp_path / "fresh")
            fresh.sync(rebuild=True)
            assert list(store.held.items()) == list(fresh.held.items())
            assert store.snapshot().experiments == fresh.snapshot().experiments
            for table in ("metrics", "params", "tags"):
                assert store.snapshot().keys_in(table, ["0"]) == fresh.snapshot().keys_in(table, ["0"])

    check()

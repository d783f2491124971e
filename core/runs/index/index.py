"""The run index on disk: open it, and bring it up to date with a source.

One writer at a time (a file lock), any number of readers. A sync reads only what may have changed, compares
digests, and writes what differs into the delta segment; when the delta grows it is merged into the base.
"""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from threading import Lock

import polars as pl
from filelock import FileLock, Timeout

from core.errors import GreenroomError
from core.runs.index import manifest as manifests
from core.runs.index import state as states
from core.runs.index.manifest import Manifest
from core.runs.index.segments import DamagedIndexError, SegmentMeta, digests, verify, write_segment
from core.runs.index.snapshot import Snapshot
from core.runs.index.state import SyncState
from core.runs.sources.base import HEADS_COLUMNS, Known, OnProgress, RunBatch, RunSource, concat, select
from core.runs.types import SyncReport

# A store this small is read whole whenever its fingerprint moves (about 0.1 s): no edit is ever late.
_SMALL_STORE_ENTRIES = 100_000
# Every run is read again within this time while somebody looks, so that edits of old runs are found.
_ROTATION_SECONDS = 480.0
_LONGEST_STEP_SECONDS = 15.0
_DELTA_ENTRIES = 50_000
_DELTA_SHARE = 0.1
_GARBAGE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """The index in figures, for Health and doctor."""

    folder: Path
    generation: int
    runs: int
    delta_runs: int
    bytes: int
    state: SyncState
    problems: tuple[str, ...]


class RunIndex:
    """The index of one tracking store in one folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there; belongs to this index alone.
    store_key : str
        Identifies the tracking store. An index of another store found in the folder is discarded.
    """

    def __init__(self, folder: Path, store_key: str) -> None:
        self._folder = folder
        self._store_key = store_key
        self._guard = Lock()
        self._snapshot: Snapshot | None = None
        self._signature: tuple[int, int] | None = None
        self._verified: set[str] = set()
        self.rebuilt_because: str | None = None

    @property
    def folder(self) -> Path:
        """Where the index is kept."""
        return self._folder

    def snapshot(self) -> Snapshot | None:
        """Return the newest state on disk, None before the first sync (or where it is damaged)."""
        with self._guard:
            signature = manifests.signature(self._folder)
            if signature is None:
                self._snapshot, self._signature = None, None
            elif signature != self._signature:
                # A sync may replace segments between our reading of the manifest and of the files.
                for attempt in range(5):
                    try:
                        signature = manifests.signature(self._folder)
                        manifest = manifests.load(self._folder, self._store_key)
                        self._snapshot = self._open(manifest) if manifest else None
                        self._signature = signature
                        break
                    except DamagedIndexError as error:
                        self._snapshot, self._signature = None, None
                        self.rebuilt_because = str(error)
                        time.sleep(0.02 * attempt)
            return self._snapshot

    def _open(self, manifest: Manifest) -> Snapshot:
        """Map the segments, each compared once a process with its checksum: damaged Arrow files can crash it."""
        for meta in manifest.segments:
            if meta.name not in self._verified:
                verify(self._folder, meta)
                self._verified.add(meta.name)
        return Snapshot.open(self._folder, manifest)

    def status(self) -> IndexStatus:
        """Return the index's figures."""
        snapshot = self.snapshot()
        size = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        return IndexStatus(
            folder=self._folder,
            generation=snapshot.generation if snapshot is not None else 0,
            runs=len(snapshot) if snapshot is not None else 0,
            delta_runs=sum(segment.meta.runs for segment in snapshot.segments[1:])
            if snapshot is not None
            else 0,
            bytes=size,
            state=states.load(self._folder),
            problems=snapshot.manifest.problems if snapshot is not None else (),
        )

    def state(self) -> SyncState:
        """Return what the last look found."""
        return states.load(self._folder)

    def note_failure(self, error: GreenroomError) -> None:
        """Record that the store cannot be read, for the "stale since" banner."""
        self._folder.mkdir(parents=True, exist_ok=True)
        state = states.load(self._folder)
        since = state.failed_since if state.failed_since is not None else time.time()
        states.save(self._folder, replace(state, failed_since=since, error=str(error)))

    def sync(
        self,
        source: RunSource,
        *,
        thorough: bool = False,
        rebuild: bool = False,
        on_progress: OnProgress | None = None,
        wait_seconds: float = 300.0,
    ) -> SyncReport | None:
        """Bring the index up to date.

        Parameters
        ----------
        thorough : bool
            Read every run again, so that every edit is found (Refresh).
        rebuild : bool
            Throw the index away first.
        wait_seconds : float
            How long to wait for another process that syncs; 0 to leave it to that one.

        Returns
        -------
        SyncReport or None
            None if another process holds the index longer than `wait_seconds`.

        Raises
        ------
        SourceError
            If the store cannot be read; the index stays as it was and the failure is noted.
        GreenroomError
            If the index cannot be written; it stays as it was.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / ".lock", timeout=wait_seconds):
                return self._sync(source, thorough, rebuild, on_progress)
        except Timeout:
            return None
        except GreenroomError as error:
            self.note_failure(error)
            raise
        except OSError as error:
            failure = GreenroomError(
                f"The run index in {self._folder} cannot be written: {error.strerror or error}. "
                "Make room, or set GREENROOM_HOME to a folder you own."
            )
            # Where nothing can be written, the reason cannot be either.
            with contextlib.suppress(OSError):
                self.note_failure(failure)
            raise failure from error

    def refresh_runs(self, source: RunSource, run_ids: Sequence[str]) -> None:
        """Read a few runs again at once, for the page that shows them."""
        lock = FileLock(self._folder / ".lock", timeout=2.0)
        try:
            with lock:
                snapshot = self.snapshot()
                if snapshot is not None:
                    self._apply(source, snapshot, tuple(run_ids), (), dict(snapshot.manifest.marks))
        except Timeout:
            return

    # What follows runs with the lock held.

    def _sync(
        self, source: RunSource, thorough: bool, rebuild: bool, on_progress: OnProgress | None
    ) -> SyncReport:
        began = time.perf_counter()
        snapshot = None if rebuild else self.snapshot()
        fingerprint = source.fingerprint()
        state = states.load(self._folder)
        if snapshot is None:
            report = self._build(source, on_progress)
            state = SyncState(cursor=state.cursor)
        elif thorough or self._worth_reading_whole(snapshot, fingerprint, state):
            report = self._reread(source, snapshot, on_progress)
            state = replace(state, unchecked=0)
        elif fingerprint is not None and fingerprint == state.fingerprint and not state.unchecked:
            problems = snapshot.manifest.problems
            report = SyncReport(snapshot.generation, False, 0, 0, len(snapshot), 0.0, problems)
        else:
            report, state = self._look(source, snapshot, fingerprint, state)
        states.save(
            self._folder,
            replace(state, checked=time.time(), fingerprint=fingerprint, failed_since=None, error=None),
        )
        return replace(report, seconds=time.perf_counter() - began)

    def _worth_reading_whole(self, snapshot: Snapshot, fingerprint: str | None, state: SyncState) -> bool:
        entries = sum(segment.meta.entries for segment in snapshot.segments)
        return (
            fingerprint is not None and fingerprint != state.fingerprint and entries <= _SMALL_STORE_ENTRIES
        )

    def _build(self, source: RunSource, on_progress: OnProgress | None) -> SyncReport:
        read = source.read_all(on_progress)
        old = self.snapshot()
        # Caches are keyed by it: an index that was lost must not begin again with a number used before.
        generation = max(old.generation + 1 if old is not None else 0, int(time.time() * 1000))
        base = self._write(generation, read.batch)
        manifest = self._manifest(source, generation, (base,), (), dict(read.marks), read.problems)
        self._publish(manifest)
        return SyncReport(generation, True, len(read.batch), 0, len(read.batch), 0.0, read.problems)

    def _reread(self, source: RunSource, snapshot: Snapshot, on_progress: OnProgress | None) -> SyncReport:
        read = source.read_all(on_progress)
        now = read.batch.runs.select("run_id").with_columns(digests(read.batch))
        before = snapshot.frame.select("run_id", "digest")
        same = now.join(before, on=["run_id", "digest"], how="semi")["run_id"]
        changed = select(read.batch, ~now["run_id"].is_in(same.implode()))
        gone = tuple(before.join(now, on="run_id", how="anti")["run_id"])
        return self._store(source, snapshot, changed, gone, dict(read.marks), read.problems)

    def _look(
        self, source: RunSource, snapshot: Snapshot, fingerprint: str | None, state: SyncState
    ) -> tuple[SyncReport, SyncState]:
        """Read what the source says may have changed, and the next slice of the rolling re-read."""
        known = Known(snapshot.frame.select(HEADS_COLUMNS), snapshot.manifest.marks)
        changes = source.changes(known)
        unchecked = state.unchecked if fingerprint == state.fingerprint and fingerprint else len(snapshot)
        unchecked = min(unchecked, len(snapshot))
        elapsed = min(time.time() - state.checked, _LONGEST_STEP_SECONDS)
        step = min(ceil(len(snapshot) * max(elapsed, 0.0) / _ROTATION_SECONDS), unchecked)
        ids = snapshot.frame["run_id"].sort()
        start = ids.search_sorted(state.cursor, side="right") if state.cursor else 0
        slice_ids = [*ids[start : start + step], *ids[: max(0, start + step - len(ids))]]
        candidates = tuple(dict.fromkeys([*changes.candidates, *slice_ids]))
        report = self._apply(source, snapshot, candidates, changes.gone, dict(changes.marks))
        cursor = slice_ids[-1] if slice_ids else state.cursor
        return report, replace(state, unchecked=unchecked - len(slice_ids), cursor=cursor)

    def _apply(
        self,
        source: RunSource,
        snapshot: Snapshot,
        candidates: Sequence[str],
        gone: Sequence[str],
        marks: dict[str, object],
    ) -> SyncReport:
        batch = source.read_runs(candidates) if candidates else source.read_runs(())
        asked = pl.Series("run_id", list(candidates), dtype=pl.String).unique()
        missing = asked.filter(~asked.is_in(batch.runs["run_id"].implode()))
        known = snapshot.frame.select("run_id", "digest")
        now = batch.runs.select("run_id").with_columns(digests(batch))
        same = now.join(known, on=["run_id", "digest"], how="semi")["run_id"]
        changed = select(batch, ~now["run_id"].is_in(same.implode()))
        lost = missing.filter(missing.is_in(known["run_id"].implode())).to_list()
        problems = snapshot.manifest.problems
        return self._store(source, snapshot, changed, tuple(dict.fromkeys([*gone, *lost])), marks, problems)

    def _store(
        self,
        source: RunSource,
        snapshot: Snapshot,
        changed: RunBatch,
        gone: Sequence[str],
        marks: dict[str, object],
        problems: tuple[str, ...],
    ) -> SyncReport:
        """Write what changed into the delta (or a new base) and publish it."""
        old = snapshot.manifest
        manifest = self._manifest(source, old.generation + 1, old.segments, old.gone, marks, problems)
        if not len(changed) and not gone:
            same = replace(manifest, generation=old.generation)
            if same != old:
                # New marks alone are worth keeping, a new generation is not: no page needs to redraw.
                shown = (same.experiments, same.problems) == (old.experiments, old.problems)
                self._publish(same if shown else manifest)
            return SyncReport(old.generation, False, 0, 0, len(snapshot), 0.0, problems)
        base, *deltas = snapshot.segments
        replaced = pl.concat([changed.runs["run_id"], pl.Series("run_id", list(gone), dtype=pl.String)])
        kept = [_without(delta.to_batch(), replaced) for delta in deltas]
        delta = concat([*kept, changed])
        in_base = base.runs["run_id"]
        all_gone = {*old.gone, *gone} - set(changed.runs["run_id"])
        base_gone = tuple(sorted(all_gone & set(in_base.filter(in_base.is_in(list(all_gone))))))
        entries = sum(table.height for table in delta.long_tables().values())
        if entries > max(_DELTA_ENTRIES, _DELTA_SHARE * base.meta.entries):
            hidden = pl.concat([delta.runs["run_id"], pl.Series("run_id", base_gone, dtype=pl.String)])
            merged = concat([_without(base.to_batch(), hidden), delta])
            segments: tuple[SegmentMeta, ...] = (self._write(manifest.generation, merged),)
            base_gone = ()
        else:
            segments = (base.meta, self._write(manifest.generation, delta))
        self._publish(replace(manifest, segments=segments, gone=base_gone))
        runs = self.snapshot()
        return SyncReport(
            manifest.generation,
            False,
            len(changed),
            len(gone),
            len(runs) if runs is not None else 0,
            0.0,
            problems,
        )

    def _manifest(
        self,
        source: RunSource,
        generation: int,
        segments: tuple[SegmentMeta, ...],
        gone: tuple[str, ...],
        marks: dict[str, object],
        problems: tuple[str, ...],
    ) -> Manifest:
        experiments = tuple(replace(one, created=None, runs=0) for one in source.experiments())
        return Manifest(
            store_key=self._store_key,
            dialect=source.info.dialect,
            generation=generation,
            segments=segments,
            gone=gone,
            experiments=experiments,
            experiment_tags=source.experiment_tags(),
            marks=marks,
            problems=problems,
        )

    def _write(self, generation: int, batch: RunBatch) -> SegmentMeta:
        meta = write_segment(self._folder, f"segment-{generation:08d}-{uuid.uuid4().hex[:8]}", batch)
        self._verified.add(meta.name)
        return meta

    def _publish(self, manifest: Manifest) -> None:
        manifests.save(self._folder, manifest)
        self._remove_garbage({segment.name for segment in manifest.segments})

    def _remove_garbage(self, named: set[str]) -> None:
        """Remove segments that no manifest names; young ones wait, a reader may be opening them."""
        for folder in self._folder.glob("segment-*"):
            if folder.name not in named and time.time() - folder.stat().st_mtime > _GARBAGE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
        for file in self._folder.glob(".*.tmp"):
            if time.time() - file.stat().st_mtime > _GARBAGE_SECONDS:
                file.unlink(missing_ok=True)


def _without(batch: RunBatch, run_ids: pl.Series) -> RunBatch:
    return select(batch, ~batch.runs["run_id"].is_in(run_ids.implode()))

"""Segments: immutable folders of memory-mapped Arrow files that hold runs, ordered for reading by column.

A segment holds five files. `runs.arrow` has one row a run. The long tables (`metrics`, `params`, `tags`,
`datasets`) are sorted by key, then run; `keys.json` says where each key's rows begin, so that one metric of
a hundred thousand runs is one slice of a mapped file: nothing is parsed and nothing else is read.
Files are written whole, synced to disk and only then named by a manifest.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from core.errors import GreenroomError
from core.runs.sources.base import SCHEMAS, RunBatch

KEYED_TABLES = ("metrics", "params", "tags")
_LONG_TABLES = (*KEYED_TABLES, "datasets")


class DamagedIndexError(GreenroomError):
    """A file of the index is missing, cut short or altered; the index is rebuilt when this is met."""


@dataclass(frozen=True, slots=True)
class FileState:
    """Size in bytes and CRC-32 of a file at the time it was written."""

    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class SegmentMeta:
    """A segment as the manifest names it."""

    name: str
    runs: int
    entries: int
    files: Mapping[str, FileState]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the manifest."""
        files = {name: [state.size, state.crc] for name, state in self.files.items()}
        return {"name": self.name, "runs": self.runs, "entries": self.entries, "files": files}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> SegmentMeta:
        """Read what `to_json` wrote."""
        files = {name: FileState(size, crc) for name, (size, crc) in value["files"].items()}
        return SegmentMeta(value["name"], value["runs"], value["entries"], files)


def digests(batch: RunBatch) -> pl.Series:
    """Return one 64-bit digest a run over all that is known of it, to tell whether a run has changed.

    Equal content gives equal digests within one version of Polars, whatever the order of rows.
    """
    own = batch.runs.select(list(SCHEMAS["runs"])).hash_rows(seed=1)
    total = own.to_numpy().copy()
    for seed, (name, table) in enumerate(batch.long_tables().items(), start=2):
        if table.height:
            rows = table.select(list(SCHEMAS[name])[1:]).hash_rows(seed=seed).to_numpy()
            with np.errstate(over="ignore"):
                np.add.at(total, table["run"].to_numpy(), rows)
    return pl.Series("digest", total, dtype=pl.UInt64)


def write_segment(folder: Path, name: str, batch: RunBatch) -> SegmentMeta:
    """Write a batch as the segment `name` under `folder` and sync it to disk."""
    target = folder / name
    target.mkdir()
    files: dict[str, FileState] = {}
    _write(target / "runs.arrow", batch.runs.with_columns(digests(batch)), files)
    keys: dict[str, Any] = {}
    for table_name in KEYED_TABLES:
        table = batch.long_tables()[table_name]
        names = table["key"].unique().sort()
        coded = table.with_columns(pl.col("key").cast(pl.Enum(names)).to_physical().alias("code"))
        coded = coded.drop("key").sort("code", "run")
        starts = coded["code"].search_sorted(pl.Series(range(len(names) + 1), dtype=pl.UInt32))
        keys[table_name] = {"names": names.to_list(), "starts": starts.to_list()}
        _write(target / f"{table_name}.arrow", coded.drop("code"), files)
    _write(target / "datasets.arrow", batch.datasets.sort("run", maintain_order=True), files)
    text = json.dumps(keys, ensure_ascii=False).encode()
    (target / "keys.json").write_bytes(text)
    files["keys.json"] = FileState(len(text), zlib.crc32(text))
    for file in (*target.iterdir(), target):
        sync_to_disk(file)
    entries = sum(table.height for table in batch.long_tables().values())
    return SegmentMeta(name, len(batch), entries, files)


def _write(path: Path, frame: pl.DataFrame, files: dict[str, FileState]) -> None:
    table = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks()
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    files[path.name] = FileState(path.stat().st_size, _crc(path))


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return crc


def sync_to_disk(path: Path) -> None:
    """Make a file's or folder's content survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems refuse to sync a folder; the rename is then as durable as they make it.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Segment:
    """An open segment. Arrays returned are views into mapped files: never write into them."""

    meta: SegmentMeta
    runs: pl.DataFrame
    _tables: Mapping[str, pa.Table]
    _keys: Mapping[str, Mapping[str, tuple[int, int]]]

    @staticmethod
    def open(folder: Path, meta: SegmentMeta) -> Segment:
        """Map the files of a segment.

        Raises
        ------
        DamagedIndexError
            If a file is missing, has another size than written, or is no Arrow file.
        """
        place = folder / meta.name
        for name, state in meta.files.items():
            try:
                size = (place / name).stat().st_size
            except OSError as error:
                raise DamagedIndexError(f"{name} of {meta.name} is missing") from error
            if size != state.size:
                raise DamagedIndexError(f"{name} of {meta.name} has {size} bytes, not {state.size}")
        try:
            tables = {name: _map(place / f"{name}.arrow") for name in ("runs", *_LONG_TABLES)}
            raw = json.loads((place / "keys.json").read_bytes())
            keys = {
                table: {
                    key: (start, end)
                    for key, start, end in zip(
                        part["names"], part["starts"][:-1], part["starts"][1:], strict=True
                    )
                }
                for table, part in raw.items()
            }
        except (OSError, pa.ArrowInvalid, ValueError, KeyError) as error:
            raise DamagedIndexError(f"{meta.name} cannot be read: {error}") from error
        runs = _frame(tables.pop("runs"))
        if runs.height != meta.runs:
            raise DamagedIndexError(f"{meta.name} holds {runs.height} runs, not {meta.runs}")
        return Segment(meta, runs, tables, keys)

    def keys(self, table: str) -> Mapping[str, tuple[int, int]]:
        """Return the row range of every key of a table."""
        return self._keys[table]

    def rows_of(self, table: str, key: str) -> tuple[npt.NDArray[np.uint32], pa.Table] | None:
        """Return the run numbers (ascending) and rows of one key, or None where no run has it."""
        bounds = self._keys[table].get(key)
        if bounds is None or bounds[0] == bounds[1]:
            return None
        part = self._tables[table].slice(bounds[0], bounds[1] - bounds[0])
        return part.column("run").to_numpy(), part

    @cached_property
    def datasets(self) -> pl.DataFrame:
        """All dataset rows, columns as in `DATASETS_SCHEMA`."""
        return _frame(self._tables["datasets"])

    def to_batch(self) -> RunBatch:
        """Return the whole segment as a batch, for merging."""
        tables: dict[str, pl.DataFrame] = {"datasets": self.datasets}
        for name in KEYED_TABLES:
            frame = _frame(self._tables[name])
            names = list(self._keys[name])
            lengths = [end - start for start, end in self._keys[name].values()]
            column = (
                pl.DataFrame({"key": names, "n": lengths}, schema={"key": pl.String, "n": pl.Int64})
                .select(pl.col("key").repeat_by("n").explode(empty_as_null=False))
                .to_series()
            )
            tables[name] = frame.with_columns(column).select(list(SCHEMAS[name]))
        return RunBatch(runs=self.runs.select(list(SCHEMAS["runs"])), **tables)


def verify(folder: Path, meta: SegmentMeta) -> None:
    """Read every byte of a segment and compare with what was written.

    Raises
    ------
    DamagedIndexError
        If a checksum differs.
    """
    for name, state in meta.files.items():
        try:
            crc = _crc(folder / meta.name / name)
        except OSError as error:
            raise DamagedIndexError(f"{name} of {meta.name} cannot be read") from error
        if crc != state.crc:
            raise DamagedIndexError(f"{name} of {meta.name} was altered or has decayed")


def _map(path: Path) -> pa.Table:
    with pa.memory_map(str(path), "r") as source:
        return pa.ipc.open_file(source).read_all()


def _frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError("a table was expected")
    return frame

"""The manifest: one small file that names the index's segments, replaced as a whole.

Whoever reads it finds either the old state or the new one, also after kill -9 at any line.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from core.runs.index.segments import DamagedIndexError, SegmentMeta, sync_to_disk
from core.runs.types import Dialect, Experiment

# Raise with any change to the files of the index, or to how digests are computed.
FORMAT = 2
_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A state of the index.

    Attributes
    ----------
    generation : int
        Grows by one with each change of content, and begins with the time: no two states share one.
    segments : tuple of SegmentMeta
        At most two: the base and, over it, the delta. A run in the delta replaces its namesake in the base.
    gone : tuple of str
        Runs of the base that exist no longer.
    marks : mapping
        Where the source stood when this state was read.
    """

    store_key: str
    dialect: Dialect
    generation: int
    segments: tuple[SegmentMeta, ...]
    gone: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    experiment_tags: Mapping[str, Mapping[str, str]]
    marks: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def load(folder: Path, store_key: str) -> Manifest | None:
    """Read the manifest of an index folder; None where there is none.

    Raises
    ------
    DamagedIndexError
        If it cannot be understood, is of another format, or belongs to another store.
    """
    try:
        value = json.loads((folder / _NAME).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedIndexError(f"the manifest cannot be read: {error}") from error
    try:
        if value["format"] != FORMAT or value["polars"] != pl.__version__:
            raise DamagedIndexError("the index was written by another version")
        if value["store_key"] != store_key:
            raise DamagedIndexError("the index belongs to another tracking store")
        if value.pop("crc") != _crc(value):
            raise DamagedIndexError("the manifest was altered or has decayed")
        return Manifest(
            store_key=store_key,
            dialect=Dialect(value["dialect"]),
            generation=value["generation"],
            segments=tuple(SegmentMeta.from_json(part) for part in value["segments"]),
            gone=tuple(value["gone"]),
            experiments=tuple(Experiment(*row) for row in value["experiments"]),
            experiment_tags=value["experiment_tags"],
            marks=value["marks"],
            problems=tuple(value["problems"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedIndexError(f"the manifest lacks something: {error}") from error


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "polars": pl.__version__,
        "store_key": manifest.store_key,
        "dialect": manifest.dialect.value,
        "generation": manifest.generation,
        "segments": [segment.to_json() for segment in manifest.segments],
        "gone": list(manifest.gone),
        "experiments": [
            [one.experiment_id, one.name, one.lifecycle_stage, one.artifact_location]
            for one in manifest.experiments
        ],
        "experiment_tags": manifest.experiment_tags,
        "marks": manifest.marks,
        "problems": list(manifest.problems),
    }
    value["crc"] = _crc(value)
    replace_file(folder / _NAME, json.dumps(value, ensure_ascii=False).encode(), durable=True)


def _crc(value: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def signature(folder: Path) -> tuple[int, int] | None:
    """Return a value that tells one manifest from the next without reading it."""
    try:
        state = (folder / _NAME).stat()
    except FileNotFoundError:
        return None
    return state.st_mtime_ns, state.st_ino


def replace_file(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Replace a file as a whole; readers see the old content or the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    if durable:
        sync_to_disk(temporary)
    temporary.replace(path)
    if durable:
        sync_to_disk(path.parent)

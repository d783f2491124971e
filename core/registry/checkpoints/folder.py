"""Checkpoint files in a folder and its archive, with the metadata.json that tells which one is current."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from core.errors import RefusedError

LABEL: Final = re.compile(r"checkpoint_(\d{8}_\d{6})")
METADATA: Final = "metadata.json"
_INCOMING: Final = ".incoming-"
_STALE_SECONDS: Final = 24 * 3600
_LOCK_SECONDS: Final = 60.0


def label_at(at: datetime) -> str:
    """Return the label of a checkpoint: ``checkpoint_YYYYMMDD_HHMMSS``, in UTC."""
    return f"checkpoint_{at.astimezone(UTC):%Y%m%d_%H%M%S}"


def label_time(label: str) -> datetime | None:
    """Return the time that a label says; None where it says none."""
    found = LABEL.fullmatch(label)
    try:
        return datetime.strptime(found[1], "%Y%m%d_%H%M%S").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def is_label(text: str) -> bool:
    """Say whether a text is a label, and so nothing that could lead out of a folder."""
    return label_time(text) is not None


def version_name(label: str) -> str:
    """Return a label as metadata.json has it: without ``checkpoint_``."""
    return label.removeprefix("checkpoint_")


def written(at: datetime) -> str:
    """Return a time as metadata.json has it: UTC to the second, without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def digest(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


class CheckpointFolder:
    """The active checkpoint, the archive, and metadata.json.

    Every file comes whole or not at all: it is written under another name, and then renamed. Who changes more than
    one file holds `locked`.

    Parameters
    ----------
    active : Path
        Holds the current checkpoint and metadata.json.
    archive : Path
        Holds those before it.
    """

    def __init__(self, active: Path, archive: Path) -> None:
        self.active = active
        self.archive = archive

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing the files.

        Raises
        ------
        RefusedError
            If another one is at it for longer than a minute.
        """
        self.active.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.active / ".lock", timeout=_LOCK_SECONDS):
                yield
        except Timeout:
            raise RefusedError(
                f"Another process is changing the checkpoints in {self.active}. Try again when it is done."
            ) from None

    @contextmanager
    def incoming(self) -> Iterator[Path]:
        """Give a folder beside the checkpoints for files that are none yet; it is gone at the end."""
        self.active.mkdir(parents=True, exist_ok=True)
        self._clear_incoming()
        with tempfile.TemporaryDirectory(prefix=_INCOMING, dir=self.active) as folder:
            yield Path(folder)

    def _clear_incoming(self) -> None:
        """Remove what a crash left."""
        for folder in self.active.glob(f"{_INCOMING}*"):
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def active_path(self, label: str) -> Path:
        """Return where a checkpoint lies while it is current."""
        return self.active / f"{label}.pt"

    def archived_path(self, label: str) -> Path:
        """Return where a checkpoint lies afterwards."""
        return self.archive / f"{label}.pt"

    def find(self, label: str) -> Path | None:
        """Return where a checkpoint lies now; None where it is nowhere."""
        places = (self.active_path(label), self.archived_path(label))
        return next((place for place in places if place.is_file()), None)

    def archived(self) -> tuple[str, ...]:
        """Return the labels in the archive, oldest first."""
        if not self.archive.is_dir():
            return ()
        return tuple(sorted(one.stem for one in self.archive.glob("*.pt") if is_label(one.stem)))

    def activate(self, file: Path, label: str) -> None:
        """Move a file to where the current checkpoint lies."""
        move(file, self.active_path(label))

    def put_away(self, label: str) -> None:
        """Move a checkpoint to the archive."""
        move(self.active_path(label), self.archived_path(label))

    def read(self) -> dict[str, Any]:
        """Return metadata.json; empty where there is none or it is damaged, for it can be made again."""
        try:
            content = json.loads((self.active / METADATA).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def write(
        self,
        models: Sequence[Mapping[str, Any]],
        current: str | None,
        last_retrain_time: str | None,
        next_retrain_time: str | None,
    ) -> None:
        """Write metadata.json."""
        content = {
            "models": [dict(one) for one in models],
            "current_version": current,
            "last_retrain_time": last_retrain_time,
            "next_retrain_time": next_retrain_time,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        if (self.active / METADATA).is_file() and (self.active / METADATA).read_bytes() == text.encode():
            return
        with self.incoming() as folder:
            (folder / METADATA).write_text(text, encoding="utf-8")
            move(folder / METADATA, self.active / METADATA)


def copy(source: Path, target: Path) -> None:
    """Copy a file's content, so that after a power cut it is there."""
    with source.open("rb") as content, target.open("xb") as place:
        shutil.copyfileobj(content, place, 1 << 20)
        place.flush()
        os.fsync(place.fileno())


def move(source: Path, target: Path) -> None:
    """Move a file over another one in one step, from another disk, too."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.replace(target)
    except OSError:
        if not source.is_file() or source.stat().st_dev == target.parent.stat().st_dev:
            raise
        with tempfile.TemporaryDirectory(prefix=_INCOMING, dir=target.parent) as folder:
            copy(source, Path(folder) / target.name)
            (Path(folder) / target.name).replace(target)
        source.unlink()

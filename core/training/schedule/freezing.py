"""Freeze the data of a retraining: what is hashed is what is trained on, whatever becomes of the files meanwhile."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from core.errors import BadInputError, GreenroomError
from core.training.projects.types import EntryPoint, ParameterKind
from core.training.schedule.types import FrozenFile

MOST_COPIED: Final = 512 * 2**20
"""Bytes; a larger file is hashed, and trained on where it lies."""

_TABLES: Final = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
_PART: Final = 2**20


def freeze(
    entry_point: EntryPoint, values: Mapping[str, str], folder: Path, most_copied: int = MOST_COPIED
) -> tuple[FrozenFile, ...]:
    """Hash the files that an entry point is given, and copy those that are tables.

    Parameters
    ----------
    values : mapping of str to str
        As `core.training.projects.parameters.checked` returns them: local paths are absolute.
    folder : Path
        Takes the copies; made where it is missing. Copies that are there already are made anew.

    Raises
    ------
    BadInputError
        If a file is not there, is empty or is no file.
    GreenroomError
        If it cannot be read or copied.
    """
    found = []
    for number, parameter in enumerate(entry_point.parameters):
        value = values.get(parameter.name, "")
        if parameter.kind is ParameterKind.PATH and Path(value).is_absolute():
            try:
                found.append(_frozen(parameter.name, Path(value), folder / str(number), most_copied))
            except OSError as error:
                raise GreenroomError(
                    f"{parameter.name} ({value}) cannot be read or copied to {folder}: {error.strerror}."
                ) from error
    return tuple(found)


def _frozen(parameter: str, place: Path, folder: Path, most_copied: int) -> FrozenFile:
    try:
        about = place.stat()
    except FileNotFoundError:
        raise BadInputError(f"{parameter} is {place}, but there is no such file.") from None
    if stat.S_ISDIR(about.st_mode):
        if not any(place.iterdir()):
            raise BadInputError(f"{parameter} is {place}, a folder with nothing in it to train on.")
        return FrozenFile(parameter, str(place), None, None, None)
    if not stat.S_ISREG(about.st_mode):
        raise BadInputError(f"{parameter} is {place}, which is neither a file nor a folder.")
    if not about.st_size:
        raise BadInputError(f"{parameter} is {place}, an empty file: there is nothing to train on.")
    if about.st_size > most_copied or not place.name.lower().endswith(_TABLES):
        with place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        return FrozenFile(parameter, str(place), digest, about.st_size, None)
    digest, size = _copied(place, folder / place.name)
    return FrozenFile(parameter, str(place), digest, size, str(folder / place.name))


def _copied(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file, so that it is there whole or not at all; return the hash and the size of what was copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part, digest, size = target.with_name(f"{target.name}.part"), hashlib.sha256(), 0
    with source.open("rb") as content, part.open("wb") as place:
        while piece := content.read(_PART):
            digest.update(piece)
            size += len(piece)
            place.write(piece)
        place.flush()
        os.fsync(place.fileno())
    part.replace(target)
    return digest.hexdigest(), size


def forget(folder: Path) -> None:
    """Remove the copies of a retraining that is over; what cannot be removed stays."""
    shutil.rmtree(folder, ignore_errors=True)

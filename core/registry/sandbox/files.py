"""Copy a model's files to where it is tried, and clear up what it leaves there."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

_CHUNK = 1 << 20
_MOST_FILES = 20_000


class RefusedError(Exception):
    """The files cannot be tried; the message is one sentence for people."""


def copy_and_digest(folder: Path, target: Path) -> str:
    """Copy regular files and return the SHA-256 of all of them; what is tried is what was digested.

    Raises
    ------
    RefusedError
        If the folder holds a link that leads out of it, something that is no file, or more than the disk can take.
    """
    files = _listed(folder)
    room = shutil.disk_usage(target.parent).free
    if (size := sum(path.stat().st_size for path in files.values())) > room * 0.9:
        raise RefusedError(f"Its {size / 2**20:.0f} MB do not fit on the disk that it would be tried on.")
    total = hashlib.sha256()
    target.mkdir(mode=0o755)
    for name in sorted(files):
        (target / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        length, content = _copy(files[name], target / name)
        total.update(f"{len(os.fsencode(name))} ".encode() + os.fsencode(name) + f" {length} ".encode())
        total.update(content)
    return total.hexdigest()


def copy_file(file: Path, target: Path) -> str:
    """Copy one file into a new folder and return its SHA-256."""
    target.mkdir(mode=0o755)
    return _copy(file, target / file.name)[1].hex()


def _copy(file: Path, target: Path) -> tuple[int, bytes]:
    content, length = hashlib.sha256(), 0
    with file.open("rb") as source, target.open("wb") as copy:
        while chunk := source.read(_CHUNK):
            content.update(chunk)
            length += len(chunk)
            copy.write(chunk)
    target.chmod(0o644)
    return length, content.digest()


def _listed(folder: Path) -> dict[str, Path]:
    """Return every file by its path below the folder, links resolved."""
    root = folder.resolve()
    found: dict[str, Path] = {}
    waiting = [folder]
    while waiting:
        for entry in sorted(waiting.pop().iterdir()):
            name = entry.relative_to(folder).as_posix()
            place = entry.resolve()
            if entry.is_symlink() and not place.is_relative_to(root):
                raise RefusedError(f"Its {name} is a link that leads out of its folder.")
            if entry.is_dir():
                if entry.is_symlink():
                    raise RefusedError(
                        f"Its {name} is a link to a folder; log the model with the files themselves."
                    )
                waiting.append(entry)
            elif place.is_file():
                found[name] = place
            else:
                raise RefusedError(f"Its {name} is no file and no folder.")
            if len(found) + len(waiting) > _MOST_FILES:
                raise RefusedError(f"It has more than {_MOST_FILES:,} files.")
    return found


def remove(folder: Path) -> None:
    """Remove a folder that a hostile process has filled: unreadable, or nested deeper than a path can be long."""
    serial = 0
    waiting = [folder]
    while waiting:
        one = waiting.pop()
        _open_up(one)
        with os.scandir(one) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    Path(entry.path).unlink(missing_ok=True)
                    continue
                _open_up(Path(entry.path))
                # Each folder moves to the top before it is read, so no path grows.
                while (flat := folder / f".{serial}").exists():
                    serial += 1
                Path(entry.path).rename(flat)
                waiting.append(flat)
        if one != folder:
            one.rmdir()
    folder.rmdir()


def _open_up(folder: Path) -> None:
    if stat.S_IMODE(folder.stat().st_mode) & 0o700 != 0o700:
        folder.chmod(0o700)

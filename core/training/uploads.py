"""Files that people upload, kept in the home folder so that an entry point can be given their paths."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final

from core.errors import BadInputError

_MOST: Final = 512 * 2**20


def keep_upload(home: Path, name: str, content: bytes) -> Path:
    """Keep a file, and return where; the same content under the same name is kept once.

    Parameters
    ----------
    name : str
        As the person's machine calls it; what could lead out of the folder is taken off.

    Raises
    ------
    BadInputError
        If it is too large.
    """
    if len(content) > _MOST:
        raise BadInputError(
            f"{name} has {len(content) // 2**20} MiB; uploads take {_MOST // 2**20}. Copy it to this "
            "machine and give its path."
        )
    plain = re.sub(r"[^\w.-]+", "_", Path(name).name).lstrip(".")[-100:] or "upload"
    folder = home / "uploads" / hashlib.sha256(content).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / plain
    if not path.exists():
        fresh = path.with_name(f".{plain}.fresh")
        fresh.write_bytes(content)
        fresh.replace(path)
    return path

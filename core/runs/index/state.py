"""What the last look at the store found: small, rewritten at every look, worth nothing if lost."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from core.runs.index.manifest import replace_file

_NAME = "state.json"


@dataclass(frozen=True, slots=True)
class SyncState:
    """The outcome of the last look.

    Attributes
    ----------
    checked : float
        Seconds since 1970 of the last look that succeeded; 0 if there was none.
    fingerprint : str or None
        The store's fingerprint at that look.
    unchecked : int
        Runs that the rolling re-read has not visited since the fingerprint last moved.
    cursor : str
        The last run id that the rolling re-read visited.
    failed_since : float or None
        Since when looks fail; `error` says why.
    """

    checked: float = 0.0
    fingerprint: str | None = None
    unchecked: int = 0
    cursor: str = ""
    failed_since: float | None = None
    error: str | None = None

    @property
    def checked_at(self) -> datetime | None:
        """Time of the last look that succeeded, UTC."""
        return datetime.fromtimestamp(self.checked, UTC) if self.checked else None


def load(folder: Path) -> SyncState:
    """Read the state; an absent or unreadable one is as good as none."""
    try:
        state = SyncState(**json.loads((folder / _NAME).read_bytes()))
        # Values of another type show here rather than where they are used.
        return replace(
            state,
            checked=float(state.checked),
            unchecked=int(state.unchecked),
            cursor=str(state.cursor),
            failed_since=None if state.failed_since is None else float(state.failed_since),
        )
    except (OSError, ValueError, TypeError):
        return SyncState()


def save(folder: Path, state: SyncState) -> None:
    """Replace the state."""
    replace_file(folder / _NAME, json.dumps(asdict(state)).encode())

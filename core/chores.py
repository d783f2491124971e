"""What a worker looks after besides jobs: schedules, live figures, retention."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from core.registry.types import Stage

if TYPE_CHECKING:
    from core.workspace import Workspace

_LIVE_SECONDS: Final = 10.0
_DEPLOYED_SECONDS: Final = 5.0
_RECOVER_SECONDS: Final = 60.0
_CLEAN_UP_SECONDS: Final = 24 * 3600.0
_PURGE_SECONDS: Final = 3600.0
_TIDY_SECONDS: Final = 24 * 3600.0
_LATEST: Final = 100


def chores(workspace: Workspace) -> tuple[Callable[[], None], ...]:
    """Return the chores of a workspace; each raises a `GreenroomError` where it cannot be done now."""
    retention = workspace.settings.retention
    found: list[Callable[[], None]] = [
        lambda: workspace.training.schedules.tick(),
        every(_RECOVER_SECONDS, lambda: workspace.retention.recover()),
        every(_PURGE_SECONDS, lambda: workspace.retention.purge()),
    ]
    found.append(every(_TIDY_SECONDS, lambda: workspace.training_parts.tidy()))
    if workspace.settings.watch.own:
        found.append(every(_LIVE_SECONDS, lambda: _look_at_live_figures(workspace)))
    if retention.automatic:
        found.append(every(_CLEAN_UP_SECONDS, lambda: workspace.retention.clean_up()))
        found.append(every(_DEPLOYED_SECONDS, _after_deployments(workspace)))
    return tuple(found)


def every(seconds: float, do: Callable[[], object]) -> Callable[[], None]:
    """Return a chore that is done at the first call, and then at most once in so many seconds."""
    next_at = 0.0

    def chore() -> None:
        nonlocal next_at
        if time.monotonic() < next_at:
            return
        # Before it is done: one that fails is not tried every second.
        next_at = time.monotonic() + seconds
        do()

    return chore


def _after_deployments(workspace: Workspace) -> Callable[[], None]:
    """Return what cleans a model up once a version of it was promoted, by whomever and on whichever machine."""
    seen: int | None = None

    def look() -> None:
        nonlocal seen
        before = seen
        latest = workspace.registry.trail.events(action="promoted", limit=_LATEST)
        # Where this begins, everything has just been cleaned up.
        seen = latest[0].seq if latest else 0
        if before is None:
            return
        models = {one.model for one in latest if one.seq > before and one.to_stage == str(Stage.PRODUCTION)}
        for model in sorted(one for one in models if one):
            workspace.retention.after_deployment(model)

    return look


def _look_at_live_figures(workspace: Workspace) -> None:
    workspace.runs.sync(wait_seconds=0.0)
    workspace.live.look()

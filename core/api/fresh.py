"""Bring runs and registry up to date before they are shown; what does not answer is shown as it was last read."""

from __future__ import annotations

from typing import Final

from core.api.opened import Opened
from core.errors import SourceError
from core.registry.types import Stage

_FIRST_LOOK_SECONDS: Final = 20.0


def keep_runs_fresh(workspace: Opened) -> None:
    """Have the runs read in the background while somebody asks, and wait for the first time.

    Raises
    ------
    SourceError
        If they were never read.
    """
    workspace.keeper.touch()
    if workspace.runs.index.snapshot() is not None:
        return
    workspace.keeper.wait_for_look(_FIRST_LOOK_SECONDS)
    if workspace.runs.index.snapshot() is None:
        raise SourceError(
            workspace.keeper.state.error
            or "The runs are being read for the first time, which takes a while. Ask again in a minute."
        )


def read_runs_for_gates(workspace: Opened, model: str, to_stage: Stage) -> None:
    """Read new runs at once, where evidence is gathered from them.

    Raises
    ------
    SourceError
        If they were never read.
    """
    if to_stage is not Stage.PRODUCTION and not workspace.registry.rules.gates.of(model).names(to_stage):
        return
    try:
        workspace.runs.sync()
    except SourceError:
        if workspace.runs.index.snapshot() is None:
            raise

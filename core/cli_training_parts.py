"""What the commands that train share: an opened workspace, parameters, and somebody who works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import click

from core.cli_parts import open_store
from core.errors import BadInputError

if TYPE_CHECKING:
    from core.workspace import Workspace

NOBODY_WORKS: Final = "No worker runs here, so it waits: start `greenroom up` or `greenroom worker`."


@contextmanager
def opened(tracking_uri: str | None) -> Iterator[Workspace]:
    """Open a workspace, and close it."""
    workspace = open_store(tracking_uri)
    try:
        yield workspace
    finally:
        workspace.close()


def pairs(given: Sequence[str]) -> dict[str, str]:
    """Understand parameters that are given as name=value.

    Raises
    ------
    BadInputError
        If one is not, or is given twice.
    """
    found: dict[str, str] = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign or not key.strip():
            raise BadInputError(f"'{one}' is no parameter; give it as name=value.")
        if key.strip() in found:
            raise BadInputError(f"The parameter '{key.strip()}' is given twice.")
        found[key.strip()] = value
    return found


@contextmanager
def somebody_works(workspace: Workspace) -> Iterator[None]:
    """Work in this process where no worker does."""
    if workspace.training.worker().alive:
        yield
        return
    with workspace.training_parts.working():
        yield


def say_that_it_waits(workspace: Workspace) -> None:
    """Say on standard error that nobody works here, where nobody does."""
    if not workspace.training.worker().alive:
        click.echo(NOBODY_WORKS, err=True)

"""What the registry's commands share: their arguments, an opened desk, and how a version is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from core import cli_output as output
from core.cli_parts import json_option, open_store, store_option
from core.errors import BadInputError, SourceError
from core.registry.types import Model, Stage

if TYPE_CHECKING:
    from core.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

_NUMBER: Final = re.compile(r"[vV]?0*([1-9]\d{0,17})")


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command with the options that all of these have."""

    def made(function: Callable[..., None]) -> click.Command:
        return click.command(name)(store_option(json_option(function)))

    return made


def model_argument(function: F) -> F:
    """Let a command name a model."""
    return click.argument("model", metavar="MODEL")(function)


def version_argument(function: F) -> F:
    """Let a command name a version; see `version_number`."""
    return click.argument("version", metavar="VERSION")(function)


def by_option(function: F) -> F:
    """Let a command act in somebody's name."""
    return click.option(
        "--by",
        metavar="USER",
        help="Act in this name, where [registry] act_for_others allows it.  [default: who runs it]",
    )(function)


def reason_option(function: F) -> F:
    """Have a command ask for a reason."""
    return click.option("--reason", required=True, help="Why; it is kept in the audit trail.")(function)


@contextmanager
def open_desk(
    tracking_uri: str | None, *, look: bool = True, from_records: bool = False
) -> Iterator[Workspace]:
    """Open a workspace and say what was found unfinished in its registry; no run is read.

    What is shown `from_records` of Greenroom's own is shown while MLflow does not answer, too.
    """
    workspace = open_store(tracking_uri)
    try:
        if look:
            _look(workspace, from_records)
        yield workspace
    finally:
        workspace.close()


def _look(workspace: Workspace, from_records: bool) -> None:
    try:
        for outcome in workspace.registry.look():
            click.echo(outcome.sentence, err=True)
    except SourceError as error:
        if not from_records:
            raise
        click.echo(f"greenroom: {error}\nShown is what was recorded before.", err=True)


def read_runs(workspace: Workspace) -> None:
    """Bring the run index up to date; where the store does not answer, what was read last has to do."""
    try:
        with output.progress("Reading runs") as report:
            workspace.runs.sync(on_progress=report)
    except SourceError as error:
        if workspace.runs.index.snapshot() is None:
            raise
        click.echo(f"greenroom: {error}", err=True)


def read_runs_for_gates(workspace: Workspace, model: str, to_stage: Stage) -> None:
    """Read runs where evidence is gathered from them: not on the way to Archived, nor anew without gates."""
    gates = workspace.registry.rules.gates.of(model).names(to_stage)
    never_read = to_stage is Stage.STAGING and workspace.runs.index.snapshot() is None
    if gates or never_read or to_stage is Stage.PRODUCTION:
        read_runs(workspace)


def version_number(workspace: Workspace, name: str, text: str) -> int:
    """Understand 3, v3, an alias or a stage that one version is in.

    Raises
    ------
    BadInputError
        If it names no version, or several.
    """
    model = workspace.registry.watch.model(name)
    written = _NUMBER.fullmatch(text.strip())
    if written is not None:
        return model.version(int(written[1])).version
    found = _named(model, text.strip())
    if len(found) == 1:
        return found.pop()
    if found:
        several = " and ".join(f"v{one}" for one in sorted(found))
        raise BadInputError(f"'{text}' means several versions of {name}: {several}. Give a number.")
    known = ", ".join(f"{alias} (v{version})" for alias, version in sorted(model.aliases.items())) or "none"
    raise BadInputError(
        f"{name} has no version '{text}'. Give a number such as 3 or v3, a stage that one version is in, or an "
        f"alias; its aliases: {known}."
    )


def _named(model: Model, text: str) -> set[int]:
    word = text.lower()
    found = {number for alias, number in model.aliases.items() if alias.lower() == word.removeprefix("@")}
    return found | {one.version for one in model.versions if str(one.stage).lower() == word}

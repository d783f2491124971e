"""What the commands of `greenroom` share: its group, the options that most have, and how a workspace is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from core import cli_output as output
from core.errors import BadInputError, GreenroomError, RefusedError

if TYPE_CHECKING:
    from core.settings import Settings
    from core.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])


class Group(click.Group):
    """Turns Greenroom's errors into a sentence, the reasons of a refusal one a line, and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GreenroomError as error:
            click.echo(f"greenroom: {error}", err=True)
            if getattr(error, "position", None) is not None:
                click.echo(output.pointer(error), err=True)
            for reason in error.reasons if isinstance(error, RefusedError) else ():
                if reason != str(error):
                    click.echo(f"  {reason}", err=True)
            ctx.exit(2 if isinstance(error, BadInputError) else 1)


def store_option(function: F) -> F:
    """Let a command name its tracking store, as ``tracking_uri``."""
    return click.option(
        "--tracking-uri",
        help="Tracking store, instead of that of MLFLOW_TRACKING_URI and greenroom.toml.",
        metavar="URI",
    )(function)


def json_option(function: F) -> F:
    """Let a command print JSON, as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(function)


def settings_for(tracking_uri: str | None, **arguments: Any) -> Settings:
    """Read the settings; what stands on the command line wins over everything."""
    from core.settings import override, read_settings

    settings = override(read_settings(), tracking_uri=tracking_uri, **arguments)
    # A database that was named for another server says nothing about this store.
    return settings if tracking_uri is None else replace(settings, backend_uri=None)


def open_store(tracking_uri: str | None) -> Workspace:
    """Open a workspace; its index stays as it is."""
    # Nobody who only asks for --help or mistypes an option waits for what a workspace is made of.
    from core.workspace import open_workspace

    return open_workspace(settings_for(tracking_uri))


def open_fresh(tracking_uri: str | None, refresh: bool = False) -> Workspace:
    """Open a workspace and bring its index up to date; a store that is down is read from the index."""
    workspace = open_store(tracking_uri)
    try:
        with output.progress("Reading runs") as report:
            workspace.runs.sync(thorough=refresh, on_progress=report)
    except GreenroomError as error:
        if workspace.runs.index.snapshot() is None:
            raise
        checked = workspace.runs.index.state().checked_at
        age = f"the state of {checked:%Y-%m-%d %H:%M} UTC" if checked else "what was last read"
        click.echo(f"greenroom: {error}\nShown is {age}.", err=True)
    return workspace

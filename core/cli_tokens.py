"""The command group `greenroom tokens`: make, list and revoke tokens of the REST API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from core import cli_output as output
from core.access import Role
from core.cli_parts import json_option, open_store, store_option

if TYPE_CHECKING:
    from core.tokens import Token


@click.group("tokens")
def tokens() -> None:
    """Make, list and revoke tokens of the REST API.

    \b
    Examples:
      greenroom tokens create nightly --role analyst
      greenroom tokens list
      greenroom tokens revoke nightly
    """


@tokens.command("create")
@click.argument("name", metavar="NAME")
@click.option("--role", type=click.Choice([str(one) for one in Role]), required=True)
@store_option
@json_option
def create(name: str, role: str, tracking_uri: str | None, as_json: bool) -> None:
    """Make a token and print it, once: it is kept nowhere. Who uses it acts as NAME.

    \b
    JSON: {"name", "role", "token"}

    \b
    Example: greenroom tokens create nightly --role analyst > token.txt
    """
    workspace = open_store(tracking_uri)
    try:
        token = workspace.tokens.create(name, Role(role), workspace.actor())
    finally:
        workspace.close()
    if as_json:
        output.print_json({"name": name.strip(), "role": role, "token": token})
        return
    # Alone on standard output, so that it can be sent where it belongs.
    click.echo(token)
    click.echo(f"This is shown once. Send it as: Authorization: Bearer {token[:6]}...", err=True)


@tokens.command("list")
@store_option
@json_option
def list_tokens(tracking_uri: str | None, as_json: bool) -> None:
    """List all tokens, without the tokens themselves.

    \b
    JSON: a list of {"name", "role", "made_by", "made_at", "used_at", "revoked_at"}

    \b
    Example: greenroom tokens list --json
    """
    workspace = open_store(tracking_uri)
    try:
        found = workspace.tokens.list()
    finally:
        workspace.close()
    _show(found, as_json)


def _show(found: Sequence[Token], as_json: bool) -> None:
    if as_json:
        output.print_json([_value(one) for one in found])
        return
    if not found:
        click.echo("There is no token yet. Make one with: greenroom tokens create NAME --role ROLE")
        return
    output.print_rows(
        ("name", "role", "made by", "made", "last used", "revoked"),
        [
            (
                one.name,
                str(one.role),
                one.made_by,
                output.local_time(one.made_at),
                output.local_time(one.used_at),
                output.local_time(one.revoked_at),
            )
            for one in found
        ],
        numbers=(),
    )


def _value(one: Token) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": str(one.role),
        "made_by": one.made_by,
        "made_at": one.made_at,
        "used_at": one.used_at,
        "revoked_at": one.revoked_at,
    }


@tokens.command("revoke")
@click.argument("name", metavar="NAME")
@store_option
@json_option
def revoke(name: str, tracking_uri: str | None, as_json: bool) -> None:
    """Take a token back: from now on it opens nothing.

    \b
    JSON: as of `greenroom tokens list`, without the list.

    \b
    Example: greenroom tokens revoke nightly
    """
    workspace = open_store(tracking_uri)
    try:
        gone = workspace.tokens.revoke(name, workspace.actor())
    finally:
        workspace.close()
    if as_json:
        output.print_json(_value(gone))
    else:
        click.echo(f"The token {gone.name} is revoked.")

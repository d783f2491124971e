"""Tokens: shown once, kept as hashes, gone when revoked; and the commands that make them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.engine import Engine

from core.access import Actor, Role
from core.audit import AuditTrail
from core.cli_parts import Group
from core.cli_tokens import tokens as tokens_group
from core.database import open_database
from core.errors import BadInputError, NotFoundError, RefusedError
from core.schema import api_tokens
from core.tokens import PREFIX, Tokens
from core.workspace import Workspace
from tests import stores
from tests.registries import Hands

ADMIN = Actor("root", Role.ADMIN)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(None, tmp_path)
    yield opened
    opened.dispose()


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def trail(engine: Engine) -> AuditTrail:
    return AuditTrail(lambda: engine, "store")


@pytest.fixture
def tokens(engine: Engine, trail: AuditTrail, hands: Hands) -> Tokens:
    return Tokens(lambda: engine, trail, hands)


def test_a_token_gives_its_name_and_role(tokens: Tokens) -> None:
    made = {role: tokens.create(f"the {role}", role, ADMIN) for role in Role}
    for role, token in made.items():
        assert tokens.verify(token) == Actor(f"the {role}", role)


def test_a_token_has_256_random_bits(tokens: Tokens) -> None:
    made = [tokens.create(f"n{number}", Role.VIEWER, ADMIN) for number in range(20)]
    assert len(set(made)) == 20
    assert all(one.startswith(PREFIX) and len(one) == len(PREFIX) + 43 for one in made)


def test_the_database_and_the_audit_trail_hold_no_token(
    tokens: Tokens, engine: Engine, trail: AuditTrail, tmp_path: Path
) -> None:
    token = tokens.create("nightly", Role.ANALYST, ADMIN)
    tokens.verify(token)
    tokens.revoke("nightly", ADMIN)
    with engine.begin() as connection:
        kept = connection.execute(api_tokens.select()).one()
    assert kept.hash == hashlib.sha256(token.encode()).hexdigest()
    engine.dispose()
    secret = token.removeprefix(PREFIX).encode()
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert any(path.name == "greenroom.db" for path in files)
    assert not [path for path in files if secret in path.read_bytes()]


@pytest.mark.parametrize("text", ["", "gr_", "nonsense", "gr_" + "A" * 43, "gr_\udc80", "gr_" + "ü" * 9])
def test_what_is_no_token_opens_nothing(tokens: Tokens, text: str) -> None:
    tokens.create("nightly", Role.ADMIN, ADMIN)
    assert tokens.verify(text) is None


def test_a_part_of_a_token_or_its_hash_opens_nothing(tokens: Tokens) -> None:
    token = tokens.create("nightly", Role.ADMIN, ADMIN)
    digest = hashlib.sha256(token.encode()).hexdigest()
    for wrong in (token[:-1], token + "A", token.upper(), PREFIX + digest, digest):
        assert tokens.verify(wrong) is None


def test_a_revoked_token_opens_nothing(tokens: Tokens) -> None:
    token, other = (tokens.create(name, Role.LEAD, ADMIN) for name in ("nightly", "other"))
    gone = tokens.revoke("nightly", ADMIN)
    assert gone.revoked_at is not None
    assert tokens.verify(token) is None
    assert tokens.verify(other) == Actor("other", Role.LEAD)
    with pytest.raises(NotFoundError, match="No token in use is named 'nightly'"):
        tokens.revoke("nightly", ADMIN)


def test_a_name_belongs_to_one_token_at_a_time(tokens: Tokens) -> None:
    first = tokens.create("nightly", Role.VIEWER, ADMIN)
    with pytest.raises(RefusedError, match="a token named nightly already"):
        tokens.create(" nightly ", Role.LEAD, ADMIN)
    tokens.revoke("nightly", ADMIN)
    second = tokens.create("nightly", Role.LEAD, ADMIN)
    assert tokens.verify(first) is None
    assert tokens.verify(second) == Actor("nightly", Role.LEAD)
    assert [(one.name, one.role, one.revoked_at is None) for one in tokens.list()] == [
        ("nightly", Role.VIEWER, False),
        ("nightly", Role.LEAD, True),
    ]


def test_of_many_who_want_a_name_one_gets_it(tokens: Tokens) -> None:
    made: list[str] = []
    refused: list[RefusedError] = []

    def create() -> None:
        try:
            made.append(tokens.create("nightly", Role.VIEWER, ADMIN))
        except RefusedError as error:
            refused.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(made), len(refused)) == (1, 7)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "\udc80", "x" * 201])
def test_a_name_that_cannot_be_shown_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(BadInputError, match="cannot be named"):
        tokens.create(name, Role.VIEWER, ADMIN)
    assert tokens.list() == ()


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ANALYST, Role.LEAD])
def test_only_an_admin_makes_and_revokes_tokens(tokens: Tokens, role: Role) -> None:
    tokens.create("nightly", Role.VIEWER, ADMIN)
    somebody = Actor("amara", role)
    with pytest.raises(RefusedError, match="may not make or revoke tokens"):
        tokens.create("mine", Role.ADMIN, somebody)
    with pytest.raises(RefusedError, match="may not make or revoke tokens"):
        tokens.revoke("nightly", somebody)
    assert [(one.name, one.revoked_at) for one in tokens.list()] == [("nightly", None)]


def test_who_made_and_revoked_what_is_audited(tokens: Tokens, trail: AuditTrail) -> None:
    tokens.create("nightly", Role.ANALYST, ADMIN)
    tokens.revoke("nightly", ADMIN)
    events = [(one.actor, one.action, dict(one.details)) for one in reversed(trail.events())]
    about = {"token": "nightly", "role": "analyst"}
    assert events == [("root", "token made", about), ("root", "token revoked", about)]
    assert trail.verify().whole


def test_the_last_use_is_noted_once_a_minute(tokens: Tokens, hands: Hands) -> None:
    token = tokens.create("nightly", Role.VIEWER, ADMIN)
    assert tokens.list()[0].used_at is None
    tokens.verify(token)
    first = tokens.list()[0].used_at
    assert first is not None
    tokens.verify(token)
    assert tokens.list()[0].used_at == first
    hands.pass_hours(1)
    tokens.verify(token)
    assert (tokens.list()[0].used_at or first) > first


# Commands

Greenroom = Callable[..., Result]


def _tokens(workspace: Workspace) -> Tokens:
    return Tokens(lambda: workspace.database, AuditTrail(lambda: workspace.database, workspace.address.key))


@pytest.fixture
def greenroom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Greenroom:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", stores.new_sqlite(tmp_path))
    if not hasattr(Workspace, "tokens"):
        monkeypatch.setattr(Workspace, "tokens", property(_tokens), raising=False)
    group = Group("greenroom", commands=[tokens_group])

    def run(*words: str, role: str = "admin") -> Result:
        monkeypatch.setenv("GREENROOM_USER", "root")
        monkeypatch.setenv("GREENROOM_ROLE", role)
        return CliRunner().invoke(group, ["tokens", *words])

    return run


def test_the_commands_make_list_and_revoke(greenroom: Greenroom) -> None:
    made = greenroom("create", "nightly", "--role", "analyst")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert token.startswith(PREFIX) and token not in made.stderr
    listed = json.loads(greenroom("list", "--json").stdout)
    assert [list(one) for one in listed] == [["name", "role", "made_by", "made_at", "used_at", "revoked_at"]]
    assert (listed[0]["name"], listed[0]["role"], listed[0]["revoked_at"]) == ("nightly", "analyst", None)
    assert token not in greenroom("list").output
    assert greenroom("revoke", "nightly").stdout == "The token nightly is revoked.\n"
    assert json.loads(greenroom("list", "--json").stdout)[0]["revoked_at"].endswith("Z")


def test_the_commands_print_json(greenroom: Greenroom) -> None:
    made = json.loads(greenroom("create", "nightly", "--role", "lead", "--json").stdout)
    assert (made["name"], made["role"]) == ("nightly", "lead")
    assert made["token"].startswith(PREFIX)
    assert json.loads(greenroom("revoke", "nightly", "--json").stdout)["name"] == "nightly"


def test_the_commands_refuse_with_a_sentence(greenroom: Greenroom) -> None:
    assert "There is no token yet" in greenroom("list").stdout
    refused = greenroom("create", "nightly", "--role", "viewer", role="lead")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "may not make or revoke tokens: that takes the role admin" in refused.stderr
    assert greenroom("revoke", "nightly").exit_code == 2
    assert greenroom("create", "nightly", "--role", "king").exit_code == 2

"""The audit chain: appended in a row, and one changed byte is found and named."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from core.access import Actor, Permission, Role
from core.audit import FIRST_HASH, AuditTrail, News, Verification
from core.database import open_database
from core.errors import RefusedError
from tests import servers

AMARA = Actor("amara", Role.ANALYST)


def append(engine: Engine, trail: AuditTrail, count: int = 1, **values: Any) -> None:
    for number in range(count):
        news = News(
            "promoted", "ppo 岭", number, "Staging", "Production", "b\\etter", details={"moves": [], **values}
        )
        with engine.begin() as connection:
            trail.append(connection, AMARA, news)


@pytest.fixture
def engine(tmp_path: Path) -> Any:
    opened = open_database(None, tmp_path)
    yield opened
    opened.dispose()


@pytest.fixture
def trail(engine: Engine) -> AuditTrail:
    return AuditTrail(lambda: engine, "store")


def test_each_event_carries_the_hash_of_the_one_before(engine: Engine, trail: AuditTrail) -> None:
    append(engine, trail, 3)
    events = trail.events()[::-1]
    assert [event.seq for event in events] == [1, 2, 3]
    assert events[0].previous_hash == FIRST_HASH
    assert [event.previous_hash for event in events[1:]] == [event.hash for event in events[:-1]]


def test_the_hash_is_what_the_documentation_says(engine: Engine, trail: AuditTrail) -> None:
    """Another program can check the chain from the export alone."""
    append(engine, trail, 3, note="ä ' \" 模型")
    before = FIRST_HASH
    for line in trail.export():
        event = json.loads(line)
        claimed = event.pop("hash")
        details = event["details"]
        text = json.dumps(details, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        content = json.dumps(
            {**event, "details": text}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
        )
        assert hashlib.sha256(content.encode()).hexdigest() == claimed
        assert event["previous_hash"] == before
        before = claimed
    assert trail.verify().head == before


def test_the_database_refuses_to_change_or_remove_an_event(engine: Engine, trail: AuditTrail) -> None:
    append(engine, trail)
    for statement in ("update audit_events set reason = 'x'", "delete from audit_events"):
        with pytest.raises(sa.exc.DatabaseError, match="append-only"), engine.begin() as connection:
            connection.exec_driver_sql(statement)


def tampered(path: Path, statement: str, *values: Any) -> None:
    """Change the table as somebody who owns the file can."""
    connection = sqlite3.connect(path)
    for verb in ("update", "delete"):
        connection.execute(f"drop trigger if exists audit_events_no_{verb}")
    connection.execute(statement, values)
    connection.commit()
    connection.close()


COLUMNS = (
    "at",
    "store_key",
    "actor",
    "role",
    "action",
    "model",
    "version",
    "from_stage",
    "to_stage",
    "reason",
)


@pytest.mark.parametrize("column", [*COLUMNS, "details", "previous_hash", "hash", "evidence_hash", "seq"])
def test_a_changed_value_is_found_and_named(
    engine: Engine, trail: AuditTrail, tmp_path: Path, column: str
) -> None:
    append(engine, trail, 5)
    value = 77 if column in ("seq", "version") else "tampered"
    tampered(tmp_path / "greenroom.db", f"update audit_events set {column} = ? where seq = 3", value)
    found = trail.verify()
    assert not found.whole
    assert found.broken_at == 3
    assert found.events == 2
    assert "3" in found.reason


@pytest.mark.parametrize("seed", range(12))
def test_one_changed_byte_is_found_and_named(
    engine: Engine, trail: AuditTrail, tmp_path: Path, seed: int
) -> None:
    append(engine, trail, 4)
    draw = random.Random(seed)
    connection = sqlite3.connect(tmp_path / "greenroom.db")
    column = draw.choice([*COLUMNS[:6], "reason", "details", "hash", "previous_hash"])
    old = connection.execute(f"select cast({column} as blob) from audit_events where seq = 2").fetchone()[0]
    connection.close()
    place, bit = draw.randrange(len(old)), 1 << draw.randrange(8)
    new = old[:place] + bytes([old[place] ^ bit]) + old[place + 1 :]
    # Also where the byte leaves no valid text behind.
    tampered(
        tmp_path / "greenroom.db", f"update audit_events set {column} = cast(? as text) where seq = 2", new
    )
    found = trail.verify()
    assert (found.broken_at, found.events) == (2, 1), (column, old, new)
    assert found.reason.startswith("Event 2 ")


def test_a_removed_event_is_found_and_named(engine: Engine, trail: AuditTrail, tmp_path: Path) -> None:
    append(engine, trail, 4)
    tampered(tmp_path / "greenroom.db", "delete from audit_events where seq = 2")
    assert trail.verify().reason == "Event 2 is missing: the next one has the number 3."
    tampered(tmp_path / "greenroom.db", "delete from audit_events where seq > 1")
    assert "ends after 1 of 4 events" in trail.verify().reason


def test_an_event_that_was_written_anew_with_its_hash_does_not_fit(
    engine: Engine, trail: AuditTrail, tmp_path: Path
) -> None:
    from core.audit import hash_of

    append(engine, trail, 4)
    with engine.connect() as connection:
        row = dict(connection.exec_driver_sql("select * from audit_events where seq = 2").mappings().one())
    row["reason"] = "another"
    tampered(
        tmp_path / "greenroom.db",
        "update audit_events set reason = ?, hash = ? where seq = 2",
        row["reason"],
        hash_of(row),
    )
    found = trail.verify()
    assert found.broken_at == 3
    assert "does not follow the event before it" in found.reason


def test_an_untouched_chain_is_whole(engine: Engine, trail: AuditTrail) -> None:
    assert trail.verify() == Verification(0, None, "All 0 events are as they were written.", FIRST_HASH)
    append(engine, trail, 7)
    found = trail.verify()
    assert found.whole
    assert found.events == 7


def many_threads(engine: Engine) -> None:
    trails = [AuditTrail(lambda: engine, f"store {number}") for number in range(6)]
    threads = [threading.Thread(target=append, args=(engine, trail, 15)) for trail in trails]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = trails[0].verify()
    assert found.whole
    assert found.events == 90
    assert trails[0].count() == 15


def test_who_appends_at_once_gets_in_a_row(engine: Engine) -> None:
    many_threads(engine)


@pytest.mark.postgres
def test_the_chain_on_postgresql(postgres: servers.Postgres, tmp_path: Path) -> None:
    engine = open_database(postgres.create("audit"), tmp_path)
    many_threads(engine)
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), engine.begin() as connection:
        connection.exec_driver_sql("delete from audit_events")
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table audit_events disable trigger user")
        connection.exec_driver_sql("update audit_events set reason = 'b\\\\' where seq = 40")
    assert AuditTrail(lambda: engine, "store 0").verify().broken_at == 40
    engine.dispose()


def test_an_event_is_kept_only_with_the_transaction_around_it(engine: Engine, trail: AuditTrail) -> None:
    def fail(connection: Any) -> None:
        trail.append(connection, AMARA, News("promoted"))
        raise RuntimeError

    with pytest.raises(RuntimeError), engine.begin() as connection:
        fail(connection)
    append(engine, trail)
    assert trail.verify().events == 1


def test_events_are_found_by_model_action_and_person(engine: Engine, trail: AuditTrail) -> None:
    append(engine, trail, 3)
    with engine.begin() as connection:
        trail.append(connection, Actor("mei", Role.LEAD), News("rejected", "other"))
    assert len(trail.events(limit=2)) == 2
    assert trail.count("other") == trail.count(actor="mei") == trail.count(action="rejected") == 1
    assert [one.action for one in trail.events("other")] == ["rejected"]
    assert trail.events(limit=1, offset=3)[0].seq == 1
    assert trail.values("actor") == ("amara", "mei")
    assert AuditTrail(lambda: engine, "another store").events() == ()


@pytest.mark.parametrize("permission", list(Permission))
def test_each_role_may_what_the_one_before_it_may(permission: Permission) -> None:
    may = [Actor("x", role).may(permission) for role in Role]
    assert may == sorted(may)
    assert not may[0], "a viewer changes nothing"
    assert may[-1]


def test_a_role_that_is_not_enough_is_told_which_is() -> None:
    with pytest.raises(
        RefusedError, match=r"amara acts as analyst and may not roll back: that takes the role lead\."
    ):
        AMARA.require(Permission.ROLL_BACK)
    check: Callable[[Permission], None] = Actor("jonas", Role.LEAD).require
    check(Permission.ROLL_BACK)

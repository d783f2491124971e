"""Greenroom's own database: made once, whoever comes first, and refused in a sentence."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Engine

import core
from core.database import open_database
from core.errors import GreenroomError
from core.schema import REVISION, metadata
from tests import servers

# Waits for a moment that all processes share, so that they meet.
_OPEN = """
import sys, time
from pathlib import Path
from core.database import open_database
uri, home, moment = sys.argv[1] or None, Path(sys.argv[2]), float(sys.argv[3])
time.sleep(max(0.0, moment - time.time()))
engine = open_database(uri, home)
with engine.connect() as connection:
    assert connection.exec_driver_sql("select count(*) from saved_views").scalar() == 0
"""


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(context, metadata))


def open_at_once(uri: str, homes: list[Path]) -> list[str]:
    moment = str(time.time() + 2.5)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, uri, str(home), moment], stderr=subprocess.PIPE, text=True
        )
        for home in homes
    ]
    return [one.communicate(timeout=60)[1] for one in running]


def test_the_migrations_make_the_tables_that_the_code_describes(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path / "home")
    assert differences(engine) == []
    engine.dispose()


def test_a_difference_would_be_seen(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table saved_views add column more text")
    assert differences(engine)
    engine.dispose()


def test_opening_twice_keeps_what_is_in_it(tmp_path: Path) -> None:
    first = open_database(None, tmp_path)
    with first.begin() as connection:
        connection.exec_driver_sql(
            "insert into saved_views values (1, 's', 'p', 'n', '{}', 'ana', '2024-01-01')"
        )
    second = open_database(None, tmp_path)
    with second.connect() as connection:
        assert connection.exec_driver_sql("select name from saved_views").scalars().all() == ["n"]
    first.dispose()
    second.dispose()


def test_sqlite_is_opened_for_many_readers_and_writers(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    with engine.connect() as connection:
        settings = [
            connection.exec_driver_sql(f"pragma {name}").scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys")
        ]
    assert settings == ["wal", 10000, 1]
    engine.dispose()


def test_processes_that_start_together_make_one_database(tmp_path: Path) -> None:
    assert open_at_once("", [tmp_path] * 3) == [""] * 3


def test_a_named_database_is_used_instead_of_the_one_at_home(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/other.db", tmp_path / "home")
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "home" / "greenroom.db").exists()
    engine.dispose()


def test_a_home_that_is_a_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(GreenroomError, match="cannot be opened"):
            open_database(None, home)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ana:hushhush@127.0.0.1:1/greenroom",
        "postgresql://127.0.0.1:1/greenroom?user=ana&password=hushhush",
        "nosuchdialect://ana:hushhush@h/d",
        "mysql+aiomysql://ana:hushhush@h/d",
        "no uri at all",
    ],
)
def test_a_database_that_cannot_be_opened_is_named_without_its_password(tmp_path: Path, uri: str) -> None:
    with pytest.raises(GreenroomError, match=r"cannot be opened: .*GREENROOM_DATABASE_URI") as caught:
        open_database(uri, tmp_path)
    assert "hushhush" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "greenroom.db").write_text("a letter to a friend, long enough to have a header" * 10)
    before = (tmp_path / "greenroom.db").read_bytes()
    with pytest.raises(GreenroomError, match="cannot be opened"):
        open_database(None, tmp_path)
    assert (tmp_path / "greenroom.db").read_bytes() == before


def test_the_revision_is_that_of_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(core.__file__).parent / "migrations"))
    assert scripts.get_current_head() == REVISION


def test_one_that_is_up_to_date_is_not_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(None, tmp_path).dispose()
    monkeypatch.setattr(command, "upgrade", lambda *_: pytest.fail("it was migrated"))
    open_database(None, tmp_path).dispose()


@pytest.mark.parametrize("found", ["0002", "9999", None])
def test_one_of_another_revision_is_looked_at_by_alembic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    engine = open_database(None, tmp_path)
    with engine.begin() as connection:
        connection.execute(sa.text("delete from alembic_version"))
        if found is not None:
            connection.execute(sa.text("insert into alembic_version values (:found)"), {"found": found})
    engine.dispose()
    asked = []
    monkeypatch.setattr(command, "upgrade", lambda _, to: asked.append(to))
    open_database(None, tmp_path).dispose()
    assert asked == ["head"]


def test_a_database_of_a_newer_greenroom_is_refused(tmp_path: Path) -> None:
    engine = open_database(None, tmp_path)
    with engine.begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    engine.dispose()
    with pytest.raises(GreenroomError, match="9999"):
        open_database(None, tmp_path)


@pytest.mark.postgres
def test_on_postgresql_the_tables_are_the_same(postgres: servers.Postgres, tmp_path: Path) -> None:
    uri = postgres.create("own_tables")
    engine = open_database(uri, tmp_path)
    assert differences(engine) == []
    engine.dispose()
    again = open_database(uri, tmp_path)
    again.dispose()


@pytest.mark.postgres
def test_on_postgresql_machines_that_start_together_make_one_database(
    postgres: servers.Postgres, tmp_path: Path
) -> None:
    uri = postgres.create("own_race")
    assert open_at_once(uri, [tmp_path / str(number) for number in range(3)]) == [""] * 3


@pytest.mark.postgres
def test_a_wrong_password_is_not_repeated(postgres: servers.Postgres, tmp_path: Path) -> None:
    uri = postgres.uri("postgres").replace("secret-word", "hushhush")
    with pytest.raises(GreenroomError, match="cannot be opened") as caught:
        open_database(uri, tmp_path)
    assert "hushhush" not in str(caught.value)

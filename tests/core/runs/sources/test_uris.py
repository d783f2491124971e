"""Every form of tracking URI: what it means, how it is shown, and by which key its index is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from core.errors import BadInputError
from core.redaction import redact
from core.runs.sources.uris import StoreKind, parse


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", ["sqlite:///a/x.db", "sqlite+pysqlite:///a/x.db", "a/x.db", "./a/x.db"])
def test_a_relative_sqlite_file_belongs_to_the_current_folder(here: Path, text: str) -> None:
    address = parse(text)
    assert (address.kind, address.path) == (StoreKind.SQLITE, here / "a" / "x.db")
    assert address.uri == f"sqlite:///{here}/a/x.db"
    assert address.folder == here / "a"


def test_an_absolute_sqlite_file(here: Path) -> None:
    for text in (f"sqlite:///{here}/x.db", f"{here}/x.db", f"sqlite:///{here}/x.db?timeout=5"):
        assert parse(text).path == here / "x.db"


@pytest.mark.parametrize("suffix", ["db", "sqlite", "sqlite3"])
def test_a_path_with_the_suffix_of_a_database_is_one(here: Path, suffix: str) -> None:
    assert parse(f"x.{suffix}").kind is StoreKind.SQLITE


def test_a_file_is_a_database_whatever_its_name(here: Path) -> None:
    (here / "store").write_bytes(b"")
    assert parse("store").kind is StoreKind.SQLITE
    assert parse("elsewhere").kind is StoreKind.FILE


@pytest.mark.parametrize("name", ["with blank.db", "a%20b.db", "100%.db", "数据.db", "a+b.db"])
def test_a_sqlite_uri_names_the_file_that_mlflow_would_open(here: Path, name: str) -> None:
    uri = f"sqlite:///{here}/{name}"
    assert str(parse(uri).path) == make_url(uri).database
    # What is parsed again, as the settings are in the process that serves the pages, stays the same.
    assert parse(parse(uri).uri) == parse(uri)


@pytest.mark.parametrize("text", ["mlruns", "./mlruns", "mlruns/", "file:mlruns", "file:./mlruns"])
def test_a_folder_is_a_file_store(here: Path, text: str) -> None:
    address = parse(text)
    assert (address.kind, address.path) == (StoreKind.FILE, here / "mlruns")
    assert address.uri == f"file://{here}/mlruns"
    assert address.folder == here / "mlruns"


@pytest.mark.parametrize("name", ["plain", "with blank", "a%20b", "100%", "运行", "a#b"])
def test_a_file_uri_names_the_folder_it_was_made_from(here: Path, name: str) -> None:
    folder = here / name
    folder.mkdir()
    for text in (folder.as_uri(), str(folder)):
        assert parse(text).path == folder
        assert parse(parse(text).uri) == parse(text)


def test_a_folder_with_a_colon_in_its_name_is_no_scheme(here: Path) -> None:
    (here / "exp:1").mkdir()
    assert parse("exp:1").path == here / "exp:1"
    assert parse("./exp:2").path == here / "exp:2"


@pytest.mark.parametrize("text", ["http://host:5000", "http://host:5000/", " http://host:5000// "])
def test_a_server_is_the_same_with_and_without_trailing_slash(text: str) -> None:
    address = parse(text)
    assert (address.kind, address.uri, address.path) == (StoreKind.HTTP, "http://host:5000", None)
    assert address.folder is None


def test_https_is_a_server_too() -> None:
    assert parse("https://host/mlflow").uri == "https://host/mlflow"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2", "POSTGRESQL"])
def test_a_postgresql_driver_makes_no_difference(scheme: str) -> None:
    address = parse(f"{scheme}://u:p@h:5432/d?sslmode=require")
    assert address.kind is StoreKind.POSTGRESQL
    assert address.uri == "postgresql://u:p@h:5432/d?sslmode=require"


@pytest.mark.parametrize("text", ["mysql+pymysql://u:p@h/d", "mssql://h/d"])
def test_other_databases_are_left_to_mlflow(text: str) -> None:
    assert (parse(text).kind, parse(text).uri) == (StoreKind.OTHER_SQL, text)


def test_an_unknown_scheme_is_refused_with_what_is_accepted() -> None:
    with pytest.raises(BadInputError, match=r"starts with 'redis:'.*sqlite:///, postgresql://") as caught:
        parse("redis://u:hushhush@h/0")
    assert "hushhush" not in str(caught.value)


@pytest.mark.parametrize("text", ["sqlite://", "sqlite:///", "sqlite:", "sqlite://x.db", "sqlite:///?a=b"])
def test_sqlite_without_a_file_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="names no file"):
        parse(text)


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_uri_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="empty"):
        parse(text)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:hush@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu@sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu/sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu?sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu#sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:hu[sh@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("http://u:hush@h:5000", "http://u:***@h:5000"),
        ("http://h/?token=hush&page=2", "http://h/?token=***&page=2"),
        ("postgresql://h/d?user=u&password=hush", "postgresql://h/d?user=u&password=***"),
        ("postgresql://u:hush@h/d?sslpassword=hush", "postgresql://u:***@h/d?sslpassword=***"),
        ("http://h/?api_key=hush", "http://h/?api_key=***"),
        ("http://h:5000/a@b", "http://h:5000/a@b"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_what_is_shown_holds_no_secret(uri: str, shown: str) -> None:
    assert redact(uri) == shown
    assert parse(uri).shown == shown


def test_the_key_is_the_same_for_the_same_store(here: Path) -> None:
    same = ["sqlite:///x.db", f"sqlite:///{here}/x.db", "x.db", "./a/../x.db"]
    assert len({parse(text).key for text in same}) == 1
    assert parse("mlruns").key == parse(f"file://{here}/mlruns").key
    assert parse("http://h/").key == parse("http://h").key
    assert parse("postgresql+psycopg2://h/d").key == parse("postgresql://h/d").key


def test_the_key_does_not_change_from_one_version_to_the_next() -> None:
    # Index folders and saved views are found by it.
    assert parse("http://mlflow.example.org:5000").key == "c4380cab8ce00f4f"


def test_the_key_differs_for_different_stores() -> None:
    texts = ["x.db", "y.db", "mlruns", "http://h", "https://h", "http://h/x", "postgresql://h/d"]
    assert len({parse(text).key for text in texts}) == len(texts)

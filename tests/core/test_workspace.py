"""A workspace: which index belongs to which store, and what is given back at the end."""

from __future__ import annotations

import getpass
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
from mlflow import MlflowClient

from core.errors import BadInputError, GreenroomError
from core.settings import Settings, read_settings
from core.workspace import Workspace, open_workspace
from tests import stores


def workspace_on(uri: str, home: Path) -> Workspace:
    return open_workspace(Settings(tracking_uri=uri, home=home))


def test_stores_have_an_index_each(tmp_path: Path) -> None:
    uris = [stores.new_sqlite(tmp_path / name) for name in ("one", "two")]
    for number, uri in enumerate(uris, 1):
        for _ in range(number):
            stores.add_run(MlflowClient(uri))
    places = [workspace_on(uri, tmp_path / "home") for uri in uris]
    for place in places:
        place.runs.sync()
    assert [len(place.runs.snapshot()) for place in places] == [1, 2]
    folders = [place.runs.index.folder for place in places]
    assert len(set(folders)) == 2
    assert all(folder.parent == tmp_path / "home" / "index" for folder in folders)


def test_a_store_is_the_same_by_relative_and_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = stores.new_sqlite(tmp_path / "store")
    names = [absolute, "sqlite:///store/mlflow.db", "store/mlflow.db", str(tmp_path / "store" / "mlflow.db")]
    folders = {workspace_on(name, tmp_path / "home").runs.index.folder for name in names}
    assert len(folders) == 1


def test_a_second_workspace_goes_on_from_the_index_of_the_first(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    run_id = stores.add_run(MlflowClient(uri))
    workspace_on(uri, tmp_path / "home").runs.sync()
    again = workspace_on(uri, tmp_path / "home")
    assert again.runs.run(run_id).run_id == run_id


def test_without_a_tracking_uri_the_store_is_the_one_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = open_workspace(read_settings({}))
    assert place.settings.is_embedded
    assert place.address.path == tmp_path / ".greenroom" / "mlflow.db"
    assert not place.address.path.exists(), "opening creates no store"
    stores.new_sqlite(tmp_path / ".greenroom")
    assert place.runs.sync() is not None


def test_the_home_folder_is_made(tmp_path: Path) -> None:
    workspace_on("sqlite:///x.db", tmp_path / "a" / "b").close()
    assert (tmp_path / "a" / "b").is_dir()


def test_a_home_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GreenroomError, match=r"cannot be made: .*GREENROOM_HOME"):
        workspace_on("sqlite:///x.db", tmp_path / "file" / "home")


def test_a_tracking_uri_that_means_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="redis:"):
        workspace_on("redis://h", tmp_path)


def test_the_user_is_the_account_and_unknown_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = workspace_on("sqlite:///x.db", tmp_path)
    monkeypatch.setattr(getpass, "getuser", lambda: "ana")
    assert place.user == "ana"

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert place.user == "unknown"


def test_saved_views_are_kept_at_home_for_each_store(tmp_path: Path) -> None:
    one, two = (workspace_on(f"sqlite:///{name}.db", tmp_path / "home") for name in ("one", "two"))
    one.saved_views("runs").save("mine", {}, "ana")
    again = workspace_on("sqlite:///one.db", tmp_path / "home")
    assert [view.name for view in again.saved_views("runs").all()] == ["mine"]
    assert two.saved_views("runs").all() == ()
    assert again.saved_views("compare").all() == ()
    for place in (one, two, again):
        place.close()


def test_close_ends_the_keeper_and_gives_back_connections(tmp_path: Path) -> None:
    place = workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home")
    assert place.saved_views("runs").all() == ()
    place.keeper.touch()
    thread = place.keeper._thread
    assert thread is not None
    assert place.database.pool.checkedin() == 1  # type: ignore[attr-defined]
    place.close()
    assert not thread.is_alive()
    assert place.database.pool.checkedin() == 0  # type: ignore[attr-defined]


@pytest.mark.postgres
def test_close_gives_back_the_connection_to_the_store(postgres_store: str, tmp_path: Path) -> None:
    with closing(psycopg.connect(postgres_store)) as other, other.cursor() as cursor:

        def connections() -> int:
            cursor.execute("select count(*) from pg_stat_activity where datname = current_database()")
            other.commit()
            return int(cursor.fetchone()[0])

        before = connections()
        place = workspace_on(postgres_store, tmp_path / "home")
        place.runs.sync()
        assert connections() == before + 1
        place.close()
        end = time.monotonic() + 5
        while connections() > before and time.monotonic() < end:
            time.sleep(0.05)
        assert connections() == before


def test_close_opens_nothing(tmp_path: Path) -> None:
    place = workspace_on("sqlite:///x.db", tmp_path / "home")
    place.close()
    place.close()
    assert list((tmp_path / "home").iterdir()) == []


def test_threads_that_ask_at_once_are_given_the_same(tmp_path: Path) -> None:
    with closing(workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home")) as workspace:
        together = Barrier(8)

        def ask(_: int) -> tuple[int, int, int]:
            together.wait()
            return id(workspace.runs), id(workspace.keeper), id(workspace.database)

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(ask, range(8)))) == 1


def test_closing_makes_nothing(tmp_path: Path) -> None:
    workspace = workspace_on(stores.new_sqlite(tmp_path), tmp_path / "home")
    workspace.close()
    assert not {"runs", "registry", "keeper", "database"} & workspace.__dict__.keys()

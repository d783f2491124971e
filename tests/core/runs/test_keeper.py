"""The keeper: fresh while somebody looks, idle while nobody does, and honest about a store that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from core.errors import SourceError
from core.runs import keeper as keepers
from core.runs.keeper import Keeper
from core.runs.types import SyncProgress
from core.settings import Settings
from core.workspace import Workspace, open_workspace
from tests import stores


class Explorer:
    """Stands in for a RunExplorer: counts the looks, and fails where it is told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.failure: Exception | None = None
        self.during: Callable[[Any], None] = lambda on_progress: None

    def sync(self, *, on_progress: Any, wait_seconds: float) -> None:
        assert wait_seconds == 0.0, "never waits for another process that syncs"
        self.looks += 1
        self.during(on_progress)
        if self.failure is not None:
            raise self.failure


def wait_until(true: Callable[[], object], seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


@pytest.fixture
def explorer() -> Explorer:
    return Explorer()


@pytest.fixture
def keeper(explorer: Explorer) -> Iterator[Keeper]:
    keeper = Keeper(explorer, 0.05)  # type: ignore[arg-type]
    yield keeper
    keeper.stop()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    uri = stores.new_sqlite(tmp_path / "store")
    workspace = open_workspace(Settings(tracking_uri=uri, home=tmp_path / "home", refresh_seconds=0.5))
    yield workspace
    workspace.close()


def test_a_run_is_in_the_index_within_five_seconds_of_being_logged(workspace: Workspace) -> None:
    workspace.keeper.touch()
    assert workspace.keeper.wait_for_look(10)
    assert len(workspace.runs.snapshot()) == 0
    client = MlflowClient(workspace.settings.effective_tracking_uri)
    for count in (1, 2):
        stores.add_run(client)
        assert wait_until(lambda count=count: len(workspace.runs.snapshot()) == count, 5)


def test_a_store_that_fails_and_recovers(workspace: Workspace) -> None:
    keeper, path = workspace.keeper, workspace.address.path
    assert path is not None
    stores.add_run(MlflowClient(workspace.settings.effective_tracking_uri))
    keeper.touch()
    assert keeper.wait_for_look(10)
    assert keeper.state.error is None
    away = path.rename(path.with_name("away"))
    assert wait_until(lambda: keeper.state.error)
    assert str(path) in str(keeper.state.error)
    state = workspace.runs.index.state()
    assert state.error == keeper.state.error
    assert state.failed_since is not None
    assert abs(time.time() - state.failed_since) < 60
    assert len(workspace.runs.snapshot()) == 1, "browsing goes on from the index"
    away.rename(path)
    assert wait_until(lambda: keeper.state.error is None)
    assert (workspace.runs.index.state().failed_since, workspace.runs.index.state().error) == (None, None)


def test_failing_since_is_the_first_failure_not_the_last(workspace: Workspace) -> None:
    assert workspace.address.path is not None
    workspace.address.path.unlink()
    sinces = []
    for _ in range(2):
        with pytest.raises(SourceError):
            workspace.runs.sync()
        sinces.append(workspace.runs.index.state().failed_since)
        time.sleep(0.01)
    assert sinces[0] is not None
    assert sinces[0] == sinces[1]


def test_nothing_is_read_before_the_first_touch(keeper: Keeper, explorer: Explorer) -> None:
    time.sleep(0.2)
    assert explorer.looks == 0
    assert not keeper.wait_for_look(0)


def test_it_looks_again_and_again_while_touched(keeper: Keeper, explorer: Explorer) -> None:
    keeper.touch()
    assert wait_until(lambda: explorer.looks >= 4)


def test_it_is_idle_once_nobody_looks_and_wakes_at_a_touch(
    keeper: Keeper, explorer: Explorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "_WATCHED_SECONDS", 0.3)
    keeper.touch()
    assert wait_until(lambda: explorer.looks >= 1)
    time.sleep(0.8)
    looks = explorer.looks
    time.sleep(0.5)
    assert explorer.looks == looks
    keeper.touch()
    assert wait_until(lambda: explorer.looks > looks, 2)


def test_many_touches_start_one_thread(keeper: Keeper) -> None:
    keeper.touch()
    first = keeper._thread
    keeper.touch()
    assert keeper._thread is first


def test_an_error_is_shown_until_a_look_succeeds(keeper: Keeper, explorer: Explorer) -> None:
    explorer.failure = SourceError("the store is away")
    keeper.touch()
    assert keeper.wait_for_look(5)
    assert wait_until(lambda: keeper.state.error == "the store is away")
    explorer.failure = None
    assert wait_until(lambda: keeper.state.error is None)


def test_progress_is_shown_during_a_look_only(keeper: Keeper, explorer: Explorer) -> None:
    seen = []

    def during(on_progress: Callable[[SyncProgress], None]) -> None:
        on_progress(SyncProgress("runs", 1, 3))
        seen.append(keeper.state.progress)

    explorer.during = during
    keeper.touch()
    assert keeper.wait_for_look(5)
    assert seen[0] == SyncProgress("runs", 1, 3)
    explorer.during = lambda on_progress: None
    assert wait_until(lambda: keeper.state.progress is None)


def test_a_slow_store_is_given_twice_the_time_it_took(keeper: Keeper, explorer: Explorer) -> None:
    moments: list[tuple[float, float]] = []

    def during(_: object) -> None:
        began = time.monotonic()
        time.sleep(0.2)
        moments.append((began, time.monotonic()))

    explorer.during = during
    keeper.touch()
    assert wait_until(lambda: len(moments) >= 3)
    # The very first look, at the start of the thread, is followed by the second at once.
    assert moments[2][0] - moments[1][1] >= 0.4


@pytest.mark.parametrize("watched", [30.0, 0.0])
def test_stop_ends_the_thread_whether_it_looks_or_idles(
    keeper: Keeper, explorer: Explorer, monkeypatch: pytest.MonkeyPatch, watched: float
) -> None:
    monkeypatch.setattr(keepers, "_WATCHED_SECONDS", watched)
    keeper.touch()
    assert keeper.wait_for_look(5)
    thread = keeper._thread
    assert thread is not None
    keeper.stop()
    assert not thread.is_alive()
    looks = explorer.looks
    time.sleep(0.2)
    assert explorer.looks == looks


def test_stop_before_the_first_touch_does_nothing(keeper: Keeper) -> None:
    keeper.stop()

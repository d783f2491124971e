"""Runs with child runs in a real store, and the fake that stands for them in the tests of forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from polars.testing import assert_frame_equal

from core.errors import NotFoundError
from core.forecasts.desk import StoreRuns
from core.runs.nested import NestedRuns
from core.workspace import Workspace, open_workspace
from tests import plain, stores
from tests.core.forecasts.kit import PARENT, TABLES, FakeRuns, from_mlflow, tag_of

COLUMNS = ("params.store_code", "metrics.mae", "metrics.test_mae", "tags.quality", "params.nobody has it")


class Logged:
    """A store that MLflow writes, and what Greenroom tells of it."""

    def __init__(self, folder: Path) -> None:
        uri = stores.new_sqlite(folder)
        self.client = MlflowClient(uri)
        self.experiment = self.client.create_experiment("stores", artifact_location=str(folder / "artifacts"))
        self.other = self.client.create_experiment("others", artifact_location=str(folder / "others"))
        self.workspace: Workspace = open_workspace(tracking_uri=uri, home=folder / "home")
        self.ids: dict[str, str] = {}
        self._started = 1_700_000_000_000

    def log(
        self,
        name: str,
        parent: str | None = None,
        *,
        experiment: str | None = None,
        status: str = "FINISHED",
        **values: Any,
    ) -> str:
        """Log a run a second later than the one before: numbers are metrics, texts params, `tags` tags."""
        self._started += 1000
        tags = dict(values.pop("tags", {}))
        if parent is not None:
            tags[PARENT] = self.ids.get(parent, parent)
        run = self.client.create_run(experiment or self.experiment, start_time=self._started, run_name=name)
        metrics = [
            Metric(key, one, self._started, 0) for key, one in values.items() if not isinstance(one, str)
        ]
        params = [Param(key, one) for key, one in values.items() if isinstance(one, str)]
        self.client.log_batch(
            run.info.run_id, metrics, params, [RunTag(key, one) for key, one in tags.items()]
        )
        if status != "RUNNING":
            self.client.set_terminated(run.info.run_id, status, self._started + 500)
        self.ids[name] = run.info.run_id
        return str(run.info.run_id)

    def runs(self) -> NestedRuns:
        self.workspace.runs.sync()
        return NestedRuns(self.workspace.runs)

    def names(self, run_ids: tuple[str, ...]) -> list[str]:
        named = {run_id: name for name, run_id in self.ids.items()}
        return [named[run_id] for run_id in run_ids]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    """Two pipelines with stores, one whose stores are deleted, one deleted itself, runs with tables and metrics."""
    one = Logged(tmp_path_factory.mktemp("nested"))
    one.log("old", total_stores_attempted=2.0, tags={TABLES: tag_of("forecast/predictions.parquet")})
    one.log(
        "old 1", "old", store_code="1", mae=1.0, tags={"quality": "good", TABLES: tag_of("forecast/p.csv")}
    )
    one.log("old 2", "old", store_code="2", mae=2.0, status="FAILED")
    one.log("empty", total_stores_attempted=9.0)
    one.client.delete_run(one.log("empty 1", "empty", store_code="1"))
    gone = one.log("gone", smape=3.0, tags={TABLES: tag_of("predictions.json")})
    one.log("gone 1", "gone", store_code="1", smape=5.0)
    one.client.delete_run(gone)
    one.log("orphan", "f" * 32, store_code="1")
    one.log("table", tags={TABLES: tag_of("eval/prediction_2.csv")})
    one.log("other table", tags={TABLES: tag_of("eval/Prediction.csv", "trades.json")})
    one.log("measured", sMAPE=0.5)
    one.log("new", experiment=one.other, model="global")
    one.log("new 1", "new", experiment=one.other, store_code="1", test_mae=float("nan"), status="RUNNING")
    one.log("new 10", "new", experiment=one.other, store_code="it's 10")
    one.log("tuned")
    one.log("trial", "tuned", mae=7.0, lr="0.1")
    yield one
    one.workspace.close()


@pytest.fixture(scope="module")
def real(logged: Logged) -> NestedRuns:
    return logged.runs()


@pytest.fixture(scope="module")
def fake(logged: Logged) -> FakeRuns:
    runs = [from_mlflow(run) for run in plain.mlflow_runs(logged.client)]
    names = {one.experiment_id: one.name for one in logged.client.search_experiments()}
    return FakeRuns(runs, names)


@pytest.fixture(params=["real", "fake"])
def runs(request: pytest.FixtureRequest) -> StoreRuns:
    """Both, so that what a test says holds for either."""
    found: StoreRuns = request.getfixturevalue(request.param)
    return found


def names(frame: pl.DataFrame) -> list[str]:
    return frame["name"].to_list()


# What both do


def test_children_are_the_active_ones_latest_first_with_the_columns_asked_for(
    runs: StoreRuns, logged: Logged
) -> None:
    found = runs.children(logged.ids["old"], COLUMNS)
    assert names(found) == ["old 2", "old 1"]
    assert found.select(COLUMNS).rows() == [("2", 2.0, None, None, None), ("1", 1.0, None, "good", None)]
    assert found["status"].to_list() == ["FAILED", "FINISHED"]
    assert found["parent_run_id"].to_list() == [logged.ids["old"]] * 2
    assert found["experiment"].to_list() == ["stores"] * 2
    assert names(runs.children(logged.ids["gone"], ())) == ["gone 1"]


@pytest.mark.parametrize("name", ["empty", "table", "old 1"])
def test_a_run_without_children_has_an_empty_table_with_the_columns(
    runs: StoreRuns, logged: Logged, name: str
) -> None:
    found = runs.children(logged.ids[name], COLUMNS)
    assert found.height == 0
    assert set(COLUMNS) <= set(found.columns)


def test_a_run_is_found_by_its_id_or_the_beginning_of_it(runs: StoreRuns, logged: Logged) -> None:
    whole = logged.ids["new"]
    assert runs.run(whole).name == "new"
    assert runs.run(whole[:20]).run_id == whole
    for unknown in ("0" * 32, "no such"):
        with pytest.raises(NotFoundError, match=unknown):
            runs.run(unknown)


def test_of_several_runs_the_unknown_and_the_deleted_are_left_out(runs: StoreRuns, logged: Logged) -> None:
    asked = [logged.ids[name] for name in ("new", "gone", "old")]
    assert [run.name for run in runs.runs([*asked, "f" * 32])] == ["new", "old"]
    assert runs.runs([]) == ()


def test_a_table_has_the_rows_in_the_order_asked_for(runs: StoreRuns, logged: Logged) -> None:
    asked = [logged.ids["old"], "f" * 32, logged.ids["new"]]
    found = runs.table(asked, ("params.model",))
    assert found.select("name", "params.model").rows() == [("old", None), ("new", "global")]
    assert runs.table([], ()).height == 0


def test_parents_have_an_active_child_with_the_param_and_are_active(runs: StoreRuns, logged: Logged) -> None:
    assert logged.names(runs.parents_of("store_code")) == ["new", "old"]
    assert logged.names(runs.parents_of("lr")) == ["tuned"]
    assert runs.parents_of("model") == ()
    assert runs.parents_of("nobody has it") == ()


def test_runs_with_a_param_are_the_latest_active_ones_of_any_parent(runs: StoreRuns) -> None:
    found = runs.with_param("store_code", "1", ("metrics.mae",), 10)
    assert names(found) == ["new 1", "orphan", "gone 1", "old 1"]
    assert names(runs.with_param("store_code", "1", (), 2)) == ["new 1", "orphan"]
    assert names(runs.with_param("store_code", "it's 10", (), 2)) == ["new 10"]
    assert runs.with_param("store_code", "3", (), 2).height == 0
    assert runs.with_param("store_code", "no'such\"code", (), 2).height == 0


def test_runs_with_tables_are_the_latest_active_ones_without_a_parent(
    runs: StoreRuns, logged: Logged
) -> None:
    patterns = ("%forecast%", "%prediction%")
    assert logged.names(runs.with_tables_named(patterns, 10)) == ["table", "old"]
    assert logged.names(runs.with_tables_named(patterns[::-1], 10)) == ["table", "old"]
    assert logged.names(runs.with_tables_named(patterns, 1)) == ["table"]
    assert logged.names(runs.with_tables_named(("%Prediction%",), 10)) == ["other table"]
    assert runs.with_tables_named((), 10) == ()


def test_runs_with_metrics_are_the_latest_active_ones_without_a_parent(
    runs: StoreRuns, logged: Logged
) -> None:
    assert logged.names(runs.with_metrics(("total_stores_attempted", "sMAPE", "smape", "mae"), 10)) == [
        *("measured", "empty", "old"),
    ]
    assert logged.names(runs.with_metrics(("total_stores_attempted", "sMAPE"), 1)) == ["measured"]
    assert runs.with_metrics(("loss",), 10) == ()
    assert runs.with_metrics((), 10) == ()


def test_metric_names_are_those_of_the_whole_store(runs: StoreRuns) -> None:
    assert runs.metric_keys() == ("mae", "sMAPE", "smape", "test_mae", "total_stores_attempted")


# The fake is like the real one


CALLS: dict[str, Callable[[StoreRuns, dict[str, str]], Any]] = {
    **{
        f"children of {name}": lambda runs, ids, name=name: runs.children(ids[name], COLUMNS)
        for name in ("old", "empty", "gone", "new", "tuned")
    },
    "table": lambda runs, ids: runs.table([*ids.values(), "0" * 32], COLUMNS),
    "param": lambda runs, ids: runs.with_param("store_code", "1", COLUMNS, 9),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_fake_gives_the_same_tables(real: NestedRuns, fake: FakeRuns, logged: Logged, call: str) -> None:
    assert_frame_equal(CALLS[call](real, logged.ids), CALLS[call](fake, logged.ids))


def comparable(run: Any) -> dict[str, Any]:
    """Return a run as a value that equals itself, also where a metric is NaN."""
    return asdict(run) | {"metrics": {key: plain.number(value) for key, value in run.metrics.items()}}


def test_the_fake_gives_the_same_runs(real: NestedRuns, fake: FakeRuns, logged: Logged) -> None:
    ids = list(logged.ids.values())
    assert list(map(comparable, real.runs(ids))) == list(map(comparable, fake.runs(ids)))
    assert [comparable(real.run(one)) for one in ids] == [comparable(fake.run(one)) for one in ids]


# As the store changes


def test_what_changes_in_the_store_changes_here(tmp_path: Path) -> None:
    one = Logged(tmp_path)
    one.log("first")
    one.log("second")
    child = one.log("child", "first", store_code="1")
    runs = one.runs()
    assert one.names(runs.parents_of("store_code")) == ["first"]
    assert one.names(runs.parents_of("store_code")) == ["first"]
    one.log("another", "second", store_code="1")
    assert one.names(runs.parents_of("store_code")) == ["first"], "not before the index is told"
    one.workspace.runs.sync()
    assert one.names(runs.parents_of("store_code")) == ["second", "first"]
    one.client.delete_run(child)
    one.client.delete_run(one.ids["second"])
    one.workspace.runs.sync()
    assert runs.parents_of("store_code") == ()
    assert runs.children(one.ids["first"], ()).height == 0
    assert names(runs.with_param("store_code", "1", (), 9)) == ["another"]
    one.client.restore_run(child)
    one.workspace.runs.sync()
    assert one.names(runs.parents_of("store_code")) == ["first"]
    one.workspace.close()

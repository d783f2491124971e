"""Trees, facets and metric points; filters and orders are held against MLflow in tests/contract."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from core.errors import BadInputError
from core.runs.explorer import RunExplorer, RunsRequest
from core.runs.types import MetricView
from core.settings import Settings
from core.workspace import open_workspace
from tests import stores


def _explorer(uri: str, home: Path) -> RunExplorer:
    workspace = open_workspace(Settings(tracking_uri=uri, home=home))
    workspace.runs.sync()
    return workspace.runs


@pytest.fixture
def family(tmp_path: Path) -> tuple[RunExplorer, dict[str, str]]:
    """Parent a with children b, c (c with child d), an orphan e, and two that are each other's parent."""
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    ids: dict[str, str] = {}
    parents = {"b": "a", "c": "a", "d": "c"}
    for place, name in enumerate("abcdefg"):
        run = client.create_run("0", start_time=1_700_000_000_000 + place, run_name=name)
        ids[name] = run.info.run_id
        tags = [RunTag("mlflow.parentRunId", ids[parents[name]])] if name in parents else []
        client.log_batch(ids[name], [Metric("score", place, 0, 0)], [Param("kind", name)], tags)
    client.set_tag(ids["e"], "mlflow.parentRunId", "0" * 32)
    client.set_tag(ids["f"], "mlflow.parentRunId", ids["g"])
    client.set_tag(ids["g"], "mlflow.parentRunId", ids["f"])
    return _explorer(uri, tmp_path / "home"), ids


def _tree(explorer: RunExplorer, request: RunsRequest, opened: set[str]) -> list[tuple[str, int, int]]:
    matches = explorer.find(request)
    tree = explorer.tree(matches, frozenset(opened))
    names = matches.snapshot.names.gather(tree.places.tolist()).to_list()
    return list(zip(names, tree.depths.tolist(), tree.children.tolist(), strict=True))


def test_folded_tree_shows_roots_with_their_child_counts(family: tuple[RunExplorer, dict[str, str]]) -> None:
    explorer, _ = family
    shown = _tree(explorer, RunsRequest(order_by=("metrics.score ASC",)), set())
    assert shown == [("a", 0, 2), ("e", 0, 0), ("f", 0, 0), ("g", 0, 0)]


def test_opened_parents_show_children_in_the_order_of_the_search(
    family: tuple[RunExplorer, dict[str, str]],
) -> None:
    explorer, ids = family
    request = RunsRequest(order_by=("metrics.score DESC",))
    shown = _tree(explorer, request, {ids["a"], ids["c"]})
    assert [(name, depth) for name, depth, _ in shown] == [
        ("g", 0),
        ("f", 0),
        ("e", 0),
        ("a", 0),
        ("c", 1),
        ("d", 2),
        ("b", 1),
    ]


def test_child_whose_parent_does_not_match_stands_at_the_top(
    family: tuple[RunExplorer, dict[str, str]],
) -> None:
    explorer, _ = family
    shown = _tree(explorer, RunsRequest(filter="params.kind = 'd'"), set())
    assert shown == [("d", 0, 0)]


def test_facet_counts_all_matches_and_says_what_is_missing(
    family: tuple[RunExplorer, dict[str, str]],
) -> None:
    explorer, _ = family
    found = explorer.facet(explorer.find(RunsRequest()), "parameter", "kind", limit=3)
    assert found.values == (("a", 1), ("b", 1), ("c", 1))
    assert (found.distinct, found.missing) == (7, 0)
    absent = explorer.facet(explorer.find(RunsRequest()), "tag", "nobody has it")
    assert (absent.values, absent.missing) == ((), 7)


def test_minimum_and_maximum_equal_the_history(sqlite_store: str, tmp_path: Path) -> None:
    explorer = _explorer(sqlite_store, tmp_path)
    client = MlflowClient(sqlite_store)
    matches = explorer.find(RunsRequest())
    for view, choose in ((MetricView.MIN, min), (MetricView.MAX, max)):
        frame = explorer.table(matches, ["metrics.loss"], metric_view=view)
        for run_id, value in frame.select("run_id", "metrics.loss").iter_rows():
            points = [
                one.value for one in client.get_metric_history(run_id, "loss") if one.value == one.value
            ]
            assert value == (choose(points) if points else None)


def test_ordering_by_the_minimum_is_not_that_by_the_last(tmp_path: Path) -> None:
    uri = stores.new_sqlite(tmp_path)
    client = MlflowClient(uri)
    for name, values in (("x", (1.0, 9.0)), ("y", (5.0, 5.0))):
        run = client.create_run("0", run_name=name)
        client.log_batch(
            run.info.run_id, [Metric("loss", value, 0, step) for step, value in enumerate(values)]
        )
    explorer = _explorer(uri, tmp_path / "home")

    def names(view: MetricView) -> list[str]:
        matches = explorer.find(RunsRequest(order_by=("metrics.loss ASC",), metric_view=view))
        return [run.name for run in matches.snapshot.runs(matches.places.tolist())]

    assert names(MetricView.LAST) == ["y", "x"]
    assert names(MetricView.MIN) == ["x", "y"]


def test_column_of_another_form_is_refused(family: tuple[RunExplorer, dict[str, str]]) -> None:
    explorer, _ = family
    with pytest.raises(BadInputError, match=r"metrics\.NAME"):
        explorer.table(explorer.find(RunsRequest()), ["loss"])


def test_export_has_every_param_metric_and_tag(family: tuple[RunExplorer, dict[str, str]]) -> None:
    explorer, _ = family
    frame = explorer.export(explorer.find(RunsRequest()))
    assert {"run_id", "metrics.score", "params.kind", "tags.mlflow.parentRunId"} <= set(frame.columns)
    assert frame.height == 7

"""Trees, facets and metric points; filters and orders are held against MLflow in tests/contract."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from core.errors import BadInputError, SourceError
from core.runs import search
from core.runs.explorer import RunExplorer, RunsRequest
from core.runs.types import MetricView
from core.settings import Settings
from core.workspace import open_workspace
from tests import stores


def _explorer(uri: str, home: Path) -> RunExplorer:
    workspace = open_workspace(Settings(tracking_uri=uri, home=home))
    workspace.runs.sync()
    return workspace.runs


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunExplorer, dict[str, str]]:
    """Parent a with children b, c (c with child d), an orphan e, and two that are each other's parent."""
    tmp_path = tmp_path_factory.mktemp("family")
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


class Rows:
    """Stands in for a snapshot: runs named by their row, each with a parent or none."""

    def __init__(self, parents: list[int | None]) -> None:
        self.frame = pl.DataFrame(
            {"run_id": [str(row) for row in range(len(parents))]}, schema={"run_id": pl.String}
        )
        named = [None if one is None else str(one) for one in parents]
        self._parents = pl.Series("parent", named, dtype=pl.String)

    def column(self, table: str, key: str) -> pl.Series:
        assert (table, key) == ("tags", "mlflow.parentRunId")
        return self._parents


def _folded(parents: list[int | None], order: list[int], opened: set[int]) -> list[tuple[int, int, int]]:
    """The tree by its definition, one run after another."""

    def root(row: int) -> bool:
        seen, at = set(), row
        while (above := parents[at]) is not None and above in order:
            if at in seen:
                return True  # its own ancestor, or below one that is
            seen.add(at)
            at = above
        return at == row

    def below(row: int) -> list[int]:
        return [one for one in order if parents[one] == row and not root(one)]

    def shown(row: int, depth: int) -> list[tuple[int, int, int]]:
        rows = [(row, depth, len(below(row)))]
        return rows + [each for one in below(row) if row in opened for each in shown(one, depth + 1)]

    return [each for row in order if root(row) for each in shown(row, 0)]


_families = st.integers(0, 9).flatmap(
    lambda size: st.tuples(
        st.lists(st.none() | st.integers(0, size), min_size=size, max_size=size),
        st.permutations(range(size)).flatmap(
            lambda order: st.integers(0, size).map(lambda n: list(order[:n]))
        ),
        st.sets(st.integers(0, size)),
    )
)


@given(_families)
@example(([1, 0, 0], [0, 1, 2], {0, 1, 2}))
@example(([0], [0], {0}))
def test_any_family_is_folded_by_its_definition(
    family: tuple[list[int | None], list[int], set[int]],
) -> None:
    parents, order, opened = family
    found = search.tree(Rows(parents), np.array(order, dtype=np.int64), frozenset(map(str, opened)))  # type: ignore[arg-type]
    rows = list(zip(found.places.tolist(), found.depths.tolist(), found.children.tolist(), strict=True))
    assert rows == _folded(parents, order, opened)


@given(_families)
def test_every_match_can_be_reached_once(family: tuple[list[int | None], list[int], set[int]]) -> None:
    parents, order, _ = family
    everything = frozenset(map(str, range(len(parents))))
    found = search.tree(Rows(parents), np.array(order, dtype=np.int64), everything)  # type: ignore[arg-type]
    assert sorted(found.places.tolist()) == sorted(order)


@pytest.mark.parametrize(
    ("kind", "key"),
    [("attribute", "status"), ("attribute", "user_id"), ("tag", "team"), ("parameter", "batch size")],
)
@pytest.mark.parametrize("text", ["", "metrics.loss < 2"])
def test_facets_count_what_mlflow_finds(
    kind: str, key: str, text: str, sqlite_store: str, tmp_path: Path
) -> None:
    explorer = _explorer(sqlite_store, tmp_path)
    client = MlflowClient(sqlite_store)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], text)
    where = {
        "attribute": lambda run: run.info,
        "tag": lambda run: run.data.tags,
        "parameter": lambda run: run.data.params,
    }
    values = [
        getattr(where[kind](run), key) if kind == "attribute" else where[kind](run).get(key) for run in runs
    ]
    counts = Counter(value for value in values if value is not None)
    found = explorer.facet(explorer.find(RunsRequest(filter=text)), kind, key, limit=100)
    assert dict(found.values) == counts
    assert list(found.values) == sorted(found.values, key=lambda pair: (-pair[1], pair[0]))
    assert (found.missing, found.distinct) == (values.count(None), len(counts))


@pytest.fixture(scope="module", params=["sqlite", "file"])
def numbers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunExplorer, MlflowClient]:
    """Runs named by their last loss: infinite, NaN, missing, and two zeros."""
    tmp_path = tmp_path_factory.mktemp("numbers")
    uri = stores.new_sqlite(tmp_path) if request.param == "sqlite" else (tmp_path / "store").as_uri()
    client = MlflowClient(uri)
    for place, name in enumerate(("1", "nan", "missing", "-inf", "0", "inf", "-0", "-1", "nan", "missing")):
        run = client.create_run("0", start_time=1_700_000_000_000 + place, run_name=name)
        if name != "missing":
            client.log_metric(run.info.run_id, "loss", float(name))
    return _explorer(uri, tmp_path / "home"), client


@pytest.mark.parametrize(
    ("term", "order"),
    [
        ("metrics.loss ASC", ["-inf", "-1", "-0", "0", "1", "inf", "nan", "nan", "missing", "missing"]),
        ("metrics.loss DESC", ["inf", "1", "-0", "0", "-1", "-inf", "nan", "nan", "missing", "missing"]),
    ],
)
def test_nan_comes_after_all_numbers_and_missing_last(
    term: str, order: list[str], numbers: tuple[RunExplorer, MlflowClient]
) -> None:
    explorer, client = numbers
    matches = explorer.find(RunsRequest(order_by=(term,)))
    assert [run.name for run in matches.snapshot.runs(matches.places.tolist())] == order
    assert matches.run_ids == [run.info.run_id for run in client.search_runs(["0"], order_by=[term])]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("metrics.loss = 0", {"0", "-0"}),
        ("metrics.loss > 0.5", {"1", "inf"}),
        ("metrics.loss <= -1", {"-1", "-inf"}),
        ("metrics.loss != 1", {"nan", "-inf", "0", "inf", "-0", "-1"}),
    ],
)
def test_nan_is_unequal_to_all_and_never_more_or_less(
    text: str, names: set[str], numbers: tuple[RunExplorer, MlflowClient]
) -> None:
    explorer, client = numbers
    matches = explorer.find(RunsRequest(filter=text))
    theirs = client.search_runs(["0"], text)
    assert matches.run_ids == [run.info.run_id for run in theirs]
    found = {run.name for run in matches.snapshot.runs(matches.places.tolist())}
    assert found == names


def test_a_minimum_of_a_page_can_be_had_of_any_store_and_an_order_by_it_is_refused_with_a_way_out(
    file_store: str, tmp_path: Path
) -> None:
    explorer = _explorer(file_store, tmp_path)
    matches = explorer.find(RunsRequest())
    page = matches.places.tolist()[:10]
    lows = explorer.table(matches, ["metrics.loss"], places=page, metric_view=MetricView.MIN)
    lasts = explorer.table(matches, ["metrics.loss"], places=page)
    compared = [
        (low, last)
        for low, last in zip(lows["metrics.loss"], lasts["metrics.loss"], strict=True)
        if low is not None and last == last
    ]
    assert compared
    assert all(low <= last for low, last in compared)
    with pytest.raises(SourceError, match="GREENROOM_BACKEND_URI"):
        explorer.find(RunsRequest(order_by=("metrics.loss",), metric_view=MetricView.MIN))

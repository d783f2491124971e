"""Filters are MLflow's, and a mistake is found at its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from core.errors import FilterSyntaxError
from core.runs import filters

MISTAKES = [
    ("metrics.loss > 'high'", 0),
    ("metrics.loss > 1 AND params.model = ridge_unquoted ~ 2", 21),
    ("metrics.loss > 1 AND params.model ~ 'x'", 21),
    ("params.a = 'this AND that' AND nonsense.key = 'x'", 31),
    ("tags.`with AND inside` = 'x' AND metrics.b LIKE 'x'", 33),
    ("attributes.run_id IN ('a', 'b') AND attributes.nope = 'x'", 36),
    ("params.`学习率` = '模型' AND metrics.指标 >> 3", 24),
    ("dataset.colour = 'red'", 0),
]
MALFORMED = [
    *(text for text, _ in MISTAKES),
    *("loss > 1", "metrics.loss", "metrics.loss >", "> 1", "AND", "metrics.a > 1 OR metrics.b > 2"),
    *("metrics.a > 1; metrics.b > 2", "metrics.a IS NULL", "params.a > 'x'", "params.a = 1", "tags.a = b"),
    *("attributes.status IN ('FINISHED')", "attributes.start_time = 'x'", "attributes.run_id IN ()"),
    *("attributes.run_id IN ('a'", "params.a BETWEEN 'x' AND 'y'", "NOT params.a = 'x'", "metrics.a = NaN"),
    *("metrics.a = inf", "(metrics.a > 1)", "metrics.a > 1 AND", "AND metrics.a > 1", "params.a LIKE x"),
]


@pytest.mark.parametrize(("text", "position"), MISTAKES)
def test_position_is_that_of_the_clause_with_the_mistake(text: str, position: int) -> None:
    with pytest.raises(FilterSyntaxError) as caught:
        filters.parse_filter(text)
    assert caught.value.position == position
    assert caught.value.reason


@pytest.mark.parametrize("text", MALFORMED)
def test_what_mlflow_refuses_is_refused_and_nothing_else(text: str, sqlite_store: str) -> None:
    client = MlflowClient(sqlite_store)
    experiments = [one.experiment_id for one in client.search_experiments()]
    try:
        client.search_runs(experiments, text)
    except MlflowException:
        with pytest.raises(FilterSyntaxError):
            filters.parse_filter(text)
    else:
        assert isinstance(filters.parse_filter(text), tuple)


_names = st.text(st.sampled_from("abcxyzABC0189_-. :/学"), min_size=1, max_size=12).filter(
    lambda key: key == key.strip()
)


@given(_names)
def test_any_key_can_be_written_into_a_filter(key: str) -> None:
    (clause,) = filters.parse_filter(f"metrics.{filters.quote_key(key)} > 1")
    assert (clause.kind, clause.key, clause.comparator, clause.value) == ("metric", key, ">", 1.0)


@given(_names)
def test_any_key_can_be_written_into_an_order(key: str) -> None:
    (term,) = filters.parse_order_by((f"params.{filters.quote_key(key)} DESC",))
    assert (term.kind, term.key, term.ascending) == ("parameter", key, False)


def test_clauses_are_split_at_and_outside_quotes() -> None:
    text = "params.a = 'x AND y' and tags.`b AND c` = \"d AND e\" AND attributes.run_id IN ('f AND g')"
    assert filters.split_clauses(text) == (
        "params.a = 'x AND y'",
        'tags.`b AND c` = "d AND e"',
        "attributes.run_id IN ('f AND g')",
    )


def test_order_terms_are_split_at_commas_outside_quotes() -> None:
    assert filters.split_order_by("metrics.a DESC, params.`b,c`,") == ("metrics.a DESC", "params.`b,c`")


@pytest.mark.parametrize("value", ["plain", "it's", 'say "x"', "模型", "a AND b"])
def test_clause_for_a_value_means_that_value(value: str) -> None:
    text = filters.equals("params.a", value)
    assert text is not None
    (clause,) = filters.parse_filter(text)
    assert clause.value == value


def test_value_with_both_quotes_cannot_be_written() -> None:
    assert filters.equals("params.a", "'\"") is None


def test_empty_filter_has_no_clauses() -> None:
    assert filters.parse_filter("") == filters.parse_filter("   ") == ()

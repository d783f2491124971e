"""Filters and orders: MLflow's grammar to the letter, with the place of a mistake."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from core.errors import FilterSyntaxError
from core.runs.filters import (
    Clause,
    OrderTerm,
    equals,
    parse_filter,
    parse_order_by,
    quote_key,
    split_clauses,
    split_order_by,
)

GOOD = "metrics.`val loss` > 1"

# The sign ▲ stands before the clause with the mistake, and is taken out.
MISTAKES = (
    "▲metrics.loss",
    "▲metrics.loss > 'high'",
    "  ▲metrics.loss LIKE '1%'",
    "▲dataset.colour = 'red'",
    f"{GOOD} AND ▲metrics.acc > high",
    f"{GOOD} AND ▲params.model = ridge_unquoted ~ 2",
    f"{GOOD} AND ▲params.model ~ 'x'",
    f"{GOOD} and   ▲params.lr = 0.1 AND tags.team = 'x'",
    f"{GOOD}\n  AND\t▲params.lr = adam",
    f"▲metric.a == 1 AND {GOOD}",
    f"{GOOD} AND {GOOD} AND ▲attributes.nosuch = 'a'",
    "params.a = 'this AND that' AND ▲params.b = c",
    "params.a = \"it's AND\" AND ▲tags.b > 'x'",
    "params.`this AND that` = 'x' AND ▲metrics.b IN (1, 2)",
    "attributes.run_id IN ('a AND b', 'c') AND ▲status = FINISHED",
    "attributes.run_id IN ('a) AND (b', 'c') AND ▲status = FINISHED",
    "params.a = 'x' AND ▲(tags.b = 'y')",
    "params.学习率 = '0.1 或 模型' AND ▲metrics.指标 > '高'",
    "params.`ünïcode Straße` = '🙂' AND ▲nosuch.key = 'x'",
    "params.sandy = 'x' AND ▲params.brand = y",
    "tags.a = 'x' AND ▲attributes.start_time > 'yesterday' AND metrics.b > c",
)


@pytest.mark.parametrize("marked", MISTAKES)
def test_the_position_is_where_the_wrong_clause_begins(marked: str) -> None:
    text = marked.replace("▲", "")
    with pytest.raises(FilterSyntaxError) as caught:
        parse_filter(text)
    assert caught.value.position == marked.index("▲")
    assert caught.value.text == text
    assert f"at character {marked.index('▲') + 1} of" in str(caught.value)


def test_the_reason_is_mlflows_with_its_sets_in_order() -> None:
    with pytest.raises(FilterSyntaxError) as caught:
        parse_filter("params.lr > 'a'")
    words = "!=, =, ILIKE, IS NOT NULL, IS NULL, LIKE"
    assert caught.value.reason == f"Invalid comparator '>' not one of '{words}'"


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_nothing_filters_nothing(text: str) -> None:
    assert parse_filter(text) == ()


def test_every_kind_of_clause() -> None:
    text = (
        "metric.loss >= -1e3 AND parameter.`batch size` ilike '%a%' AND tag.mlflow.user IS NOT NULL AND "
        "status = 'FINISHED' AND attribute.start_time < 1700000000000 AND attributes.`Run name` != 'x' AND "
        "datasets.context NOT IN ('train', 'eval') AND run_id IN ('a')"
    )
    assert parse_filter(text) == (
        Clause("metric", "loss", ">=", -1000.0),
        Clause("parameter", "batch size", "ILIKE", "%a%"),
        Clause("tag", "mlflow.user", "IS NOT NULL", None),
        Clause("attribute", "status", "=", "FINISHED"),
        Clause("attribute", "start_time", "<", 1700000000000),
        Clause("attribute", "run_name", "!=", "x"),
        Clause("dataset", "context", "NOT IN", ("train", "eval")),
        Clause("attribute", "run_id", "IN", ("a",)),
    )


# Agreement with MLflow

MALFORMED = (
    *(
        "metrics.loss",
        "metrics.loss >",
        "> 1",
        "loss > 1",
        "metrics > 1",
        "metrics.loss > '1'",
        "1 = 1",
        "AND x",
    ),
    *(
        'metrics.loss > "1"',
        "metrics.loss == 1",
        "metrics.loss <> 1",
        "(metrics.loss > 1)",
        "metrics.`loss > 1",
    ),
    *("metrics.loss > 1 OR metrics.acc > 2", "metrics.loss > 1, metrics.acc > 2", "NOT metrics.loss > 1"),
    *("metrics.loss IS NULL", "metrics.loss IN (1, 2)", "metrics.loss BETWEEN 1 AND 2", "metrics.loss > nan"),
    *("metrics.loss > inf", "metrics.loss > 1_000", "metrics.loss > 0x10", "metrics.loss != 1.5.5"),
    *(
        "metrics.loss > +1",
        "metrics.loss>1AND metrics.acc>2",
        "metrics.loss > 1;",
        "metrics.loss > metrics.acc",
    ),
    *("metrics.loss > 1; metrics.acc > 2", "metrics.loss > 1 -- comment", "select * from runs"),
    *("params.lr = 0.1", "params.lr = adam", "params.lr > '1'", "params.lr = 'adam", "params.lr = \"adam'"),
    *("params.lr IN ('a', 'b')", "params.lr = NULL", "params.lr NOT LIKE 'a'", "params.batch size = '3'"),
    *("params.a LIKE x", "params.a BETWEEN 'x' AND 'y'", "params.a = 'x' && tags.b = 'y'", "'a' = params.lr"),
    *(
        "tags.team = 3",
        "attributes.status > 'A'",
        "attributes.nosuch = 'a'",
        "attributes.start_time LIKE '1%'",
    ),
    *(
        "attributes.run_id IN (a)",
        "attributes.run_id IN ()",
        "attributes.run_id IN ('a'",
        "attributes.end_time IS NULL",
    ),
    *("attributes.user_id IN ('a')", "datasets.nosuch = 'x'", "dataset.name > 'x'", "model.name = 'x'"),
)
# What looks wrong but is not to MLflow.
ODD = (
    *("metrics.loss > 1 AND", "AND metrics.loss > 1", "metrics.loss > 1 AND AND metrics.acc > 2"),
    *("metrics.loss > 1 metrics.acc > 2", "metrics. > 1", "metrics.loss > 1e400", "metrics.`a`.b > 1"),
    *("params.`a``b` = 'x'", "params.a = 'it''s'", "attributes.start_time > 1.5", "params.`` = ''"),
    *("dataset.context IN ('a',)", "created > 5", "attributes.artifact_uri = 'x'", "parameters.lr = 'a'"),
)


@pytest.mark.parametrize("refused", [True, False], ids=["malformed", "odd"])
def test_what_mlflow_refuses_is_refused_and_nothing_else(refused: bool, sqlite_store: str) -> None:
    client = MlflowClient(sqlite_store)
    experiments = [one.experiment_id for one in client.search_experiments()]
    for text in MALFORMED if refused else ODD:
        assert _refused_by_mlflow(client, experiments, text) == refused, f"MLflow thinks otherwise: {text}"
        assert _refused_here(text) == refused, text


def _refused_by_mlflow(client: MlflowClient, experiments: list[str], text: str) -> bool:
    try:
        client.search_runs(experiments, text, max_results=1)
    except MlflowException:
        return True
    return False


def _refused_here(text: str) -> bool:
    try:
        parse_filter(text)
    except FilterSyntaxError:
        return True
    return False


_words = (
    "metrics.",
    "params.",
    "`a b`",
    "'x'",
    '"y"',
    " AND ",
    " and ",
    "(",
    ")",
    "=",
    ">",
    " IN ",
    " IS ",
    "NULL",
)
_pieces = st.sampled_from((*_words, "1", " ", "'", "`", ",", "LIKE", ";"))


@given(st.one_of(st.text(max_size=60), st.lists(_pieces, max_size=12).map("".join)))
@settings(deadline=None, max_examples=400)
def test_whatever_is_typed_is_parsed_or_refused_in_a_sentence(text: str) -> None:
    try:
        parse_filter(text)
    except FilterSyntaxError as error:
        assert 0 <= error.position <= len(text)
        assert error.reason


# Splitting


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("a > 1", ("a > 1",)),
        (" a > 1  AND b = 'x' and c = 'y'", ("a > 1", "b = 'x'", "c = 'y'")),
        ("a = 'x AND y' AND b = \"p AND 'q\"", ("a = 'x AND y'", 'b = "p AND \'q"')),
        ("`k AND l` > 1 AND d IN ('m AND n', 'o')", ("`k AND l` > 1", "d IN ('m AND n', 'o')")),
        ("d IN ('m) AND (n', 'o') AND e > 1", ("d IN ('m) AND (n', 'o')", "e > 1")),
        ("brand = 'x' AND sandy = 'ANDy'", ("brand = 'x'", "sandy = 'ANDy'")),
        ("a > 1\nAND\n b < 2", ("a > 1", "b < 2")),
    ],
)
def test_a_filter_is_split_at_its_ands(text: str, parts: tuple[str, ...]) -> None:
    assert split_clauses(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        (" , ,", ()),
        ("metrics.a DESC, params.b", ("metrics.a DESC", "params.b")),
        ('metrics.`a,b` DESC,tags."c,d" ASC', ("metrics.`a,b` DESC", 'tags."c,d" ASC')),
        ("start_time,", ("start_time",)),
    ],
)
def test_an_order_is_split_at_its_commas(text: str, parts: tuple[str, ...]) -> None:
    assert split_order_by(text) == parts


# Orders


def test_every_kind_of_order() -> None:
    terms = (
        "metrics.`val loss` DESC",
        "param.lr asc",
        "tags.`mlflow.user`",
        "created",
        "attribute.end_time DESC",
    )
    assert parse_order_by(terms) == (
        OrderTerm("metric", "val loss", False),
        OrderTerm("parameter", "lr", True),
        OrderTerm("tag", "mlflow.user", True),
        OrderTerm("attribute", "start_time", True),
        OrderTerm("attribute", "end_time", False),
    )


@pytest.mark.parametrize(
    "term",
    [
        *("", "loss", "metrics", "metrics.a b", "metrics.loss UP", "nosuch.key", "attributes.nosuch"),
        *("dataset.name", "metrics.a, metrics.b", "metrics.`a"),
    ],
)
def test_orders_that_mlflow_refuses_are_refused(term: str, sqlite_store: str) -> None:
    with pytest.raises((MlflowException, AttributeError, IndexError)):
        MlflowClient(sqlite_store).search_runs(["0"], order_by=[term])
    with pytest.raises(FilterSyntaxError) as caught:
        parse_order_by(("metrics.fine", term))
    assert caught.value.text == term


# Writing filters

# Other names of attributes, which MLflow takes for the attribute even in a metric.
_ALIASES = {"created", "Created", "Run name", "Run Name", "Run ID", "run name"}
# MLflow takes letters and digits of any script and these signs, as long as they make no path that leads astray.
_keys = (
    st.text(
        st.one_of(st.characters(categories=["L", "N"]), st.sampled_from("_-. :/")), min_size=1, max_size=25
    )
    .filter(lambda key: posixpath.normpath(key) == key and not key.startswith((".", "/")))
    .filter(lambda key: key.strip() == key and key not in _ALIASES)
)


@given(_keys)
@example("and")
@example("select")
@example("order by")
@example("loss_1")
@example("a.b/c:d e-f")
@example("2nd")
@example("学习率")
@example("top_5_acc")
@settings(deadline=None, max_examples=300)
def test_a_quoted_key_is_read_as_the_key(key: str) -> None:
    for table, kind, value in (
        ("metrics", "metric", "1"),
        ("params", "parameter", "'1'"),
        ("tags", "tag", "'1'"),
    ):
        (clause,) = parse_filter(f"{table}.{quote_key(key)} = {value}")
        assert (clause.kind, clause.key) == (kind, key)
        (term,) = parse_order_by((f"{table}.{quote_key(key)} DESC",))
        assert (term.kind, term.key, term.ascending) == (kind, key, False)


@given(st.text(max_size=40))
@example("it's")
@example('say "hi"')
@example("both ' and \"")
@example("a AND b")
@example("back\\slash`tick")
@example(" padded ")
@settings(deadline=None, max_examples=300)
def test_a_text_is_compared_as_it_is_or_known_to_be_beyond_the_grammar(value: str) -> None:
    clause = equals("params.a", value)
    if clause is None:
        assert "'" in value
        assert '"' in value
    else:
        assert parse_filter(clause) == (Clause("parameter", "a", "=", value),)

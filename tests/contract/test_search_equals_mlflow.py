"""The same filter and order give the same runs in the same order as MLflow itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from core.errors import BadInputError
from core.runs import filters
from core.runs.index.index import RunIndex
from core.runs.index.snapshot import Snapshot
from core.runs.search import SearchQuery, search
from core.runs.sources.base import RunSource
from core.runs.sources.choose import open_source
from core.runs.sources.uris import parse
from core.runs.types import RunView
from tests.stores import DATASETS, METRIC_KEYS, NUMBERS, PARAM_KEYS, TAG_KEYS, WORDS

CASES = int(os.environ.get("SEARCH_CASES", "300"))
VIEWS = {
    RunView.ACTIVE: ViewType.ACTIVE_ONLY,
    RunView.DELETED: ViewType.DELETED_ONLY,
    RunView.ALL: ViewType.ALL,
}


class Pair:
    """A store, asked both ways."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.client = MlflowClient(uri)
        self.experiments = [
            one.experiment_id for one in self.client.search_experiments(view_type=ViewType.ALL)
        ]
        self.source: RunSource = open_source(parse(uri), None, folder / "view")
        index = RunIndex(folder / "index", parse(uri).key)
        index.sync(self.source)
        snapshot = index.snapshot()
        assert snapshot is not None
        self.snapshot: Snapshot = snapshot

    def theirs(self, text: str, order: list[str], view: RunView) -> list[str] | str:
        """Ask MLflow; a refusal is the word "refused"."""
        try:
            found = self.client.search_runs(
                self.experiments,
                filter_string=text,
                run_view_type=VIEWS[view],
                order_by=order,
                max_results=1000,
            )
        except (MlflowException, OverflowError):
            return "refused"
        return [run.info.run_id for run in found]

    def ours(self, text: str, order: list[str], view: RunView) -> list[str] | str:
        """Ask the index."""
        try:
            query = SearchQuery(
                tuple(self.experiments),
                filters.parse_filter(text),
                filters.parse_order_by(tuple(order)),
                view,
            )
            places = search(self.snapshot, query, self.source.rank_strings)
        except BadInputError:
            return "refused"
        return self.snapshot.frame["run_id"].gather(places.tolist()).to_list()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Pair]]:
    known: dict[str, Pair] = {}

    def of(uri: str) -> Pair:
        if uri not in known:
            known[uri] = Pair(uri, tmp_path_factory.mktemp("pair"))
        return known[uri]

    yield of
    for one in known.values():
        one.source.close()


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else f'"{text}"'


_words = st.sampled_from(WORDS).map(_quoted)
_patterns = st.one_of(
    _words,
    st.sampled_from(
        (
            "'%'",
            "'p%'",
            "'%O'",
            "'_p%'",
            "'%0%'",
            "'ST%E'",
            "'%ß%'",
            "'Ü%'",
            "'ü%'",
            "'%l_nes'",
            "'%\\_%'",
            "'a2c%'",
            "'1__%'",
        )
    ),
)
_key = lambda keys: st.sampled_from(keys).map(filters.quote_key)  # noqa: E731
_numbers = st.one_of(
    st.sampled_from([value for value in NUMBERS if value == value and abs(value) != float("inf")]),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
).map(lambda value: repr(value))
_comparison = st.sampled_from(("=", "!=", "<", "<=", ">", ">="))
_text_comparison = st.sampled_from(("=", "!="))
_like = st.sampled_from(("LIKE", "ILIKE", "like", "ilike"))
_times = st.integers(1_699_999_999_000, 1_700_000_106_000).map(lambda value: str(value // 1000 * 1000))

_clauses = st.one_of(
    st.tuples(st.just("metrics."), _key(METRIC_KEYS), _comparison, _numbers),
    st.tuples(
        st.sampled_from(("params.", "parameter.", "param.")), _key(PARAM_KEYS), _text_comparison, _words
    ),
    st.tuples(st.just("params."), _key(PARAM_KEYS), _like, _patterns),
    st.tuples(st.just("tags."), _key(TAG_KEYS), _text_comparison, _words),
    st.tuples(st.sampled_from(("tags.", "tag.")), _key(TAG_KEYS), _like, _patterns),
    st.tuples(
        st.sampled_from(("params.", "tags.")),
        _key(PARAM_KEYS + TAG_KEYS),
        st.sampled_from(("IS NULL", "IS NOT NULL")),
        st.just(""),
    ),
    st.tuples(
        st.just("attributes."), st.sampled_from(("start_time", "end_time", "created")), _comparison, _times
    ),
    st.tuples(
        st.just("attributes."),
        st.just("status"),
        _text_comparison,
        st.sampled_from(("'FINISHED'", "'RUNNING'", "'failed'")),
    ),
    st.tuples(
        st.just("attributes."),
        st.sampled_from(("run_name", "`Run name`")),
        _text_comparison,
        st.sampled_from(("'same name'", "'名前'", "'run 3'")),
    ),
    st.tuples(
        st.just("attributes."),
        st.just("run_name"),
        _like,
        st.sampled_from(("'run%'", "'SAME%'", "'%<b>'", "'%1'")),
    ),
    st.tuples(
        st.sampled_from(("datasets.", "dataset.")),
        st.just("name"),
        _text_comparison,
        st.sampled_from([f"'{name}'" for name, _ in DATASETS]),
    ),
    st.tuples(
        st.just("dataset."),
        st.sampled_from(("name", "context")),
        _like,
        st.sampled_from(("'pri%'", "'Prices\\_%'", "'%a%'", "'TRAIN%'")),
    ),
    st.tuples(
        st.just("dataset."),
        st.just("context"),
        st.sampled_from(("IN", "NOT IN")),
        st.sampled_from(("('training')", "('training', 'eval')")),
    ),
    st.tuples(
        st.just("dataset."), st.just("context"), _text_comparison, st.sampled_from(("'training'", "'eval'"))
    ),
).map(lambda parts: f"{parts[0]}{parts[1]} {parts[2]} {parts[3]}".strip())

_filters = st.lists(_clauses, max_size=3).map(lambda parts: " AND ".join(parts))
_orders = st.lists(
    st.tuples(
        st.one_of(
            _key(METRIC_KEYS).map("metrics.{}".format),
            _key(PARAM_KEYS).map("params.{}".format),
            _key(TAG_KEYS).map("tags.{}".format),
            st.sampled_from(
                (
                    "attributes.start_time",
                    "start_time",
                    "attributes.end_time",
                    "attributes.run_name",
                    "attributes.status",
                    "attributes.run_id",
                    "attributes.user_id",
                    "created",
                )
            ),
        ),
        st.sampled_from(("", " ASC", " DESC", " asc", " desc")),
    ).map("".join),
    max_size=3,
    unique_by=lambda term: term.split(" ")[0],
)


def _check(pair: Pair, text: str, order: list[str], view: RunView) -> None:
    assert pair.ours(text, order, view) == pair.theirs(text, order, view), (text, order, view)


_settings = settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize(
    "store",
    [
        "sqlite_store",
        "file_store",
        pytest.param("postgres_store", marks=pytest.mark.postgres),
        pytest.param("icu_store", marks=pytest.mark.postgres),
    ],
)
def test_generated_filters_and_orders(
    store: str, pair: Callable[[str], Pair], request: pytest.FixtureRequest
) -> None:
    both = pair(request.getfixturevalue(store))

    @_settings
    @given(text=_filters, order=_orders, view=st.sampled_from(list(RunView)))
    def compare(text: str, order: list[str], view: RunView) -> None:
        _check(both, text, order, view)

    compare()

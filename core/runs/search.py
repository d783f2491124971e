"""Search the index as MLflow searches its store: same filter, same rows, same order.

Pure: a snapshot and parsed clauses in, row numbers out. Only the columns that the filter and the order name
are touched. The rules reproduced here are those of MLflow's SQL stores and, where they differ, of its file
store (`Dialect.FILE`); the tests hold both against MLflow itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from core.errors import BadInputError
from core.runs.filters import Clause, OrderTerm
from core.runs.index.snapshot import PARENT_TAG, Snapshot
from core.runs.types import Dialect, MetricView, RunView

Places = npt.NDArray[np.int64]
# Gives the place of each text in the store's own order, or None where that is byte order.
RankStrings = Callable[[Sequence[str]], Sequence[int] | None]
# Gives a metric's minimum or maximum for all rows of the snapshot.
MetricColumn = Callable[[str], pl.Series]

_TABLES = {"metric": "metrics", "parameter": "params", "tag": "tags"}
_RUN_NAME_TAG = "mlflow.runName"
_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What to look for. `experiment_ids` None means all experiments."""

    experiment_ids: tuple[str, ...] | None = None
    clauses: tuple[Clause, ...] = ()
    order_by: tuple[OrderTerm, ...] = ()
    view: RunView = RunView.ACTIVE
    metric_view: MetricView = MetricView.LAST


def search(
    snapshot: Snapshot,
    query: SearchQuery,
    rank_strings: RankStrings | None = None,
    metric_column: MetricColumn | None = None,
) -> Places:
    """Return the rows of the snapshot that match, in order; shape (matches,).

    Parameters
    ----------
    rank_strings : callable, optional
        Text order of the store, for databases that do not sort by bytes.
    metric_column : callable, optional
        Where ordering by a metric takes its values from; the last value by default. Filters always compare
        the last value, as MLflow's do.
    """
    keep = _scope(snapshot, query)
    for clause in query.clauses:
        keep = keep & _matches(snapshot, clause)
    places = np.flatnonzero(keep.to_numpy())
    return _ordered(snapshot, places, query.order_by, rank_strings, metric_column)


def _scope(snapshot: Snapshot, query: SearchQuery) -> pl.Series:
    keep = pl.repeat(True, len(snapshot), dtype=pl.Boolean, eager=True)
    if query.experiment_ids is not None:
        keep = keep & snapshot.frame["experiment_id"].is_in(list(query.experiment_ids))
    if query.view is not RunView.ALL:
        keep = keep & (snapshot.frame["lifecycle_stage"] == query.view.value)
    return keep


def _matches(snapshot: Snapshot, clause: Clause) -> pl.Series:
    """Return a boolean column without nulls: does each run match this clause?"""
    if clause.kind == "dataset":
        column = snapshot.datasets[clause.key]
        hits = snapshot.datasets.filter(_compare(column, clause, snapshot.dialect))["place"]
        keep = np.zeros(len(snapshot), dtype=bool)
        keep[hits.to_numpy()] = True
        return pl.Series(keep)
    column = _column(snapshot, clause.kind, clause.key)
    if clause.comparator == "IS NULL":
        return column.is_null()
    if clause.comparator == "IS NOT NULL":
        return column.is_not_null()
    return _compare(column, clause, snapshot.dialect)


def _column(snapshot: Snapshot, kind: str, key: str) -> pl.Series:
    if kind != "attribute":
        return snapshot.column(_TABLES[kind], key)
    if key == "run_name":
        # MLflow's SQL stores look at the tag: the column was empty before MLflow 1.30.
        if snapshot.dialect is Dialect.FILE:
            return snapshot.names
        return snapshot.column("tags", _RUN_NAME_TAG)
    return snapshot.frame["user" if key == "user_id" else key]


def _compare(column: pl.Series, clause: Clause, dialect: Dialect) -> pl.Series:
    value, comparator = clause.value, clause.comparator
    if comparator in ("IN", "NOT IN"):
        found = column.is_in(list(value))
        return (~found if comparator == "NOT IN" else found).fill_null(False)
    if comparator in ("LIKE", "ILIKE"):
        return _like(column, value, comparator == "ILIKE", dialect)
    if column.dtype == pl.Int64:
        return _compare_times(column, comparator, value)
    result = _OPERATORS[comparator](column, value)
    if column.dtype == pl.Float64:
        # NaN is unequal to everything and neither more nor less than anything.
        nan = column.is_nan()
        result = (result | nan) if comparator == "!=" else (result & ~nan)
    return result.fill_null(False)


_OPERATORS: Mapping[str, Callable[[pl.Series, object], pl.Series]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


def _compare_times(column: pl.Series, comparator: str, value: float) -> pl.Series:
    if isinstance(value, int) and abs(value) > _INT64_MAX:
        value = float(value)
    if isinstance(value, float):
        column = column.cast(pl.Float64)
    return _OPERATORS[comparator](column, value).fill_null(False)


def _like(column: pl.Series, pattern: str, ignore_case: bool, dialect: Dialect) -> pl.Series:
    """Match an SQL pattern: % any text, _ any character.

    SQLite folds ASCII letters only; PostgreSQL takes a backslash as escape; the file store's dot does not
    match a line break.
    """
    parts = []
    escaped = False
    for character in pattern:
        if escaped:
            parts.append(re.escape(character))
            escaped = False
        elif character == "\\" and dialect is Dialect.POSTGRESQL:
            escaped = True
        elif character == "%":
            parts.append(".*")
        elif character == "_":
            parts.append(".")
        elif ignore_case and dialect is Dialect.SQLITE and character.isascii() and character.isalpha():
            parts.append(f"[{character.lower()}{character.upper()}]")
        else:
            parts.append(re.escape(character))
    if escaped:
        raise BadInputError(
            f"The pattern {pattern!r} ends with a lone backslash, which PostgreSQL refuses. Write two."
        )
    flags = "" if dialect is Dialect.FILE else "s"
    flags += "i" if ignore_case and dialect is not Dialect.SQLITE else ""
    end = r"\n?\z" if dialect is Dialect.FILE and not pattern.endswith("%") else r"\z"
    if dialect is Dialect.FILE and pattern.endswith("%"):
        end = ""
    expression = f"{f'(?{flags})' if flags else ''}\\A{''.join(parts)}{end}"
    return column.str.contains(expression).fill_null(False)


def _ordered(
    snapshot: Snapshot,
    places: Places,
    order_by: Sequence[OrderTerm],
    rank_strings: RankStrings | None,
    metric_column: MetricColumn | None,
) -> Places:
    """Sort rows by the terms, missing values last and NaN before them, then in natural order."""
    if not order_by:
        return places
    fields = [(term.kind, term.key) for term in order_by]
    if len(set(fields)) < len(fields):
        if snapshot.dialect is not Dialect.FILE:
            raise BadInputError(f"order_by names a field twice: {', '.join(key for _, key in fields)}.")
        order_by = [term for at, term in enumerate(order_by) if fields.index(fields[at]) == at]
    keys: dict[str, pl.Series] = {}
    descending: list[bool] = []
    chosen = places.tolist() if len(places) < len(snapshot) else None
    for number, term in enumerate(order_by):
        if term.kind == "metric" and metric_column is not None:
            column = metric_column(term.key)
        elif term.kind == "attribute" and term.key == "run_name" and snapshot.dialect is not Dialect.FILE:
            column = snapshot.frame["name"]
        else:
            column = _column(snapshot, term.kind, term.key)
        if chosen is not None:
            column = column.gather(chosen)
        rank, value = _sort_keys(column, rank_strings)
        keys[f"rank{number}"], keys[f"value{number}"] = rank, value
        descending += [False, not term.ascending]
    if any(term.kind == "attribute" and term.key == "start_time" for term in order_by):
        # With the start time already among the terms, MLflow breaks ties by id alone, at once.
        ties = snapshot.frame["run_id"] if chosen is None else snapshot.frame["run_id"].gather(chosen)
        keys["tie"] = ties if snapshot.dialect is not Dialect.FILE else pl.Series(places)
    else:
        keys["tie"] = pl.Series(places)
    frame = pl.DataFrame(keys)
    order = frame.select(pl.arg_sort_by(*frame.columns, descending=[*descending, False])).to_series()
    ordered: Places = places[order.to_numpy()]
    return ordered


def _sort_keys(column: pl.Series, rank_strings: RankStrings | None) -> tuple[pl.Series, pl.Series]:
    """Return (0 value, 1 NaN, 2 missing) and the value to sort by within 0."""
    missing = column.is_null()
    if column.dtype == pl.Float64:
        nan = column.is_nan().fill_null(False)
        rank = missing.cast(pl.UInt8) * 2 + nan.cast(pl.UInt8)
        # Adding zero makes -0.0 and 0.0 one value, as they are in SQL.
        return rank, column.fill_nan(0.0).fill_null(0.0) + 0.0
    if column.dtype == pl.String:
        if rank_strings is not None:
            distinct = column.drop_nulls().unique()
            ranks = rank_strings(distinct.to_list())
            if ranks is not None:
                places = column.replace_strict(distinct, pl.Series(ranks, dtype=pl.Int64), default=None)
                return missing.cast(pl.UInt8), places.fill_null(0)
        return missing.cast(pl.UInt8), column.fill_null("")
    return missing.cast(pl.UInt8), column.fill_null(0)


# Nested runs


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Matches as a tree.

    Attributes
    ----------
    places : ndarray of int64, shape (rows,)
        Visible rows of the snapshot, parents before their children.
    depths : ndarray of int64, shape (rows,)
    children : ndarray of int64, shape (rows,)
        How many matching children a row has, shown or not.
    """

    places: Places
    depths: Places
    children: Places


def tree(snapshot: Snapshot, matches: Places, expanded: frozenset[str]) -> Tree:
    """Fold matches into a tree in which only `expanded` run ids show their children.

    A run whose parent does not match stands at the top, so that no match is ever hidden for good. Order
    among siblings is the order of `matches`, whatever they are sorted by.
    """
    ids = snapshot.frame["run_id"].gather(matches.tolist())
    parents = snapshot.column("tags", PARENT_TAG).gather(matches.tolist())
    at = pl.DataFrame({"parent": ids, "row": np.arange(len(matches))})
    rows = pl.DataFrame({"parent": parents}).join(at, on="parent", how="left", maintain_order="left")["row"]
    parent_row = rows.fill_null(-1).to_numpy().copy()
    parent_row[_in_circle(parent_row)] = -1
    counts = np.bincount(parent_row[parent_row >= 0], minlength=len(matches))
    by_parent: dict[int, list[int]] = {}
    open_rows = {row for row, run_id in enumerate(ids) if run_id in expanded} if expanded else set()
    if open_rows:
        for row in np.flatnonzero(np.isin(parent_row, list(open_rows))).tolist():
            by_parent.setdefault(int(parent_row[row]), []).append(row)
    roots = np.flatnonzero(parent_row < 0)
    if not by_parent:
        return Tree(matches[roots], np.zeros(len(roots), dtype=np.int64), counts[roots])
    visible: list[int] = []
    depths: list[int] = []
    stack = [(row, 0) for row in reversed(roots.tolist())]
    seen: set[int] = set()
    while stack:
        row, depth = stack.pop()
        if row in seen:
            continue
        seen.add(row)
        visible.append(row)
        depths.append(depth)
        stack.extend((child, depth + 1) for child in reversed(by_parent.get(row, [])))
    chosen = np.array(visible, dtype=np.int64)
    return Tree(matches[chosen], np.array(depths, dtype=np.int64), counts[chosen])


def _in_circle(parent: Places) -> npt.NDArray[np.bool_]:
    """Say which rows never come to a root: runs that are their own ancestors, and all below them."""
    ancestor = parent.copy()
    # After k rounds a row points 2^k generations up, -1 once it has passed a root.
    for _ in range(max(1, len(parent).bit_length())):
        climbing = ancestor >= 0
        ancestor[climbing] = ancestor[ancestor[climbing]]
    return ancestor >= 0


# Facets


@dataclass(frozen=True, slots=True)
class Facet:
    """How often each value of a field occurs among all matches, most frequent first."""

    kind: str
    key: str
    values: tuple[tuple[str, int], ...]
    missing: int
    distinct: int


def facet(snapshot: Snapshot, matches: Places, kind: str, key: str, limit: int = 20) -> Facet:
    """Count the values of an attribute, tag or param over all matches."""
    column = _column(snapshot, kind, key)
    if len(matches) < len(snapshot):
        column = column.gather(matches.tolist())
    counts = column.drop_nulls().value_counts(name="n").sort(["n", column.name], descending=[True, False])
    top = tuple((str(value), int(n)) for value, n in counts.head(limit).iter_rows())
    return Facet(kind, key, top, int(column.null_count()), counts.height)
